"""Boxes, masks, keypoints and dense pose; as densepose_rcnn_R_50_FPN_multitask_s1x.yaml."""

from detectron2.data.detection_utils import create_keypoint_hflip_indices
from detectron2.model_zoo import get_config

from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

_masks = get_config("common/models/mask_rcnn_fpn.py").model.roi_heads
_keypoints = get_config("common/models/keypoint_rcnn_fpn.py").model.roi_heads
for _name in ("in_features", "pooler", "head"):
    model.roi_heads[f"mask_{_name}"] = _masks[f"mask_{_name}"]
    model.roi_heads[f"keypoint_{_name}"] = _keypoints[f"keypoint_{_name}"]

dataloader.train.dataset.update(need_masks=True, min_keypoints=1)
dataloader.train.mapper.update(
    use_instance_mask=True,
    use_keypoint=True,
    keypoint_hflip_indices=create_keypoint_hflip_indices(dataloader.train.dataset.names),
)
