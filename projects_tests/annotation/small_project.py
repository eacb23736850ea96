"""A small project: pictures of synthetic people with known truth, and an annotator who knows it."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np

from densepose_ext.annotation.body import get_body
from densepose_ext.annotation.store import Store, Who
from densepose_ext.annotation.views import Views
from densepose_ext.data.rle import paint_part_masks
from densepose_ext.synthetic.example import Example, make_example
from densepose_ext.synthetic.settings import Settings

WHO = Who("Ada", "page 1")
OTHER = Who("Bob", "page 2")


@functools.cache
def views() -> Views:
    """Views of the open body, shared by the tests of a process."""
    return Views(get_body("open"), side=160)


@functools.cache
def example() -> Example:
    """A picture of 192 x 192 pixels, with its truth."""
    return make_example(Settings(size=192, people=1), "val", 3)


def make_pictures(folder: Path, count: int = 1) -> Path:
    """A folder with copies of the picture, losslessly."""
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number + 1}.png"), example().image[:, :, ::-1])
    return folder


def open_store(folder: Path, **options) -> Store:
    """The project in a folder, made if it is missing."""
    if not (folder / "pictures").exists():
        make_pictures(folder / "pictures")
    return Store(folder / "pictures", folder / "annotations.json", views(), **options)


def truth() -> dict:
    """The exact annotation of the person."""
    return example().annotations[0]


def regions() -> np.ndarray:
    """(256, 256) regions of the person in its box."""
    return paint_part_masks(truth()["dp_masks"])


def true_iuv(x: float, y: float) -> tuple[int, float, float]:
    """I, U, V at a pixel of the picture; I = 0 where no body is."""
    seen, person = example().seen, truth()["person"]
    column, row = int(x), int(y)
    body = seen.bodies[person]
    if seen.owner[row, column] != person or not body.hit[row, column]:
        return 0, 0.0, 0.0
    charts = views().body.charts
    i, u, v = charts.iuv(body.face[[row], [column]], body.barycentric[[row], [column]])
    return int(i[0]), float(u[0]), float(v[0])


def click_for(
    region: int, part: int, u: float, v: float, margin: float = 0
) -> tuple[int, float, float] | None:
    """The view of a region and the pixel where a surface point is seen; None if nowhere.

    Args:
        margin: pixels to each side in which the region goes on.
    """
    if not part:
        return None
    place = views().body.points(*(np.array([value]) for value in (part, u, v)))[0]
    for view, (x, y, seen) in enumerate(views().marks(region, part, u, v)):
        found = views().click(region, view, x, y) if seen else None
        if found is None or np.linalg.norm(found.place - place) >= 0.005:
            continue
        around = [(x + dx, y + dy) for dx in (-margin, margin) for dy in (-margin, margin)]
        if all(views().click(region, view, *pixel) is not None for pixel in around):
            return view, x, y
    return None


def annotate_person(store: Store, who: Who = WHO) -> int:
    """Annotates the person of the first picture from its box to review; returns its number."""
    person = store.add_person(1, truth()["bbox"], who).id
    assert store.lease(person, who)
    store.paint(person, regions(), who)
    store.finish_regions(person, who)
    place_all(store, person, who)
    return person


def place_all(store: Store, person: int, who: Who) -> None:
    """Places all points of a person where they are in truth."""
    for number, (x, y, region) in enumerate(store.project.people[person].points):
        part, u, v = true_iuv(x, y)
        click = click_for(region, part, u, v)
        if click is None:
            store.cannot_tell(person, number, who)
        else:
            store.place(person, number, *click, who)
    store.finish_points(person, who)
