"""The light model; the same as densepose_rcnn_EffLite0_FPN_s1x.yaml."""

from detectron2.config import LazyCall as L

from densepose_ext.modeling import TimmBackbone

from .common.model import densepose_roi_heads
from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

CHANNELS = 96

model.backbone.bottom_up = L(TimmBackbone)(
    name="tf_efficientnet_lite0", weights="package:efficientnet-lite0"
)
model.backbone.in_features = ["res2", "res3", "res4", "res5"]
model.backbone.out_channels = CHANNELS
model.backbone.norm = "GN"
model.pixel_mean = [123.675, 116.28, 103.53]
model.pixel_std = [58.395, 57.12, 57.375]
model.input_format = "RGB"
dataloader.train.mapper.image_format = "RGB"

model.proposal_generator.head.in_channels = CHANNELS
model.proposal_generator.post_nms_topk = (1000, 300)
model.roi_heads.box_head.input_shape.channels = CHANNELS
model.roi_heads.box_head.fc_dims = [256, 256]
model.roi_heads.box_predictor.input_shape.channels = 256
model.roi_heads.update(
    densepose_roi_heads(
        decoder=None, pooler_resolution=14, num_convs=4, conv_dim=256, channels=CHANNELS
    )
)
train.init_checkpoint = ""
