"""Checks the vertices of an annotation file against the meshes that it names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..processes.messages import counted
from ..surface.meshes import get_mesh
from .annotation_file import AnnotationFile
from .annotations import has_densepose


def people_by_mesh(file: AnnotationFile) -> dict[str, list[dict]]:
    """The people with vertices, by ``ref_model``, sorted by name."""
    found: dict[str, list[dict]] = {}
    for person in file.people:
        if has_densepose(person, by_vertices=True):
            found.setdefault(person["ref_model"], []).append(person)
    return dict(sorted(found.items()))


def vertex_problems(path: str, by_mesh: dict[str, list[dict]]) -> Iterator[str]:
    """A message for each mesh that is unknown, lacks vertices of people, or cannot be read.

    Args:
        path: of the annotation file, for the messages.
        by_mesh: as of :func:`people_by_mesh`.
    """
    for name, people in by_mesh.items():
        try:
            count = get_mesh(name).num_vertices
        except FileNotFoundError as error:
            yield f"{path}: dp_vertex of {counted(len(people), 'person')} is not checked: {error}"
            continue
        except ValueError as error:
            yield _unusable(path, people, f"ref_model = {name!r}: {error}")
            continue
        highest = [np.max(person["dp_vertex"], initial=0) for person in people]
        beyond = [k for k, vertex in enumerate(highest) if vertex >= count]
        if beyond:
            problem = f"dp_vertex has {highest[beyond[0]]}, expected 0 to {count - 1}, the vertices"
            yield _unusable(path, [people[k] for k in beyond], f"{problem} of {name}")


def _unusable(path: str, people: list[dict], problem: str) -> str:
    first = f"annotation {people[0]['id']} of image {people[0]['image_id']}"
    count = counted(len(people), "dense pose")
    return f"{path}: {count} cannot be used; the first is {first}: {problem}"
