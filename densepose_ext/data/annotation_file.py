"""The reader of COCO JSON with ``dp_*`` keys, for training and evaluation alike.

What labelling tools omit or write differently is filled in where possible (ids, areas, picture
sizes). What cannot be used is left out, counted and named.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ..files.datasets_folder import datasets_folder
from ..processes.messages import counted
from ..surface.dense_target import SURFACE_KEY
from .annotation_record import read_annotation
from .annotations import AnnotationError
from .json_file import local_path, read_json
from .left_out import LeftOut
from .picture_files import UNREADABLE, picture_path, picture_size
from .segmentation import read_polygons
from .values import identifier, whole_number

logger = logging.getLogger(f"detectron2.{__name__}")


@dataclass(frozen=True)
class AnnotationFile:
    """The validated images and people of a file. Records are shared: copy them before changing.

    Attributes:
        path: of the file, for messages.
        categories: names by id.
        images: dicts by id, with ``id``, ``file_name`` as given, ``path``, ``width`` and
            ``height``. ``file_name`` and ``path`` are empty if the JSON has no name.
        people: dicts with ``id``, ``image_id``, ``category_id`` and the keys of
            :func:`~densepose_ext.data.annotation_record.read_annotation`, in the file's order.
        dense_surface: the surface of the dense targets, if ``info`` has it.
    """

    path: str
    categories: dict[int, str]
    images: dict[int | str, dict]
    people: list[dict]
    dense_surface: str | None = None

    def of_categories(
        self,
        kept: Sequence[int] | None = None,
        taken_for: Mapping[int, int] | None = None,
    ) -> AnnotationFile:
        """A copy with the people of some categories.

        Args:
            kept: category ids to keep; None keeps all.
            taken_for: category id -> category id to replace it with.

        Raises:
            ValueError: the file lacks some of these ids, which the message names.
        """
        if kept is None and not taken_for:
            return self
        mapped = {int(k): int(v) for k, v in (taken_for or {}).items()}
        wanted = set(self.categories if kept is None else map(int, kept))
        for what, ids in (("categories to keep", wanted), ("mapped categories", mapped.values())):
            if not set(ids) <= self.categories.keys():
                raise ValueError(
                    f"{self.path}: {what} {sorted(ids)}, the file has {sorted(self.categories)}"
                )
        new = {category: mapped.get(category, category) for category in wanted}
        return replace(
            self,
            categories={c: name for c, name in self.categories.items() if c in new.values()},
            people=[
                {**person, "category_id": new[person["category_id"]]}
                for person in self.people
                if person["category_id"] in new
            ],
        )


#: Files in use, so that a test set is read once for its loader and its evaluators.
_in_use: WeakValueDictionary[tuple, AnnotationFile] = WeakValueDictionary()


def read_annotations(
    json_file: str | os.PathLike, image_root: str | os.PathLike = ""
) -> AnnotationFile:
    """Reads a file of annotations.

    Args:
        json_file: COCO JSON, plain or gzip; ``~`` is expanded.
        image_root: folder of the images, from which missing sizes are read.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not COCO JSON, or an image or category in it cannot be used.
    """
    path, image_root = local_path(json_file), os.path.expanduser(image_root)
    try:
        stamp = os.stat(path)
    except FileNotFoundError:
        hint = ""
        if Path(os.path.abspath(datasets_folder())) in Path(os.path.abspath(path)).parents:
            hint = ". Datasets are looked for under $DETECTRON2_DATASETS (default: ./datasets)"
        raise FileNotFoundError(f"{path}: no such annotation file{hint}") from None
    key = (os.path.abspath(path), stamp.st_size, stamp.st_mtime_ns, os.path.abspath(image_root))
    found = _in_use.get(key)
    if found is None:
        found = _in_use[key] = _Reader(str(path), image_root).read(read_json(path))
    return found


class _Reader:
    """Reads one file."""

    def __init__(self, path: str, image_root: str):
        self._path = path
        self._image_root = image_root
        self._left_out = LeftOut(path)

    def read(self, contents: object) -> AnnotationFile:
        if not isinstance(contents, dict):
            raise ValueError(
                f"{self._path}: expected a COCO object, found a {type(contents).__name__}"
            )
        lists = {}
        for key in ("categories", "images", "annotations"):
            lists[key] = contents.get(key)
            if not isinstance(lists[key], list):
                raise ValueError(f"{self._path} is not in COCO format: no list {key!r}")
        categories = self._categories(lists["categories"])
        images = self._images(lists["images"])
        people = self._people(lists["annotations"], categories, images)
        self._left_out.report()
        info = contents.get("info")
        noted = info.get(SURFACE_KEY) if isinstance(info, dict) else None
        dense_surface = noted if isinstance(noted, str) else None
        return AnnotationFile(self._path, categories, images, people, dense_surface)

    def _field(
        self, value: object, where: str, key: str, read: Callable[[object], Any], expected: str
    ) -> Any:
        """A required value, as ``read`` converts it; None from ``read``: it is invalid."""
        if not isinstance(value, dict) or value.get(key) is None:
            raise ValueError(f"{self._path}: {where} has no {key!r}")
        found = read(value[key])
        if found is None:
            raise ValueError(
                f"{self._path}: {where} has {key!r} = {value[key]!r}, expected {expected}"
            )
        return found

    def _categories(self, records: list) -> dict[int, str]:
        categories: dict[int, str] = {}
        for n, record in enumerate(records):
            number = self._field(record, f"categories[{n}]", "id", whole_number, "a whole number")
            name = str(record.get("name", number))
            if categories.setdefault(number, name) != name:
                raise ValueError(
                    f"{self._path}: two categories have the id {number},"
                    f" {categories[number]!r} and {name!r}"
                )
        return categories

    def _images(self, records: list) -> dict[int | str, dict]:
        images: dict[int | str, dict] = {}
        for n, record in enumerate(records):
            where = f"images[{n}]"
            key = self._field(record, where, "id", identifier, "a number or a string")
            name, path = self._picture(record, where)
            if key in images:
                if name != images[key]["file_name"]:
                    raise ValueError(
                        f"{self._path}: two images have the id {key},"
                        f" {images[key]['file_name']!r} and {name!r}"
                    )
                self._left_out.add("images", where, f"{name!r} was listed before, with the same id")
                continue
            width, height = self._size(record, where, path)
            images[key] = {
                **record,
                **self._ignore_regions(record, where),
                "id": key,
                "file_name": name,
                "path": path,
                "width": width,
                "height": height,
            }
        return images

    def _picture(self, record: dict, where: str) -> tuple[str, str]:
        """Name and path; empty if the JSON has no name, since evaluation works without pictures.

        In LVIS the name is the end of coco_url: folder and file. An image root that ends in "_" is
        the beginning of the folder's name, as in ``coco_train2017``.
        """
        if record.get("file_name"):
            name = self._field(record, where, "file_name", _text, "a string")
        elif record.get("coco_url"):
            url = self._field(record, where, "coco_url", _text, "a string")
            name = "/".join(url.split("/")[-2:])
            if os.fspath(self._image_root).endswith("_"):
                return name, os.fspath(self._image_root) + name
        else:
            return "", ""
        return name, picture_path(self._image_root, name)

    def _ignore_regions(self, record: dict, where: str) -> dict[str, list]:
        """Polygons of at least three points, as lists of x and lists of y (PoseTrack)."""
        xs, ys = record.get("ignore_regions_x"), record.get("ignore_regions_y")
        if not xs:
            return {}
        regions: dict[str, list] = {"ignore_regions_x": [], "ignore_regions_y": []}
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            self._left_out.add("ignore regions", where, "expected as many regions in x as in y")
            return regions
        for x, y in zip(xs, ys):
            try:
                read_polygons([np.stack([x, y], axis=1).ravel().tolist()])
            except ValueError as error:
                self._left_out.add("ignore regions", where, str(error))
            else:
                regions["ignore_regions_x"].append(x)
                regions["ignore_regions_y"].append(y)
        return regions

    def _size(self, record: dict, where: str, path: str) -> tuple[int, int]:
        """Width and height from the file, or from the picture if the file has none."""
        if record.get("width") is None or record.get("height") is None:
            try:
                return picture_size(path)
            except UNREADABLE as error:
                missing = "height" if record.get("height") is None else "width"
                raise ValueError(
                    f"{self._path}: {where} has no {missing!r}, and its picture {path} cannot be"
                    f" read: {error}"
                ) from None
        width, height = (
            self._field(record, where, key, whole_number, "a whole number")
            for key in ("width", "height")
        )
        for key, length in (("width", width), ("height", height)):
            if length < 1:
                raise ValueError(
                    f"{self._path}: {where} has {key!r} = {length}, expected 1 or more"
                )
        return width, height

    def _people(self, records: list, categories: dict, images: dict) -> list[dict]:
        people = []
        for n, (record, number) in enumerate(zip(records, self._ids(records))):
            if not isinstance(record, dict):
                reason = f"{record!r} is not an object"
                self._left_out.add("annotations", f"annotations[{n}]", reason)
                continue
            image = identifier(record.get("image_id"))
            where = f"annotation {number} of image {record.get('image_id')}"
            try:
                category = whole_number(record.get("category_id"))
                if category not in categories:
                    raise AnnotationError(
                        f"category_id {record.get('category_id')} is not in the file"
                    )
                if image not in images:
                    raise AnnotationError("its image is not in the file")
                people.append(
                    {"id": number, "image_id": image, "category_id": category}
                    | read_annotation(record, images[image], where, self._left_out)
                )
            except AnnotationError as error:
                self._left_out.add("annotations", where, str(error))
        return people

    def _ids(self, records: list) -> list[int | str]:
        """A unique id for each annotation: the given one, or else a number above all others."""
        given = [identifier(r.get("id")) if isinstance(r, dict) else None for r in records]
        new = max((key for key in given if isinstance(key, int)), default=0)
        first, ids = new + 1, {}
        for key in given:
            if key is None or key in ids:
                key = new = new + 1
            ids[key] = None
        if new >= first:
            logger.warning(
                f"{self._path}: numbered from {first} on, for want of a unique id:"
                f" {counted(new - first + 1, 'annotation')}"
            )
        return list(ids)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
