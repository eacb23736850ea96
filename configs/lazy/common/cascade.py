"""Later stages of dense pose, masks and keypoints, for models that have these branches."""

from copy import deepcopy

from detectron2.config import LazyCall as L

from densepose_ext.modeling import CascadeStage, DensePoseCascade


def densepose_cascade(roi_heads, tasks, num_convs=4, **arguments):
    """A cascade of two stages: `cascade` of DensePoseROIHeads.

    roi_heads: arguments of DensePoseROIHeads, whose branches make the first stage.
    tasks: some of densepose, mask, keypoint.
    num_convs: of the dense pose head in the second stage.
    arguments: of DensePoseCascade.
    """
    stage = L(CascadeStage)(
        densepose_head=deepcopy(roi_heads.densepose_head),
        densepose_predictor=deepcopy(roi_heads.densepose_predictor),
    )
    stage.densepose_head.num_convs = num_convs
    channels = {"densepose": roi_heads.densepose_head.input_channels}
    for task in ("mask", "keypoint"):
        if task in tasks:
            head = stage[f"{task}_head"] = deepcopy(roi_heads[f"{task}_head"])
            channels[task] = head.input_shape.channels
    if "mask" in tasks:
        stage.mask_head.num_classes = roi_heads.num_classes
    return L(DensePoseCascade)(stages=[stage], roi_channels=channels, **arguments)
