"""Reads ``coco_densepose_predictions.pth``, the official project's file of detections.

The file pickles that project's classes. Only tensors and plain values are unpickled here; the
classes are replaced by one that stores their attributes.
"""

from __future__ import annotations

import codecs
import collections
import os
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from .results import decode_iuv, result_entry


class _Stored:
    """Stands in for an object of the official project, and stores its attributes."""

    def __init__(self, *arguments, **attributes):
        self.__dict__.update(attributes)

    def __setstate__(self, state):
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"a state of type {type(state).__name__}")
        self.__dict__.update(state)


#: Result classes of the official project.
_STORED = (
    "DensePoseChartResult",
    "DensePoseChartResultWithConfidences",
    "DensePoseChartResultQuantized",
    "DensePoseChartResultCompressed",
)

_ALLOWED = {
    ("_codecs", "encode"): codecs.encode,  # how bytes are written in old protocols
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    **{
        ("torch", f"{kind}Storage"): getattr(torch, f"{kind}Storage")
        for kind in ("Byte", "Float", "Double", "Half", "Long", "Int", "Bool")
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if name in _STORED and module.split(".")[0] == "densepose":
            return _Stored
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None


class _RestrictedPickle:
    """Replaces the module ``pickle`` in torch.load."""

    __name__ = "restricted pickle"
    Unpickler = _Unpickler

    @staticmethod
    def load(stream, **arguments):
        return _Unpickler(stream, **arguments).load()


def load_official_pickle(path: str | os.PathLike) -> Any:
    """What a file of the official project holds; runs no code of it.

    Objects of its result classes become ones that have the same attributes.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is of another kind; the message says what was found.
    """
    try:
        return torch.load(
            path, map_location="cpu", pickle_module=_RestrictedPickle, weights_only=False
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is not a file of predictions of the official project: {error}"
        ) from error


def read_official_predictions(path: str | os.PathLike) -> Iterator[dict]:
    """The detections of the file, as entries of the official results format.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is of another kind; the message says what was found.
    """
    predictions = load_official_pickle(path)
    if not isinstance(predictions, list):
        raise ValueError(
            f"{path} has a {type(predictions).__name__}; expected a list of predictions"
        )
    return _entries(path, predictions)


def _entries(path: str | os.PathLike, predictions: list) -> Iterator[dict]:
    for number, prediction in enumerate(predictions):
        try:
            iuv = _iuv(prediction["densepose"])
            yield result_entry(
                prediction["image_id"],
                prediction["category_id"],
                np.array(prediction["bbox"], float),
                prediction["score"],
                iuv,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path}: prediction {number} cannot be used: {error!r}") from error


def _iuv(stored: _Stored) -> np.ndarray:
    """uint8, (3, h, w)."""
    if hasattr(stored, "labels_uv_uint8"):
        return stored.labels_uv_uint8.numpy()
    return decode_iuv(stored.labels_uv_str, list(stored.shape_chw))
