"""Small meshes in the official format: spheres that are their own mirror images."""

import pickle
from pathlib import Path

import numpy as np
from scipy.spatial import ConvexHull


def sphere(num_vertices: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Vertices and faces of a sphere of radius .5, its geodesics, symmetry and texture coordinates.

    Vertex 2k + 1 is the mirror image of vertex 2k.
    """
    points = np.random.default_rng(seed).normal(size=(num_vertices // 2, 3))
    points[:, 0] = np.abs(points[:, 0])
    vertices = np.stack([points, points * [-1, 1, 1]], axis=1).reshape(-1, 3)
    vertices /= 2 * np.linalg.norm(vertices, axis=1, keepdims=True)
    faces = ConvexHull(vertices).simplices
    a, b, c = vertices[faces.T]
    inward = (np.cross(b - a, c - a) * a).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return {
        "vertices": vertices.astype(np.float32),
        "faces": faces.astype(np.int64),
        "geodesics": (0.5 * np.arccos(np.clip(4 * vertices @ vertices.T, -1, 1))).astype("f4"),
        "symmetry": np.arange(num_vertices) ^ 1,
        "texcoords": (vertices[:, 1:] + 0.5).astype(np.float32),
    }


def write_mesh(folder: Path, name: str, num_vertices: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Writes the four files of a mesh below ``folder``, as the official project has them."""
    mesh = sphere(num_vertices, seed)
    for path, content in {
        f"{name}.pkl": {key: mesh[key] for key in ("vertices", "faces")},
        f"geodists/geodists_{name}.pkl": mesh["geodesics"],
        f"symmetry/symmetry_{name}.pkl": {"vertex_transforms": mesh["symmetry"]},
        f"texcoords/texcoords_{name}.pkl": mesh["texcoords"],
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(pickle.dumps(content, protocol=2))
    return mesh
