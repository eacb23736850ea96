"""How far annotators are apart on the body, point by point (the paper, section 2.2)."""

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
from ..surface.parts import ANNOTATION_SIDE, FINE_TO_GROUP, GROUP_NAMES
from ..surface.registry import Surface
from .event_log import read_events
from .project import Project

#: Boxes that overlap less (IoU) are of different people.
SAME_PERSON = 0.5
#: Points of two files are the same if they are at most this far apart, as a share of the box.
SAME_POINT = 0.005


@dataclass(frozen=True)
class Placed:
    """The points of one person by one annotator.

    Attributes:
        image: file name of the picture. box: (4,) x, y, width, height.
        pixels: (P, 2) of the picture. part: (P,) int, 1..24. uv: (P, 2).
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
        people: number of people of both annotators.
        part: (N,) int, the first annotator's. distance: (N,) metres on the body.
        same_part: (N,) bool.
        alone: points that only one of them has placed, of these people.
    """

    people: int
    part: np.ndarray
    distance: np.ndarray
    same_part: np.ndarray
    alone: int

    def rows(self) -> list[dict]:
        """A row for each group of parts that has points, and one of all: distances in cm."""
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
    """Distances on the body between two annotators' answers.

    People are the same if their pictures are and their boxes overlap, points if they lie at the
    same place of the picture.

    Raises:
        ValueError: they have no point in common.
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
            " them the same"
        )
    parts, vertices = [], []
    for answers in (mine, theirs):
        part, u, v = np.array(answers, float).T
        parts.append(part.astype(np.int64))
        vertices.append(surface.closest_vertex(parts[-1], u, v))
    distance = np.asarray(surface.geodesic(*vertices), float)
    return Agreement(people, parts[0], distance, parts[0] == parts[1], alone)


def placed_in_file(file: AnnotationFile) -> list[Placed]:
    """The people of an annotation file who have points in charts."""
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
    """The points of each annotator of a project, which may be open meanwhile.

    Args:
        log: of the project.

    Returns:
        name of the surface; for the first, second, ... annotator of each person, the people.

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
    """Yields pairs of people: in each picture those whose boxes overlap most."""
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
    """A box plot of the distances by group of parts, as PNG, SVG or PDF."""
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
    axes.set(xlabel="distance on the body (cm); diamond: mean", title=title)
    axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.3)
    try:
        figure.savefig(path, dpi=130)
    except ValueError as error:  # the format, by the end of the name
        raise ValueError(f"{path}: {error}") from None
