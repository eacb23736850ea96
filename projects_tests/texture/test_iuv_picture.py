"""People out of pictures of I, U, V."""

import cv2
import numpy as np
import pytest

from densepose_ext.prediction.people import People
from densepose_ext.texture.iuv_picture import people_of_iuv, read_instances
from projects_tests.texture.painted_people import example_with_people


def test_what_was_written_comes_back():
    picture, people = example_with_people(200, 3, people=3)
    people = People(people, picture.shape[:2])
    iuv, index = people.to_iuv(), people.to_index()
    again = People(people_of_iuv(iuv, index), people.size)
    np.testing.assert_array_equal(again.to_iuv(), iuv)
    assert len(again) == len(np.unique(index[index > 0]))
    assert [p.score for p in again] == sorted((p.score for p in again), reverse=True)
    assert again[0].score == 1
    # without the numbers: the same pixels, but for specks
    merged = People(people_of_iuv(iuv), people.size).to_iuv()
    assert (merged[..., 0] == iuv[..., 0]).mean() > 0.995


def test_apart_is_two_and_specks_are_none():
    iuv = np.zeros((40, 60, 3), np.uint8)
    iuv[5:25, 5:15, 0] = 3
    iuv[5:35, 30:50, 0] = 7
    iuv[38, 2, 0] = 1
    large, small = people_of_iuv(iuv)
    assert large.box.tolist() == [30, 5, 50, 35]
    assert small.box.tolist() == [5, 5, 15, 25]
    assert small.score == pytest.approx(1 / 3)
    assert (large.result.labels == 7).all()


def test_nobody():
    assert people_of_iuv(np.zeros((10, 10, 3), np.uint8)) == []


@pytest.mark.parametrize(
    ("iuv", "instances", "match"),
    [
        (np.full((9, 9, 3), 25, np.uint8), None, "part 25.*opposite order"),
        (np.zeros((9, 9), np.uint8), None, "shape"),
        (np.zeros((9, 9, 3), np.float32), None, "float32"),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((8, 9), np.uint8), "instances of shape"),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9)), "instances.*float64"),
    ],
)
def test_other_arrays_are_refused(iuv, instances, match):
    with pytest.raises(ValueError, match=match):
        people_of_iuv(iuv, instances)


def test_numbers_of_people_from_files(tmp_path):
    numbers = np.arange(12).reshape(3, 4)
    for dtype in (np.uint8, np.uint16):
        cv2.imwrite(str(tmp_path / "n.png"), (numbers * 20).astype(dtype))
        np.testing.assert_array_equal(read_instances(tmp_path / "n.png"), numbers * 20)
    cv2.imwrite(str(tmp_path / "colour.png"), np.zeros((3, 4, 3), np.uint8))
    for name in ("colour.png", "text.txt"):
        (tmp_path / "text.txt").write_text("1 2 3")
        with pytest.raises(ValueError, match=name):
            read_instances(tmp_path / name)
    with pytest.raises(OSError, match=r"missing\.png"):
        read_instances(tmp_path / "missing.png")
