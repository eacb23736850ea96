"""What training and scoring take, made before them: people, and distances on the body."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Sequence

from detectron2.data import DatasetCatalog

from ..processes.bare import command

logger = logging.getLogger(f"detectron2.{__name__}")

#: A program of its own: it would keep the making of people from Python's lock.
_GEODESICS = """
import os
from densepose_ext.surface.surface import BodySurface
os.nice(19)
BodySurface.load().geodesic([0], [0])
"""


def prepare(datasets: Sequence[str]) -> dict[str, list[dict]]:
    """Has sets of synthetic people made, and beside them the distances that scoring takes.

    All of it before the training, not beside it: threads of a training that share their cores with
    other processes wait for one another most of the time.

    Returns:
        the images of each set, as Detectron2's DatasetCatalog gives them.

    Raises:
        OSError, RuntimeError, ValueError: of a set that cannot be made.
    """
    distances = subprocess.Popen(command(_GEODESICS))
    try:
        images = {name: DatasetCatalog.get(name) for name in datasets}
        status = distances.wait()
    finally:
        distances.kill()
        distances.wait()
    if status:  # scoring computes them then, or says why it cannot
        logger.warning(f"the process that computes distances on the body ended with {status}")
    return images
