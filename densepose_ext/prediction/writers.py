"""The output files of a picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..files.atomic import replacing
from ..structures import VertexResult
from ..visualization import (
    control_picture,
    draw_boxes,
    draw_contours,
    draw_keypoints,
    draw_parts,
    draw_vertices,
)
from .people import People

_JPEG_QUALITY = 92


@dataclass(frozen=True)
class Options:
    """Options of the output files.

    Attributes:
        bgr: store V, U, I in R, G, B, so that cv2.imread returns I, U, V.
        surface: whose vertices to write.
    """

    bgr: bool = False
    surface: str = "open"


@dataclass(frozen=True)
class Format:
    """A format of outputs.

    Attributes:
        purpose: in a few words, for ``--help``.
        endings: of its files, appended to the picture's name.
        contents: (BGR picture, people, options) -> the bytes of each file.
    """

    purpose: str
    endings: tuple[str, ...]
    contents: Callable[[np.ndarray, People, Options], tuple[bytes, ...]]


def _encoded(ending: str, picture: np.ndarray) -> bytes:
    """The content of a file with a BGR or grey picture."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if ending == ".jpg" else []
    done, content = cv2.imencode(ending, picture, quality)
    if not done:
        raise ValueError(f"OpenCV cannot write a {ending} of shape {picture.shape}")
    return content.tobytes()


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _iuv(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    iuv = people.to_iuv()
    stored = iuv if options.bgr else iuv[..., ::-1]
    return (
        _encoded(".png", np.ascontiguousarray(stored)),
        _encoded(".png", people.to_index()),
    )


def _overlay(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    of_vertices = any(isinstance(person.result, VertexResult) for person in people)
    drawn = draw_vertices(picture, people) if of_vertices else draw_parts(picture, people)
    drawn = draw_keypoints(drawn, people)
    return (_encoded(".jpg", draw_boxes(drawn, people)),)


def _contour(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (_encoded(".jpg", draw_contours(picture, people)),)


def _parts(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (_encoded(".png", draw_parts(np.zeros_like(picture), people, alpha=1)),)


def _uv(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return tuple(
        _encoded(".png", control_picture(people, people.size, quantity, black=True))
        for quantity in ("u", "v")
    )


def _control(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (_encoded(".png", control_picture(people, people.size)),)


def _mask(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (_encoded(".png", (people.to_index() > 0).astype(np.uint8) * 255),)


def _npz(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (_packed(people.to_arrays()),)


def _vertices(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (_packed({"vertices": people.to_vertices(options.surface)}),)


#: Formats by their names on the command line.
FORMATS = {
    "iuv": Format(
        "I, U * 255, V * 255 in R, G, B, and the person of each pixel",
        ("_iuv.png", "_instances.png"),
        _iuv,
    ),
    "overlay": Format(
        "parts (or vertices), boxes, scores, keypoints over the picture",
        ("_overlay.jpg",),
        _overlay,
    ),
    "parts": Format("parts in colour on black", ("_parts.png",), _parts),
    "uv": Format("U and V in colour on black", ("_u.png", "_v.png"), _uv),
    "control": Format("parts in viridis, to control image generators", ("_control.png",), _control),
    "contour": Format("lines of equal U and V over the picture", ("_contour.jpg",), _contour),
    "mask": Format("white where people are", ("_mask.png",), _mask),
    "npz": Format("all values of each person, unrounded", ("_people.npz",), _npz),
    "vertices": Format("vertex of the body at each pixel", ("_vertices.npz",), _vertices),
}


def output_files(folder: Path, name: str, formats: tuple[str, ...]) -> list[Path]:
    """Paths of the output files of a picture with this name."""
    return [folder / (name + ending) for form in formats for ending in FORMATS[form].endings]


def write_files(
    folder: Path,
    name: str,
    formats: tuple[str, ...],
    picture: np.ndarray,
    people: People,
    options: Options,
) -> None:
    """Writes the output files of a picture, each atomically.

    Raises:
        OSError: a file cannot be written.
    """
    contents = [c for form in formats for c in FORMATS[form].contents(picture, people, options)]
    for path, content in zip(output_files(folder, name, formats), contents):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
