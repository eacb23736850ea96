"""Features of the vertices of a mesh: eigenfunctions of its Laplace-Beltrami operator.

They are smooth on the surface, the first ones most, and do not change as the body bends. Cotangent
weights (Pinkall and Polthier, 1993), and a third of the area of its triangles for each vertex.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, eigsh, splu

from ..files.cache import build_once
from .meshes import get_mesh

#: Part of the name of every cache file; changes with what is in it.
FORMAT_VERSION = 1


def laplace_beltrami(vertices: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` eigenfunctions (n, count) float32, by rising eigenvalue.

    The first is constant. Each has norm 1 on the surface (its square integrates to 1), and its
    largest value is positive.

    Args:
        vertices: (n, 3).
        faces: (F, 3); each triangle has an area.

    Raises:
        ValueError: ``count`` is not from 1 to n - 1, or a vertex is in no triangle.
    """
    if not 1 <= count < len(vertices):
        raise ValueError(
            f"{count} features of {len(vertices)} vertices; expected 1 to {len(vertices) - 1}"
        )
    stiffness, mass = cotangent_matrices(vertices, faces)
    alone = np.flatnonzero(mass.diagonal() <= 0)
    if len(alone):
        raise ValueError(f"vertex {alone[0]} is in no triangle with an area")
    # The mass is diagonal, so that the symmetric matrix M^-1/2 K M^-1/2 has the same eigenvalues.
    # They are sought near a shift just below 0, where the inverse is largest; it is factorised as
    # symmetric positive definite, without pivots.
    scale = sp.diags_array(1 / np.sqrt(mass.diagonal()))
    symmetric = scale @ stiffness @ scale
    shift = -1e-2 / mass.diagonal().sum()
    factors = splu(
        (symmetric - shift * sp.eye_array(len(vertices))).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    inverse = LinearOperator(symmetric.shape, factors.solve, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=len(vertices))
    values, found = eigsh(symmetric, count, sigma=shift, which="LM", v0=start, OPinv=inverse)
    found = scale @ found[:, np.argsort(values)]
    largest = found[np.abs(found).argmax(0), np.arange(count)]
    return (found * np.sign(largest)).astype(np.float32)


def cotangent_matrices(
    vertices: np.ndarray, faces: np.ndarray
) -> tuple[sp.csc_array, sp.csc_array]:
    """Stiffness and (diagonal) mass, (n, n), of a mesh."""
    corners = vertices[faces].astype(np.float64)  # (F, 3, 3)
    rows, columns, weights = [], [], []
    for corner in range(3):
        a, b = (faces[:, (corner + step) % 3] for step in (1, 2))
        along, other = (corners[:, (corner + step) % 3] - corners[:, corner] for step in (1, 2))
        double_area = np.linalg.norm(np.cross(along, other), axis=1)
        cotangent = (along * other).sum(1) / np.maximum(double_area, 1e-18)
        rows += [a, b]
        columns += [b, a]
        weights += [cotangent / 2, cotangent / 2]
    num = len(vertices)
    shape = (num, num)
    weight = sp.coo_array(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=shape
    ).tocsc()
    stiffness = sp.diags_array(np.asarray(weight.sum(1)).ravel()) - weight
    areas = np.bincount(faces.ravel(), np.repeat(double_area / 2, 3), num) / 3
    return stiffness.tocsc(), sp.diags_array(areas).tocsc()


def mesh_features(name: str, count: int) -> np.ndarray:
    """:func:`laplace_beltrami` of a mesh of the catalogue, out of the cache the second time."""
    mesh = get_mesh(name)
    key = sha256(mesh.vertices.tobytes() + mesh.faces.tobytes()).hexdigest()[:16]

    def build(path: Path) -> None:
        with open(path, "wb") as stream:
            np.save(stream, laplace_beltrami(mesh.vertices, mesh.faces, count))

    file = build_once(f"laplace-beltrami-v{FORMAT_VERSION}-{name}-{count}-{key}.npy", build)
    return np.load(file, allow_pickle=False)
