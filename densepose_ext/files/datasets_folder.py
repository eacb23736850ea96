"""The folder of all datasets."""

from __future__ import annotations

import os


def datasets_folder() -> str:
    """``$DETECTRON2_DATASETS``, or ``datasets`` in the working folder."""
    return os.path.expanduser(os.environ.get("DETECTRON2_DATASETS", "datasets"))
