"""Checks the vertices of an annotation file against the meshes that it names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

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


def vertex_problems(file: AnnotationFile) -> Iterator[str]:
    """A message for each mesh that is unknown, lacks vertices of people, or cannot be read."""
    for name, people in people_by_mesh(file).items():
        try:
            count = get_mesh(name).num_vertices
        except FileNotFoundError as error:
            yield f"{file.path}: dp_vertex of {len(people)} people is not checked: {error}"
            continue
        except ValueError as error:
            yield _unusable(file, people, f"ref_model = {name!r}: {error}")
            continue
        highest = [np.max(person["dp_vertex"], initial=0) for person in people]
        beyond = [k for k, vertex in enumerate(highest) if vertex >= count]
        if beyond:
            problem = f"dp_vertex has {highest[beyond[0]]}, expected 0 to {count - 1}, the vertices"
            yield _unusable(file, [people[k] for k in beyond], f"{problem} of {name}")


def _unusable(file: AnnotationFile, people: list[dict], problem: str) -> str:
    first = f"annotation {people[0]['id']} of image {people[0]['image_id']}"
    return f"{file.path}: {len(people)} dense poses cannot be used; the first is {first}: {problem}"
