"""Annotations compared point by point, on a body whose distances are straight lines."""

import json

import numpy as np
import pytest

from densepose_ext.annotation import agreement
from densepose_ext.annotation.agreement import compare, placed_in_file, placed_in_project
from densepose_ext.commands.main import main
from densepose_ext.data.annotation_file import read_annotations
from projects_tests.annotation.small_project import OTHER, WHO, annotate_person, open_store, views
from projects_tests.tiny_dataset import make_dataset


class StraightSurface:
    """The open body with distances through its inside: no table needs to be computed."""

    name = "open"

    def closest_vertex(self, i, u, v):
        return views().body.surface.closest_vertex(i, u, v)

    def geodesic(self, a, b):
        places = views().body.places
        return np.linalg.norm(places[a] - places[b], axis=-1)


@pytest.fixture
def file(tmp_path):
    return make_dataset(tmp_path / "data", images=2)


def changed(file, change):
    """A copy of a file whose annotations a function has changed."""
    contents = json.loads(file.read_text())
    for person in contents["annotations"]:
        change(person)
    other = file.with_name("other.json")
    other.write_text(json.dumps(contents))
    return other


def placed(path):
    return placed_in_file(read_annotations(path))


def test_with_itself(file):
    found = compare(placed(file), placed(file), StraightSurface())
    assert found.people == 4
    assert (found.distance == 0).all()
    assert found.same_part.all()
    assert found.alone == 0
    assert [row["group"] for row in found.rows()][-1] == "all"


def test_known_distances(file):
    """Every point of the second file is at the crown of the head."""

    def change(person):
        count = len(person["dp_x"])
        person["dp_I"], person["dp_U"], person["dp_V"] = ([x] * count for x in (23, 0.5, 0.5))

    other = changed(file, change)
    found = compare(placed(file), placed(other), StraightSurface())
    [head] = set(StraightSurface().closest_vertex(*(np.array([x]) for x in (23, 0.5, 0.5))))
    expected = [
        np.linalg.norm(views().body.places[StraightSurface().closest_vertex(*iuv)]
                       - views().body.places[head], axis=1)
        for iuv in ((p.part, *p.uv.T) for p in placed(file))
    ]  # fmt: skip
    assert np.allclose(found.distance, np.concatenate(expected))
    rows = {row["group"]: row for row in found.rows()}
    assert rows["feet"]["mean"] > rows["head"]["mean"]
    assert rows["all"]["mean"] == pytest.approx(100 * found.distance.mean())
    assert rows["torso"]["same part"] == 0


def test_in_another_order_and_with_points_missing(file):
    def change(person):
        for key in ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V"):
            person[key] = person[key][::-1][3:]

    found = compare(placed(file), placed(changed(file, change)), StraightSurface())
    assert (found.distance < 1e-9).all()
    assert found.alone == 3 * found.people


def test_other_people(file):
    def change(person):
        person["bbox"] = [0, 0, 5, 5]

    with pytest.raises(ValueError, match="4 and 4 people with points, 0 of them matched"):
        compare(placed(file), placed(changed(file, change)), StraightSurface())


@pytest.mark.slow
def test_two_annotators_of_a_project(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "densepose_ext.surface.registry.get_surface", lambda name: StraightSurface()
    )
    store = open_store(tmp_path, annotators=2)
    person = annotate_person(store)
    store.release(person, WHO)
    store.lease(person, OTHER)
    first = store.project.people[person].answers[0]
    placed_by_first = [n for n, answer in first.items() if answer.part]
    for number in placed_by_first[:30]:
        view, at = first[number].view, first[number].at
        store.place(person, number, view, *at, OTHER)
    out = str(tmp_path / "annotations.json")
    plot = tmp_path / "agreement.png"
    assert main(["agreement", out, "--plot", str(plot)]) == 0  # while it is open
    text = capsys.readouterr().out
    assert "1 person" in text
    assert f"{len(placed_by_first) - 30} points by only one annotator" in text
    assert plot.read_bytes().startswith(b"\x89PNG")
    surface, layers = placed_in_project(out + ".log.jsonl")
    assert surface == "open"
    found = compare(*layers, StraightSurface())
    assert len(found.part) == 30
    assert found.distance.max() == 0
    store.close()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["missing.json"], "no such log of an annotation project"),
        (["missing.json", "missing.json", "--surface", "open"], "no such annotation file"),
        (["DATA", "DATA"], "--surface is required"),
    ],
)
def test_bad_input(file, capsys, arguments, error):
    arguments = [str(file) if word == "DATA" else word for word in arguments]
    assert main(["agreement", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert error in line


def test_plots_have_a_known_format(file, tmp_path):
    found = compare(placed(file), placed(file), StraightSurface())
    with pytest.raises(ValueError, match=r"plot\.xyz"):
        agreement.draw(found, tmp_path / "plot.xyz", "")
