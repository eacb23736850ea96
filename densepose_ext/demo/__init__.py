"""The demo: data, training, evaluation and pictures, summed up on one page."""

from .run import run_demo
