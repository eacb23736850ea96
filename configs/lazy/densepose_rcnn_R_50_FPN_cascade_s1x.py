"""Two stages of dense pose, masks and keypoints; as densepose_rcnn_R_50_FPN_cascade_s1x.yaml."""

from .common.cascade import densepose_cascade
from .densepose_rcnn_R_50_FPN_multitask_s1x import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

model.roi_heads.cascade = densepose_cascade(model.roi_heads, ["densepose", "mask", "keypoint"])
