"""Pictures of I, U and V: what is wrong with them is said before training starts."""

import numpy as np
import pytest

from densepose_ext.surface.dense_target import (
    check_dense_target,
    dense_target_size,
    read_dense_target,
    write_dense_target,
)

BOX = [10.6, 20.2, 30.9, 40.1]


def picture(size=(40, 30)) -> np.ndarray:
    iuv = np.random.default_rng(0).integers(0, 25, (*size, 3), dtype=np.uint8)
    iuv[:, :, 1:] *= 10
    return iuv


@pytest.fixture
def person(tmp_path):
    path = tmp_path / "7_iuv.png"
    write_dense_target(path, picture())
    return {"id": 7, "bbox": BOX, "dp_iuv": str(path)}


def test_what_is_written_is_read(person):
    check_dense_target(person)
    np.testing.assert_array_equal(read_dense_target(person), picture())


def test_the_size_is_that_of_results():
    assert dense_target_size(BOX) == (40, 30)
    assert dense_target_size([0, 0, 0.4, 7.9]) == (7, 1)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def other_size(path):
    write_dense_target(path, picture((40, 31)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), r"annotation 7: dp_iuv = .*7_iuv\.png: there is no such file"),
        (truncate, r"annotation 7: dp_iuv = .*7_iuv\.png is truncated"),
        (lambda path: path.write_bytes(b""), r"annotation 7: .*7_iuv\.png is not a PNG"),
        (lambda path: path.write_bytes(b"GIF89a" * 9), r"annotation 7: .*png is not a PNG"),
        (other_size, r"7_iuv\.png has 31 x 40 pixels, expected 30 x 40, those of the box \[10\.6"),
    ],
)
def test_what_is_wrong(person, tmp_path, damage, message):
    damage(tmp_path / "7_iuv.png")
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        check_dense_target(person)
    if "has 31" in message:
        with pytest.raises(ValueError, match=message):
            read_dense_target(person)


def test_parts_that_are_none(person, tmp_path):
    write_dense_target(tmp_path / "7_iuv.png", picture() + 5)
    with pytest.raises(ValueError, match=r"annotation 7: .* has the part 29, expected 0 to 24"):
        read_dense_target(person)


def test_a_picture_damaged_inside(person, tmp_path):
    path = tmp_path / "7_iuv.png"
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes(len(content) - 60) + content[-20:])
    with pytest.raises(ValueError, match=r"annotation 7: .* cannot be read"):
        read_dense_target(person)
