"""A model's proposals, to accept or correct: boxes, regions, and positions on the body."""

from __future__ import annotations

import importlib.util
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from ..surface.parts import ANNOTATION_SIDE, FINE_TO_COARSE
from .pictures import PictureFiles
from .project import Person, Picture

#: Number of pictures whose people are cached.
REMEMBERED = 64
#: Minimum IoU of a detection and the box of the same person.
SAME_PERSON = 0.3


def model_is_installed() -> bool:
    """Whether the packages that a model needs are installed."""
    return all(importlib.util.find_spec(name) for name in ("torch", "detectron2"))


@dataclass(frozen=True)
class Found:
    """A detected person.

    Attributes:
        box: x, y, width, height. score: 0 to 1.
        corner: column and row in the image of the first pixel of ``labels`` and ``uv``.
        labels: (h, w) uint8, fine parts. uv: (2, h, w) float32.
    """

    box: list[float]
    score: float
    corner: tuple[int, int]
    labels: np.ndarray
    uv: np.ndarray

    def iuv(self, pixels: np.ndarray) -> np.ndarray:
        """(P, 3) I, U, V at pixels (P, 2) of the image; I is 0 where the model sees nobody."""
        column, row = np.floor(pixels).astype(int).T - np.array([self.corner]).T
        height, width = self.labels.shape
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        result = np.zeros((len(pixels), 3))
        at = row[inside], column[inside]
        result[inside] = np.stack([self.labels[at], *self.uv[:, at[0], at[1]].clip(0, 1)], 1)
        return result

    def regions(self, box: list[float]) -> np.ndarray:
        """(256, 256) uint8 region map of a given box x, y, width, height."""
        step = (np.arange(ANNOTATION_SIDE) + 0.5) / ANNOTATION_SIDE
        x, y = np.meshgrid(box[0] + step * box[2], box[1] + step * box[3])
        parts = self.iuv(np.stack([x.ravel(), y.ravel()], 1))[:, 0].astype(int)
        return FINE_TO_COARSE[parts].astype(np.uint8).reshape(x.shape)


class Proposals:
    """Runs a model on demand; the first call loads it."""

    def __init__(self, files: PictureFiles, model: str | None = None, weights: str | None = None):
        """
        Args:
            model: name or config; default: the shipped model. weights: default: the model's own.
        """
        self._files, self._choice = files, (model, weights)
        self._lock = threading.Lock()
        self._predictor = None
        self._known: OrderedDict[int, list[Found]] = OrderedDict()

    def known(self, picture: Picture) -> list[Found] | None:
        """The cached people of a picture; None if the model has not run on it."""
        return self._known.get(picture.id)

    def people(self, picture: Picture) -> list[Found]:
        """The people of a picture, best score first. The first call takes seconds.

        Raises:
            OSError, ValueError, ModuleNotFoundError: the picture or the model cannot be used.
        """
        with self._lock:
            if picture.id not in self._known:
                self._known[picture.id] = self._find(self._files.read(picture))
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            return self._known[picture.id]

    def of(self, person: Person, picture: Picture, run: bool = True) -> Found | None:
        """The detection that overlaps a person most; None if none matches.

        Args:
            run: run the model if the picture is not cached.
        """
        found = self.people(picture) if run else self.known(picture)
        overlaps = [(_iou(one.box, person.box), n) for n, one in enumerate(found or [])]
        best, number = max(overlaps, default=(0.0, 0))
        return found[number] if found and best >= SAME_PERSON else None

    def _find(self, image: np.ndarray) -> list[Found]:
        if self._predictor is None:
            import densepose_ext

            densepose_ext.register()
            from ..prediction.predictor import DensePosePredictor

            self._predictor = DensePosePredictor(*self._choice, min_score=0.5)
        people = []
        for person in self._predictor(image):
            uv = getattr(person.result, "uv", None)
            if uv is None:
                continue  # its mesh has no charts
            x0, y0, x1, y1 = (round(float(value), 1) for value in person.box)
            labels = person.result.labels.numpy()
            box = [x0, y0, x1 - x0, y1 - y0]
            people.append(Found(box, float(person.score), person.corner, labels, uv.numpy()))
        return people


def _iou(first: list[float], second: list[float]) -> float:
    """Intersection over union of two boxes x, y, width, height."""
    sides = [
        min(first[k] + first[k + 2], second[k] + second[k + 2]) - max(first[k], second[k])
        for k in (0, 1)
    ]
    common = max(sides[0], 0) * max(sides[1], 0)
    return common / (first[2] * first[3] + second[2] * second[3] - common)
