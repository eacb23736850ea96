"""Conversions of people, on official results and on artificial ones."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from densepose_ext import DensePoseResult, People, Person
from densepose_ext.evaluation.results import Results
from densepose_ext.surface.surface import BodySurface
from projects_tests.reference import ROOT

REAL = Path(os.environ.get("DENSEPOSE_EXT_REAL", ROOT.parent / "shared" / "real"))


def person(box, score, part, u=0.25, v=0.75) -> Person:
    """Of one part, with one U and V, but for background in the first column."""
    box = np.array(box, np.float32)
    width, height = (max(int(x), 1) for x in box[2:] - box[:2])
    labels = torch.full((height, width), part, dtype=torch.uint8)
    labels[:, 0] = 0
    uv = torch.tensor([u, v])[:, None, None] * (labels > 0)
    return Person(box, score, DensePoseResult(labels, uv))


def test_people_are_printed_in_a_line_each_without_their_pixels():
    people = People([person((2, 1, 8, 5), 0.5, 7)], (8, 10))
    assert repr(people) == (
        "[Person(box=[2.0, 1.0, 8.0, 5.0], score=0.500, result=DensePoseResult(4 x 6 pixels))]"
    )


def test_people_are_told_apart():
    first, second = person((2, 1, 8, 5), 0.9, 7), person((2, 1, 8, 5), 0.5, 7)
    people = People([first, second], (8, 10))
    assert people.index(second) == 1
    assert len({first, second}) == 2


def test_a_slice_knows_the_size_of_the_picture():
    people = People([person((2, 1, 8, 5), 0.9, 7), person((4, 2, 9.9, 9), 0.5, 3)], (8, 10))
    best = people[:1]
    assert best.size == (8, 10)
    assert set(np.unique(best.to_iuv()[..., 0])) == {0, 7}
    assert people[-1] is people[1]
    assert pickle.loads(pickle.dumps(people))[1:].size == (8, 10)


def test_the_best_score_has_the_pixel():
    people = People(
        [person((2, 1, 8, 5), 0.5, 7), person((4, 2, 9.9, 9), 0.9, 3, u=1.2, v=-0.1)], (8, 10)
    )
    index = people.to_index()
    expected = np.zeros((8, 10), int)
    expected[1:5, 3:8] = 1
    expected[2:8, 5:9] = 2
    assert np.array_equal(index, expected)
    iuv = people.to_iuv()
    assert iuv.dtype == np.uint8
    assert (iuv[index == 1] == (7, 63, 191)).all()
    assert (iuv[index == 2] == (3, 255, 0)).all()
    assert (iuv[index == 0] == 0).all()


def test_iuv_of_another_size():
    people = People([person((2, 1, 8, 5), 0.5, 7)], (8, 10))
    small = people.to_iuv((80, 100))
    assert small.shape == (80, 100, 3)
    assert np.array_equal(small[5::10, 5::10], people.to_iuv())


def test_nobody():
    people = People([], (4, 5))
    assert people.to_iuv().shape == (4, 5, 3)
    assert not people.to_iuv().any()
    assert not people.to_index().any()
    assert (people.to_vertices() == -1).all()
    assert people.to_json() == []
    assert People.from_arrays(people.to_arrays()) == []


def test_more_people_than_8_bits():
    people = People([person((n, 0, n + 2, 1), 1 - n / 400, 1) for n in range(300)], (1, 302))
    assert people.to_index()[0, 1:301].tolist() == list(range(1, 301))


def test_a_person_beyond_the_picture_and_one_outside():
    people = People([person((-3.5, 2, 2, 40), 1, 5), person((50, 60, 70, 80), 0.5, 6)], (6, 4))
    index = people.to_index()
    assert (index[2:, :2] == 1).all()
    assert (index[:2] == 0).all()
    assert (index[:, 2:] == 0).all()


@pytest.mark.slow
def test_vertices_are_those_of_the_surface():
    surface = BodySurface.load()
    face = np.arange(0, len(surface.body.faces), 97)
    i, u, v = surface.iuv(face, np.full((len(face), 3), 1 / 3))
    labels = torch.from_numpy(i.astype(np.uint8))[None]
    uv = torch.from_numpy(np.stack([u, v]).astype(np.float32))[:, None]
    one = Person(np.array([1, 2, 1 + len(i), 3], np.float32), 1.0, DensePoseResult(labels, uv))
    vertices = People([one], (4, len(i) + 2)).to_vertices()
    assert (vertices >= 0).sum() == len(i)
    found = surface.body.vertices[vertices[2, 1:-1]]
    truth = surface.points(i, u, v)
    assert np.linalg.norm(found - truth, axis=1).max() < 0.06


def test_arrays_and_back(tmp_path):
    first = person((2, 1, 8, 5), 0.9, 7)
    first.keypoints = np.ones((17, 3), np.float32)
    first.mask = np.eye(8, 10, dtype=bool)
    first.result.sigma_2 = torch.rand(first.result.labels.shape)
    people = People([first, person((3.5, 2.25, 9.75, 9), 0.123456789012, 3)], (8, 10))
    np.savez_compressed(tmp_path / "p.npz", **people.to_arrays())
    with np.load(tmp_path / "p.npz") as arrays:
        back = People.from_arrays(arrays)
    assert back.size == (8, 10)
    for a, b in zip(people, back):
        assert np.array_equal(a.box, b.box)
        assert a.score == b.score
        assert torch.equal(a.result.labels, b.result.labels)
        assert torch.equal(a.result.uv, b.result.uv)
    assert torch.equal(back[0].result.sigma_2, first.result.sigma_2)
    assert np.array_equal(back[0].mask, first.mask)
    assert np.array_equal(back[0].keypoints, first.keypoints)
    assert back[1].mask is None


def test_every_8_bit_value_comes_back_from_json():
    labels = torch.ones((16, 16), dtype=torch.uint8)
    steps = torch.arange(256).reshape(16, 16) / 255
    box = np.array([0, 0, 16, 16], np.float32)
    people = People(
        [Person(box, 1.0, DensePoseResult(labels, torch.stack([steps, 1 - steps])))], (16, 16)
    )
    entries = people.to_json(3, 1)
    again = People.from_json(entries, (16, 16))
    assert again.to_json(3, 1) == entries
    assert (again[0].result.uv - people[0].result.uv).abs().max() <= 1 / 255


@pytest.mark.skipif(not (REAL / "example_results.json").is_file(), reason="no real results")
def test_official_results():
    results = Results.read(REAL / "example_results.json")
    assert len(results) == 21
    count = 0
    for image_id, entries in results.by_image.items():
        people = People.from_json(entries, (640, 640))
        assert [p.score for p in people] == sorted((e["score"] for e in entries), reverse=True)
        iuv, index = people.to_iuv(), people.to_index()
        assert ((iuv[..., 0] > 0) == (index > 0)).all()
        assert (index == 1).sum() == (people[0].result.labels > 0).sum()
        vertices = people.to_vertices()
        assert ((vertices >= 0) == (index > 0)).all()
        assert vertices.max() < len(BodySurface.load().body.vertices)

        back = sorted(people.to_json(image_id, 1), key=lambda e: e["bbox"])
        for new, old in zip(back, sorted(entries, key=lambda e: e["bbox"])):
            np.testing.assert_allclose(new["bbox"], old["bbox"], atol=1e-4)
            assert new["score"] == old["score"]
            assert new["uv_shape"] == old["uv_shape"]
            again = People.from_json([new], people.size)[0].result
            before = People.from_json([old], people.size)[0].result
            assert torch.equal(again.labels, before.labels)
            assert torch.equal(again.uv, before.uv)
            count += 1
        assert json.loads(json.dumps(back)) == back
    assert count == 21


@pytest.mark.parametrize("data", ["nonsense", ""])
def test_damaged_entries(data):
    entry = {"bbox": [0, 0, 2, 2], "score": 1.0, "uv_shape": [3, 2, 2], "uv_data": data}
    with pytest.raises(ValueError, match="uv_data"):
        People.from_json([entry], (4, 4))
