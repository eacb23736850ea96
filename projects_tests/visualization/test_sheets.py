"""Legends, pictures side by side, and the text on them."""

import numpy as np
import pytest

from densepose_ext.visualization import (
    PART_COLOURS,
    draw_legend,
    part_colours,
    side_by_side,
    template_people,
)
from densepose_ext.visualization.text import text_mask, write_text


def has_colour(picture, rgb):
    return (picture == rgb[::-1]).all(2).any()


@pytest.mark.parametrize("palette", ["default", "colour-blind"])
def test_legend_of_parts_shows_all_colours(palette):
    picture = draw_legend(200, colours=palette)
    assert len(picture) == 200
    assert all(has_colour(picture, colour) for colour in part_colours(palette)[1:])
    assert (picture[:, [0, -1]] == 255).all()  # no name is cut


def test_legends_of_u_and_v():
    u, v = draw_legend(200, "u"), draw_legend(200, "v", "parula")
    assert u.shape == v.shape
    assert has_colour(u, (68, 1, 84))
    assert (u != v).any()
    with pytest.raises(ValueError, match="quantity 'iuv'"):
        draw_legend(200, "iuv")
    with pytest.raises(ValueError, match="height 20"):
        draw_legend(20)


def test_template_has_every_part_and_faces_the_reader():
    (front, back), size, light = template_people(300)
    assert light.shape == size
    front, back = front.result.labels.numpy(), back.result.labels.numpy()
    assert set(np.unique(np.stack([front, back]))) == set(range(25))

    def column(labels, part):
        return np.nonzero(labels == part)[1].mean()

    assert (front == 2).sum() > 10 * (front == 1).sum()  # torso front
    assert (back == 1).sum() > 10 * (back == 2).sum()
    assert column(front, 3) < column(front, 4)  # the right hand at the reader's left
    assert column(back, 3) > column(back, 4)


def test_side_by_side():
    rng = np.random.default_rng(0)
    wide, high, small = (
        rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in ((50, 100), (100, 50), (7, 3))
    )
    sheet = side_by_side([wide, high, small], ["wide", "high"], columns=2, height=100)
    assert sheet.dtype == np.uint8
    np.testing.assert_array_equal(sheet[8:108, 8 + 200 + 8 : 8 + 200 + 8 + 50], high)
    assert (sheet[108:130] < 100).any()  # captions
    single = side_by_side([high], height=100)
    np.testing.assert_array_equal(single[8:108, 8:58], high)
    assert single.shape == (116, 66, 3)
    cut = side_by_side([high], ["a caption far too long for it"], height=100)
    assert (cut[:, 58:] == 255).all()


def test_nonsense_is_refused():
    picture = np.zeros((5, 5, 3), np.uint8)
    with pytest.raises(ValueError, match="no pictures"):
        side_by_side([])
    with pytest.raises(ValueError, match="2 captions of 1 pictures"):
        side_by_side([picture], ["a", "b"])
    with pytest.raises(ValueError, match="0 columns"):
        side_by_side([picture], columns=0)
    with pytest.raises(ValueError, match="at least one pixel"):
        side_by_side([picture[:0]])


@pytest.mark.parametrize("at", [(-500, 0), (0, -500), (500, 500), (-3, -3), (0, 20)])
def test_text_beyond_the_border_is_cut(at):
    picture = np.zeros((20, 20, 3), np.uint8)
    write_text(picture, "Ж", at, 14, (255, 255, 255))
    assert picture.any() == (at == (-3, -3))


def test_text_of_other_scripts():
    assert text_mask("улица", 14).any()
    assert text_mask("ä", 14).any()
    assert text_mask("", 14).shape[1] == 1
    assert not np.array_equal(text_mask("Ж", 14), text_mask("Ω", 14))
    assert PART_COLOURS.shape == (25, 3)
