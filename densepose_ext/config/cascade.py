"""Configuration keys of the multi-task cascade (DensePose, CVPR 2018, section 3.3)."""

from __future__ import annotations

from detectron2.config import CfgNode as CN

from .embeddings import needs_instance_masks


def add_cascade_config(cfg: CN) -> None:
    """Adds the keys, in place."""
    # Every stage has the branches of TASKS, whose inputs are the RoI features and the outputs of
    # the previous stage.
    cascade = cfg.MODEL.DENSEPOSE_CASCADE = CN()
    cascade.STAGES = 1  # 1: no cascade
    cascade.TASKS = ["densepose"]  # any of densepose, mask, keypoint that the model has
    # Which branches pass their outputs to which others: ["all"], [] or pairs such as
    # ["keypoint>densepose"]. Every branch gets its own outputs.
    cascade.CROSS_TALK = ["all"]
    cascade.TALK_FEATURES = True  # pass the last features too, not only the outputs
    cascade.STOP_GRADIENTS = False  # let no gradients flow into the previous stage
    cascade.LOSS_WEIGHTS = []  # weight of the losses of each stage; []: 1 for all
    cascade.NUM_STACKED_CONVS = 4  # of the dense pose head, from the second stage on


def keeps_people_without_masks(cfg: CN) -> bool:
    """Whether people without a mask are trained on by the other branches.

    A cascade with masks leaves them out of its mask loss only; any other model with masks is not
    trained on them at all.
    """
    cascade = cfg.MODEL.DENSEPOSE_CASCADE
    return cascade.STAGES > 1 and "mask" in cascade.TASKS and not needs_instance_masks(cfg)
