"""Files of people as the official project's ``apply_net.py dump`` writes them.

A file is a list, saved by torch.save, with a dict per picture: ``file_name``, ``scores`` (N,),
``pred_boxes_XYXY`` (N, 4) and ``pred_densepose``, a list with the maps of each person. These are
dicts of tensors, which ``torch.load`` reads anywhere. The official project pickles objects of its
classes instead, which only it can read; they can be written too, without its package.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..evaluation.official_predictions import load_official_pickle
from ..files.atomic import replacing
from ..structures import DensePoseResult, Person, VertexResult
from .people import People


def dump_entry(file_name: str, people: People) -> dict[str, Any]:
    """The people of a picture as a dict of tensors.

    ``pred_densepose`` has ``labels`` (h, w) and ``uv`` (2, h, w) of each person, with CSE models
    also ``vertices`` (h, w) and ``mesh``, and confidences if the model predicts them.
    """
    boxes = np.array([person.box for person in people], np.float32).reshape(-1, 4)
    maps = [
        {
            field.name: value
            for field in fields(person.result)
            if (value := getattr(person.result, field.name)) is not None
        }
        for person in people
    ]
    return {
        "file_name": file_name,
        "height": people.size[0],
        "width": people.size[1],
        "scores": torch.tensor([person.score for person in people], dtype=torch.float32),
        "pred_boxes_XYXY": torch.from_numpy(boxes),
        "pred_densepose": maps,
    }


def write_dump(path: str | os.PathLike, entries: Iterable[dict], official: bool = False) -> int:
    """Writes a file of entries, atomically; returns their number.

    Args:
        entries: from :func:`dump_entry`.
        official: write objects of the official project's classes, which only it can read.

    Raises:
        ValueError: ``official`` for a CSE model: the official project stores raw embeddings, which
            people no longer have.
    """
    content = [_with_objects(entry) if official else entry for entry in entries]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(Path(path)) as temporary, open(temporary, "wb") as file:
        torch.save(content, file, pickle_module=_OfficialPickle if official else pickle)
    return len(content)


def read_dump(path: str | os.PathLike) -> Iterator[tuple[str, People]]:
    """File names and people from a file of either kind; runs no code of the file.

    The official project's files lack the size of pictures, so that of the smallest picture that
    contains all boxes is used.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is of another kind; the message says what was found.
    """
    content = load_official_pickle(path)
    if not isinstance(content, list):
        raise ValueError(f"{path} has a {type(content).__name__}; expected a list of pictures")
    for number, entry in enumerate(content):
        try:
            yield entry["file_name"], _people(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path}: picture {number} cannot be used: {error!r}") from error


def _people(entry: dict) -> People:
    persons = []
    boxes = entry["pred_boxes_XYXY"].numpy()
    for box, score, stored in zip(boxes, entry["scores"].tolist(), entry["pred_densepose"]):
        maps = stored if isinstance(stored, dict) else vars(stored)
        kind = VertexResult if "mesh" in maps else DensePoseResult
        known = {field.name for field in fields(kind)}
        result = kind(**{k: v for k, v in maps.items() if k in known and v is not None})
        result.labels = result.labels.to(torch.uint8)
        persons.append(Person(box, score, result))
    corner = boxes[:, 2:].max(0, initial=1) if len(boxes) else (1, 1)
    size = entry.get("height", int(np.ceil(corner[1]))), entry.get("width", int(np.ceil(corner[0])))
    return People(persons, size)


class _Chart:
    """Stands in for the official project's DensePoseChartResult during pickling."""


class _ChartWithConfidences:
    """Stands in for DensePoseChartResultWithConfidences."""


#: Where the official project has these classes, and what they hold.
_MODULE = "densepose.structures.chart_result"
_NAMES = {
    _Chart: "DensePoseChartResult",
    _ChartWithConfidences: "DensePoseChartResultWithConfidences",
}
_CONFIDENCES = (
    *("sigma_1", "sigma_2", "kappa_u", "kappa_v"),
    *("fine_segm_confidence", "coarse_segm_confidence"),
)


def _with_objects(entry: dict) -> dict:
    objects = []
    for maps in entry["pred_densepose"]:
        if "mesh" in maps:
            raise ValueError(
                f"{entry['file_name']}: people of a CSE model cannot be written as the"
                " official project does, which keeps raw embeddings"
            )
        confidences = any(name in maps for name in _CONFIDENCES)
        stored = _ChartWithConfidences() if confidences else _Chart()
        names = ("labels", "uv") + (_CONFIDENCES if confidences else ())
        stored.__dict__.update({name: maps.get(name) for name in names})
        objects.append(stored)
    kept = ("file_name", "scores", "pred_boxes_XYXY")
    return {**{key: entry[key] for key in kept}, "pred_densepose": objects}


class _Pickler(pickle._Pickler):
    """Refers to the official classes by name without importing them, unlike the C pickler."""

    def save_global(self, obj, name=None):
        if obj not in _NAMES:
            super().save_global(obj, name)
            return
        self.write(pickle.GLOBAL + f"{_MODULE}\n{_NAMES[obj]}\n".encode())
        self.memoize(obj)


class _OfficialPickle:
    """Replaces the module ``pickle`` in torch.save."""

    Pickler = _Pickler
