"""Fixtures of the evaluation's tests, built from grid_world."""

import json

import pytest

from projects_tests.evaluation.grid_world import GridSurface, truth_content


@pytest.fixture
def surface():
    return GridSurface()


@pytest.fixture
def write_truth(tmp_path):
    """Writes an annotation file of the given people and returns its path."""

    def write(people, **options):
        path = tmp_path / "truth.json"
        path.write_text(json.dumps(truth_content(people, **options)))
        return path

    return write
