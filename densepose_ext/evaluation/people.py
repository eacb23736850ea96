"""The ground truth of a dataset: images and their people, from a COCO JSON with ``dp_*``."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..data.annotation_file import AnnotationFile, read_annotations
from ..data.annotations import POINT_KEYS, VERTEX_KEYS, has_densepose
from ..data.rle import painted_map
from ..surface.registry import Surface, get_surface
from .masks import WindowMask, decode, polygon_union, stretch


@dataclass(frozen=True)
class Image:
    """An image of the dataset.

    Attributes:
        path: of the picture.
        ignore_regions: (H, W) bool, regions in which nobody is scored (PoseTrack), or None.
    """

    id: int | str
    width: int
    height: int
    path: str = ""
    regions: tuple[list, list] | None = None

    @property
    def ignore_regions(self) -> np.ndarray | None:
        if self.regions is None:
            return None
        return polygon_union(*self.regions, self.width, self.height)


@dataclass
class AnnotatedPerson:
    """An annotated person. P points, without those on the background (I = 0).

    Attributes:
        box: (4,) xywh. area: of the person, in pixels, from the annotation.
        crowd: may be matched by any number of detections (``iscrowd``).
        has_points: whether there are valid ``dp_*``. People without are ignored, whatever
            ``iscrowd`` says.
        x, y: (P,) in image coordinates. parts: (P,) int, 1..24. u, v: (P,).
        vertex: (P,) int64, of ``mesh``, if people are scored by vertices; then u and v are 0, and
            so are unknown parts.
        dp_masks, segmentation: as returned by the reader.
    """

    id: int | str
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
    vertex: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    mesh: str | None = None
    dp_masks: np.ndarray | None = None
    segmentation: list | dict | None = None
    _vertices: np.ndarray | None = field(default=None, repr=False)

    def vertices(self, surface: Surface) -> np.ndarray:
        """The vertex of the surface nearest to each point, cached. int32, shape (P,)."""
        if self._vertices is None:
            found = surface.closest_vertex(self.parts.astype(np.int64), self.u, self.v)
            self._vertices = found.astype(np.int32)
        return self._vertices

    def mask(self) -> WindowMask:
        """The silhouette: the union of ``dp_masks`` if there are any, else ``segmentation``."""
        width, height = self.image.width, self.image.height
        if self.dp_masks is not None:
            return stretch(painted_map(self.dp_masks) > 0, self.box, width, height)
        if self.segmentation is not None:
            return WindowMask(0, 0, decode(self.segmentation, width, height))
        return WindowMask(0, 0, np.zeros((0, 0), bool))

    def share_in(self, region: np.ndarray) -> float:
        """Share of the box, truncated to whole pixels, that lies in a region; nan if it is empty.

        Args:
            region: (H, W) bool.
        """
        x, y, w, h = self.box.astype(int)
        if w * h == 0:
            return math.nan
        return float(region[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)].sum() / w / h)


#: Meshes whose points may have a part (``dp_I``), which determines the tolerance.
_MESHES_WITH_PARTS = ("smpl_27554", "open")

#: A person is dropped if at least this share of the box lies in an ignore region.
PERSON_IN_REGION = 0.7


class GroundTruth:
    """Images and people of a dataset.

    Attributes:
        source: the file, for messages.
        images: by id, in ascending order; ids that are strings come last.
        categories: names by category id.
        known_ids: ids of all images in the file.
    """

    def __init__(
        self,
        annotations: AnnotationFile | str | os.PathLike,
        image_ids: Collection[int | str] | None = None,
        by_vertices: bool = False,
    ):
        """
        Args:
            annotations: COCO JSON: its path, or as read.
            image_ids: the images to score; None: all.
            by_vertices: points are vertices of meshes (``dp_vertex``), not in charts.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: it is not COCO JSON, nobody in it has dense pose, or it lacks one of the
                ids.
        """
        if not isinstance(annotations, AnnotationFile):
            annotations = read_annotations(annotations)
        self.source = Path(annotations.path)
        self.categories = annotations.categories
        self.known_ids = frozenset(annotations.images)
        chosen = self.known_ids if image_ids is None else set(image_ids)
        for unknown in sorted(chosen - self.known_ids, key=_rank)[:1]:
            raise ValueError(f"{self.source} has no image {unknown}, which was to be scored")
        if not any(has_densepose(person, by_vertices) for person in annotations.people):
            keys = ", ".join(VERTEX_KEYS if by_vertices else POINT_KEYS)
            raise ValueError(f"{self.source}: no annotation has usable dense pose ({keys})")
        self.by_vertices = by_vertices
        self.images = {key: _image(annotations.images[key]) for key in sorted(chosen, key=_rank)}
        self._people: dict[int | str, list[AnnotatedPerson]] = {key: [] for key in self.images}
        for record in annotations.people:
            image = self.images.get(record["image_id"])
            if image is not None:
                self._people[image.id].append(_person(record, image, by_vertices))

    def people(self, image_id: int | str) -> list[AnnotatedPerson]:
        """The people of an image outside its ignore regions, in the file's order."""
        people = self._people[image_id]
        region = self.images[image_id].ignore_regions if people else None
        if region is None:
            return people
        # An empty box is dropped as well, since its share is nan.
        return [person for person in people if person.share_in(region) < PERSON_IN_REGION]

    def meshes(self) -> list[str]:
        """The meshes that people are annotated on, sorted by name."""
        everyone = (person for people in self._people.values() for person in people)
        return sorted({person.mesh for person in everyone if person.mesh is not None})

    def has_people(self, image_id: int | str) -> bool:
        """Whether anybody is annotated, inside ignore regions or not."""
        return bool(self._people[image_id])


def _open_parts(vertex: np.ndarray) -> np.ndarray:
    """Parts of vertices of the open body; 0 for vertices that do not exist."""
    parts = get_surface("open").vertex_iuv[0]
    known = vertex < len(parts)
    return np.where(known, parts[np.where(known, vertex, 0)], 0)


def _rank(image_id: int | str) -> tuple:
    return isinstance(image_id, str), image_id


def _image(record: dict) -> Image:
    regions = record.get("ignore_regions_x"), record.get("ignore_regions_y")
    return Image(
        record["id"],
        record["width"],
        record["height"],
        record["path"],
        regions if all(regions) else None,
    )


def _person(record: dict, image: Image, by_vertices: bool) -> AnnotatedPerson:
    points = np.zeros((5, 0))
    vertex, mesh = np.zeros(0, np.int64), None
    has_points = has_densepose(record, by_vertices)
    if has_points and by_vertices:
        vertex, mesh = record["dp_vertex"], record["ref_model"]
        nothing = np.zeros(len(vertex))
        parts = record.get("dp_I", nothing) if mesh in _MESHES_WITH_PARTS else nothing
        if mesh == "open" and "dp_I" not in record:
            parts = _open_parts(vertex)
        points = np.stack([record["dp_x"], record["dp_y"], parts, nothing, nothing])
    elif has_points:
        points = np.stack([record[key] for key in POINT_KEYS])
        points = points[:, points[2] > 0]
    box = np.array(record["bbox"])
    return AnnotatedPerson(
        id=record["id"],
        category=record["category_id"],
        image=image,
        box=box,
        area=record["area"],
        crowd=bool(record["iscrowd"]),
        has_points=has_points,
        # In this order: rounding differently would move points to other pixels.
        x=points[0] * box[2] / 255.0 + box[0],
        y=points[1] * box[3] / 255.0 + box[1],
        parts=points[2].astype(np.uint8),
        u=points[3],
        v=points[4],
        vertex=vertex,
        mesh=mesh,
        dp_masks=record.get("dp_masks"),
        segmentation=record.get("segmentation"),
    )
