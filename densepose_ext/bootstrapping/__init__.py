"""Bootstrapping: training on unlabelled images, which a frozen model labels."""

from .build import build_train_loader
from .labelling import Labeller
from .loader import BootstrappedLoader, UnlabelledSet
from .pictures import UnlabelledPictures, find_unlabelled
