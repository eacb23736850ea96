"""DensePose-COCO: training images flipped, 640 to 800 pixels on the shorter side."""

import detectron2.data.transforms as T
from detectron2.config import LazyCall as L
from detectron2.data import (
    build_detection_test_loader,
    build_detection_train_loader,
    get_detection_dataset_dicts,
)
from omegaconf import OmegaConf

from densepose_ext.data import DensePoseDatasetMapper, training_images
from densepose_ext.evaluation import DensePoseEvaluator, InstanceEvaluator

dataloader = OmegaConf.create()
dataloader.train = L(build_detection_train_loader)(
    dataset=L(training_images)(
        names=["densepose_coco_2014_train", "densepose_coco_2014_valminusminival"]
    ),
    mapper=L(DensePoseDatasetMapper)(
        is_train=True,
        augmentations=[
            L(T.ResizeShortestEdge)(
                short_edge_length=(640, 672, 704, 736, 768, 800),
                sample_style="choice",
                max_size=1333,
            ),
            L(T.RandomFlip)(horizontal=True),
        ],
        image_format="BGR",
    ),
    total_batch_size=16,
    num_workers=4,
)
dataloader.test = L(build_detection_test_loader)(
    dataset=L(get_detection_dataset_dicts)(names="densepose_coco_2014_minival", filter_empty=False),
    mapper=L(DensePoseDatasetMapper)(
        is_train=False,
        augmentations=[L(T.ResizeShortestEdge)(short_edge_length=800, max_size=1333)],
        image_format="${...train.mapper.image_format}",
    ),
    num_workers=4,
)
dataloader.evaluator = [
    L(InstanceEvaluator)(dataset_name="${...test.dataset.names}"),
    L(DensePoseEvaluator)(dataset_name="${...test.dataset.names}"),
]
