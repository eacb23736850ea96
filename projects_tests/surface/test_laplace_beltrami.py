"""Features of vertices: eigenfunctions of a surface whose eigenvalues are known."""

import numpy as np
import pytest

from densepose_ext.surface.laplace_beltrami import cotangent_matrices, laplace_beltrami
from projects_tests.tiny_meshes import sphere


def test_eigenvalues_of_a_sphere():
    """l (l + 1) / r^2, each 2 l + 1 times."""
    mesh = sphere(600)
    found = laplace_beltrami(mesh["vertices"], mesh["faces"], 9).astype(np.float64)
    stiffness, mass = cotangent_matrices(mesh["vertices"], mesh["faces"])
    values = (found * (stiffness @ found)).sum(0)
    np.testing.assert_allclose(values, [0, *[8] * 3, *[24] * 5], rtol=0.03, atol=1e-4)
    np.testing.assert_allclose(found.T @ (mass @ found), np.eye(9), atol=1e-5)


def test_features_do_not_depend_on_place_or_turn():
    mesh = sphere(100)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    moved = mesh["vertices"] @ turn + [1, 2, 3]
    first, again = (laplace_beltrami(v, mesh["faces"], 4) for v in (mesh["vertices"], moved))
    np.testing.assert_allclose(np.abs(first), np.abs(again), atol=1e-3)


@pytest.mark.parametrize("count", [0, 20, 21])
def test_as_many_features_as_vertices_are_refused(count):
    mesh = sphere(20)
    with pytest.raises(ValueError, match=f"{count} features of 20 vertices"):
        laplace_beltrami(mesh["vertices"], mesh["faces"], count)


def test_a_vertex_without_triangles_is_named():
    mesh = sphere(20)
    vertices = np.concatenate([mesh["vertices"], [[5, 5, 5]]])
    with pytest.raises(ValueError, match="vertex 20 is in no triangle"):
        laplace_beltrami(vertices, mesh["faces"], 3)
