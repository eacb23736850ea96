"""Simulated annotators: mistakes of the size they are set to, through the store."""

import numpy as np
import pytest

from densepose_ext.annotation.agreement import compare, placed_in_project
from densepose_ext.annotation.simulated import SimulatedAnnotator
from densepose_ext.annotation.store import LOG_SUFFIX
from densepose_ext.study import annotation as study
from densepose_ext.study.run import run_study
from projects_tests.annotation.small_project import WHO, open_store, regions, true_iuv, truth, views
from projects_tests.annotation.test_agreement import StraightSurface

pytestmark = pytest.mark.slow


@pytest.fixture
def straight(monkeypatch):
    """Distances through the body, which need no table."""
    surface = views().body.surface
    monkeypatch.setattr(type(surface), "geodesic", StraightSurface.geodesic)
    return surface


def errors_of(annotator, region: int, part: int, count: int = 150) -> np.ndarray:
    """Distances of clicks from true points of a part, metres."""
    charts, body = views().body.charts, views().body
    own = np.flatnonzero(charts.part == part)
    own = np.random.default_rng(0).choice(own, count)
    errors = []
    for k in own:
        click = annotator.click(region, part, *charts.uv[k])
        if click is not None:
            found = views().click(region, *click).place
            errors.append(np.linalg.norm(found - body.places[charts.vertex[k]]))
    return np.array(errors)


def test_mistakes_have_the_papers_sizes(straight):
    annotator = SimulatedAnnotator(views(), np.random.default_rng(0), WHO)
    torso, hand = errors_of(annotator, 1, 2), errors_of(annotator, 2, 3)
    assert 0.05 < torso.mean() < 0.09
    assert 0.013 < hand.mean() < 0.027


def test_without_mistakes(straight):
    annotator = SimulatedAnnotator(views(), np.random.default_rng(0), WHO, scale=0)
    assert np.median(errors_of(annotator, 1, 2)) < 0.001


def test_a_whole_person(straight, tmp_path):
    store = open_store(tmp_path)
    person = store.add_person(1, truth()["bbox"], WHO).id
    store.lease(person, WHO)
    store.paint(person, regions(), WHO)
    store.finish_regions(person, WHO)
    SimulatedAnnotator(views(), np.random.default_rng(0), WHO).place_points(store, person, true_iuv)
    assert store.project.people[person].stage == "review"
    store.close()
    _, [placed] = placed_in_project(f"{tmp_path / 'annotations.json'}{LOG_SUFFIX}")
    assert len(placed[0].part) > 60
    assert compare(placed, placed, straight).distance.max() == 0


def test_the_study(straight, tmp_path, monkeypatch):
    monkeypatch.setitem(study.SIZES, "quick", (1, 3))
    monkeypatch.setattr(study, "SIZE", 128)
    page = run_study("annotation", "quick", tmp_path)
    text = page.read_text()
    assert "Error by group of parts" in text
    files = {path.name for path in page.parent.iterdir()}
    assert files == {"index.html", "study.json", "table.txt", "plot.png", "body.png", "people"}
    before = page.stat().st_mtime_ns
    assert run_study("annotation", "quick", tmp_path).stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="takes only --budget and --out"):
        run_study("annotation", "quick", tmp_path, seeds=2)
