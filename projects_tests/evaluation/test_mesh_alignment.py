"""Mesh alignment: key vertices of one mesh, found on another by their embeddings."""

import json

import numpy as np
import pytest

from densepose_ext.evaluation.mesh_alignment import (
    KEY_VERTICES_FILE,
    mesh_alignment,
    read_key_vertices,
)
from densepose_ext.surface.meshes import MESHES_VARIABLE
from projects_tests.tiny_meshes import write_mesh

KEYS = {"cat": {"nose": 0, "tail": 3}, "dog": {"nose": 4, "tail": 1, "ear": 2}}


@pytest.fixture
def meshes(tmp_path, monkeypatch):
    """Two spheres, which get their geodesics from files."""
    monkeypatch.setenv(MESHES_VARIABLE, str(tmp_path))
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path / "cache"))
    return {name: write_mesh(tmp_path, name, 6, seed) for seed, name in enumerate(KEYS)}


def embeddings(matches):
    """Embeddings of both meshes, where the cat's vertex k is like the dog's ``matches[k]``."""
    return {"cat": np.eye(6), "dog": np.eye(6)[np.argsort(matches)]}


def test_right_matches_have_no_error(meshes):
    found = mesh_alignment(embeddings([4, 0, 2, 1, 3, 5]), KEYS)
    assert [found[f"GE{mesh}"] for mesh in ("", "-cat", "-dog")] == pytest.approx([0] * 3, abs=1e-5)
    assert [found[f"GPS{mesh}"] for mesh in ("", "-cat", "-dog")] == pytest.approx([100] * 3)


def test_errors_are_distances_on_the_mesh_where_matches_are_sought(meshes):
    found = mesh_alignment(embeddings([0, 1, 2, 3, 4, 5]), KEYS)
    distance = np.array([meshes["dog"]["geodesics"][0, 4], meshes["dog"]["geodesics"][3, 1]])
    assert found["GE-cat"] == pytest.approx(100 * distance.mean(), rel=1e-6)
    similarity = np.exp(-(distance**2) / (2 * 0.255**2)).mean()
    assert found["GPS-cat"] == pytest.approx(100 * similarity, rel=1e-6)
    assert found["GE"] == pytest.approx((found["GE-cat"] + found["GE-dog"]) / 2)


def test_meshes_need_key_vertices_in_common(meshes):
    some = embeddings(range(6))
    with pytest.raises(ValueError, match="'cat' and 'dog' have no key vertices in common"):
        mesh_alignment(some, {"cat": {"nose": 0}, "dog": {"paw": 0}})
    with pytest.raises(ValueError, match="'cow' has no embedder or no key vertices; expected cat"):
        mesh_alignment(some, KEYS, ["cat", "cow"])
    assert mesh_alignment(some, KEYS, ["cat"]) == {}  # nothing to compare with


def test_key_vertices_are_beside_the_meshes(meshes, tmp_path, monkeypatch):
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv(MESHES_VARIABLE, str(tmp_path / "meshes"))
    with pytest.raises(FileNotFoundError, match=f"needs {KEY_VERTICES_FILE}, which is in none of"):
        read_key_vertices()
    file = tmp_path / KEY_VERTICES_FILE
    file.write_text(json.dumps(KEYS))
    assert read_key_vertices() == KEYS
    file.write_text(json.dumps({"cat": [1, 2]}))
    with pytest.raises(ValueError, match="does not name vertices of meshes"):
        read_key_vertices()
