"""The ground truth of a dataset: images and their people, out of a COCO JSON with ``dp_*``."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..surface.parts import NUM_FINE_PARTS
from ..surface.registry import Surface
from .masks import (
    WindowMask,
    coarse_union,
    decode,
    paste,
    polygon_union,
)

_POINT_KEYS = ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V")

logger = logging.getLogger(f"detectron2.{__name__}")


@dataclass(frozen=True)
class Image:
    """An image of the dataset.

    Attributes:
        ignore_regions: (H, W) bool, where nobody is scored (PoseTrack), or None.
    """

    id: int
    width: int
    height: int
    file_name: str = ""
    regions: tuple[list, list] | None = None

    @property
    def ignore_regions(self) -> np.ndarray | None:
        if self.regions is None or not self.regions[0]:
            return None
        return polygon_union(*self.regions, self.width, self.height)


@dataclass
class Person:
    """A person as annotated. P points, those on the background (I = 0) left out.

    Attributes:
        box: (4,) xywh. area: of the person, in pixels, from the annotation.
        crowd: may be matched by any number of detections (``iscrowd``).
        has_points: whether there are usable ``dp_*``: a person without is ignored, which overrides
            what ``iscrowd`` says.
        x, y: (P,) in image coordinates. parts: (P,) int, 1..24. u, v: (P,).
    """

    id: int
    category: int
    image: Image
    box: np.ndarray
    area: float
    crowd: bool
    has_points: bool
    x: np.ndarray
    y: np.ndarray
    parts: np.ndarray
    u: np.ndarray
    v: np.ndarray
    dp_masks: list | None = None
    segmentation: list | dict | None = None
    _vertices: np.ndarray | None = field(default=None, repr=False)

    def vertices(self, surface: Surface) -> np.ndarray:
        """The vertex of the surface nearest to each point, looked up once. int32, shape (P,)."""
        if self._vertices is None:
            found = surface.closest_vertex(self.parts.astype(np.int64), self.u, self.v)
            self._vertices = found.astype(np.int32)
        return self._vertices

    def mask(self) -> WindowMask:
        """The silhouette: the union of ``dp_masks`` if there are any, else ``segmentation``."""
        width, height = self.image.width, self.image.height
        try:
            if self.dp_masks is not None:
                key = "dp_masks"
                return paste(coarse_union(self.dp_masks, self.box), self.box, width, height)
            key = "segmentation"
            if self.segmentation is not None:
                return WindowMask(0, 0, decode(self.segmentation, width, height))
        except ValueError as error:
            raise ValueError(
                f"annotation {self.id} of image {self.image.id}: {key} has {error}"
            ) from error
        return WindowMask(0, 0, np.zeros((0, 0), bool))

    def share_in(self, region: np.ndarray) -> float:
        """Share of the box, cut to whole pixels, that lies in a region. nan for an empty box.

        Args:
            region: (H, W) bool.
        """
        x, y, w, h = self.box.astype(int)
        if w * h == 0:
            return math.nan
        return float(region[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)].sum() / w / h)


#: A person is dropped when this share of the box, or more, lies in an ignore region.
PERSON_IN_REGION = 0.7


class GroundTruth:
    """Images and people of a dataset.

    Attributes:
        source: the file, for messages.
        images: by id, in rising order.
        categories: names by category id.
    """

    def __init__(self, path: str | os.PathLike, image_ids: Collection[int] | None = None):
        """
        Args:
            path: of the COCO JSON.
            image_ids: the images to score; None for all.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no such JSON, nobody in it has ``dp_*``, or an id is not in it.
        """
        self.source = Path(path)
        content = _read_json(self.source)
        self.categories = {c["id"]: str(c.get("name", c["id"])) for c in content["categories"]}
        images = {entry["id"]: self._image(entry) for entry in content["images"]}
        if image_ids is not None:
            unknown = sorted(set(image_ids) - images.keys())
            if unknown:
                raise ValueError(f"{self.source} has no image {unknown[0]}, which is to be scored")
            images = {key: images[key] for key in set(image_ids)}
        self.known_ids = frozenset(entry["id"] for entry in content["images"])
        self.images = dict(sorted(images.items()))
        self._people: dict[int, list[Person]] = {key: [] for key in self.images}
        self._problems: list[str] = []
        for annotation in content["annotations"]:
            image = annotation.get("image_id")
            if image not in self.known_ids:
                raise ValueError(
                    f"{self.source}: annotation {annotation.get('id')} is of image {image}, "
                    "which is not among the images"
                )
            if image in self._people:
                self._people[image].append(self._person(annotation, self.images[image]))
        if not any("dp_x" in annotation for annotation in content["annotations"]):
            raise ValueError(
                f"{self.source}: no annotation has dense pose (dp_x, dp_y, dp_I, dp_U, dp_V)"
            )
        if self._problems:
            logger.warning(
                "%s: the dense pose of %d people is unusable, they are ignored; the first: %s",
                self.source,
                len(self._problems),
                self._problems[0],
            )

    def people(self, image_id: int) -> list[Person]:
        """The people of an image who are not inside its ignore regions, in the file's order."""
        people = self._people[image_id]
        region = self.images[image_id].ignore_regions if people else None
        if region is None:
            return people
        # a box without a whole pixel is dropped as well: its share is nan
        return [person for person in people if person.share_in(region) < PERSON_IN_REGION]

    def has_people(self, image_id: int) -> bool:
        """Whether anybody is annotated, in ignore regions or not."""
        return bool(self._people[image_id])

    def _image(self, entry: dict) -> Image:
        for key in ("width", "height"):
            if not isinstance(entry.get(key), (int, float)) or entry[key] < 1:
                raise ValueError(
                    f"{self.source}: image {entry['id']} has {key} {entry.get(key)!r}; "
                    "expected a number of pixels"
                )
        regions = None
        if "ignore_regions_x" in entry and "ignore_regions_y" in entry:
            regions = entry["ignore_regions_x"], entry["ignore_regions_y"]
        return Image(
            entry["id"],
            int(entry["width"]),
            int(entry["height"]),
            entry.get("file_name", ""),
            regions,
        )

    def _person(self, annotation: dict, image: Image) -> Person:
        where = f"{self.source}: annotation {annotation.get('id')} of image {image.id}"
        for key in ("id", "category_id", "bbox", "area"):
            if key not in annotation:
                raise ValueError(f"{where} has no {key}")
        box = np.array(annotation["bbox"], float)
        if box.shape != (4,) or not np.isfinite(box).all():
            raise ValueError(f"{where}: bbox is {annotation['bbox']}; expected [x, y, w, h]")
        points = np.zeros((5, 0))
        # annotations of continuous surface embeddings have dp_vertex in place of I, U and V
        has_points = all(key in annotation for key in _POINT_KEYS)
        if has_points:
            try:
                points = _points(annotation)
            except ValueError as error:
                self._problems.append(f"annotation {annotation['id']} of image {image.id}: {error}")
                has_points = False
        points = points[:, points[2] > 0]
        return Person(
            id=annotation["id"],
            category=annotation["category_id"],
            image=image,
            box=box,
            area=float(annotation["area"]),
            crowd=bool(annotation.get("iscrowd", 0)),
            has_points=has_points,
            # in this order: another rounding moves points across pixels
            x=points[0] * box[2] / 255.0 + box[0],
            y=points[1] * box[3] / 255.0 + box[1],
            parts=points[2].astype(np.uint8),
            u=points[3],
            v=points[4],
            dp_masks=annotation.get("dp_masks"),
            segmentation=annotation.get("segmentation"),
        )


def _points(annotation: dict) -> np.ndarray:
    """x, y, I, U, V of the points of an annotation. Shape (5, P)."""
    lengths = {key: len(annotation[key]) for key in _POINT_KEYS}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"as many values of each are expected, there are {lengths}")
    points = np.array([annotation[key] for key in _POINT_KEYS], float).reshape(5, -1)
    if not np.isfinite(points).all():
        raise ValueError("dp_* has values that are not finite")
    parts = points[2]
    if ((parts < 0) | (parts > NUM_FINE_PARTS) | (parts != np.trunc(parts))).any():
        raise ValueError(f"dp_I has values other than 0..{NUM_FINE_PARTS}")
    return points


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file: {error}") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{path} is no COCO annotation file: it has no list of {key}")
        for entry in content[key]:
            if not isinstance(entry, dict) or (key != "annotations" and "id" not in entry):
                raise ValueError(f"{path} is no COCO annotation file: an entry of {key} is {entry}")
    return content
