"""The open surface: charts, round trips, mirror images, distances."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.surface import path_search, shortest_paths
from densepose_ext.surface.parts import FINE_MIRROR, FINE_TO_COARSE
from densepose_ext.surface.path_search import distances_from
from densepose_ext.surface.shortest_paths import distance_rows, path_graph
from densepose_ext.surface.surface import BodySurface

EXACT = Path(__file__).parent / "data" / "exact_geodesics.npz"


@pytest.fixture(scope="module")
def surface():
    return BodySurface.load()


def _random_points(surface, count, seed):
    rng = np.random.default_rng(seed)
    face = rng.integers(0, len(surface.body.faces), count)
    weight = rng.dirichlet([1, 1, 1], count)
    place = (surface.body.vertices[surface.body.faces[face]] * weight[..., None]).sum(1)
    return face, weight, place


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_charts_there_and_back(seed):
    surface = BodySurface.load()
    face, weight, place = _random_points(surface, 2000, seed)
    i, u, v = surface.iuv(face, weight)
    np.testing.assert_allclose(surface.points(i, u, v), place, atol=1e-6)
    nearest = surface.body.vertices[surface.closest_vertex(i, u, v)]
    assert np.linalg.norm(nearest - place, axis=1).max() < 0.05


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_mirror_is_exact_and_its_own_inverse(seed):
    surface = BodySurface.load()
    face, weight, place = _random_points(surface, 2000, seed)
    i, u, v = surface.iuv(face, weight)
    mirrored = surface.mirror(i, u, v)
    np.testing.assert_allclose(surface.points(*mirrored), place * [-1, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(mirrored[0], FINE_MIRROR[i])
    for before, after in zip((i, u, v), surface.mirror(*mirrored)):
        np.testing.assert_allclose(after, before, atol=1e-15)


@given(u=st.floats(0, 1), v=st.floats(0, 1), i=st.integers(1, 24), stay=st.floats(-0.01, 0.01))
@settings(max_examples=100, deadline=None)
def test_any_coordinates_have_a_place_on_the_body(u, v, i, stay):
    surface = BodySurface.load()
    face, weight = surface.charts.locate(np.array([i]), np.array([u + stay]), np.array([v]))
    assert surface.charts.face_part[face[0]] == i
    assert weight.min() >= -1e-8
    assert weight.sum() == pytest.approx(1)


def test_every_part_is_a_flat_disk_without_flips(surface):
    charts = surface.charts
    corner = charts.uv[charts.faces]
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    for part in range(1, 25):
        inside = charts.face_part == part
        assert (area[inside] > 0).all() or (area[inside] < 0).all(), part
        faces = charts.faces[inside]
        if part in (1, 2):  # the middle line is stored twice, 1 / 65535 apart
            _, merged = np.unique(charts.vertex, return_inverse=True)
            faces = merged[faces]
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
        distinct, count = np.unique(edges, axis=0, return_counts=True)
        assert len(np.unique(faces)) - len(distinct) + len(faces) == 1, part
        assert count.max() == 2
        border = distinct[count == 1]  # one closed line
        assert len(border) == len(np.unique(border))
    assert charts.uv.min() == 0
    assert charts.uv.max() == 1


def test_charts_do_not_overlap(surface):
    rng = np.random.default_rng(0)
    face = rng.integers(0, len(surface.body.faces), 50000)
    weight = rng.dirichlet([2, 2, 2], 50000)
    found, _ = surface.charts.locate(*surface.iuv(face, weight))
    assert (found == face).mean() > 0.9999


def test_charts_keep_lengths(surface):
    """Mean over the body of how much a chart, in metres, lengthens or shortens the surface."""
    charts, body = surface.charts, surface.body
    corner, flat = body.vertices[body.faces], charts.uv[charts.faces]
    edges, flat_edges = corner[:, 1:] - corner[:, :1], flat[:, 1:] - flat[:, :1]
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    # derivatives of the place by U and V, and how many metres U and V span in each part
    slope = np.linalg.inv(flat_edges) @ edges
    metric = slope @ slope.transpose(0, 2, 1)
    total = 0.0
    for part in range(1, 25):
        inside = charts.face_part == part
        span = np.sqrt(np.average(metric[inside][:, [0, 1], [0, 1]], 0, area[inside]))
        scaled = metric[inside] / span[:, None] / span
        # eigenvalues of the metric: squared stretch from the chart to the body
        stretch = np.sqrt(np.linalg.eigvalsh(scaled))
        total += (area[inside] * np.maximum(stretch[:, 1], 1 / stretch[:, 0])).sum()
    assert total / area.sum() < 1.06


def test_parts_are_where_their_names_say(surface):
    charts, body = surface.charts, surface.body
    centre = np.array(
        [
            body.vertices[body.faces[charts.face_part == p]].mean((0, 1)) if p else np.zeros(3)
            for p in range(25)
        ]
    )
    for p in (4, 5, 8, 10, 12, 14, 15, 17, 19, 21, 24):
        assert centre[p, 0] > 0.02, p
    for back, front in ((1, 2), (7, 9), (8, 10), (11, 13), (12, 14)):
        assert centre[back, 1] > centre[front, 1] + 0.03
    for outer, inner in ((18, 16), (22, 20)):
        assert centre[outer, 0] < centre[inner, 0] - 0.01
    height = {FINE_TO_COARSE[p]: centre[p, 2] for p in range(1, 25)}
    assert height[14] > height[1] > height[6] > height[8] > height[5]


def test_charts_run_as_on_the_official_body(surface):
    """Signs read off published outputs of the official model: how U, V change along the body."""
    body, charts = surface.body, surface.charts
    centre = body.vertices[body.faces].mean(1)
    uv = charts.uv[charts.faces].mean(1)
    x, y, z = 0, 1, 2
    for part, chart_axis, axis, sign in (
        (1, 0, z, -1), (1, 1, x, -1), (2, 0, z, -1), (2, 1, x, -1), (7, 0, z, -1), (7, 1, x, -1),
        (9, 0, z, 1), (9, 1, x, 1), (11, 0, z, 1), (11, 1, x, -1), (13, 0, z, -1),
        (13, 1, x, -1), (16, 0, z, -1), (18, 0, z, -1), (20, 0, z, 1), (22, 0, z, -1),
        (23, 0, y, -1), (23, 1, z, 1), (3, 1, z, -1), (24, 0, y, 1), (10, 1, x, -1),
    ):  # fmt: skip
        inside = charts.face_part == part
        correlation = np.corrcoef(uv[inside, chart_axis], centre[inside, axis])[0, 1]
        assert correlation * sign > 0.4, (part, "UV"[chart_axis], correlation)


def test_points_follow_a_posed_body(surface):
    face, weight, place = _random_points(surface, 500, 0)
    moved = surface.body.vertices * 1.1 + [1, 2, 3]
    np.testing.assert_allclose(
        surface.points(*surface.iuv(face, weight), moved), place * 1.1 + [1, 2, 3], atol=1e-6
    )


def test_bad_points_are_refused(surface):
    with pytest.raises(ValueError, match="parts from 0 to 25"):
        surface.closest_vertex(np.array([0, 25]), np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="finite"):
        surface.points(np.array([1]), np.array([np.nan]), np.array([0.5]))
    with pytest.raises(ValueError, match="expected 0 to 24"):
        surface.mirror(np.array([25]), np.zeros(1), np.zeros(1))
    assert surface.closest_vertex(*np.zeros((3, 0))).shape == (0,)


def test_geodesics_are_near_the_exact_ones(surface):
    exact = np.load(EXACT)
    graph = path_graph(surface.body.vertices, surface.body.faces)
    found = distances_from(graph, exact["source"].astype(int))[:, exact["target"]]
    true = exact["metres"]
    apart = true > 1e-6
    assert (np.abs(found - true)[apart] / true[apart]).mean() < 0.015


def _grid(side):
    """Vertices and faces of a flat square, mirrored about its diagonal, and the mirror map."""
    place = np.arange(float(side))
    vertices = np.stack([*np.meshgrid(place, place), np.zeros((side, side))], -1).reshape(-1, 3)
    a = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    b = a + side
    faces = np.concatenate([np.stack([a, a + 1, b + 1], 1), np.stack([a, b + 1, b], 1)])
    return vertices, faces, np.arange(side**2).reshape(side, side).T.ravel()


def test_geodesics_of_a_flat_grid_are_straight():
    rows = list(distance_rows(*_grid(8)))
    assert [len(r) for r in rows] == list(range(64))
    assert rows[63][0] == pytest.approx(7 * np.sqrt(2), rel=0.02)
    assert rows[9][2] == pytest.approx(np.sqrt(2), rel=0.02)  # the diagonal across an edge


@pytest.mark.parametrize("side", [8, 13])  # within a block of sources, and over several
def test_mirrored_geodesics_are_those_that_would_be_searched_for(side):
    vertices, faces, mirror = _grid(side)
    vertices[:, 2] = np.sin(vertices[:, 0]) * np.sin(vertices[:, 1])  # not the same everywhere
    searched = distances_from(path_graph(vertices, faces), np.arange(len(vertices)))
    for vertex, row in enumerate(distance_rows(vertices, faces, mirror)):
        assert row.dtype == np.float32
        np.testing.assert_allclose(row, searched[vertex, :vertex], rtol=1e-6)


def test_geodesics_of_several_processes_are_those_of_one(monkeypatch):
    monkeypatch.setattr(shortest_paths, "BLOCK", 4)  # some blocks have no sources
    vertices, faces, mirror = _grid(13)
    alone, together = (list(distance_rows(vertices, faces, mirror, n)) for n in (1, 2))
    for row, same in zip(alone, together, strict=True):
        np.testing.assert_array_equal(row, same)


def test_a_process_of_geodesics_that_dies_is_an_error(monkeypatch):
    program = [sys.executable, "-c", "import sys; sys.exit(3)"]
    monkeypatch.setattr(path_search, "command", lambda _: program)
    with pytest.raises(RuntimeError, match=r"geodesics died \(status 3\)"):
        list(distance_rows(*_grid(13), processes=2))


@pytest.mark.slow
def test_geodesic_table_is_built_once_and_mapped(surface, tmp_path, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path))
    fresh = BodySurface()
    exact = np.load(EXACT)
    a, b = exact["source"].astype(int)[:, None], exact["target"].astype(int)[None]
    np.testing.assert_allclose(fresh.geodesic(a, b), exact["metres"], atol=0.06)
    (file,) = tmp_path.glob("*.npy")
    assert file.stat().st_size < 400e6
