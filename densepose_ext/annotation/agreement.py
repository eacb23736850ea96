"""Agreement between annotators: geodesic distances of their answers (the paper, section 2.2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from ..data.annotation_file import AnnotationFile
from ..data.annotations import has_densepose
from ..files.atomic import naming
from ..surface.parts import ANNOTATION_SIDE, FINE_TO_GROUP, GROUP_NAMES
from ..surface.registry import Surface
from .event_log import read_events
from .project import Project

#: Minimum IoU of two boxes of the same person.
SAME_PERSON = 0.5
#: Maximum distance between two annotations of a point, as a share of the box's longer side.
SAME_POINT = 0.005


@dataclass(frozen=True)
class Placed:
    """One person's points, as placed by one annotator.

    Attributes:
        image: file name. box: (4,) x, y, width, height.
        pixels: (P, 2) positions in the image. part: (P,) int, 1..24. uv: (P, 2).
    """

    image: str
    box: np.ndarray
    pixels: np.ndarray
    part: np.ndarray
    uv: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """Pairs of answers for the same points.

    Attributes:
        people: number of people whom both have annotated.
        part: (N,) int, the first annotator's part. distance: (N,) geodesic distance, metres.
        same_part: (N,) bool.
        alone: number of points on these people that only one of the two has placed.
    """

    people: int
    part: np.ndarray
    distance: np.ndarray
    same_part: np.ndarray
    alone: int

    def rows(self) -> list[dict]:
        """One row per group of parts that has points, and one for all points; distances in cm."""
        group = FINE_TO_GROUP[self.part]
        chosen = [(name, group == n) for n, name in enumerate(GROUP_NAMES) if n]
        chosen.append(("all", np.ones(len(group), bool)))
        return [
            {
                "group": name,
                "points": int(own.sum()),
                "mean": float(100 * self.distance[own].mean()),
                "median": float(100 * np.median(self.distance[own])),
                "90%": float(100 * np.quantile(self.distance[own], 0.9)),
                "same part": float(self.same_part[own].mean()),
            }
            for name, own in chosen
            if own.any()
        ]


def compare(first: Sequence[Placed], second: Sequence[Placed], surface: Surface) -> Agreement:
    """Compares the answers of two annotators.

    People are matched by image and box, points by their position in the image.

    Raises:
        ValueError: no point was annotated by both.
    """
    people, alone = 0, 0
    mine, theirs = [], []
    for a, b in _same_people(first, second):
        people += 1
        limit = SAME_POINT * float(max(a.box[2:]))
        distance, index = cKDTree(b.pixels).query(a.pixels, distance_upper_bound=limit)
        back = cKDTree(a.pixels).query(b.pixels)[1]
        pairs = [
            (n, int(index[n])) for n in np.flatnonzero(np.isfinite(distance)) if back[index[n]] == n
        ]
        alone += len(a.pixels) + len(b.pixels) - 2 * len(pairs)
        mine += [(a.part[n], *a.uv[n]) for n, _ in pairs]
        theirs += [(b.part[m], *b.uv[m]) for _, m in pairs]
    if not mine:
        raise ValueError(
            f"no point in common: {len(first)} and {len(second)} people with points, {people} of"
            " them matched"
        )
    parts, vertices = [], []
    for answers in (mine, theirs):
        part, u, v = np.array(answers, float).T
        parts.append(part.astype(np.int64))
        vertices.append(surface.closest_vertex(parts[-1], u, v))
    distance = np.asarray(surface.geodesic(*vertices), float)
    return Agreement(people, parts[0], distance, parts[0] == parts[1], alone)


def placed_in_file(file: AnnotationFile) -> list[Placed]:
    """The people in an annotation file who have points with I, U and V."""
    result = []
    for person in file.people:
        if not has_densepose(person):
            continue
        kept = person["dp_I"] > 0
        box = np.array(person["bbox"], float)
        places = np.stack([person["dp_x"], person["dp_y"]], 1)[kept]
        name = file.images[person["image_id"]]["file_name"] or str(person["image_id"])
        result.append(
            Placed(
                name,
                box,
                box[:2] + places * box[2:] / ANNOTATION_SIDE,
                person["dp_I"][kept].astype(int),
                np.stack([person["dp_U"], person["dp_V"]], 1)[kept],
            )
        )
    return result


def placed_in_project(log: str | os.PathLike) -> tuple[str, list[list[Placed]]]:
    """The points of each annotator in a project, which may be open in another program.

    Args:
        log: the project's log file.

    Returns:
        the surface's name, and a list whose k-th item holds the people as their k-th annotators
        placed their points.

    Raises:
        FileNotFoundError, ValueError: there is no such log, or it is damaged.
    """
    if not Path(log).is_file():
        raise FileNotFoundError(f"{log}: no such log of an annotation project")
    project = Project()
    for event in read_events(log)[0]:
        project.apply(event)
    layers: list[list[Placed]] = []
    for person in project.people.values():
        name = project.pictures[person.image].file_name
        for layer in range(len(person.answers)):
            own = replace(person, taken=dict.fromkeys(range(len(person.points)), layer))
            answers = [(n, a) for n in range(len(own.points)) if (a := own.answer(n)) and a.part]
            if not answers:
                continue
            while len(layers) <= layer:
                layers.append([])
            layers[layer].append(
                Placed(
                    name,
                    np.array(own.box),
                    np.array([own.points[n][:2] for n, _ in answers]),
                    np.array([a.part for _, a in answers]),
                    np.array([(a.u, a.v) for _, a in answers]),
                )
            )
    return project.surface, layers


def _same_people(first: Sequence[Placed], second: Sequence[Placed]):
    """Yields matched people: within each image, the assignment of boxes with the largest IoU."""
    for image in dict.fromkeys(person.image for person in first):
        a, b = ([p for p in side if p.image == image] for side in (first, second))
        if not b:
            continue
        overlap = np.array([[_iou(p.box, q.box) for q in b] for p in a])
        for n, m in zip(*linear_sum_assignment(-overlap)):
            if overlap[n, m] >= SAME_PERSON:
                yield a[n], b[m]


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    common = float(sides.clip(0).prod())
    return common / float(a[2:].prod() + b[2:].prod() - common)


def draw(agreement: Agreement, path: str | os.PathLike, title: str) -> None:
    """Draws a box plot of the distances by group of parts, as PNG, SVG or PDF."""
    from matplotlib.figure import Figure

    group = FINE_TO_GROUP[agreement.part]
    shown = [n for n in range(1, len(GROUP_NAMES)) if (group == n).any()]
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.boxplot(
        [100 * agreement.distance[group == n] for n in shown],
        vert=False,
        widths=0.6,
        showmeans=True,
        flierprops={"markersize": 2, "markeredgecolor": "#999999"},
        medianprops={"color": "#d6604d"},
        meanprops={"marker": "D", "markersize": 4, "markerfacecolor": "#2166ac"},
    )
    labels = [f"{GROUP_NAMES[n]} ({(group == n).sum()})" for n in shown]
    axes.set_yticks(np.arange(1, len(shown) + 1), labels)
    axes.invert_yaxis()
    axes.set(xlabel="geodesic distance (cm); diamonds: means", title=title)
    axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.3)
    try:
        with naming(Path(path)):
            figure.savefig(path, dpi=130)
    except ValueError as error:  # a file format that matplotlib does not know
        raise ValueError(f"{path}: {error}") from None
