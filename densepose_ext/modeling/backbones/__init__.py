"""Backbones of an R-CNN besides Detectron2's, and frozen norms folded into convolutions."""
