"""Configuration keys of the teacher (DensePose, CVPR 2018, section 3.4)."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_teacher_config(cfg: CN) -> None:
    """Adds the keys, in place."""
    # With MODEL.META_ARCHITECTURE DensePoseTeacher, every person is cropped with a margin (in terms
    # of the box's longer side) and resized to a square of CROP_SIZE pixels.
    teacher = cfg.MODEL.DENSEPOSE_TEACHER = CN()
    teacher.CROP_SIZE = 256
    teacher.MARGIN = 0.1
