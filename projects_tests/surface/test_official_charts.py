"""The flip of the official charts, rebuilt from the mesh; on the open body and on the real file."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from densepose_ext.surface.official import OfficialSurface
from densepose_ext.surface.official_charts import OfficialCharts, mesh_mirror
from densepose_ext.surface.parts import FINE_MIRROR
from densepose_ext.surface.surface import BodySurface

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("DENSEPOSE_EXT_REAL", ROOT.parent / "shared" / "real"))
UV_PROCESSED = REAL / "UV_Processed.mat"
real = pytest.mark.skipif(not UV_PROCESSED.is_file(), reason="needs the real UV_Processed.mat")


def _write(path, surface, **changes):
    """The open charts in the official file's form."""
    charts = surface.charts
    fields = {
        "All_Faces": charts.faces + 1,
        "All_FaceIndices": charts.face_part[:, None],
        "All_vertices": charts.vertex[None] + 1,
        "All_U_norm": charts.uv[:, :1],
        "All_V_norm": charts.uv[:, 1:],
    }
    fields.update(changes)
    savemat(path, {k: v for k, v in fields.items() if v is not None})
    return path


@pytest.fixture(scope="module")
def surface():
    return BodySurface.load()


def test_automorphism_of_the_open_body_is_its_mirror(surface, tmp_path):
    found = OfficialCharts(_write(tmp_path / "UV_Processed.mat", surface))
    np.testing.assert_array_equal(found.vertex_mirror, surface.body.vertex_mirror)
    rng = np.random.default_rng(0)
    face = rng.integers(0, len(surface.body.faces), 4000)
    i, u, v = surface.iuv(face, rng.dirichlet([1, 1, 1], 4000))
    for ours, theirs in zip(surface.mirror(i, u, v), found.mirror(i, u, v)):
        np.testing.assert_allclose(theirs, ours, atol=1e-4)  # 16-bit chart coordinates


@real
def test_flip_of_the_real_charts_is_an_involution():
    official = OfficialCharts(UV_PROCESSED)
    charts = official.charts
    rng = np.random.default_rng(0)
    face = rng.integers(0, len(charts.faces), 20000)
    i, u, v = charts.iuv(face, rng.dirichlet([1, 1, 1], 20000))
    flipped = official.mirror(i, u, v)
    np.testing.assert_array_equal(flipped[0], FINE_MIRROR[i])
    back = official.mirror(*flipped)
    np.testing.assert_array_equal(back[0], i)
    np.testing.assert_allclose(back[1], u, atol=1e-6)
    np.testing.assert_allclose(back[2], v, atol=1e-6)


@real
def test_flip_of_the_real_charts_fixes_the_middle_line():
    official = OfficialCharts(UV_PROCESSED)
    mirror = official.vertex_mirror
    np.testing.assert_array_equal(mirror[mirror], np.arange(6890))
    middle = np.flatnonzero(mirror == np.arange(6890))
    assert len(middle) == 134
    charts = official.charts
    torso = np.isin(charts.vertex, middle) & np.isin(charts.part, (1, 2))
    i, u, v = charts.part[torso], charts.uv[torso, 0], charts.uv[torso, 1]
    flipped = official.mirror(i, u, v)
    np.testing.assert_array_equal(flipped[0], i)
    np.testing.assert_allclose(flipped[1], u, atol=1e-6)
    np.testing.assert_allclose(flipped[2], v, atol=1e-6)


@real
def test_open_charts_run_the_way_of_the_official_ones(surface):
    """What a flip does to U and V of a part is the same, up to the charts' slight asymmetry."""
    official = OfficialCharts(UV_PROCESSED)
    rng = np.random.default_rng(0)
    face = rng.integers(0, len(official.charts.faces), 5000)
    i, u, v = official.charts.iuv(face, rng.dirichlet([1, 1, 1], 5000))
    for ours, theirs in zip(surface.mirror(i, u, v), official.mirror(i, u, v)):
        assert np.abs(ours - theirs).mean() < 0.02


def test_flip_tables_have_the_official_layout(surface, tmp_path):
    official = OfficialCharts(_write(tmp_path / "UV_Processed.mat", surface))
    flipped_u, flipped_v = official.flip_tables(32)
    assert flipped_u.shape == flipped_v.shape == (24, 32, 32)
    # torso back: V runs across the body and is counted backwards; U stays
    inside = official.charts.locate(np.array([1]), np.array([16 / 31]), np.array([10 / 31]))
    assert inside[1].min() > 0
    assert flipped_u[0, 10, 16] == pytest.approx(16 / 31, abs=1e-4)
    assert flipped_v[0, 10, 16] == pytest.approx(21 / 31, abs=1e-4)


def test_background_stays_background(surface, tmp_path):
    official = OfficialCharts(_write(tmp_path / "UV_Processed.mat", surface))
    i, u, v = official.mirror(np.array([0, 1]), np.array([0.0, 0.5]), np.array([0.0, 0.5]))
    np.testing.assert_array_equal(i, [0, 1])
    assert (u[0], v[0]) == (0, 0)


def test_files_that_do_not_fit_are_named(surface, tmp_path):
    path = tmp_path / "UV_Processed.mat"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"UV_Processed\.mat is not a readable MATLAB file"):
        OfficialCharts(path)
    _write(path, surface, All_U_norm=None)
    with pytest.raises(ValueError, match="lacks All_U_norm"):
        OfficialCharts(path)
    _write(path, surface, All_FaceIndices=np.full((len(surface.charts.faces), 1), 25))
    with pytest.raises(ValueError, match=r"outside 1\.\.24"):
        OfficialCharts(path)
    _write(path, surface, All_V_norm=np.zeros((3, 1)))
    with pytest.raises(ValueError, match="do not fit"):
        OfficialCharts(path)
    with pytest.raises(FileNotFoundError):
        OfficialCharts(tmp_path / "none.mat")


def test_mesh_without_symmetry_is_refused():
    tetrahedron = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    with pytest.raises(ValueError, match="no left/right symmetry"):
        mesh_mirror(tetrahedron, np.array([3, 3, 3, 4]))
    np.testing.assert_array_equal(
        tetrahedron.ravel()[mesh_mirror(tetrahedron, np.array([3, 1, 4, 2]))][[0, 2], 0], [0, 0]
    )


def test_a_folder_with_the_charts_alone_flips_and_places_points(surface, tmp_path):
    """The official surface falls back to the rebuilt flip; positions in space have to be given."""
    _write(tmp_path / "UV_Processed.mat", surface)
    official = OfficialSurface(tmp_path)
    rng = np.random.default_rng(0)
    face = rng.integers(0, len(surface.body.faces), 500)
    weights = rng.dirichlet([1, 1, 1], 500)
    i, u, v = official.iuv(face, weights)
    for ours, theirs in zip(surface.mirror(i, u, v), official.mirror(i, u, v)):
        np.testing.assert_allclose(theirs, ours, atol=1e-4)
    places = official.points(i, u, v, surface.body.vertices)
    expected = (surface.body.vertices[surface.body.faces[face]] * weights[..., None]).sum(1)
    np.testing.assert_allclose(places, expected, atol=1e-3)
    with pytest.raises(ValueError, match=r"give the vertices \(6890, 3\) of an SMPL body"):
        official.points(i, u, v)
    with pytest.raises(FileNotFoundError, match=r"Pdist_matrix\.pkl|SMPL_subdiv\.mat"):
        official.geodesic(np.zeros(1, int), np.zeros(1, int))
