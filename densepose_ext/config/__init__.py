"""Configuration: the keys that dense pose adds to Detectron2's, checks of their values, loading."""

from .checks import check_config
from .keys import (
    ROI_HEADS_NAME,
    add_densepose_config,
    has_own_keys,
    is_densepose_config,
    is_own_config,
)
from .loading import load_config
