from .checkpoint import DensePoseCheckpointer as DensePoseCheckpointer
from .trainer import DensePoseTrainer as DensePoseTrainer
from .trainer import build_evaluator as build_evaluator
