"""Where the log of a run goes."""

from __future__ import annotations

import logging
from pathlib import Path

from detectron2.utils import comm
from detectron2.utils.logger import setup_logger


def log_to(path: Path) -> None:
    """Detectron2's log goes to a file; warnings also to the terminal."""
    for name in ("detectron2", "fvcore"):
        logger = setup_logger(str(path), distributed_rank=comm.get_rank(), name=name)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.WARNING)
