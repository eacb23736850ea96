"""Imports people from COCO JSON: boxes, masks, keypoints and dense pose."""

from __future__ import annotations

import os

import numpy as np

from ..data.annotation_file import AnnotationFile, read_annotations
from ..data.annotations import has_densepose
from ..data.rle import encode_part_masks, painted_map
from ..surface.parts import ANNOTATION_SIDE, FINE_TO_COARSE
from .project import Project

#: Keys of an annotation that are kept unchanged.
_KEPT = ("category_id", "iscrowd", "area", "segmentation", "keypoints", "num_keypoints")


def import_people(path: str | os.PathLike, project: Project, folder: str, mesh: str) -> dict:
    """An event that imports the people of a file, except those that the project already has.

    People with dense pose start in the stage "review"; crowds are "left out".

    Args:
        path: COCO JSON. Its images are matched with the project's by ``file_name``.
        folder: folder of the images.
        mesh: the mesh that ``dp_vertex`` refers to.

    Raises:
        FileNotFoundError, ValueError: the file is missing or not COCO JSON, none of its images is
            in the project, or an image has another size than in the project.
    """
    file = read_annotations(path, folder)
    pictures = _matched(file, project)
    known = {(person.image, person.source.get("source_id")) for person in project.people.values()}
    category = _people_category(file)
    number = project.last_person
    records = []
    for person in file.people:
        image = pictures.get(person["image_id"])
        if image is None or (image, person["id"]) in known or person["category_id"] not in category:
            continue
        number += 1
        records.append({"id": number, "image": image, **_record(person, mesh)})
    categories = [{"id": key, "name": file.categories[key]} for key in category]
    return {"do": "import", "people": records, "categories": categories, "by": os.fspath(path)}


def _matched(file: AnnotationFile, project: Project) -> dict:
    """Image id in the file -> image id in the project, for images in both."""
    by_name = {picture.file_name: picture for picture in project.pictures.values()}
    by_base = {os.path.basename(name): picture for name, picture in by_name.items()}
    found = {}
    for key, image in file.images.items():
        name = image["file_name"].replace("\\", "/")
        picture = by_name.get(name) or by_base.get(os.path.basename(name))
        if picture is None:
            continue
        if (picture.width, picture.height) != (image["width"], image["height"]):
            raise ValueError(
                f"{file.path}: image {key} has {image['width']} x {image['height']} pixels, the"
                f" picture {picture.file_name} has {picture.width} x {picture.height}"
            )
        found[key] = picture.id
    if not found:
        raise ValueError(
            f"{file.path}: none of its {len(file.images)} images is among the pictures"
        )
    return found


def _people_category(file: AnnotationFile) -> list[int]:
    """Ids of the categories to import: "person" if there is one, else all."""
    person = [key for key, name in file.categories.items() if name == "person"]
    return person or list(file.categories)


def _record(person: dict, mesh: str) -> dict:
    source = {key: _plain(person[key]) for key in _KEPT if key in person}
    source["source_id"] = person["id"]
    if not source.get("keypoints"):
        source.pop("num_keypoints", None)
    record = {
        "box": person["bbox"],
        "source": source,
        "stage": "left out" if person["iscrowd"] else "regions",
    }
    if "dp_masks" in person and person["dp_masks"].size:
        record["regions"] = encode_part_masks(painted_map(person["dp_masks"]))
    if has_densepose(person):
        record |= _dense(person, mesh)
    return record


def _dense(person: dict, mesh: str) -> dict:
    """The points and answers of a person with dense pose."""
    kept = person["dp_I"] > 0
    x0, y0, width, height = person["bbox"]
    xs = x0 + person["dp_x"][kept] * width / ANNOTATION_SIDE
    ys = y0 + person["dp_y"][kept] * height / ANNOTATION_SIDE
    parts = person["dp_I"][kept].astype(int)
    vertices = np.full(len(parts), -1)
    if person.get("ref_model") == mesh:
        vertices = person["dp_vertex"][kept]
    points = [[float(x), float(y), int(FINE_TO_COARSE[i])] for x, y, i in zip(xs, ys, parts)]
    answers = [
        [int(i), float(u), float(v), int(vertex), -1, 0.0, 0.0]
        for i, u, v, vertex in zip(parts, person["dp_U"][kept], person["dp_V"][kept], vertices)
    ]
    if not points:
        return {}
    return {"stage": "review", "points": points, "answers": answers}


def _plain(value):
    """Makes a value serializable: the reader's RLEs contain bytes."""
    if isinstance(value, dict) and isinstance(value.get("counts"), bytes):
        return {**value, "counts": value["counts"].decode("ascii")}
    return value
