"""Training and testing: the trainer, its hooks, optimizers, checkpoints and processes."""

from .checkpoint import DensePoseCheckpointer
from .trainer import DensePoseTrainer, build_evaluator, build_model
