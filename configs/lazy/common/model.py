"""The DensePose R-CNN with a ResNet-FPN, part by part: Detectron2's Mask R-CNN, its mask branch
exchanged for dense pose. Shapes and defaults are those of the YAML configs.
"""

from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec
from detectron2.model_zoo import get_config
from detectron2.modeling.poolers import ROIPooler

from densepose_ext.modeling import (
    DensePoseChartWithConfidenceLoss,
    DensePoseChartWithConfidencePredictor,
    DensePoseDecoder,
    DensePoseROIHeads,
    DensePoseV1ConvXHead,
)

FPN_CHANNELS = 256
LEVELS = {"p2": 4, "p3": 8, "p4": 16, "p5": 32}  # name: stride


def densepose_roi_heads(
    decoder=None, pooler_resolution=28, num_convs=8, conv_dim=512, coarse_channels=2, channels=256
):
    """Arguments of DensePoseROIHeads for its dense pose branch.

    decoder: makes one map of all levels; None pools from the levels, of `channels` channels.
    """
    strides = [decoder.common_stride] if decoder is not None else list(LEVELS.values())
    return {
        "densepose_in_features": list(LEVELS),
        "densepose_decoder": decoder,
        "densepose_pooler": L(ROIPooler)(
            output_size=pooler_resolution,
            scales=[1.0 / stride for stride in strides],
            sampling_ratio=2,
            pooler_type="ROIAlign",
        ),
        "densepose_head": L(DensePoseV1ConvXHead)(
            input_channels=decoder.output_channels if decoder is not None else channels,
            num_convs=num_convs,
            conv_dim=conv_dim,
        ),
        "densepose_predictor": L(DensePoseChartWithConfidencePredictor)(
            input_channels="${..densepose_head.conv_dim}", coarse_channels=coarse_channels
        ),
        "densepose_loss": L(DensePoseChartWithConfidenceLoss)(
            segm_weight=5.0, part_weight=1.0, point_weight=0.01
        ),
    }


model = get_config("common/models/mask_rcnn_fpn.py").model
model.proposal_generator.pre_nms_topk = (2000, 1000)
model.proposal_generator.post_nms_topk = (1000, 1000)

model.roi_heads._target_ = DensePoseROIHeads
model.roi_heads.num_classes = 1
for name in ("mask_in_features", "mask_pooler", "mask_head"):
    model.roi_heads.pop(name)
model.roi_heads.box_pooler.pooler_type = "ROIAlign"
model.roi_heads.box_pooler.sampling_ratio = 2
model.roi_heads.update(
    densepose_roi_heads(
        decoder=L(DensePoseDecoder)(
            input_shape={
                name: ShapeSpec(channels=FPN_CHANNELS, stride=stride)
                for name, stride in LEVELS.items()
            },
            conv_dim=256,
            output_channels=256,
            common_stride=4,
        )
    )
)
