"""Every configuration key that dense pose adds to Detectron2's, with its default and meaning.

Names and defaults are those of the official DensePose project, whose YAML files load unchanged.
:func:`_add_own` adds the few keys that the official project does not have.
"""

from __future__ import annotations

from detectron2.config import CfgNode as CN

from .bootstrapping import add_bootstrap_config
from .cascade import add_cascade_config
from .embeddings import add_cse_config
from .teacher import add_teacher_config

#: MODEL.ROI_HEADS.NAME of a dense pose model.
ROI_HEADS_NAME = "DensePoseROIHeads"


def is_densepose_config(cfg: CN) -> bool:
    """Whether ``cfg`` describes a dense pose model: its ROI heads are DensePoseROIHeads, or a class
    derived from them that has been registered with Detectron2.
    """
    name = cfg.get("MODEL", {}).get("ROI_HEADS", {}).get("NAME")
    return name == ROI_HEADS_NAME or _is_derived(name)


def _is_derived(name: str | None) -> bool:
    from detectron2.modeling import ROI_HEADS_REGISTRY  # not needed to read our own configs

    heads = ROI_HEADS_REGISTRY.get(name) if name in ROI_HEADS_REGISTRY else None
    package = __name__.partition(".")[0]
    return isinstance(heads, type) and any(
        base.__name__ == ROI_HEADS_NAME and base.__module__.partition(".")[0] == package
        for base in heads.__mro__
    )


def has_own_keys(cfg: CN) -> bool:
    """Whether ``cfg`` has the keys of this package, not only those of the official project."""
    return "INFERENCE_PRECISION" in cfg.get("MODEL", {}).get("ROI_DENSEPOSE_HEAD", {})


def is_own_config(cfg: CN) -> bool:
    """Whether ``cfg`` describes a dense pose model and has the keys of this package."""
    return is_densepose_config(cfg) and has_own_keys(cfg)


def add_densepose_config(cfg: CN) -> None:
    """Adds the keys of dense pose to ``cfg``, in place. A second call changes nothing.

    If the official package has added its keys, the missing ones are added; values are kept.
    """
    if has_own_keys(cfg):
        return
    before = cfg.clone()
    _add_head(cfg)
    _add_data(cfg)
    _add_evaluation(cfg)
    add_cse_config(cfg)
    add_cascade_config(cfg)
    add_teacher_config(cfg)
    add_bootstrap_config(cfg)
    _add_hrnet(cfg)
    _add_newer(cfg)
    _add_own(cfg)
    if "ROI_DENSEPOSE_HEAD" in before.MODEL:
        _restore(cfg, before)


def _restore(cfg: CN, values: CN) -> None:
    """Puts all of ``values`` back into ``cfg``."""
    for key, value in values.items():
        if isinstance(value, CN) and key in cfg:
            _restore(cfg[key], value)
        else:
            cfg[key] = value


def _add_head(cfg: CN) -> None:
    cfg.MODEL.DENSEPOSE_ON = True

    head = cfg.MODEL.ROI_DENSEPOSE_HEAD = CN()
    # Name in ROI_DENSEPOSE_HEAD_REGISTRY: DensePoseV1ConvXHead or DensePoseDeepLabHead.
    head.NAME = ""
    head.NUM_STACKED_CONVS = 8
    head.CONV_HEAD_DIM = 512
    head.CONV_HEAD_KERNEL = 3
    head.DEEPLAB = CN()
    head.DEEPLAB.NORM = "GN"
    head.DEEPLAB.NONLOCAL_ON = 0

    # RoI features: pooled from one map that sums all FPN levels at DECODER_COMMON_STRIDE with the
    # decoder, without it from the level that suits the RoI's size.
    head.POOLER_TYPE = "ROIAlignV2"
    head.POOLER_RESOLUTION = 28
    head.POOLER_SAMPLING_RATIO = 2
    head.DECODER_ON = True
    head.DECODER_NUM_CLASSES = 256
    head.DECODER_CONV_DIMS = 256
    head.DECODER_NORM = ""
    head.DECODER_COMMON_STRIDE = 4

    # Output maps. HEATMAP_SIZE, their side, must be POOLER_RESOLUTION * 2 (transposed convolution)
    # * UP_SCALE (bilinear).
    head.PREDICTOR_NAME = "DensePoseChartWithConfidencePredictor"
    head.NUM_PATCHES = 24
    head.NUM_COARSE_SEGM_CHANNELS = 2  # 2: background, person. 15: background, 14 coarse parts.
    head.DECONV_KERNEL = 4
    head.UP_SCALE = 2
    head.HEATMAP_SIZE = 112

    # Losses, of RoIs whose IoU with their ground-truth box is above FG_IOU_THRESHOLD.
    head.LOSS_NAME = "DensePoseChartWithConfidenceLoss"
    head.FG_IOU_THRESHOLD = 0.7
    head.INDEX_WEIGHTS = 5.0  # coarse segmentation (S)
    head.PART_WEIGHTS = 1.0  # fine segmentation (I)
    head.POINT_REGRESSION_WEIGHTS = 0.01  # U and V
    # Train the coarse segmentation with instance masks instead of dp_masks (K = 2 only).
    head.COARSE_SEGM_TRAINED_BY_MASKS = False

    # Confidence in U and V (Neverova et al., Correlated Uncertainty for Learning Dense
    # Correspondences from Noisy Labels, NeurIPS 2019): TYPE iid_iso (WC1) or indep_aniso (WC2).
    head.UV_CONFIDENCE = CN()
    head.UV_CONFIDENCE.ENABLED = False
    head.UV_CONFIDENCE.EPSILON = 0.01  # lower bound of sigma^2
    head.UV_CONFIDENCE.TYPE = "iid_iso"
    # Confidence in the segmentations ("M" in WC1M and WC2M).
    head.SEGM_CONFIDENCE = CN()
    head.SEGM_CONFIDENCE.ENABLED = False
    head.SEGM_CONFIDENCE.EPSILON = 0.01


def _add_data(cfg: CN) -> None:
    # Angles (degrees) of which one is drawn for each training image.
    cfg.INPUT.ROTATION_ANGLES = [0]
    # Test-time augmentation also rotates every image by each of these angles.
    cfg.TEST.AUG.ROTATION_ANGLES = ()
    # Dataset name -> {category id in its JSON: category id to replace it with}.
    cfg.DATASETS.CATEGORY_MAPS = CN(new_allowed=True)
    # Dataset name -> [category ids to keep]; datasets not named here keep all.
    cfg.DATASETS.WHITELISTED_CATEGORIES = CN(new_allowed=True)


def _add_evaluation(cfg: CN) -> None:
    node = cfg.DENSEPOSE_EVALUATION = CN()
    # "iou": compare I, U, V of charts; "cse": compare vertices, found by their embeddings.
    node.TYPE = "iou"
    # Accepted and ignored: the evaluation scores each image as it comes and stores no maps.
    node.STORAGE = "none"
    node.DISTRIBUTED_INFERENCE = True
    # AP is averaged over the thresholds .5:.05:.95. AP20, AP30 and AP40 are added if this is at or
    # below .2, .3 and .4.
    node.MIN_IOU_THRESHOLD = 0.5


def _add_hrnet(cfg: CN) -> None:
    # Backbone "build_hrfpn_backbone": HRNet of the given stages, by default HRNet-W32.
    hrnet = cfg.MODEL.HRNET = CN()
    hrnet.STEM_INPLANES = 64
    hrnet.HRFPN = CN({"OUT_CHANNELS": 256})
    for stage, (modules, branches) in {2: (1, 2), 3: (4, 3), 4: (3, 4)}.items():
        hrnet[f"STAGE{stage}"] = CN(
            {
                "NUM_MODULES": modules,
                "NUM_BRANCHES": branches,
                "BLOCK": "BASIC",
                "NUM_BLOCKS": [4] * branches,
                "NUM_CHANNELS": [32 * 2**branch for branch in range(branches)],
                "FUSE_METHOD": "SUM",
            }
        )


def _add_newer(cfg: CN) -> None:
    """Keys that newer versions of Detectron2 have, and so do the config files they write."""
    if "FLOAT32_PRECISION" not in cfg:
        cfg.FLOAT32_PRECISION = ""  # of matrix products on GPUs; older versions accept only ""


def _add_own(cfg: CN) -> None:
    """The keys that the official project does not have."""
    # At inference, apply the box head to its own boxes this many more times. Helps models that
    # were trained only briefly.
    cfg.MODEL.ROI_BOX_HEAD.REFINEMENTS = 0
    # Precision of the dense pose branch and of the second look at inference: fp32, bf16 or fp16.
    # DensePosePredictor also computes backbone, RPN head and box head in it.
    cfg.MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION = "fp32"
    # With 15 coarse channels, a pixel belongs to the person, at inference, if a single part is more
    # probable than the background (False, as the official models were scored) or all parts
    # together are (True).
    cfg.MODEL.ROI_DENSEPOSE_HEAD.COARSE_PARTS_TOGETHER = False
    # Probability above which a pixel belongs to the person, at inference.
    cfg.MODEL.ROI_DENSEPOSE_HEAD.PERSON_THRESHOLD = 0.5
    # With 15 coarse channels, add the logit of each coarse part to those of its fine parts.
    cfg.MODEL.ROI_DENSEPOSE_HEAD.FINE_FROM_COARSE = False
    # Apply the head to the decoder's whole map and pool RoIs from the result, as in the paper's
    # fully convolutional baseline (DP-FCN, section 4.2): the head then sees people at their size in
    # the image, not at that of a RoI.
    cfg.MODEL.ROI_DENSEPOSE_HEAD.FULLY_CONVOLUTIONAL = False
    # Dilations of the 3 x 3 branches of DensePoseDeepLabHead, in cells. The official ones suit maps
    # of 28 cells. On maps of 14, smaller ones see more: 12 and 56 reach beyond the map.
    cfg.MODEL.ROI_DENSEPOSE_HEAD.ASPP_DILATIONS = [6, 12, 56]
    # Random brightness, contrast and saturation in training: each is multiplied by a factor drawn
    # from [1 - x, 1 + x]. 0: off.
    cfg.INPUT.COLOR_JITTER = 0.0
    # What dense pose is trained on: annotated "points"; "dense" targets (dp_iuv) instead of the
    # points, for people who have them; or "both". DENSE_POINTS points are drawn from a target.
    cfg.INPUT.DENSEPOSE_SUPERVISION = "points"
    cfg.INPUT.DENSE_POINTS = 100
    # Draw one of MIN_SIZE_TRAIN per batch rather than per picture, which saves padding.
    cfg.INPUT.SAME_SIZE_IN_BATCH = False
    # SGD, AdamW, or Muon (for hidden layers, with AdamW for all others). AdamW and Muon multiply
    # the learning rate of the layers below the FPN by BACKBONE_LR_FACTOR.
    cfg.SOLVER.OPTIMIZER = "SGD"
    cfg.SOLVER.BACKBONE_LR_FACTOR = 1.0
    # AdamW's second beta. At .999 the mean of squared gradients spans about a thousand steps, and
    # the large gradients of the first ones weigh on short schedules: lower it there.
    # (SOLVER.MOMENTUM is the momentum of SGD and Muon.)
    cfg.SOLVER.BETA2 = 0.999
    # Average the weights of all iterations, and test and save the average: an exponential moving
    # average over roughly the last 1 / (1 - x) iterations. 0: off.
    cfg.SOLVER.EMA_DECAY = 0.0
    # Of SOLVER.AMP.ENABLED on a GPU: "fp16", as in Detectron2, or "bf16", which has the range of
    # single precision and needs no scaling of losses. On a CPU it is bfloat16 anyway.
    cfg.SOLVER.AMP.PRECISION = "fp16"
    # Write model_latest.pth every so many seconds; 0: never. This is in addition to the checkpoints
    # every SOLVER.CHECKPOINT_PERIOD iterations.
    cfg.SOLVER.CHECKPOINT_SECONDS = 0.0
    # Keep weights and features in channels-last memory format: about a quarter faster on the CPU,
    # with the same results up to rounding.
    cfg.MODEL.CHANNELS_LAST = False

    # At inference, classify the detected boxes with an ImageNet model, and lower the scores of
    # those that it takes for animals, cars or furniture (densepose_ext.modeling.SecondLook). Only
    # for models of one class, the person.
    look = cfg.MODEL.SECOND_LOOK = CN()
    look.ENABLED = False
    # package:efficientnet-lite0, -lite1 or -lite2. If the package is not installed, there is a
    # warning and no second look.
    look.WEIGHTS = "package:efficientnet-lite0"
    # Side of the classifier's input, pixels.
    look.SIZE = 160

    # Backbone "build_timm_fpn_backbone": an FPN on any timm model that supports features_only.
    timm = cfg.MODEL.TIMM = CN()
    timm.NAME = "tf_efficientnet_lite0"
    # "": random. "timm": timm's ImageNet weights, from its cache or downloaded. "package:NAME": of
    # an installed package (package:efficientnet-lite0). Anything else: path of a file.
    timm.WEIGHTS = ""
    # Batch norm: FrozenBN, BN or SyncBN.
    timm.NORM = "FrozenBN"
    # Freeze this many stages; the stem counts as part of the first.
    timm.FREEZE_AT = 2
    # Freeze depthwise convolutions. They hold few of the weights (a sixteenth in
    # EfficientNet-Lite0), but on a CPU their gradients are slow.
    timm.FREEZE_DEPTHWISE = False
