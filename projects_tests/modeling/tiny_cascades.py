"""Configs of tiny models with a cascade."""

import torch

HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
CASCADE = "MODEL.DENSEPOSE_CASCADE."
ALL = ["densepose", "mask", "keypoint"]
LIGHT = [
    "MODEL.ROI_MASK_HEAD.CONV_DIM", 32, "MODEL.ROI_MASK_HEAD.NUM_CONV", 1,
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 14, "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", (32,),
    CASCADE + "NUM_STACKED_CONVS", 1, HEAD + "POOLER_RESOLUTION", 14, HEAD + "HEATMAP_SIZE", 56,
    "INPUT.MIN_SIZE_TRAIN", (96,), "INPUT.MIN_SIZE_TEST", 96,
]  # fmt: skip
VARIANTS = {
    "DL": [HEAD + "NAME", "DensePoseDeepLabHead"],
    "WC1": [HEAD + "UV_CONFIDENCE.ENABLED", True],
    "WC2M": [
        HEAD + "UV_CONFIDENCE.ENABLED", True, HEAD + "UV_CONFIDENCE.TYPE", "indep_aniso",
        HEAD + "SEGM_CONFIDENCE.ENABLED", True,
    ],
    "without decoder": [
        HEAD + "NUM_COARSE_SEGM_CHANNELS", 15, HEAD + "DECODER_ON", False,
        HEAD + "FINE_FROM_COARSE", True,
    ],
    "light": [
        "MODEL.BACKBONE.NAME", "build_timm_fpn_backbone", "MODEL.TIMM.WEIGHTS", "",
        "MODEL.TIMM.NORM", "BN",
    ],
    "three stages": [CASCADE + "STAGES", 3],
}  # fmt: skip


def on(tasks) -> list:
    return ["MODEL.MASK_ON", "mask" in tasks, "MODEL.KEYPOINT_ON", "keypoint" in tasks]


def cascade(tasks, *overrides) -> list:
    """Overrides of the tiny config."""
    return [*LIGHT, *on(tasks), CASCADE + "STAGES", 2, CASCADE + "TASKS", tasks, *overrides]


def let_talk(model) -> None:
    """As after some training: until then the projections are zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".talk" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.05)
