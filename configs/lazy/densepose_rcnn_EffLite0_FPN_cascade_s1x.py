"""The light model with keypoints; as densepose_rcnn_EffLite0_FPN_cascade_s1x.yaml."""

from detectron2.data.detection_utils import create_keypoint_hflip_indices
from detectron2.model_zoo import get_config

from .common.cascade import densepose_cascade
from .densepose_rcnn_EffLite0_FPN_s1x import (
    CHANNELS,
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

_keypoints = get_config("common/models/keypoint_rcnn_fpn.py").model.roi_heads
for _name in ("in_features", "pooler", "head"):
    model.roi_heads[f"keypoint_{_name}"] = _keypoints[f"keypoint_{_name}"]
model.roi_heads.keypoint_head.input_shape.channels = CHANNELS
model.roi_heads.keypoint_head.conv_dims = [256] * 4
model.roi_heads.cascade = densepose_cascade(model.roi_heads, ["densepose", "keypoint"], num_convs=2)

dataloader.train.dataset.min_keypoints = 1
dataloader.train.mapper.update(
    use_keypoint=True,
    keypoint_hflip_indices=create_keypoint_hflip_indices(dataloader.train.dataset.names),
)
