"""The formats of responses: JSON, and files as ``densepose-ext predict`` writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..prediction.people import People
from ..prediction.writers import FORMATS as FILES
from ..prediction.writers import Options

_MEDIA = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "npy": "application/octet-stream",
    "npz": "application/zip",
}


@dataclass(frozen=True)
class Answer:
    """A format of a response.

    Attributes:
        purpose: a short description.
        ending: suffix of the file name.
        media: media type.
        content: (BGR picture, people, name of the model) -> content.
    """

    purpose: str
    ending: str
    media: str
    content: Callable[[np.ndarray, People, str], bytes]


def _json(picture: np.ndarray, people: People, model: str) -> bytes:
    height, width = people.size
    answer = {"model": model, "width": width, "height": height, "people": people.to_json()}
    return json.dumps(answer, separators=(",", ":")).encode()


def _file(form: str, number: int = 0, purpose: str = "") -> Answer:
    """The n-th file that ``predict`` writes for a format."""
    ending = FILES[form].endings[number]

    def content(picture: np.ndarray, people: People, model: str) -> bytes:
        return FILES[form].contents(picture, people, Options())[number]

    return Answer(
        purpose or FILES[form].purpose, ending, _MEDIA[ending.rpartition(".")[2]], content
    )


#: By name.
ANSWERS = {
    "json": Answer(
        "size, model and people: box (x, y, width, height), score, and I, U, V as in results files",
        ".json",
        "application/json",
        _json,
    ),
    "overlay": _file("overlay"),
    "iuv": _file("iuv", 0, "I, U * 255, V * 255 in R, G, B"),
    "instances": _file("iuv", 1, "number of the person at each pixel, from 1; 0: background"),
    "parts": _file("parts"),
    "u": _file("uv", 0, "U in colour on black"),
    "v": _file("uv", 1, "V in colour on black"),
    "contour": _file("contour"),
    "control": _file("control"),
    "mask": _file("mask"),
    "labels": _file("labels"),
    "npz": _file("npz"),
}
