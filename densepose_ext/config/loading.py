"""Configs from YAML files."""

from __future__ import annotations

import os
from collections.abc import Iterator

import yaml
from detectron2.config import CfgNode as CN
from detectron2.config import get_cfg

from ..model_zoo.official_models import official_of_config
from .checks import check_config
from .keys import add_densepose_config

#: In place of MODEL.WEIGHTS: the official checkpoint of the config's name.
OFFICIAL = "official"


def load_config(config_file: str, overrides: list[str] | tuple[str, ...] = ()) -> CN:
    """Loads a YAML file over the defaults, then ``KEY VALUE`` overrides over both.

    ``~`` in OUTPUT_DIR is expanded. MODEL.WEIGHTS "official" becomes the path of the checkpoint
    that the official project has published for a config of this name; it is downloaded when it is
    first read.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not YAML, a key does not exist, a value has the wrong type,
            ``check_config`` refuses it, or there is no official checkpoint for a config of this
            name.
    """
    cfg = get_cfg()
    add_densepose_config(cfg)
    try:
        cfg.merge_from_file(os.path.expanduser(config_file))
        cfg.merge_from_list(list(overrides))
    except (KeyError, AssertionError) as error:
        raise ValueError(f"{config_file}: {error.args[0] if error.args else error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{config_file} is not a config of a dense pose model: {error}") from error
    if cfg.MODEL.WEIGHTS == OFFICIAL:
        cfg.MODEL.WEIGHTS = official_of_config(config_file).weights
    cfg.OUTPUT_DIR = os.path.expanduser(cfg.OUTPUT_DIR)
    check_config(cfg)
    cfg.freeze()
    return cfg


def own_keys(config_file: str) -> tuple:
    """``KEY VALUE`` pairs of a YAML file, without those of its ``_BASE_``.

    They turn another config into the same kind of model, as overrides of :func:`load_config`.

    Raises:
        KeyError: a key does not exist.
    """
    with open(config_file, encoding="utf-8") as file:
        content = yaml.safe_load(file)
    content.pop("_BASE_", None)
    cfg = get_cfg()
    add_densepose_config(cfg)
    return tuple(_pairs(content, cfg, ""))


def _pairs(content: dict, defaults: CN, prefix: str) -> Iterator:
    """Keys and values in turn; nodes that take any key are values."""
    for name, value in content.items():
        default = defaults[name]
        if isinstance(default, CN) and not default.is_new_allowed():
            yield from _pairs(value, default, f"{prefix}{name}.")
        else:
            yield from (prefix + name, value)
