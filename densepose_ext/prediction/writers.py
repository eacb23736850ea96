"""The output files of a picture."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..files.atomic import replacing
from ..files.picture_encoding import encode_picture
from ..structures import VertexResult
from ..visualization import (
    control_picture,
    draw_boxes,
    draw_contours,
    draw_keypoints,
    draw_parts,
    draw_vertices,
)
from ..visualization.compose import compose_labels
from .people import People

_JPEG_QUALITY = 92


@dataclass(frozen=True)
class Options:
    """Options of the output files.

    Attributes:
        bgr: store V, U, I in R, G, B, so that cv2.imread returns I, U, V.
        surface: whose vertices to write.
        person: which people to write (see ``choosing.CHOICES``).
        size: (height, width) of the outputs; None: the picture's.
        parts: fine parts of the format part-mask.
        grow: pixels by which that mask is grown on all sides.
    """

    bgr: bool = False
    surface: str = "open"
    person: str = "all"
    size: tuple[int, int] | None = None
    parts: tuple[int, ...] = ()
    grow: int = 0


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


def encoded(ending: str, picture: np.ndarray) -> bytes:
    """The content of a file with a BGR or grey picture."""
    return encode_picture(ending, picture, _JPEG_QUALITY)


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _iuv(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    iuv = people.to_iuv()
    stored = iuv if options.bgr else iuv[..., ::-1]
    return (
        encoded(".png", np.ascontiguousarray(stored)),
        encoded(".png", people.to_index()),
    )


def _overlay(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    of_vertices = any(isinstance(person.result, VertexResult) for person in people)
    drawn = draw_vertices(picture, people) if of_vertices else draw_parts(picture, people)
    drawn = draw_keypoints(drawn, people)
    return (encoded(".jpg", draw_boxes(drawn, people)),)


def _contour(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (encoded(".jpg", draw_contours(picture, people)),)


def _parts(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (encoded(".png", draw_parts(np.zeros_like(picture), people, alpha=1)),)


def _uv(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return tuple(
        encoded(".png", control_picture(people, people.size, quantity, black=True))
        for quantity in ("u", "v")
    )


def _control(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (encoded(".png", control_picture(people, people.size)),)


def _mask(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    return (encoded(".png", (people.to_index() > 0).astype(np.uint8) * 255),)


def _part_mask(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    for person in people:
        if person.result.uv is None:
            raise ValueError(f"masks need parts, and the mesh {person.result.mesh} has no charts")
    labels = compose_labels(people, people.size)
    mask = np.isin(labels, options.parts).astype(np.uint8) * 255
    if options.grow and mask.any():
        away = cv2.distanceTransform(255 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        mask = (away <= options.grow).astype(np.uint8) * 255
    return (encoded(".png", mask),)


def _labels(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    stream = io.BytesIO()
    np.save(stream, people.to_iuv()[..., 0])
    return (stream.getvalue(),)


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
    "labels": Format("part of each pixel, 0 to 24, as an array", ("_labels.npy",), _labels),
    "npz": Format("all values of each person, unrounded", ("_people.npz",), _npz),
    "vertices": Format("vertex of the body at each pixel", ("_vertices.npz",), _vertices),
}

#: Of the command ``masks``: Options.parts says which.
PART_MASK = Format("white where chosen parts are", ("_mask.png",), _part_mask)


def output_files(folder: Path, name: str, formats: Iterable[Format]) -> list[Path]:
    """Paths of the output files of a picture with this name."""
    return [folder / (name + ending) for form in formats for ending in form.endings]


def write_files(
    folder: Path,
    name: str,
    formats: Sequence[Format],
    picture: np.ndarray,
    people: People,
    options: Options,
) -> None:
    """Writes the output files of a picture, each atomically.

    Args:
        picture, people: of the size of the outputs.

    Raises:
        OSError: a file cannot be written.
    """
    contents = [c for form in formats for c in form.contents(picture, people, options)]
    for path, content in zip(output_files(folder, name, formats), contents):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
