"""From a surface point to a pixel of a view and back, and which view is shown."""

import pickle

import numpy as np
import pytest
from scipy.io import savemat

from densepose_ext.annotation.body import get_body
from densepose_ext.annotation.turning import turn_from_points, turn_from_regions
from densepose_ext.annotation.views import NUM_VIEWS, Views
from densepose_ext.data.rle import encode_part_masks
from densepose_ext.surface.parts import COARSE_PART_NAMES, FINE_TO_COARSE
from projects_tests.annotation.small_project import views

REGIONS = range(1, len(COARSE_PART_NAMES))


def seen_points(found: Views, region: int, count: int = 60):
    """Vertices of a region in its charts: I, U, V, place, and (view, x, y) where each is seen."""
    charts, body = found.body.charts, found.body
    own = np.flatnonzero(FINE_TO_COARSE[charts.part] == region)
    own = np.random.default_rng(region).choice(own, min(count, len(own)), replace=False)
    for k in own:
        iuv = charts.part[k], *charts.uv[k]
        places = [
            (n, x, y) for n, (x, y, is_seen) in enumerate(found.marks(region, *iuv)) if is_seen
        ]
        yield iuv, body.places[charts.vertex[k]], places


@pytest.mark.slow
@pytest.mark.parametrize("region", REGIONS)
def test_a_click_where_a_point_is_seen_is_that_point(region):
    found = views()
    pixel = 1 / found.of(region)[0].scale
    distances, unseen = [], 0
    for _, place, marks in seen_points(found, region):
        clicks = [found.click(region, *mark) for mark in marks]
        distances += [np.linalg.norm(c.place - place) for c in clicks if c is not None]
        unseen += not any(click is not None for click in clicks)
    # points on an outline are seen at a grazing angle, where a pixel is long
    assert np.median(distances) < 0.2 * pixel
    assert np.quantile(distances, 0.9) < 6 * pixel
    assert unseen <= 4  # behind ears, between toes, and on the border of the region


@pytest.mark.slow
def test_a_click_is_saved_without_loss():
    found = views()
    for region in (1, 2, 14):
        for view in range(NUM_VIEWS):
            row, column = np.nonzero(found.of(region)[view].face >= 0)
            for k in range(0, len(row), len(row) // 7):
                point = found.click(region, view, column[k] + 0.3, row[k] + 0.6)
                again = found.body.points(*(np.array([x]) for x in (point.part, point.u, point.v)))
                assert np.linalg.norm(again[0] - point.place) < 0.012
                assert FINE_TO_COARSE[point.part] == region
                vertex = found.body.mesh_places[point.vertex]
                assert np.linalg.norm(vertex - point.place) < 0.03


def test_beside_the_body_there_is_nothing():
    for x, y in ((0.5, 0.5), (-3, 10), (1e6, 10)):
        assert views().click(14, 0, x, y) is None


def test_the_first_view_is_from_the_front():
    left, right = (
        np.mean([x for iuv, *_ in seen_points(views(), 14) if iuv[0] == part
                 for x in [views().marks(14, *iuv)[0][0]]])
        for part in (24, 23)
    )  # fmt: skip
    assert right < left  # in the picture


class TestTurning:
    @staticmethod
    def seen(region: int, view: int, angle: float):
        """Pixels and places of vertices that a turned picture of a view shows."""
        body = views().body
        own = np.unique(body.faces[body.face_region == region])
        places = body.places[own[:: max(len(own) // 150, 1)]]
        pixels, is_seen = views().of(region)[view].project(places)
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        return pixels[is_seen] @ np.array([[cos, sin], [-sin, cos]]), places[is_seen]

    @pytest.mark.slow
    @pytest.mark.parametrize("region", [1, 2, 5, 7, 13, 14])
    def test_from_points(self, region):
        for view in range(NUM_VIEWS):
            pixels, places = self.seen(region, view, 40 * view - 90)
            if len(pixels) < 12:
                continue
            turn = turn_from_points(views().of(region), pixels, places)
            assert turn.best == view
            assert abs((turn.rolls[view] - (40 * view - 90) + 180) % 360 - 180) < 15

    def test_too_few_points(self):
        assert turn_from_points(views().of(14), np.zeros((2, 2)), np.zeros((2, 3))) is None
        assert turn_from_points(views().of(14), np.ones((9, 2)), np.eye(9)[:, :3]) is None

    @staticmethod
    def person(is_front: bool) -> list:
        """Regions of somebody upright, with the arms stretched out."""
        painted = np.zeros((256, 256), np.uint8)
        painted[60:150, 100:156] = 1
        painted[20:60, 110:146] = 14
        left = slice(156, 250) if is_front else slice(6, 100)
        right = slice(6, 100) if is_front else slice(156, 250)
        painted[60:90, left], painted[60:90, right] = 10, 11
        return encode_part_masks(painted)

    @pytest.mark.parametrize("is_front", [True, False])
    def test_from_regions(self, is_front):
        regions, box = self.person(is_front), [0, 0, 100, 100]
        torso = turn_from_regions(regions, box, 1)
        assert (torso.best, torso.rolls[0]) == (0 if is_front else 2, pytest.approx(0, abs=2))
        arm = turn_from_regions(regions, box, 10)
        # the upper end of the left arm, at the right of the picture, points to the left
        side = -1 if is_front else 1
        assert arm.rolls[0] == pytest.approx(90 * side, abs=25)

    def test_from_nothing(self):
        turn = turn_from_regions(None, [0, 0, 10, 10], 3)
        assert not turn.is_known
        assert turn.rolls == (0.0,) * NUM_VIEWS


class TestOfficialBody:
    """Files of the official form, made of the open body."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        own = views().body
        charts = own.charts
        u, v = charts.uv.T
        savemat(
            tmp_path / "UV_Processed.mat",
            {
                "All_Faces": charts.faces + 1,
                "All_FaceIndices": charts.face_part[:, None],
                "All_vertices": charts.vertex[None] + 1,
                "All_U_norm": u[:, None],
                "All_V_norm": v[:, None],
            },
        )
        x, y, z = own.places.T
        meshes = tmp_path / "meshes"
        meshes.mkdir()
        mesh = {"vertices": np.float32(np.stack([x, z, -y], 1)), "faces": np.int32(own.faces)}
        (meshes / "smpl_27554.pkl").write_bytes(pickle.dumps(mesh, 2))
        monkeypatch.setenv("DENSEPOSE_EXT_MESHES", str(meshes))
        return tmp_path

    @pytest.mark.slow
    def test_it_is_clicked_as_the_open_one(self, folder):
        official = get_body(folder)
        assert official.mesh == "smpl_27554"
        found, expected = (
            Views(body, side=100).click(14, 0, 50.3, 40.6) for body in (official, views().body)
        )
        assert (found.part, found.vertex) == (expected.part, expected.vertex)
        assert (found.u, found.v) == pytest.approx((expected.u, expected.v), abs=1e-4)

    def test_without_its_files(self, folder):
        (folder / "meshes" / "smpl_27554.pkl").unlink()
        with pytest.raises(FileNotFoundError, match=r"smpl_27554\.pkl"):
            get_body(folder)
        (folder / "UV_Processed.mat").unlink()
        with pytest.raises(FileNotFoundError, match="UV_Processed"):
            get_body(folder)
