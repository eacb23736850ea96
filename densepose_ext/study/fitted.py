"""Labels from bodies fitted to keypoints, instead of points placed by people.

The paper compares training on such labels (of UP, which SMPLify made) with training on those of its
annotators, and scores the fitted bodies themselves (Güler et al. 2018, section 4).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..files.atomic import write_whole
from ..surface.parts import ANNOTATION_SIDE, FINE_TO_COARSE
from ..surface.raster import Buffers, rasterize
from ..surface.surface import BodySurface
from ..synthetic.annotations import part_masks
from ..synthetic.annotators import keypoints_by_hand
from .body_fit import FEWEST_KEYPOINTS, FOCAL, BodyFit

#: People fitted in one batch, whose labels are written to one file.
_BATCH = 128
#: Seed of the errors of keypoints.
_SEED = 0
_KEYS = ("dp_masks", "dp_x", "dp_y", "dp_I", "dp_U", "dp_V")


def label_by_fits(contents: dict, parts: Path) -> None:
    """Replaces the dense labels of annotations, in place, by those of fitted bodies.

    Bodies are fitted to keypoints with the errors of human annotators. Points keep their position,
    unless the body does not cover it; masks are those of the body in the person's box. People with
    fewer than FEWEST_KEYPOINTS labelled keypoints, and those none of whose points are covered, lose
    their dense labels.

    Args:
        contents: of a COCO file of synthetic people.
        parts: folder for the labels of finished batches, which are not fitted again.

    Raises:
        ValueError: nobody has enough keypoints.
    """
    people = [person for person in contents["annotations"] if "dp_x" in person]
    usable = [person for person in people if _labelled(person) >= FEWEST_KEYPOINTS]
    if not usable:
        raise ValueError(
            f"none of {len(people)} people with points has {FEWEST_KEYPOINTS} labelled keypoints,"
            " to which a body could be fitted"
        )
    sizes = {image["id"]: (image["height"], image["width"]) for image in contents["images"]}
    labels: dict[int, dict] = {}
    parts.mkdir(parents=True, exist_ok=True)
    fitter = None
    with tqdm(total=len(usable), desc="fitting bodies", unit="person") as bar:
        for start in range(0, len(usable), _BATCH):
            batch = usable[start : start + _BATCH]
            path = parts / f"{batch[0]['id']}_{batch[-1]['id']}.json"
            if not path.exists():
                fitter = fitter or BodyFit(BodySurface.load().body)
                found = _labels(fitter, batch, [sizes[person["image_id"]] for person in batch])
                write_whole(path, json.dumps(found).encode())
            found = json.loads(path.read_bytes())
            labels.update((person["id"], new) for person, new in zip(batch, found))
            bar.update(len(batch))
    for person in people:
        for key in _KEYS:
            del person[key]
        person.update(labels.get(person["id"], {}))


def _labelled(person: dict) -> int:
    """Number of labelled keypoints."""
    return int(np.count_nonzero(person.get("keypoints", [])[2::3]))


def _labels(fitter: BodyFit, people: list[dict], sizes: list[tuple[int, int]]) -> list[dict]:
    """The dense labels of each person, empty if the fitted body covers none of the points."""
    surface = BodySurface.load()
    keypoints = [
        keypoints_by_hand(np.random.default_rng([_SEED, person["id"]]), person) for person in people
    ]
    areas = np.array([person["area"] for person in people], float)
    fit = fitter.fit(np.stack(keypoints), areas, np.array(sizes))
    faces = surface.body.faces
    bodies = [
        rasterize(vertices, faces, FOCAL * max(size), size)
        for vertices, size in zip(fitter.vertices(fit), sizes)
    ]
    return [_relabelled(person, surface, body) for person, body in zip(people, bodies)]


def _relabelled(person: dict, surface: BodySurface, body: Buffers) -> dict:
    left, top, width, height = person["bbox"]
    x, y = np.array(person["dp_x"]), np.array(person["dp_y"])
    column = (x * (width / ANNOTATION_SIDE) + left).astype(int)
    row = (y * (height / ANNOTATION_SIDE) + top).astype(int)
    kept = np.flatnonzero(body.hit[row, column])
    if not len(kept):
        return {}
    row, column = row[kept], column[kept]
    i, u, v = surface.iuv(body.face[row, column], body.barycentric[row, column])
    window = slice(top, top + height), slice(left, left + width)
    # face -1, where there is no body, has part 0
    fine = np.append(surface.charts.face_part, 0)[body.face[window]]
    return {
        "dp_masks": part_masks(FINE_TO_COARSE[fine].astype(np.uint8)),
        "dp_x": [person["dp_x"][k] for k in kept],
        "dp_y": [person["dp_y"][k] for k in kept],
        "dp_I": [int(part) for part in i],
        "dp_U": [round(float(value), 5) for value in u],
        "dp_V": [round(float(value), 5) for value in v],
    }
