"""Lines of constant U and V where they belong."""

import numpy as np
import torch

from densepose_ext.visualization import draw_contours
from densepose_ext.visualization.contours import INTERVALS, SHADE
from projects_tests.visualization.people import flat_person

WHITE = np.full((120, 220, 3), 255, np.uint8)


def ramp(width=200, height=100, part=2, score=1.0, corner=(10, 10)):
    """U rises with the columns from 0 to 1, V stays between two lines."""
    x, y = corner
    person = flat_person((x, y, x + width, y + height), part, v=0.55, score=score)
    person.result.uv[0] = (torch.arange(width) + 0.5) / width
    return person


def lines_at(picture):
    """Columns, of a picture drawn on white, that are darkest among their neighbours."""
    shade = 255 * (1 - SHADE)
    difference = np.abs(picture.astype(float) - shade).sum(2).mean(0)
    inside = difference[1:-1]
    peak = (inside > 60) & (inside >= difference[:-2]) & (inside > difference[2:])
    return np.flatnonzero(peak) + 1


def test_lines_are_evenly_spaced():
    drawn = draw_contours(WHITE, [ramp()])[11:109, 11:209]
    expected = 200 * np.arange(1, INTERVALS) / INTERVALS - 1.5
    np.testing.assert_allclose(lines_at(drawn), expected, atol=1)
    # straight, and of one value of V, which lies on no line
    assert (drawn == drawn[:1]).all()


def test_v_lines_are_the_same_turned():
    person = ramp(90, 90)
    across = draw_contours(WHITE, [person])[10:100, 10:100]
    person.result.uv = person.result.uv.flip(0).transpose(1, 2).contiguous()
    along = draw_contours(WHITE, [person])[10:100, 10:100]
    np.testing.assert_allclose(along, across.transpose(1, 0, 2), atol=1)


def test_chart_seams_are_no_lines():
    person = flat_person((10, 10, 110, 60), part=3, u=0.05, v=0.55)
    person.result.labels[:, 50:] = 4
    person.result.uv[0, :, 50:] = 0.95
    drawn = draw_contours(WHITE, [person])[10:60, 10:110]
    assert (drawn == drawn[0, 0]).all()


def test_seams_between_people_are_no_lines():
    left = flat_person((10, 10, 60, 60), part=3, u=0.05, v=0.55)
    right = flat_person((60, 10, 110, 60), part=3, u=0.95, v=0.55)
    drawn = draw_contours(WHITE, [left, right])[10:60, 10:110]
    assert (drawn == drawn[0, 0]).all()


def test_no_line_in_a_flat_chart_between_lines():
    drawn = draw_contours(WHITE, [flat_person((10, 10, 60, 60), u=0.55, v=0.35)])
    assert (drawn[10:60, 10:60] == drawn[30, 30]).all()


def test_small_bodies_have_fewer_lines():
    assert len(lines_at(draw_contours(WHITE, [ramp(42)])[20:90, 11:51])) == 4  # .2, .4, .6, .8
    tiny = draw_contours(WHITE, [ramp(18)])[20:90, 10:28]
    assert (tiny == tiny[0, 0]).all()


def test_higher_score_hides_lines():
    top = flat_person((10, 10, 110, 110), 1, u=0.55, v=0.55, score=0.9)
    drawn = draw_contours(WHITE, [ramp(100, 100, score=0.2), top])
    np.testing.assert_array_equal(drawn, draw_contours(WHITE, [top]))
