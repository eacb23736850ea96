"""Datasets: reading, checking, registering, and mapping to what the model trains on."""

from .annotations import AnnotationError, densepose_annotation, read_densepose
from .build import build_densepose_test_loader, build_densepose_train_loader, training_images
from .coco import load_densepose_coco, register_densepose_coco
from .datasets import register_public_datasets
from .mapper import DensePoseDatasetMapper
