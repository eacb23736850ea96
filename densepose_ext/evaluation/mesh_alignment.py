"""Mesh alignment: how well the embeddings of two meshes agree, measured at named key vertices.

Neverova et al., Discovering Relationships between Object Categories via Universal Canonical Maps,
CVPR 2021, section 4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from ..surface.meshes import get_mesh, mesh_folder
from ..surface.official import OFFICIAL_URL, download_cache
from .gps import PAPER_KAPPA, point_similarity

KEY_VERTICES_FILE = "mesh_keyvertices_v0.json"


def read_key_vertices() -> dict[str, dict[str, int]]:
    """Mesh -> {name: vertex}, from the folder of meshes, its parent or Detectron2's download cache.

    Raises:
        FileNotFoundError: the file is in none of them.
        ValueError: it is of another kind.
    """
    places = [mesh_folder(), mesh_folder().parent, download_cache() / "cse"]
    for folder in places:
        path = folder / KEY_VERTICES_FILE
        if path.is_file():
            try:
                content = json.loads(path.read_bytes())
                return {m: {k: int(v) for k, v in keys.items()} for m, keys in content.items()}
            except (ValueError, TypeError, AttributeError) as error:
                raise ValueError(f"{path} does not name vertices of meshes: {error}") from error
    raise FileNotFoundError(
        f"mesh alignment needs {KEY_VERTICES_FILE}, which is in none of"
        f" {', '.join(map(str, places))}; it is at {OFFICIAL_URL}cse/{KEY_VERTICES_FILE}"
    )


def mesh_alignment(
    vertices: Mapping[str, np.ndarray],
    key_vertices: Mapping[str, Mapping[str, int]],
    names: Sequence[str] = (),
) -> dict[str, float]:
    """Geodesic errors (cm) and similarities (percent) of key vertices found by their embeddings.

    Args:
        vertices: mesh -> (n, D) embeddings of length 1.
        key_vertices: mesh -> {name: vertex}.
        names: of the meshes to compare; empty: all that have embeddings and key vertices.

    Returns:
        GE and GPS, and GE-NAME and GPS-NAME of each mesh: means over its key vertices, then over
        the other meshes; nothing for fewer than two meshes.

    Raises:
        ValueError: a mesh has no embeddings or no key vertices, or two have none in common.
    """
    for name in names:
        if name not in vertices or name not in key_vertices:
            raise ValueError(
                f"mesh {name!r} has no embedder or no key vertices; expected"
                f" {', '.join(sorted(vertices.keys() & key_vertices.keys()))}"
            )
    names = list(names) or [name for name in vertices if name in key_vertices]
    if len(names) < 2:
        return {}
    errors, similarities = {}, {}
    for first in names:
        pairs = [_distances(first, n, vertices, key_vertices) for n in names if n != first]
        errors[first] = float(np.mean([d.mean() for d in pairs])) * 100
        similar = [point_similarity(d, PAPER_KAPPA).mean() for d in pairs]
        similarities[first] = float(np.mean(similar)) * 100
    return {
        "GE": float(np.mean(list(errors.values()))),
        "GPS": float(np.mean(list(similarities.values()))),
        **{f"GE-{name}": value for name, value in errors.items()},
        **{f"GPS-{name}": value for name, value in similarities.items()},
    }


def _distances(
    first: str,
    second: str,
    vertices: Mapping[str, np.ndarray],
    key_vertices: Mapping[str, Mapping[str, int]],
) -> np.ndarray:
    """Distances on ``second`` between the matches of the key vertices of ``first`` and its own."""
    common = [key for key in key_vertices[first] if key in key_vertices[second]]
    if not common:
        raise ValueError(f"meshes {first!r} and {second!r} have no key vertices in common")
    from_, to = ([key_vertices[mesh][key] for key in common] for mesh in (first, second))
    found = (vertices[first][from_] @ vertices[second].T).argmax(1)
    return get_mesh(second).geodesic(found, np.array(to)).astype(np.float64)
