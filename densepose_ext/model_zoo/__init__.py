"""Trained models that come with the package: ``densepose_ext.model_zoo.get(name)``."""

from .models import DEFAULT, Model, get, names, pack
