"""Detections in the official results format: a JSON list, each entry with its IUV map as a PNG.

An entry is {image_id, category_id, bbox [x, y, w, h], score, uv_shape [3, h, w], uv_data}; uv_data
is base64 of a PNG whose R, G, B are I, U * 255 and V * 255 (truncated) over the box, where h and w
are the whole height and width of the box, at least 1. Detections of CSE models have
vertices instead: see :mod:`vertex_results_file`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..data.json_list import json_entries, read_entry
from ..data.values import identifier, number, whole_number
from ..files.atomic import replacing
from ..structures import VertexResult
from ..surface.meshes import get_mesh
from ..surface.parts import NUM_FINE_PARTS
from .detections import ArrayMaps, Detections, PersonMaps
from .entry_fields import common_fields, decode_png, encode_png
from .people import Image
from .vertex_maps import VertexArrayMaps
from .vertex_results_file import decode_vertices, encode_vertices

_KEYS = ("image_id", "category_id", "bbox", "score")
_CHART_KEYS, _VERTEX_KEYS = ("uv_shape", "uv_data"), ("ref_model", "vertices")
#: The key of the map, without and with vertices.
_MAP_KEY = ("uv_data", "vertices")


def encode_iuv(iuv: np.ndarray) -> str:
    """Base64 of the PNG of an IUV map. uint8, (3, h, w)."""
    return encode_png(np.ascontiguousarray(iuv[::-1].transpose(1, 2, 0)))


def decode_iuv(data: str, shape: Iterable[int]) -> np.ndarray:
    """The IUV map of an entry: uint8, (3, h, w).

    Args:
        data: ``uv_data``. shape: ``uv_shape``.

    Raises:
        ValueError: it is not a PNG in base64, has another shape, or has parts above 24.
    """
    image = decode_png(data, "uv_data")
    found = (image.shape[2] if image.ndim == 3 else 1, *image.shape[:2])
    if image.dtype != np.uint8 or list(found) != list(shape):
        raise ValueError(
            f"the PNG of uv_data has shape {list(found)} of {image.dtype}, "
            f"uv_shape says {list(shape)}"
        )
    iuv = image[..., ::-1].transpose(2, 0, 1)
    if iuv[0].max() > NUM_FINE_PARTS:
        raise ValueError(f"uv_data has the part {iuv[0].max()}; parts are 0 to {NUM_FINE_PARTS}")
    return iuv


def result_entry(
    image_id: int | str,
    category: int,
    box: np.ndarray,
    score: float,
    dense_pose: np.ndarray | VertexResult,
) -> dict:
    """An entry of the results format.

    Args:
        box: xywh.
        dense_pose: an IUV map, uint8 (3, h, w), or vertices.
    """
    common = common_fields(image_id, category, box, score)
    if isinstance(dense_pose, VertexResult):
        vertices = encode_vertices(dense_pose)
        return {**common, "ref_model": dense_pose.mesh, "vertices": vertices}
    shape = [int(length) for length in dense_pose.shape]
    return {**common, "uv_shape": shape, "uv_data": encode_iuv(dense_pose)}


def decode_entry(entry: dict) -> np.ndarray | VertexResult:
    """The dense pose of a validated entry: the inverse of :func:`result_entry`.

    Raises:
        ValueError: it cannot be decoded.
    """
    if _has_vertices(entry):
        return decode_vertices(entry["vertices"], entry["ref_model"])
    return decode_iuv(entry["uv_data"], entry["uv_shape"])


def _has_vertices(entry: dict) -> bool:
    return "vertices" in entry and "uv_data" not in entry


def write_results(path: str | os.PathLike, entries: Iterable[dict]) -> int:
    """Writes entries as they come, one per line, atomically.

    Returns:
        the number of entries.
    """
    count = 0
    with replacing(Path(path)) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.write("[")
        for entry in entries:
            stream.write(",\n" if count else "\n")
            stream.write(json.dumps(entry, separators=(",", ":")))
            count += 1
        stream.write("\n]\n")
    return count


class Results:
    """The validated entries of a results file, by image. Their maps are decoded on demand.

    Attributes:
        source: the file, for messages.
        by_image: entries by image id, in the file's order. Those of a file are read when they are
            asked for, since their maps do not stay in memory.
        by_vertices: whether they have vertices of meshes in place of charts.
    """

    def __init__(self, source: str | os.PathLike, entries: Iterable[dict]):
        """
        Raises:
            ValueError: an entry is invalid; the message names the entry, key and value.
        """
        self.source = Path(source)
        # In the place of maps in a file: the bytes of their entry, a range.
        self._kept: dict[int | str, list[dict]] = {}
        self.by_vertices = False
        for place, entry in enumerate(entries):
            try:
                by_vertices = _normalise(entry)
                if place and by_vertices != self.by_vertices:
                    kinds = ("charts", "vertices") if by_vertices else ("vertices", "charts")
                    raise ValueError(f" has {kinds[1]}, those before it have {kinds[0]}")
                self.by_vertices = by_vertices
            except ValueError as error:
                raise ValueError(f"{self.source}: entry {place}{error}") from None
            self._kept.setdefault(entry["image_id"], []).append(entry)
        self.by_image: Mapping[int | str, list[dict]] = _WholeEntries(self._kept, self._whole)

    @classmethod
    def read(cls, path: str | os.PathLike) -> Results:
        """
        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: it is not a results file.
        """
        return cls(
            path, (_without_map(entry, at) for entry, at in json_entries(path, "detections"))
        )

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._kept.values())

    def entries(self) -> Iterator[dict]:
        """All entries, image by image."""
        for of_image in self._kept.values():
            yield from map(self._whole, of_image)

    def _whole(self, entry: dict) -> dict:
        """An entry with its map."""
        at = entry[_MAP_KEY[self.by_vertices]]
        if not isinstance(at, range):
            return entry
        whole = read_entry(self.source, at)
        if not isinstance(whole, dict):
            raise ValueError(f"{self.source} has changed since it was read")
        _normalise(whole)
        return whole

    def detections(self, image: Image) -> Detections:
        """The detections of an image, best first.

        Raises:
            ValueError: a box lies outside the image.
        """
        entries = self._kept.get(image.id, [])
        for entry in entries:
            x, y, w, h = entry["bbox"]
            if x >= image.width or y >= image.height or x + w <= 0 or y + h <= 0:
                raise ValueError(
                    f"{self.source}: a detection of image {image.id} has the bbox {entry['bbox']}, "
                    f"outside the image of {image.width} x {image.height}"
                )
        return Detections.best_first(
            np.array([entry["bbox"] for entry in entries], float),
            np.array([entry["score"] for entry in entries], float),
            np.array([entry["category_id"] for entry in entries], int),
            self._maps(entries),
        )

    def _maps(self, entries: list[dict]) -> PersonMaps:
        load = [partial(self._decode, entry) for entry in entries]
        return VertexArrayMaps(load) if self.by_vertices else ArrayMaps(load)

    def _decode(self, entry: dict) -> Any:
        try:
            return decode_entry(self._whole(entry))
        except ValueError as error:
            raise ValueError(
                f"{self.source}: the detection of image {entry['image_id']} with bbox "
                f"{entry['bbox']}: {error}"
            ) from error


class _WholeEntries(Mapping[int | str, list[dict]]):
    """Entries by image, whose maps are read when they are asked for."""

    def __init__(self, kept: dict[int | str, list[dict]], whole: Callable[[dict], dict]):
        self._kept, self._whole = kept, whole

    def __getitem__(self, image_id: int | str) -> list[dict]:
        return [self._whole(entry) for entry in self._kept[image_id]]

    def __iter__(self) -> Iterator[int | str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def _without_map(entry: Any, at: range | None) -> Any:
    """What is kept in memory of an entry at a place of a file; whatever is no entry, as it is."""
    if at is None or not isinstance(entry, dict):
        return entry
    kept = {key: entry[key] for key in (*_KEYS, *_CHART_KEYS, *_VERTEX_KEYS) if key in entry}
    return {key: at if key in _MAP_KEY else value for key, value in kept.items()}


def _normalise(entry: dict) -> bool:
    """Checks an entry and converts its values, in place; returns whether it has vertices.

    Raises:
        ValueError: it is invalid; the message says why, for the end of a sentence.
    """
    if not isinstance(entry, dict):
        raise ValueError(f" is {str(entry)[:40]!r}; expected a dictionary")
    by_vertices = _has_vertices(entry)
    keys = (*_KEYS, *(_VERTEX_KEYS if by_vertices else _CHART_KEYS))
    missing = [key for key in keys if key not in entry]
    if missing:
        raise ValueError(f" has no {missing[0]}")
    where = f" (image {entry['image_id']})"
    for key, read in (("image_id", identifier), ("category_id", whole_number)):
        found = read(entry[key])
        if found is None or (key == "category_id" and abs(found) >= 2**63):
            raise ValueError(f"{where}: {key} is {entry[key]!r}; expected an integer")
        entry[key] = found
    score = number(entry["score"])  # older files have strings
    if score is None:
        raise ValueError(f"{where}: score is {entry['score']!r}; expected a finite number")
    entry["score"] = float(score)
    given = entry["bbox"]
    box = [number(value) for value in given] if isinstance(given, (list, tuple)) else []
    if len(box) != 4 or None in box or min(box[2:]) < 0:
        raise ValueError(f"{where}: bbox is {given!r}; expected [x, y, w, h], sizes from 0")
    entry["bbox"] = [float(value) for value in box]
    if by_vertices:
        _check_mesh(entry["ref_model"], where)
    else:
        _check_shape(entry, where)
    return by_vertices


def _check_mesh(name: object, where: str) -> None:
    try:
        get_mesh(str(name))
    except ValueError as error:
        raise ValueError(f"{where}: ref_model: {error}") from None


def _check_shape(entry: dict, where: str) -> None:
    box = entry["bbox"]
    shape = entry["uv_shape"]
    if (
        not isinstance(shape, list)
        or len(shape) != 3
        or shape[0] != 3
        or not all(isinstance(length, int) and length > 0 for length in shape)
    ):
        raise ValueError(f"{where}: uv_shape is {shape}; expected [3, h, w]")
    expected = [3, max(int(box[3]), 1), max(int(box[2]), 1)]
    if max(abs(a - b) for a, b in zip(shape, expected)) > 1:
        raise ValueError(f"{where}: uv_shape is {shape}; expected {expected} for bbox {box}")
