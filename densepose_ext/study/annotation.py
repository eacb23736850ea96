"""The paper's study of annotation accuracy (section 2.2), repeated on synthetic people.

Simulated annotators place the points of rendered people through the same store as the web page, and
the result is compared with the ground truth, point by point.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tabulate import tabulate

from ..annotation.agreement import Agreement, Placed, compare, draw, placed_in_project
from ..annotation.body import get_body
from ..annotation.simulated import SimulatedAnnotator
from ..annotation.store import LOG_SUFFIX, Store, Who
from ..annotation.views import Views
from ..data.rle import paint_part_masks
from ..evaluation.markup import table, write_page
from ..files.atomic import write_whole
from ..processes.messages import counted
from ..surface.parts import FINE_TO_COARSE
from ..surface.surface import BodySurface
from ..synthetic.example import Example, make_example
from ..synthetic.settings import Settings
from .body_map import draw_body_map
from .page import PAGE, PLOT, RAW, TABLE

NAME = "annotation"
#: Budget -> numbers of people and annotators.
SIZES = {"quick": (3, 3), "cpu": (20, 3), "gpu": (100, 5)}
#: Side of the images, pixels.
SIZE = 512
#: First image number in the validation split; lower numbers have other uses.
FIRST = 50_000
#: Numbers of points per region to compare.
COUNTS = (2, 4, 7, 14)
#: Number of test pixels per region.
TESTED = 30
#: Error at the upper end of the colour map, metres.
HOTTEST = 0.1
BODY_MAP = "body.png"


class TrueSurface:
    """The true I, U, V at each pixel of a rendered person."""

    def __init__(self, example: Example, person: int):
        self._charts = BodySurface.load().charts
        self._owner, self._body = example.seen.owner == person, example.seen.bodies[person]

    def __call__(self, x: float, y: float) -> tuple[int, float, float]:
        """I, U, V at a pixel of the image; I = 0 where this person is not visible."""
        row, column = int(y), int(x)
        if not self._owner[row, column] or not self._body.hit[row, column]:
            return 0, 0.0, 0.0
        at = [row], [column]
        i, u, v = self._charts.iuv(self._body.face[at], self._body.barycentric[at])
        return int(i[0]), float(u[0]), float(v[0])


def run_annotation_study(budget: str, out: Path) -> Path:
    """Runs the study for ``densepose-ext study annotation``, unless its page exists.

    Args:
        budget: a key of SIZES.
        out: folder in which the study's folder is created.

    Returns:
        path of the page, which is beside ``study.json``, ``table.txt``, ``plot.png`` (errors) and
        ``body.png``.

    Raises:
        ValueError: there is no such budget.
    """
    if budget not in SIZES:
        raise ValueError(f"no budget {budget!r}; there are: {', '.join(SIZES)}")
    folder = out / f"{NAME}_{budget}"
    if not (folder / PAGE).exists():
        work = folder / "people"
        shutil.rmtree(work, ignore_errors=True)  # left by an interrupted run
        measure(work, folder, *SIZES[budget])
    return folder / PAGE


def measure(work: Path, folder: Path, people: int, annotators: int, side: int = 480) -> dict:
    """Annotates people, measures the errors, and writes the page.

    Args:
        work: folder for the images and annotations; created here.
        folder: folder of the page.
        people, annotators: numbers of both; every annotator places all points.
        side: of the views, pixels.

    Returns:
        the content of ``study.json``: ``parts``, the errors in the rows of :meth:`Agreement.rows`;
        ``annotators``, number of annotators -> mean error (cm) of their consensus; ``points``,
        number of points per region -> mean error (cm) of interpolating between them; ``between``,
        rows of the distances between the first two annotators.
    """
    (work / "pictures").mkdir(parents=True)
    truths = _render(work / "pictures", people)
    views = Views(get_body("open"), side)
    rng = np.random.default_rng(0)
    simulated = [
        SimulatedAnnotator(views, rng, Who(f"annotator {n + 1}", f"page {n + 1}"))
        for n in range(annotators)
    ]
    store = Store(work / "pictures", work / "annotations.json", views, annotators)
    try:
        for picture, (annotation, truth) in zip(store.project.pictures.values(), truths):
            _annotate(store, picture.id, annotation, truth, simulated)
    finally:
        store.close()

    _, layers = placed_in_project(work / ("annotations.json" + LOG_SUFFIX))
    names = [picture.file_name for picture in store.project.pictures.values()]
    by_name = dict(zip(names, truths))
    surface = BodySurface.load()
    true = [_true(person, by_name[person.image][1]) for person in layers[0]]
    each = [compare(true, layer, surface) for layer in layers]
    every = _joined(each)
    # No consensus of two: their answers have the same distance from each other.
    numbers = [n for n in range(1, annotators + 1) if n != 2]
    agreed = [compare(true, _agreed(layers[:n], surface), surface) for n in numbers]
    result = {
        "study": NAME,
        "people": people,
        "parts": every.rows(),
        "annotators": {n: _centimetres(a.distance) for n, a in zip(numbers, agreed)},
        "points": {
            count: _centimetres(
                np.concatenate([_between(person, by_name[person.image], count, surface, rng)
                                for person in layers[0]])
            )
            for count in COUNTS
        },
        "between": compare(layers[0], layers[1], surface).rows(),
    }  # fmt: skip
    places = np.concatenate([surface.points(p.part, *p.uv.T) for p in true])
    folder.mkdir(parents=True, exist_ok=True)
    draw(every, folder / PLOT, f"{_numbers(people, annotators)}, against the truth")
    write_whole(folder / BODY_MAP, draw_body_map(places, each[0].distance, HOTTEST))
    write_whole(folder / RAW, json.dumps(result, indent=1).encode())
    _write_page(folder, result, annotators)
    return result


def _write_page(folder: Path, result: dict, annotators: int) -> None:
    headings, rows = _cells(result["parts"])
    text = tabulate(rows, headings, tablefmt="simple", disable_numparse=True)
    by_annotators = [[str(n), f"{v:.1f}"] for n, v in result["annotators"].items()]
    by_points = [[str(n), f"{v:.1f}"] for n, v in result["points"].items()]
    write_whole(folder / TABLE, f"{text}\n".encode())
    pictures = [
        "<img src='data:image/png;base64,"
        + base64.b64encode((folder / name).read_bytes()).decode()
        + f"' alt='{alt}'>"
        for name, alt in ((PLOT, "errors by group of parts"), (BODY_MAP, "errors on the body"))
    ]
    sections = [
        "<p>How accurately do annotators place points? Simulated annotators, whose errors have the"
        " sizes measured in the paper (about 2 cm on small parts, 7 cm on the torso, less near"
        " joints), annotate rendered people through the code of the annotation tool.</p>",
        f"<p>{_numbers(result['people'], annotators)}; geodesic distances in cm.</p>",
        "<h2>Error by group of parts</h2>",
        table(headings, rows),
        pictures[0],
        "<h2>Error on the body</h2>",
        f"<p class='note'>Dark blue: 0; yellow: {100 * HOTTEST:.0f} cm or more; grey: no points."
        "</p>",
        pictures[1],
        "<h2>More annotators</h2>",
        "<p class='note'>Mean error in cm, taking for each point the answer that is closest to all"
        " others.</p>",
        table(["annotators", "error"], by_annotators),
        "<h2>More points</h2>",
        "<p class='note'>Mean straight-line error in cm at pixels between one annotator's points,"
        " interpolated from the three nearest points of the region.</p>",
        table(["points per region (maximum)", "error"], by_points),
        "<h2>Between two annotators</h2>",
        table(*_cells(result["between"])),
    ]
    write_page(folder / PAGE, f"Study: {NAME}", sections)


def _cells(rows: Sequence[dict]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of a table with the rows of :meth:`Agreement.rows`."""
    headings = ["group", "points", "mean (cm)", "median", "90%", "same part"]
    return headings, [
        [
            row["group"],
            str(row["points"]),
            *(f"{row[key]:.1f}" for key in ("mean", "median", "90%")),
            f"{row['same part']:.0%}",
        ]
        for row in rows
    ]


def _centimetres(distances: np.ndarray) -> float:
    return float(100 * distances.mean())


def _numbers(people: int, annotators: int) -> str:
    return f"{counted(people, 'person')}, {counted(annotators, 'annotator')}"


def _render(folder: Path, people: int) -> list[tuple[dict, TrueSurface]]:
    """Renders images of one person each; returns the person's annotation and true surface."""
    result = []
    number = FIRST
    while len(result) < people:
        example = make_example(Settings(size=SIZE, people=1), "val", number)
        number += 1
        dense = [a for a in example.annotations if "dp_I" in a]
        if len(dense) == 1:
            name = folder / f"{len(result):04d}.png"
            cv2.imwrite(str(name), example.image[:, :, ::-1])
            result.append((dense[0], TrueSurface(example, dense[0]["person"])))
    return result


def _annotate(store: Store, picture: int, annotation: dict, truth, annotators) -> None:
    first = annotators[0].who
    person = store.add_person(picture, annotation["bbox"], first).id
    store.lease(person, first)
    store.paint(person, paint_part_masks(annotation["dp_masks"]), first)
    store.finish_regions(person, first)
    store.release(person, first)
    for annotator in annotators:
        store.lease(person, annotator.who)
        annotator.place_points(store, person, truth)
        store.release(person, annotator.who)


def _true(person: Placed, truth: TrueSurface) -> Placed:
    """The same points, at their true positions on the body."""
    values = np.array([truth(x, y) for x, y in person.pixels])
    return replace(person, part=values[:, 0].astype(int), uv=values[:, 1:])


def _joined(parts: list[Agreement]) -> Agreement:
    return Agreement(
        parts[0].people,
        np.concatenate([one.part for one in parts]),
        np.concatenate([one.distance for one in parts]),
        np.concatenate([one.same_part for one in parts]),
        sum(one.alone for one in parts),
    )


def _agreed(layers: list[list[Placed]], surface: BodySurface) -> list[Placed]:
    """The consensus: for each point the answer with the smallest sum of distances to all others."""
    result = []
    for people in zip(*layers):
        answers: dict[tuple, list] = {}
        for person in people:
            for pixel, part, uv in zip(person.pixels, person.part, person.uv):
                answers.setdefault(tuple(pixel), []).append((part, *uv))
        chosen = []
        for given in answers.values():
            part, u, v = np.array(given).T
            vertex = surface.closest_vertex(part.astype(int), u, v)
            total = surface.geodesic(vertex[:, None], vertex).sum(1)
            chosen.append(given[int(total.argmin())])
        part, u, v = np.array(chosen).T
        pixels = np.array(list(answers))
        uv = np.stack([u, v], 1)
        result.append(replace(people[0], pixels=pixels, part=part.astype(int), uv=uv))
    return result


def _between(
    person: Placed, truth: tuple[dict, TrueSurface], count: int, surface: BodySurface, rng
) -> np.ndarray:
    """Straight-line errors in metres at pixels between an annotator's points.

    Args:
        count: maximum number of points to use per region.
    """
    annotation, true = truth
    painted = paint_part_masks(annotation["dp_masks"])
    x0, y0, width, height = annotation["bbox"]
    places = surface.points(person.part, *person.uv.T)
    regions = FINE_TO_COARSE[person.part]
    errors = []
    for region in np.unique(regions):
        own = np.flatnonzero(regions == region)
        own = rng.permutation(own)[:count]
        row, column = np.nonzero(painted == region)
        for k in rng.choice(len(row), min(TESTED, len(row)), replace=False):
            pixel = np.array([
                x0 + (column[k] + 0.5) * width / len(painted),
                y0 + (row[k] + 0.5) * height / len(painted),
            ])  # fmt: skip
            part, u, v = true(*pixel)
            if not part:
                continue
            apart = np.linalg.norm(person.pixels[own] - pixel, axis=1)
            near = np.argsort(apart)[:3]
            weight = 1 / (apart[near] + 0.5)
            guess = weight @ places[own[near]] / weight.sum()
            place = surface.points(*(np.array([value]) for value in (part, u, v)))[0]
            errors.append(np.linalg.norm(guess - place))
    return np.array(errors)
