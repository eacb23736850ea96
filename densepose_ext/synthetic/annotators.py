"""A model of human annotators, for studies of training on imperfect annotations.

On renderings with known ground truth, the paper measured errors that grow with the size of the
part: about 2 cm on small parts, 7 cm on the torso (Güler et al. 2018, figure 4). Annotators also
miss whole parts.
"""

from functools import lru_cache

import numpy as np
from pycocotools.cocoeval import Params

from ..surface.parts import FINE_TO_COARSE, FINE_TO_GROUP, NUM_COARSE_PARTS
from ..surface.surface import BodySurface

#: Mean distance from the true to the annotated point, by group of parts (FINE_TO_GROUP), metres.
MEAN_ERROR = np.array([0.0, 0.07, 0.02, 0.02, 0.045, 0.035, 0.03, 0.025, 0.025])
#: Probability that a visible part is missed.
DROPPED = 0.08
#: Vertices at about the drawn distance; of these, the one nearest to the drawn direction is taken.
CANDIDATES = 5
#: Root mean square distance from the true to the annotated keypoint (17,), in square roots of the
#: person's area; COCO measured it for its object keypoint similarity.
KEYPOINT_ERROR = Params("keypoints").kpt_oks_sigmas


def annotate_by_hand(rng: np.random.Generator, annotation: dict, surface: BodySurface) -> dict:
    """A copy of an exact annotation with human errors.

    Points keep their place in the image and get a wrong (I, U, V) within their coarse part. Missed
    parts lose their points and their mask.
    """
    if "dp_I" not in annotation:
        return annotation
    i = np.array(annotation["dp_I"])
    u, v = np.array(annotation["dp_U"]), np.array(annotation["dp_V"])
    coarse = FINE_TO_COARSE[i]
    kept = rng.random(NUM_COARSE_PARTS + 1) >= DROPPED
    if not kept[coarse].any():
        kept[coarse] = True
    i, u, v = _misplace(rng, surface, i, u, v)
    keep = np.flatnonzero(kept[coarse])
    result = dict(annotation)
    for key in ("dp_x", "dp_y"):
        result[key] = [annotation[key][k] for k in keep]
    result["dp_I"] = [int(i[k]) for k in keep]
    result["dp_U"] = [round(float(u[k]), 5) for k in keep]
    result["dp_V"] = [round(float(v[k]), 5) for k in keep]
    result["dp_masks"] = [
        code if kept[part] else [] for part, code in enumerate(annotation["dp_masks"], start=1)
    ]
    return result


def keypoints_by_hand(rng: np.random.Generator, annotation: dict) -> np.ndarray:
    """The keypoints (17, 3) of an exact annotation with human errors; visibilities are exact."""
    keypoints = np.array(annotation["keypoints"], float).reshape(-1, 3)
    spread = KEYPOINT_ERROR * np.sqrt(annotation["area"] / 2)  # along each axis
    keypoints[:, :2] += rng.normal(size=(len(keypoints), 2)) * spread[:, None]
    return keypoints


@lru_cache(maxsize=1)
def _part_points(surface: BodySurface) -> list:
    """For each coarse part: indices of its chart vertices, and their positions."""
    charts = surface.charts
    places = surface.body.vertices[charts.vertex]
    result = [None]
    for part in range(1, NUM_COARSE_PARTS + 1):
        members = np.flatnonzero(FINE_TO_COARSE[charts.part] == part)
        result.append((members, places[members]))
    return result


def _misplace(rng, surface: BodySurface, i, u, v):
    """Moves points along the body by a random error of the annotators' size."""
    places = surface.points(i, u, v)
    error = MEAN_ERROR[FINE_TO_GROUP[i]]
    # draw a distance and a direction, and take the vertex that fits both best
    drawn = np.abs(rng.normal(0, 1, len(i))) * np.sqrt(np.pi / 2) * error
    direction = rng.normal(0, 1, (len(i), 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    out_i, out_u, out_v = i.copy(), u.copy(), v.copy()
    for k in range(len(i)):
        members, at = _part_points(surface)[FINE_TO_COARSE[i[k]]]
        offset = at - places[k]
        distance = np.linalg.norm(offset, axis=1)
        ring = np.abs(distance - drawn[k])
        near = np.flatnonzero(ring <= np.sort(ring)[min(CANDIDATES, len(ring)) - 1])
        way = (offset[near] @ direction[k]) / np.maximum(distance[near], 1e-9)
        chosen = members[near[way.argmax()]]
        out_i[k] = surface.charts.part[chosen]
        out_u[k], out_v[k] = surface.charts.uv[chosen]
    return out_i, out_u, out_v
