"""Writes a project as COCO JSON with ``dp_*`` keys, which training and evaluation read."""

from __future__ import annotations

import json

import numpy as np
from pycocotools import mask as coco_mask

from ..data.rle import paint_part_masks, text_of_rle
from ..surface.parts import ANNOTATION_SIDE
from .project import Person, Picture, Project

#: Stages in which all of a person's points are placed.
_PLACED = ("review", "accepted")


class CocoText:
    """Serializes a project. People who have not changed since the last call are reused."""

    def __init__(self, mesh: str):
        """
        Args:
            mesh: the mesh that ``dp_vertex`` refers to.
        """
        self._mesh = mesh
        self._made: dict[int, tuple[int, str]] = {}

    def __call__(self, project: Project) -> str:
        """The project as JSON.

        Images without people are left out until their boxes are marked as complete: training would
        take them for images without anybody.
        """
        shown = {person.image for person in project.people.values()}
        images = [
            {"id": p.id, "file_name": p.file_name, "width": p.width, "height": p.height}
            for p in project.pictures.values()
            if p.boxes_done or p.id in shown
        ]
        texts = []
        for person in project.people.values():
            made = self._made.get(person.id)
            if made is None or made[0] != person.version:
                record = annotation(person, project.pictures[person.image], self._mesh)
                made = self._made[person.id] = person.version, json.dumps(record, allow_nan=False)
            texts.append(made[1])
        head = {
            "info": {"description": "Dense pose", "surface": project.surface},
            "categories": project.categories,
            "images": images,
        }
        return json.dumps(head)[:-1] + ', "annotations": [\n' + ",\n".join(texts) + "\n]}\n"


def annotation(person: Person, picture: Picture, mesh: str) -> dict:
    """The COCO annotation of a person.

    It has ``dp_masks`` once the regions are finished, and points once all are placed, except those
    for which the annotator could not tell.
    """
    record = {
        "category_id": 1,
        "iscrowd": 0,
        **person.source,
        "id": person.id,
        "image_id": person.image,
        "bbox": person.box,
    }
    if person.stage in ("points", *_PLACED) and person.regions is not None:
        record["dp_masks"] = person.regions
        record.setdefault("segmentation", silhouette(person.regions, person.box, picture))
    if person.stage in _PLACED:
        record.update(_points(person, mesh))
    if "area" not in record:
        area = float(person.box[2] * person.box[3])
        if "segmentation" in record and isinstance(record["segmentation"], dict):
            area = float(coco_mask.area(record["segmentation"]))
        record["area"] = area
    return record


def _points(person: Person, mesh: str) -> dict:
    """The keys of the points; an empty dict if no point was placed."""
    x0, y0, width, height = person.box
    columns: list[tuple] = []
    for n, (x, y, _) in enumerate(person.points):
        answer = person.answer(n)
        across = (x - x0) * ANNOTATION_SIDE / width
        down = (y - y0) * ANNOTATION_SIDE / height
        inside = 0 <= across <= ANNOTATION_SIDE and 0 <= down <= ANNOTATION_SIDE
        if answer is None or not answer.part or not inside:
            continue
        place = round(across, 3), round(down, 3)
        columns.append((*place, answer.part, answer.u, answer.v, answer.vertex))
    if not columns:
        return {}
    keys = ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V", "dp_vertex")
    values = {key: list(column) for key, column in zip(keys, zip(*columns))}
    if min(values["dp_vertex"]) < 0:  # an imported person without vertices
        del values["dp_vertex"]
        return values
    return {**values, "ref_model": mesh}


def silhouette(regions: list, box: list[float], picture: Picture) -> dict:
    """The union of the regions as a compressed RLE of the whole image."""
    painted = paint_part_masks(regions) > 0
    mask = np.zeros((picture.height, picture.width), np.uint8, order="F")
    x, y, width, height = box
    left, top = max(int(np.floor(x)), 0), max(int(np.floor(y)), 0)
    right = min(int(np.ceil(x + width)), picture.width)
    bottom = min(int(np.ceil(y + height)), picture.height)
    columns = (np.arange(left, right) + 0.5 - x) * ANNOTATION_SIDE / width
    rows = (np.arange(top, bottom) + 0.5 - y) * ANNOTATION_SIDE / height
    index = [np.floor(v).astype(int).clip(0, ANNOTATION_SIDE - 1) for v in (rows, columns)]
    inside = [(v >= 0) & (v < ANNOTATION_SIDE) for v in (rows, columns)]
    window = painted[index[0][:, None], index[1]] & inside[0][:, None] & inside[1]
    mask[top:bottom, left:right] = window
    return text_of_rle(coco_mask.encode(mask))
