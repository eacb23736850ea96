"""Preparation for training and evaluation: renders people, and computes geodesics of the body."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Sequence

from detectron2.data import DatasetCatalog

from ..processes.bare import command

logger = logging.getLogger(f"detectron2.{__name__}")

#: A separate process: a thread would compete with rendering for Python's lock.
_GEODESICS = """
from densepose_ext.processes.priority import give_way
from densepose_ext.surface.surface import BodySurface
give_way()
BodySurface.load().geodesic([0], [0])
"""


def prepare(datasets: Sequence[str]) -> dict[str, list[dict]]:
    """Renders datasets of synthetic people, and computes the geodesics for GPS at the same time.

    This is done before training, not during it: training threads that share cores with other
    processes spend most of their time waiting for one another.

    Returns:
        the images of each dataset, from Detectron2's DatasetCatalog.

    Raises:
        OSError, RuntimeError, ValueError: a dataset cannot be rendered.
    """
    distances = subprocess.Popen(command(_GEODESICS))
    try:
        images = {name: DatasetCatalog.get(name) for name in datasets}
        status = distances.wait()
    finally:
        distances.kill()
        distances.wait()
    if status:  # then evaluation computes them, or reports why it cannot
        logger.warning(f"the process that computes geodesics of the body exited with {status}")
    return images
