"""What holds for whatever is painted over a picture, and what the colours are."""

import json
import os
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.evaluation.results import decode_iuv
from densepose_ext.structures import DensePoseResult, Person
from densepose_ext.visualization import (
    PART_COLOURS,
    colormap,
    compose_iuv,
    control_picture,
    draw_contours,
    draw_masks,
    draw_parts,
    draw_u,
    draw_v,
    part_colours,
    person_colour,
)
from projects_tests.reference import ROOT
from projects_tests.visualization.people import flat_person, noise, random_person

REAL = Path(os.environ.get("DENSEPOSE_EXT_REAL", ROOT.parent / "shared" / "real"))
ALL = [
    pytest.param(draw, id=name)
    for name, draw in {
        "parts": draw_parts,
        "parts in parula": partial(draw_parts, palette="parula"),
        "u": draw_u,
        "v": draw_v,
        "contours": draw_contours,
        "masks": draw_masks,
    }.items()
]
coordinate = st.floats(-30, 50, width=32)
boxes = st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=4)


@pytest.mark.parametrize("draw", ALL)
@settings(deadline=None, max_examples=25)
@given(boxes, st.integers(0, 10**6))
def test_invariants(draw, corners, seed):
    rng = np.random.default_rng(seed)
    picture = noise(rng, 24, 20)
    before = picture.copy()
    people = [random_person(rng, box, float(rng.random())) for box in corners]
    nobody = compose_iuv(people, picture.shape[:2])[1] == 0
    drawn = draw(picture, people)
    assert drawn.dtype == np.uint8
    assert drawn.shape == picture.shape
    np.testing.assert_array_equal(drawn[nobody], picture[nobody])
    np.testing.assert_array_equal(draw(picture, people, alpha=0.0), picture)
    np.testing.assert_array_equal(picture, before)
    if draw is not draw_masks:  # their colours go by the order of the list
        np.testing.assert_array_equal(draw(picture, people[::-1]), drawn)


@pytest.mark.parametrize("draw", ALL)
def test_refused(draw):
    people = [flat_person((0, 0, 5, 5))]
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        draw(np.zeros((9, 9, 3), np.uint8), people, alpha=1.5)
    with pytest.raises(ValueError, match=r"float32 of shape \(9, 9, 3\)"):
        draw(np.zeros((9, 9, 3), np.float32), people)
    with pytest.raises(ValueError, match="uint8 of shape"):
        draw(np.zeros((9, 9), np.uint8), people)


def test_colours_of_parts():
    picture = np.full((10, 10, 3), 100, np.uint8)
    people = [flat_person((2, 2, 5, 5), part=9)]
    opaque = draw_parts(picture, people, 1.0)
    assert (opaque[2:5, 2:5] == PART_COLOURS[9, ::-1]).all()
    half = draw_parts(picture, people, 0.5)[3, 3].astype(float)
    np.testing.assert_allclose(half, (100 + PART_COLOURS[9, ::-1].astype(float)) / 2, atol=0.51)


def test_colours_of_u_and_v():
    picture = np.zeros((10, 10, 3), np.uint8)
    people = [flat_person((0, 0, 9, 9), u=0.25, v=1.0)]
    assert (draw_u(picture, people, 1.0)[4, 4] == colormap("viridis")[63, ::-1]).all()
    assert (draw_v(picture, people, 1.0, "parula")[4, 4] == colormap("parula")[255, ::-1]).all()
    with pytest.raises(ValueError, match="'hot'; expected one of viridis, parula"):
        draw_u(picture, people, 1.0, "hot")


def test_overlapping_people_are_not_blended():
    picture = np.full((10, 10, 3), 50, np.uint8)
    top, below = flat_person((0, 0, 8, 8), 3, score=0.9), flat_person((0, 0, 8, 8), 5, score=0.2)
    for draw in (draw_parts, draw_u):
        alone = draw(picture, [top], 0.5)
        np.testing.assert_array_equal(draw(picture, [below, top], 0.5), alone)


def test_masks():
    picture = np.full((12, 12, 3), 50, np.uint8)
    mask = np.zeros((12, 12), bool)
    mask[8:11, 7:12] = True
    people = [flat_person((0, 0, 4, 4), mask=mask, score=0.5), flat_person((6, 6, 9, 9), score=0.9)]
    drawn = draw_masks(picture, people, 1.0, identities=[5, 1])
    # the mask head's mask, not the labels; the higher score on top
    assert (drawn[:4, :4] == 50).all()
    assert (drawn[10, 8] == person_colour(5)[::-1]).all()
    assert (drawn[8, 8] == person_colour(1)[::-1]).all()
    people[0].mask = np.zeros((5, 5), bool)
    with pytest.raises(ValueError, match=r"shape \(5, 5\); expected the picture's, \(12, 12\)"):
        draw_masks(picture, people)
    people[0].mask = np.zeros((12, 12), bool)
    np.testing.assert_array_equal(
        draw_masks(picture, people, identities=[0, 1]),
        draw_masks(picture, people[1:], identities=[1]),
    )


def test_control_pictures():
    people = [flat_person((2, 2, 5, 5), part=12, u=0.5)]
    viridis, parula = colormap("viridis")[:, ::-1], colormap("parula")[:, ::-1]
    picture = control_picture(people, (8, 9))
    assert picture.shape == (8, 9, 3)
    # viridis starts with a dark violet
    assert picture[0, 0].tolist() == [84, 1, 68]
    assert (picture[3, 3] == viridis[12 * 255 // 24]).all()
    picture = control_picture(people, (8, 9), "u", "parula", black=True)
    assert not picture[0].any()
    assert (picture[3, 3] == parula[127]).all()
    assert not control_picture([], (8, 9), black=True).any()
    with pytest.raises(ValueError, match="quantity 'w'; expected one of parts, u, v"):
        control_picture(people, (8, 9), "w")


def test_parula_of_parts_is_opencvs():
    index = np.arange(25, dtype=np.uint8)
    official = cv2.applyColorMap(
        (index[:, None] * (255 / 24)).astype(np.uint8), cv2.COLORMAP_PARULA
    )
    np.testing.assert_array_equal(part_colours("parula")[:, ::-1], official[:, 0])


def test_official_results():
    """The official project's results of a COCO picture, drawn where its boxes are."""
    path = REAL / "example_results.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    people = []
    for found in json.loads(path.read_text()):
        iuv = decode_iuv(found["uv_data"], found["uv_shape"])
        x, y, width, height = found["bbox"]
        result = DensePoseResult(
            torch.from_numpy(iuv[0].copy()), torch.from_numpy(iuv[1:].astype(np.float32) / 255)
        )
        box = np.array([x, y, x + width, y + height], np.float32)
        people.append(Person(box, found["score"], result))
    picture = noise(np.random.default_rng(0), 400, 500)
    iuv, instances = compose_iuv(people, (400, 500))
    assert 0 < (instances > 0).mean() < 1
    for draw in (draw_parts, draw_u, draw_v, draw_contours, draw_masks):
        drawn = draw(picture, people)
        changed = (drawn != picture).any(2)
        assert not changed[instances == 0].any()
        assert changed[instances > 0].mean() > 0.9
