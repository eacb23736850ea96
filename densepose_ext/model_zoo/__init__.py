"""Trained models by name: those that come with the package, and the official project's."""

from .models import DEFAULT, Model, get, names, pack
from .official_models import OfficialModel, official, official_names
