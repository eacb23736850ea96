"""The log file of a run."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from detectron2.utils import comm

_FORMAT = logging.Formatter("[%(asctime)s] %(name)s %(levelname)s: %(message)s", "%m/%d %H:%M:%S")


def log_to(path: Path) -> None:
    """Sends Detectron2's log to a file, and only warnings of the main process to the terminal.

    Replaces the file of an earlier call. Other processes append their rank to its name.
    """
    rank = comm.get_rank()
    if rank:
        path = path.with_name(f"{path.name}.rank{rank}")
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in ("detectron2", "fvcore"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        for handler in logger.handlers[:]:
            logger.removeHandler(handler)
            if isinstance(handler, logging.FileHandler):
                handler.close()
        handlers: list[logging.Handler] = [logging.FileHandler(path, encoding="utf-8")]
        if not rank:
            handlers.append(logging.StreamHandler(sys.stdout))
            handlers[-1].setLevel(logging.WARNING)
        for handler in handlers:
            handler.setFormatter(_FORMAT)
            logger.addHandler(handler)
