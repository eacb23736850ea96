"""What names of configs, models and checkpoints mean to a predictor."""

from __future__ import annotations

import os

from detectron2.config import CfgNode
from detectron2.utils.file_io import PathManager

from ..config import ROI_HEADS_NAME, add_densepose_config, is_densepose_config, load_config
from ..config.loading import OFFICIAL
from ..files.configs import get_config_file, list_configs
from ..model_zoo import DEFAULT, get, names, official, official_names
from ..model_zoo.official_models import official_of_config
from .exported import is_exported


def config_and_weights(
    config: str | os.PathLike | CfgNode | None, weights: str | os.PathLike | None
) -> tuple[CfgNode, str]:
    """The config of a model, which may be changed, and the path or URL of its weights.

    Args:
        config, weights: as for :class:`DensePosePredictor`.

    Raises:
        OSError: a file is missing, or cannot be fetched.
        ValueError: config or weights cannot be used.
    """
    if config is None:
        config = DEFAULT if weights else get(DEFAULT).name
    path = ""
    if is_exported(config):
        raise ValueError(f"{config} is an exported model, which ExportedPredictor opens")
    if isinstance(config, CfgNode):
        cfg = config.clone()
    else:
        path, zoo_weights = config_file(os.fspath(config))
        cfg = load_config(path).clone()
        weights = weights or zoo_weights
    if weights == OFFICIAL:
        if not path:
            raise ValueError("weights 'official' need a config with a name; this is a CfgNode")
        weights = official_of_config(path).weights
    if is_densepose_config(cfg):
        cfg.defrost()
        add_densepose_config(cfg)  # a config of the official package lacks some keys
    if not is_densepose_config(cfg):
        raise ValueError(
            "the config is not of a dense pose model: MODEL.ROI_HEADS.NAME ="
            f" {cfg.MODEL.ROI_HEADS.NAME!r}, expected {ROI_HEADS_NAME} or a registered class"
            " derived from it"
        )
    if not cfg.MODEL.DENSEPOSE_ON:
        raise ValueError("the config is not of a dense pose model: MODEL.DENSEPOSE_ON = False")
    weights = os.fspath(weights or cfg.MODEL.WEIGHTS)
    if not weights:
        raise ValueError("the config names no weights (MODEL.WEIGHTS): give a checkpoint")
    if "://" not in weights and not PathManager.isfile(weights):
        raise FileNotFoundError(f"{weights}: no such file of weights")
    return cfg, weights


def config_file(name: str) -> tuple[str, str | None]:
    """Path of a config given by path or name, and its weights if the name is a model's."""
    if name in names():
        shipped = get(name)
        return os.fspath(shipped.config), os.fspath(shipped.weights)
    if os.path.isfile(name):
        return name, None
    if name in official_names():
        model = official(name)
        return model.config, model.weights
    for config in (name, f"{name}.yaml"):
        if config in list_configs():
            return get_config_file(config), None
    raise FileNotFoundError(
        f"no config {name!r}: expected a file, a model (densepose-ext models lists them) or a"
        " config of the package (densepose-ext configs lists them)"
    )
