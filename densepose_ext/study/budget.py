"""Budgets: the size of a study's data, network and training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..synthetic.settings import Settings


@dataclass(frozen=True)
class Budget:
    """The size of every run of a study.

    Attributes:
        people: settings of the synthetic people for training and testing, with dense targets.
        train, val: numbers of images.
        config: name of the YAML file that all runs are based on.
        changes: ``KEY VALUE`` pairs that override it.
        from_shipped: initialize from the shipped model's backbone, FPN and box heads, so that only
            dense pose is learnt; otherwise from ImageNet.
        teacher: ``KEY VALUE`` pairs that override the teacher's config.
        finest_stride: smallest stride of the FPN levels that RoIs are pooled from.
        larger_backbone: ``KEY VALUE`` pairs; empty if it could not be initialized like the others.
    """

    name: str
    people: Settings
    train: int
    val: int
    config: str
    changes: tuple
    from_shipped: bool
    teacher: tuple
    finest_stride: int
    larger_backbone: tuple = ()

    def training(self, overrides: Sequence = ()) -> str:
        """Describes a training, with ``KEY VALUE`` pairs that override the budget's."""
        changes = [*self.changes, *overrides]
        keys = dict(zip(changes[::2], changes[1::2]))
        start = "the shipped model's backbone and box heads" if self.from_shipped else "ImageNet"
        return (
            f"{keys['SOLVER.MAX_ITER']} steps of {keys['SOLVER.IMS_PER_BATCH']} images,"
            f" {self.train} training images of {self.people.size} pixels, initialized from {start}"
        )


# Runs are only compared with each other, so they do without what makes a model slower but better.
_PLAIN = ("MODEL.SECOND_LOOK.ENABLED", False, "TEST.AUG.ENABLED", False)

BUDGETS = {
    budget.name: budget
    for budget in (
        Budget(
            "quick",  # minutes per run on one core; shows that a study works, and little more
            Settings(size=192, seed=2, people=2, dense=True),
            train=400,
            val=100,
            config="densepose_rcnn_EffLite0_FPN_synth.yaml",
            changes=(
                *_PLAIN,
                *("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 16),
                *("MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_DIM", 128),
                *("MODEL.ROI_DENSEPOSE_HEAD.NUM_STACKED_CONVS", 1),
                *("MODEL.ROI_DENSEPOSE_HEAD.PERSON_THRESHOLD", 0.1),  # masks are small at first
                *("INPUT.MIN_SIZE_TRAIN", (160, 192), "INPUT.MIN_SIZE_TEST", 192),
                *("INPUT.COLOR_JITTER", 0.0, "SOLVER.IMS_PER_BATCH", 8),
                *("SOLVER.BASE_LR", 0.004, "SOLVER.BACKBONE_LR_FACTOR", 0.1),
                *("SOLVER.WARMUP_ITERS", 20, "SOLVER.MAX_ITER", 200),
            ),
            from_shipped=True,
            teacher=(
                *("MODEL.DENSEPOSE_TEACHER.CROP_SIZE", 128, "INPUT.COLOR_JITTER", 0.0),
                *("MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_DIM", 128),
                *("MODEL.ROI_DENSEPOSE_HEAD.NUM_STACKED_CONVS", 2),
                *("SOLVER.IMS_PER_BATCH", 8, "SOLVER.WARMUP_ITERS", 20, "SOLVER.MAX_ITER", 600),
            ),
            finest_stride=4,
        ),
        Budget(
            "cpu",  # about 20 minutes per run on two cores with bfloat16 units
            Settings(size=256, seed=2, people=3, dense=True),
            train=2400,
            val=200,
            config="densepose_rcnn_EffLite0_FPN_synth_demo.yaml",
            changes=(*_PLAIN, "SOLVER.IMS_PER_BATCH", 16, "SOLVER.MAX_ITER", 1000),
            from_shipped=False,
            teacher=(
                *("MODEL.DENSEPOSE_TEACHER.CROP_SIZE", 192),
                *("MODEL.ROI_DENSEPOSE_HEAD.NUM_STACKED_CONVS", 2),
                *("SOLVER.MAX_ITER", 1500),
            ),
            finest_stride=8,
            larger_backbone=(
                *("MODEL.TIMM.NAME", "tf_efficientnet_lite2"),
                *("MODEL.TIMM.WEIGHTS", "package:efficientnet-lite2"),
            ),
        ),
        Budget(
            "gpu",  # about an hour per run
            Settings(size=384, seed=2, people=5, dense=True),
            train=8000,
            val=500,
            config="densepose_rcnn_EffLite0_FPN_synth_demo_gpu.yaml",
            changes=(*_PLAIN, "SOLVER.IMS_PER_BATCH", 16, "SOLVER.MAX_ITER", 8000),
            from_shipped=False,
            teacher=(),
            finest_stride=8,
            larger_backbone=(
                *("MODEL.TIMM.NAME", "tf_efficientnet_lite2"),
                *("MODEL.TIMM.WEIGHTS", "package:efficientnet-lite2"),
            ),
        ),
    )
}
