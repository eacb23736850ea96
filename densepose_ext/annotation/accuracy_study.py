"""The paper's study of annotation (section 2.2), repeated on synthetic people with known truth.

Simulated annotators place the points of rendered people through the same store as the browser; what
they have placed is compared with the truth, point by point, on the body.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ..data.rle import paint_part_masks
from ..files.atomic import write_whole
from ..surface.body import vertex_normals
from ..surface.raster import rasterize
from ..surface.surface import BodySurface
from ..synthetic.example import Example, make_example
from ..synthetic.settings import Settings
from ..visualization.colormaps import colormap
from .agreement import Agreement, Placed, compare, draw, placed_in_project
from .body import get_body
from .simulated import SimulatedAnnotator
from .store import LOG_SUFFIX, Store, Who
from .views import DISTANCE, Views

#: Side of the pictures, pixels.
SIZE = 512
#: First picture of the validation split of the study; others use lower numbers.
FIRST = 50_000
#: A vertex of the heat map is coloured by the points this near to it, metres.
NEAR = 0.08
#: Error at the upper end of the colours, metres.
HOTTEST = 0.1


class TrueSurface:
    """I, U, V at the pixels of a rendered person."""

    def __init__(self, example: Example, person: int):
        self._charts = BodySurface.load().charts
        self._owner, self._body = example.seen.owner == person, example.seen.bodies[person]

    def __call__(self, x: float, y: float) -> tuple[int, float, float]:
        """At a pixel of the picture; I = 0 where another person, a thing or no body is seen."""
        row, column = int(y), int(x)
        if not self._owner[row, column] or not self._body.hit[row, column]:
            return 0, 0.0, 0.0
        at = [row], [column]
        i, u, v = self._charts.iuv(self._body.face[at], self._body.barycentric[at])
        return int(i[0]), float(u[0]), float(v[0])


def run_accuracy_study(
    out: str | Path, people: int = 20, annotators: int = 3, seed: int = 0, side: int = 480
) -> dict:
    """Annotates people, and measures how far off the points are.

    Args:
        out: folder, which must be empty or missing: pictures, annotations, ``errors.png`` (box
            plot), ``body.png`` (heat map) and ``study.json`` are written there.
        people, annotators: numbers; every annotator places all points.
        seed: of the mistakes.
        side: of the views, pixels.

    Returns:
        what ``study.json`` has: ``parts``, rows by group of parts as of
        :meth:`~.agreement.Agreement.rows`; ``annotators``: mean error in cm of the answer that
        several annotators agree on best, by their number; ``between``: as ``parts``, of the first
        two annotators; ``people``.

    Raises:
        ValueError: the folder is not empty.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: expected a new folder for the study")
    (out / "pictures").mkdir(parents=True)
    truths = _render(out / "pictures", people)
    views = Views(get_body("open"), side)
    rng = np.random.default_rng(seed)
    with_mistakes = [
        SimulatedAnnotator(views, rng, Who(f"annotator {n + 1}", f"page {n + 1}"))
        for n in range(annotators)
    ]
    store = Store(out / "pictures", out / "annotations.json", views, annotators)
    try:
        for picture, (annotation, truth) in zip(store.project.pictures.values(), truths):
            _annotate(store, picture.id, annotation, truth, with_mistakes)
    finally:
        store.close()

    _, layers = placed_in_project(out / ("annotations.json" + LOG_SUFFIX))
    by_name = {p.file_name: t for p, (_, t) in zip(store.project.pictures.values(), truths)}
    surface = BodySurface.load()
    true = [_true(person, by_name[person.image]) for person in layers[0]]
    each = [compare(true, layer, surface) for layer in layers]
    every = _joined(each)
    result = {
        "people": people,
        "parts": every.rows(),
        "annotators": {
            str(n): 100
            * float(compare(true, _agreed(layers[:n], surface), surface).distance.mean())
            for n in range(1, annotators + 1)
            if n != 2  # two can only disagree
        },
        "between": compare(layers[0], layers[1], surface).rows() if annotators > 1 else [],
    }
    draw(every, out / "errors.png", f"{people} people, {annotators} annotators, against the truth")
    places = np.concatenate([surface.points(p.part, *p.uv.T) for p in true])
    write_whole(out / "body.png", _heat_map(places, each[0].distance))
    write_whole(out / "study.json", json.dumps(result, indent=1).encode())
    return result


def _render(folder: Path, people: int) -> list[tuple[dict, TrueSurface]]:
    """Pictures of one person each, with the annotation and the truth of the person."""
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
    """The same points where they are in truth."""
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
    """Of each point the answer with the smallest sum of distances to the others'."""
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


def _heat_map(places: np.ndarray, errors: np.ndarray, height: int = 640) -> bytes:
    """A PNG of the body, front and back: mean error of the points near each vertex, grey for none.

    Args:
        places: (P, 3) metres. errors: (P,) metres.
    """
    body = BodySurface.load().body
    apart = np.linalg.norm(body.vertices[:, None] - places, axis=2)
    weight = np.exp(-0.5 * (2 * apart / NEAR) ** 2) * (apart < NEAR)
    total = weight.sum(1)
    mean = weight @ errors / np.maximum(total, 1e-9)
    table = colormap("viridis").astype(np.float32)
    colours = table[(255 * (mean / HOTTEST).clip(0, 1)).astype(int)]
    colours[total < 0.1] = 190
    low, high = body.vertices.min(0), body.vertices.max(0)
    scale = 0.95 * height / (high[2] - low[2])
    width = int(height * 1.05 * (high[0] - low[0]) / (high[2] - low[2]))
    views = []
    for side in (1, -1):
        centred = body.vertices - (low + high) / 2
        points = np.stack([side * centred[:, 0], -centred[:, 2], side * centred[:, 1]], 1)
        drawn = rasterize(points + [0, 0, DISTANCE], body.faces, scale * DISTANCE, (height, width))
        corners = body.faces[drawn.face[drawn.hit]]
        weights = drawn.barycentric[drawn.hit][..., None]
        facing = (vertex_normals(points, body.faces)[corners] * weights).sum(1)[:, 2:]
        picture = np.full((height, width, 3), 255, np.float32)
        picture[drawn.hit] = (colours[corners] * weights).sum(1) * (0.7 - 0.3 * facing)
        views.append(picture)
    picture = np.concatenate(views, 1).clip(0, 255).astype(np.uint8)
    return cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()
