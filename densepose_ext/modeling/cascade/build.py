"""Builds a cascade from MODEL.DENSEPOSE_CASCADE."""

from __future__ import annotations

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_keypoint_head, build_mask_head
from torch import nn

from ..registry import build_densepose_head, build_densepose_predictor
from .cascade import DensePoseCascade
from .stage import TASKS, CascadeStage

_KEY = "MODEL.DENSEPOSE_CASCADE"
#: The config key that enables each task.
_SWITCHES = {"densepose": "DENSEPOSE_ON", "mask": "MASK_ON", "keypoint": "KEYPOINT_ON"}
_ALL = "all"


def build_cascade(
    cfg: CfgNode, densepose_channels: int, level_channels: int
) -> DensePoseCascade | None:
    """The stages after the first; None if there is only one.

    Args:
        densepose_channels: of the RoI features of dense pose.
        level_channels: of the feature levels, from which masks and keypoints are pooled.

    Raises:
        ValueError: a value is invalid; the message names key, value and what was expected.
    """
    node = cfg.MODEL.DENSEPOSE_CASCADE
    if node.STAGES < 1:
        raise ValueError(f"{_KEY}.STAGES = {node.STAGES}, expected 1 (no cascade) or more")
    if node.STAGES == 1:
        return None
    tasks = _tasks(cfg)
    later = node.STAGES - 1
    if len(node.LOSS_WEIGHTS) not in (0, node.STAGES):
        raise ValueError(
            f"{_KEY}.LOSS_WEIGHTS = {list(node.LOSS_WEIGHTS)}, expected a number for each of the"
            f" {node.STAGES} stages, or none"
        )
    return DensePoseCascade(
        [_stage(cfg, tasks, densepose_channels, level_channels) for _ in range(later)],
        {task: densepose_channels if task == "densepose" else level_channels for task in tasks},
        cross_talk=_cross_talk(list(node.CROSS_TALK), tasks),
        talk_features=node.TALK_FEATURES,
        stop_gradients=node.STOP_GRADIENTS,
        loss_weights=node.LOSS_WEIGHTS,
    )


def _tasks(cfg: CfgNode) -> list[str]:
    tasks = list(cfg.MODEL.DENSEPOSE_CASCADE.TASKS)
    for task in tasks:
        if task not in TASKS:
            raise ValueError(f"{_KEY}.TASKS names {task!r}, expected some of {', '.join(TASKS)}")
        if not cfg.MODEL[_SWITCHES[task]]:
            raise ValueError(f"{_KEY}.TASKS names {task!r}, but MODEL.{_SWITCHES[task]} = False")
    if "densepose" not in tasks:
        raise ValueError(f"{_KEY}.TASKS = {tasks}, expected 'densepose' among them")
    return tasks


def _cross_talk(pairs: list[str], tasks: list[str]) -> dict[str, list[str]] | None:
    """Task -> tasks whose outputs it gets, from pairs "from>to"; None: all."""
    if pairs == [_ALL]:
        return None
    sources: dict[str, list[str]] = {task: [] for task in tasks}
    for pair in pairs:
        names = str(pair).split(">")
        if len(names) != 2:
            raise ValueError(
                f"{_KEY}.CROSS_TALK has {pair!r}, expected ['{_ALL}'] or pairs such as"
                " 'keypoint>densepose'"
            )
        for name in names:
            if name not in tasks:
                raise ValueError(
                    f"{_KEY}.CROSS_TALK has {pair!r}, but {name!r} is not in {_KEY}.TASKS = {tasks}"
                )
        source, target = names
        sources[target].append(source)
    return sources


def _stage(
    cfg: CfgNode, tasks: list[str], densepose_channels: int, level_channels: int
) -> CascadeStage:
    of_stage = cfg.clone()
    of_stage.defrost()
    of_stage.MODEL.ROI_DENSEPOSE_HEAD.NUM_STACKED_CONVS = (
        cfg.MODEL.DENSEPOSE_CASCADE.NUM_STACKED_CONVS
    )
    head = build_densepose_head(of_stage, densepose_channels)
    predictor = build_densepose_predictor(of_stage, head.output_channels)
    if not hasattr(predictor, "lowres_maps"):
        raise ValueError(
            "MODEL.ROI_DENSEPOSE_HEAD.PREDICTOR_NAME ="
            f" {cfg.MODEL.ROI_DENSEPOSE_HEAD.PREDICTOR_NAME!r} has no lowres_maps, which a cascade"
            f" ({_KEY}.STAGES = {cfg.MODEL.DENSEPOSE_CASCADE.STAGES}) needs"
        )
    heads = {}
    for task, build in (("mask", build_mask_head), ("keypoint", build_keypoint_head)):
        if task not in tasks:
            continue
        key = f"ROI_{task.upper()}_HEAD"
        side = cfg.MODEL[key].POOLER_RESOLUTION
        heads[f"{task}_head"] = build(cfg, ShapeSpec(level_channels, side, side))
        if not isinstance(heads[f"{task}_head"], nn.Sequential):
            raise ValueError(
                f"MODEL.{key}.NAME = {cfg.MODEL[key].NAME!r} cannot be in a cascade: expected a"
                " head that is a sequence of layers"
            )
    return CascadeStage(densepose_head=head, densepose_predictor=predictor, **heads)
