"""The body from the front and from the back, to scale."""

import numpy as np
import pytest

from densepose_ext.surface.parts import FINE_PART_NAMES
from densepose_ext.surface.rest_pose_views import rest_pose_views
from densepose_ext.surface.surface import BodySurface


@pytest.fixture(scope="module")
def views():
    return list(rest_pose_views((200, 180), scale=100.0))


def test_front_then_back(views):
    surface = BodySurface.load()
    torso = [FINE_PART_NAMES.index(f"torso {side}") for side in ("front", "back")]
    for (seen, _), shown, hidden in zip(views, torso, torso[::-1]):
        parts = surface.charts.face_part[seen.face[seen.hit]]
        assert (parts == shown).sum() > 10 * (parts == hidden).sum()


def test_the_body_is_in_the_middle_and_to_scale(views):
    height, width = np.ptp(BodySurface.load().body.vertices[:, [2, 0]], axis=0)
    for seen, _ in views:
        rows, columns = np.nonzero(seen.hit)
        assert np.ptp(rows) + 1 == pytest.approx(100 * height, rel=0.02)
        assert np.ptp(columns) + 1 == pytest.approx(100 * width, rel=0.02)
        assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(100, abs=1.5)
        assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(90, abs=1.5)


def test_the_chest_faces_the_camera_and_outlines_do_not(views):
    for seen, facing in views:
        assert facing.shape == (seen.hit.sum(),)
        assert facing.min() >= 0
        assert 0.99 < facing.max() <= 1
        picture = np.zeros(seen.hit.shape)
        picture[seen.hit] = facing
        outline = seen.hit & ~np.roll(seen.hit, 1, axis=1)
        assert picture[outline].mean() < 0.6 < picture[seen.hit].mean()
