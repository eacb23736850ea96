"""Configuration keys of bootstrapping: BOOTSTRAP_DATASETS and BOOTSTRAP_MODEL.

Names and defaults are the official project's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detectron2.config import CfgNode as CN

STRATEGIES = ("random_k", "first_k", "all")
#: DATA_SAMPLER.TYPE -> the confidence it samples by, which must be enabled in the model.
CHART_SAMPLERS = {
    "densepose_uniform": None,
    "densepose_UV_confidence": "UV_CONFIDENCE",
    "densepose_fine_segm_confidence": "SEGM_CONFIDENCE",
    "densepose_coarse_segm_confidence": "SEGM_CONFIDENCE",
}
EMBEDDING_SAMPLERS = {
    "densepose_cse_uniform": None,
    "densepose_cse_coarse_segm_confidence": "SEGM_CONFIDENCE",
}

#: The keys of an entry of BOOTSTRAP_DATASETS and their defaults; None: required.
_DEFAULTS: dict[str, Any] = {
    # A registered dataset, or a folder that is searched for pictures and videos recursively.
    "DATASET": None,
    # Pictures of this dataset per labelled picture.
    "RATIO": 0.1,
    "IMAGE_LOADER": {
        # Use only the pictures ("image") or only the videos ("video_keyframe") of the dataset; "":
        # both.
        "TYPE": "",
        "BATCH_SIZE": 4,  # accepted and ignored: training decides the batches
        "NUM_WORKERS": 4,
        "SELECT": {
            # Key frames to take from a video: NUM_IMAGES random ones each time (random_k), the
            # first NUM_IMAGES (first_k), or all.
            "STRATEGY": "random_k",
            "NUM_IMAGES": 4,
            "MAX_NUM_IMAGES": 0,  # an alias of NUM_IMAGES
        },
        # Input size of the frozen model: shorter edge, and maximum of the longer edge.
        "TRANSFORM": {"TYPE": "resize", "MIN_SIZE": 800, "MAX_SIZE": 1333},
    },
    "INFERENCE": {
        "INPUT_BATCH_SIZE": 4,  # batch size of the frozen model
        "OUTPUT_BATCH_SIZE": 2,  # accepted and ignored
    },
    "DATA_SAMPLER": {
        # One of CHART_SAMPLERS, or of EMBEDDING_SAMPLERS for CSE models.
        "TYPE": None,
        "COUNT_PER_CLASS": 8,  # points per part, or per person for CSE models
        # Give each detection the class of the annotation that it matches; drop unmatched ones.
        "USE_GROUND_TRUTH_CATEGORIES": False,
    },
    # Detections with a score of at least MIN_VALUE become annotations.
    "FILTER": {"TYPE": "detection_score", "MIN_VALUE": 0.8},
}


@dataclass(frozen=True)
class BootstrapSettings:
    """A validated entry of BOOTSTRAP_DATASETS. Attributes are named after its keys.

    Attributes:
        key: its position, for messages: "BOOTSTRAP_DATASETS[0]".
        loader_type: "image", "video_keyframe" or "".
        sampler: DATA_SAMPLER.TYPE.
    """

    key: str
    dataset: str
    ratio: float
    loader_type: str
    num_workers: int
    strategy: str
    num_images: int
    min_size: int
    max_size: int
    input_batch_size: int
    sampler: str
    count_per_class: int
    use_ground_truth_categories: bool
    min_score: float


def add_bootstrap_config(cfg: CN) -> None:
    """Adds the keys, in place."""
    # Unlabelled datasets to mix into training (Sanakoyeu et al., "Transferring Dense Pose to
    # Proximal Animal Classes", CVPR 2020): a list of dicts with the keys of _DEFAULTS.
    cfg.BOOTSTRAP_DATASETS = []
    # The frozen model that labels them: the model of this config, with these weights.
    cfg.BOOTSTRAP_MODEL = CN({"WEIGHTS": "", "DEVICE": "cuda"})


def bootstrap_settings(cfg: CN) -> list[BootstrapSettings]:
    """The validated entries of BOOTSTRAP_DATASETS.

    Raises:
        ValueError: a value is invalid; the message names key, value and what was expected.
    """
    if isinstance(cfg.BOOTSTRAP_DATASETS, str):
        raise ValueError(
            f"BOOTSTRAP_DATASETS = {cfg.BOOTSTRAP_DATASETS!r}, expected a list of entries"
        )
    settings = [
        _settings(f"BOOTSTRAP_DATASETS[{n}]", entry, cfg)
        for n, entry in enumerate(cfg.BOOTSTRAP_DATASETS)
    ]
    if settings and not cfg.BOOTSTRAP_MODEL.WEIGHTS:
        raise ValueError(
            "BOOTSTRAP_MODEL.WEIGHTS = '', expected a checkpoint of the model that labels"
            " BOOTSTRAP_DATASETS"
        )
    return settings


def _settings(key: str, entry: object, cfg: CN) -> BootstrapSettings:
    given = _filled(key, entry, _DEFAULTS)
    loader, select = given["IMAGE_LOADER"], given["IMAGE_LOADER"]["SELECT"]
    transform, sampler = loader["TRANSFORM"], given["DATA_SAMPLER"]

    def check(name: str, value: object, is_right: bool, expected: str) -> None:
        if not is_right:
            raise ValueError(f"{key}.{name} = {value!r}, expected {expected}")

    def one_of(name: str, value: object, allowed) -> None:
        check(name, value, value in allowed, "one of " + ", ".join(map(repr, allowed)))

    def whole(name: str, value: object, least: int) -> None:
        right = type(value) is int and value >= least
        check(name, value, right, f"a whole number from {least} on")

    check("DATASET", given["DATASET"], bool(given["DATASET"]), "a dataset or a folder")
    ratio = given["RATIO"]
    check("RATIO", ratio, _is_number(ratio) and ratio > 0, "a number above 0")
    one_of("IMAGE_LOADER.TYPE", loader["TYPE"], ("", "image", "video_keyframe"))
    whole("IMAGE_LOADER.NUM_WORKERS", loader["NUM_WORKERS"], 0)
    one_of("IMAGE_LOADER.SELECT.STRATEGY", select["STRATEGY"], STRATEGIES)
    num_images = select["MAX_NUM_IMAGES"] or select["NUM_IMAGES"]
    whole("IMAGE_LOADER.SELECT.NUM_IMAGES", num_images, 1)
    one_of("IMAGE_LOADER.TRANSFORM.TYPE", transform["TYPE"], ("resize",))
    whole("IMAGE_LOADER.TRANSFORM.MIN_SIZE", transform["MIN_SIZE"], 1)
    whole("IMAGE_LOADER.TRANSFORM.MAX_SIZE", transform["MAX_SIZE"], transform["MIN_SIZE"])
    whole("INFERENCE.INPUT_BATCH_SIZE", given["INFERENCE"]["INPUT_BATCH_SIZE"], 1)
    head = cfg.MODEL.ROI_DENSEPOSE_HEAD
    samplers = EMBEDDING_SAMPLERS if "Embedding" in head.PREDICTOR_NAME else CHART_SAMPLERS
    one_of("DATA_SAMPLER.TYPE", sampler["TYPE"], samplers)
    confidence = samplers[sampler["TYPE"]]
    if confidence is not None:
        switch = f"MODEL.ROI_DENSEPOSE_HEAD.{confidence}.ENABLED True with it"
        check("DATA_SAMPLER.TYPE", sampler["TYPE"], head[confidence].ENABLED, switch)
    whole("DATA_SAMPLER.COUNT_PER_CLASS", sampler["COUNT_PER_CLASS"], 1)
    by_category = sampler["USE_GROUND_TRUTH_CATEGORIES"]
    one_of("DATA_SAMPLER.USE_GROUND_TRUTH_CATEGORIES", by_category, (False, True))
    one_of("FILTER.TYPE", given["FILTER"]["TYPE"], ("detection_score",))
    score = given["FILTER"]["MIN_VALUE"]
    check("FILTER.MIN_VALUE", score, _is_number(score) and 0 <= score <= 1, "from 0 to 1")
    return BootstrapSettings(
        key=key,
        dataset=str(given["DATASET"]),
        ratio=float(ratio),
        loader_type=loader["TYPE"],
        num_workers=loader["NUM_WORKERS"],
        strategy=select["STRATEGY"],
        num_images=num_images,
        min_size=transform["MIN_SIZE"],
        max_size=transform["MAX_SIZE"],
        input_batch_size=given["INFERENCE"]["INPUT_BATCH_SIZE"],
        sampler=sampler["TYPE"],
        count_per_class=sampler["COUNT_PER_CLASS"],
        use_ground_truth_categories=by_category,
        min_score=float(score),
    )


def _filled(key: str, entry: object, defaults: dict[str, Any]) -> dict[str, Any]:
    """The entry, with defaults for missing keys."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"{key} = {entry!r}, expected {', '.join(defaults)}")
    for name in entry:
        if name not in defaults:
            raise ValueError(f"{key}.{name}: no such key, expected one of {', '.join(defaults)}")
    filled = {}
    for name, default in defaults.items():
        value = entry.get(name, default)
        filled[name] = (
            _filled(f"{key}.{name}", value, default) if isinstance(default, dict) else value
        )
    return filled


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
