"""Configuration keys of the multi-task cascade (DensePose, CVPR 2018, section 3.3)."""

from __future__ import annotations

from detectron2.config import CfgNode as CN

from .embeddings import needs_instance_masks


def add_cascade_config(cfg: CN) -> None:
    """Add the keys, in place."""
    # A cascade (DensePose, CVPR 2018, section 3.3): stages of the branches of TASKS, of which each
    # sees the RoI features and what branches said of them in the stage before.
    cascade = cfg.MODEL.DENSEPOSE_CASCADE = CN()
    cascade.STAGES = 1  # 1: no cascade
    cascade.TASKS = ["densepose"]  # some of densepose, mask, keypoint; each has to be on
    # Who is heard by whom: ["all"], [] or pairs such as ["keypoint>densepose"]. Every branch hears
    # itself.
    cascade.CROSS_TALK = ["all"]
    cascade.TALK_FEATURES = True  # hear the last features behind outputs, too
    cascade.STOP_GRADIENTS = False  # no gradients from a stage into the one before
    cascade.LOSS_WEIGHTS = []  # a factor for the losses of each stage; []: 1
    cascade.NUM_STACKED_CONVS = 4  # of the dense pose head, from the second stage on


def keeps_people_without_masks(cfg: CN) -> bool:
    """Whether masks are trained in a way that leaves out those who have none, as a cascade does.

    Else people without a mask are left out of the training altogether.
    """
    cascade = cfg.MODEL.DENSEPOSE_CASCADE
    return cascade.STAGES > 1 and "mask" in cascade.TASKS and not needs_instance_masks(cfg)
