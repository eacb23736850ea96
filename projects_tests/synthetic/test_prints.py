"""Clothes printed with photographs."""

import cv2
import numpy as np
import pytest
from PIL import Image

from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.prints import printed
from densepose_ext.synthetic.settings import Settings


@pytest.fixture
def photographs(tmp_path):
    rows = np.linspace(0, 255, 48).astype(np.uint8)[:, None, None]
    cv2.imwrite(str(tmp_path / "a.png"), np.broadcast_to(rows, (48, 64, 3)))
    return tmp_path


def test_cloth_is_a_function_of_the_place_and_seed(photographs):
    def colours(seed, places):
        plain = lambda p: np.full((len(p), 3), 90.0)  # noqa: E731
        return printed(np.random.default_rng(seed), photographs / "a.png", plain)(places)

    places = np.random.default_rng(0).uniform(-1, 1, (500, 3)).astype(np.float32)
    first = colours(1, places)
    assert first.shape == (500, 3)
    assert first.min() >= 0
    assert first.max() <= 255
    assert first.std() > 5
    np.testing.assert_array_equal(first, colours(1, places))
    np.testing.assert_array_equal(first[::-1], colours(1, places[::-1]))
    assert not np.array_equal(first, colours(2, places))


@pytest.mark.parametrize("size", [(1, 1), (300, 2)])
def test_photographs_of_any_size(tmp_path, size):
    Image.new("RGB", size, (200, 100, 50)).save(tmp_path / "small.png")
    cloth = printed(np.random.default_rng(0), tmp_path / "small.png", lambda places: places * 0)
    assert np.isfinite(cloth(np.zeros((5, 3)))).all()


def test_people_stay_where_they_are(photographs):
    common = {"size": 96, "people": 2, "backgrounds": str(photographs)}
    plain = make_example(Settings(**common), "train", 3)
    prints = make_example(Settings(**common, printed=True), "train", 3)
    assert [a["bbox"] for a in plain.annotations] == [a["bbox"] for a in prints.annotations]
    assert not np.array_equal(plain.image, prints.image)


def test_prints_need_photographs(tmp_path):
    with pytest.raises(ValueError, match="printed clothes need a folder of photographs"):
        Settings(printed=True)
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"bad\.png cannot be read"):
        printed(np.random.default_rng(0), tmp_path / "bad.png", lambda p: p)


def test_settings_without_prints_are_those_of_older_datasets():
    assert "printed" not in Settings().record()
