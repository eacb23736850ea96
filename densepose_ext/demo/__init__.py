"""The whole system once through: data, training, scores, pictures, one page."""

from .run import run_demo
