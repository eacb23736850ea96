"""The catalogue of meshes: the open body, official files, and what is wrong with files."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from densepose_ext.surface import meshes
from densepose_ext.surface.geodesic_matrix import GeodesicMatrix, cached_matrix, cached_matrix_of
from densepose_ext.surface.geodesics import cached_geodesics
from densepose_ext.surface.mesh_charts import mesh_charts
from densepose_ext.surface.meshes import OFFICIAL_MESHES, get_mesh, mesh_names, register_mesh
from densepose_ext.surface.registry import get_surface
from projects_tests.tiny_meshes import sphere, write_mesh


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_MESHES", str(tmp_path / "meshes"))
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "meshes"


def test_a_mesh_in_the_official_form(folder):
    expected = write_mesh(folder, "ball_40", 40)
    mesh = get_mesh("ball_40")
    assert "ball_40" in mesh_names()
    assert mesh.num_vertices == 40
    np.testing.assert_array_equal(mesh.vertices, expected["vertices"])
    np.testing.assert_array_equal(mesh.faces, expected["faces"])
    np.testing.assert_array_equal(mesh.symmetry, expected["symmetry"])
    np.testing.assert_array_equal(mesh.texture_coordinates, expected["texcoords"])
    np.testing.assert_array_equal(
        mesh.geodesic([[3], [0]], [5, 9]), expected["geodesics"][[[3], [0]], [5, 9]]
    )
    np.testing.assert_array_equal(mesh.geodesic_rows([7, 0, 7]), expected["geodesics"][[7, 0, 7]])


def test_the_open_body_is_a_mesh():
    mesh, surface = get_mesh("open"), get_surface("open")
    assert mesh.vertices.shape == (mesh.num_vertices, 3)
    np.testing.assert_array_equal(mesh.symmetry[mesh.symmetry], np.arange(mesh.num_vertices))
    # A vertex, its place in the charts, and the nearest vertex of that place are the same one.
    i, u, v = get_surface(mesh.surface).vertex_iuv
    assert i.min() >= 1
    np.testing.assert_array_equal(surface.closest_vertex(i, u, v), np.arange(mesh.num_vertices))
    assert mesh.texture_coordinates.min() >= 0
    assert mesh.texture_coordinates.max() < 1


def test_texture_coordinates_of_the_open_body_lie_in_the_tile_of_the_part():
    i, u, v = get_surface("open").vertex_iuv
    texture = get_mesh("open").texture_coordinates
    column, row = (texture[:, 0] * 4).astype(int), (texture[:, 1] * 6).astype(int)
    np.testing.assert_array_equal(column * 6 + row + 1, i)
    np.testing.assert_allclose(texture[:, 0] * 4 - column, u, atol=1e-3)
    np.testing.assert_allclose(texture[:, 1] * 6 - row, 1 - v, atol=1e-3)


def test_charts_of_meshes(folder, monkeypatch, caplog):
    write_mesh(folder, "uncharted_40", 40)
    assert mesh_charts("uncharted_40") is None
    assert mesh_charts("open") is get_surface("open").vertex_iuv
    chartless = SimpleNamespace(surface=str(folder))
    monkeypatch.setitem(meshes._factories, "chartless", lambda: chartless)
    assert mesh_charts("chartless") is mesh_charts("chartless") is None
    (record,) = caplog.records
    assert record.getMessage().startswith("no I, U, V of the vertices of chartless: ")


def test_unknown_names_list_those_there_are(folder):
    with pytest.raises(
        ValueError, match=r"no mesh 'smpl_1': known are open, smpl_27554.*smpl_1.pkl"
    ):
        get_mesh("smpl_1")
    assert set(OFFICIAL_MESHES) < set(mesh_names())


def test_a_file_that_is_missing_is_named_with_its_source(folder):
    write_mesh(folder, "dog_5002", 20)
    (folder / "symmetry/symmetry_dog_5002.pkl").unlink()
    mesh = get_mesh("dog_5002")
    with pytest.raises(FileNotFoundError, match=r"needs symmetry/symmetry_dog_5002.pkl, .*https"):
        _ = mesh.symmetry


@pytest.mark.parametrize(
    ("file", "content", "use", "message"),
    [
        (
            "geodists/geodists_",
            np.zeros((8, 8), "f4"),
            "geodesic",
            r"\(8, 8\), expected",
        ),
        ("geodists/geodists_", {"a": 1}, "geodesic", r"no array of numbers"),
        (
            "geodists/geodists_",
            np.full((20, 20), -1, "f4"),
            "geodesic",
            r"-1.0, expected metres",
        ),
        ("symmetry/symmetry_", {"vertex_transforms": np.arange(9)}, "symmetry", r"shape \(9,\)"),
        (
            "symmetry/symmetry_",
            {"vertex_transforms": np.arange(1, 21)},
            "symmetry",
            r"1 to 20",
        ),
        ("symmetry/symmetry_", print, "symmetry", r"it holds a builtins.print"),
        ("texcoords/texcoords_", np.full((20, 2), np.nan), "texture_coordinates", r"finite"),
        ("", {"vertices": np.zeros((3, 2))}, "vertices", r"shape \(3, 2\), expected .*'n', 3"),
        ("", {"faces": np.zeros((3, 3), int)}, "vertices", r"vertices is not an array"),
    ],
)
def test_files_that_cannot_be_used_are_named(folder, file, content, use, message):
    write_mesh(folder, "ball", 20)
    (folder / f"{file}ball.pkl").write_bytes(pickle.dumps(content))
    mesh = get_mesh("ball")
    with pytest.raises(ValueError, match=rf"ball.*{message}"):
        mesh.geodesic(0, 1) if use == "geodesic" else getattr(mesh, use)


def test_registered_meshes_have_names_of_their_own(folder):
    with pytest.raises(ValueError, match="a mesh 'open' is registered already"):
        register_mesh("open", lambda: None)


def test_the_square_of_a_triangle(tmp_path, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path))
    monkeypatch.setattr("densepose_ext.surface.geodesic_matrix._BLOCK", 7)
    full = sphere(30)["geodesics"]
    full = np.maximum(full, full.T)
    np.fill_diagonal(full, 0)
    table = cached_geodesics("ball", "key", 30, lambda: (full[n, :n] for n in range(30)))
    np.testing.assert_array_equal(cached_matrix_of("ball", table).rows(np.arange(30)), full)


def test_matrices_are_whole_or_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="5 distances, expected 3 x 3"):
        cached_matrix("ball", "short", 3, lambda: [np.zeros(5)])
    with pytest.raises(ValueError, match="expected 3 x 3"):
        cached_matrix("ball", "long", 3, lambda: [np.zeros(8), np.zeros(2)])
    matrix = cached_matrix("ball", "right", 3, lambda: [np.arange(9)])
    with pytest.raises(IndexError, match="0 to 2"):
        matrix.rows(np.array([3]))
    matrix.path.write_bytes(matrix.path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="not a matrix of geodesics"):
        GeodesicMatrix(matrix.path)
