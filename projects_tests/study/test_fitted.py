"""Labels from fitted bodies."""

import copy
import json

import pytest

from densepose_ext.study import fitted
from densepose_ext.study.fitted import label_by_fits
from densepose_ext.study.label_error import fitted_error
from densepose_ext.synthetic.dataset import generate
from densepose_ext.synthetic.settings import Settings

pytestmark = pytest.mark.slow  # renders and fits


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    generate(folder, Settings(size=128, people=2, seed=3), {"train": 5})
    return folder / "densepose_train.json"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return tmp_path_factory.mktemp("labels") / "parts"


@pytest.fixture(scope="module")
def labelled(truth, parts):
    contents = json.loads(truth.read_bytes())
    contents["annotations"][0]["keypoints"][2::3] = [0] * 17
    label_by_fits(contents, parts)
    return contents


def with_points(people):
    return [person for person in people if "dp_x" in person]


def test_labels_are_mostly_right(truth, labelled, tmp_path):
    path = tmp_path / "fitted.json"
    path.write_text(json.dumps(labelled))
    error = fitted_error(path, truth)
    assert error.table["all"]["right_part"] > 0.5
    assert error.table["all"]["auc30"] > error.table["all"]["auc10"] > 0.3
    people = len(with_points(json.loads(truth.read_bytes())["annotations"]))
    assert f"of {people - 1} people (1 other without such labels)" in error.note
    assert sum(row["points"] for row in error.table.values()) == 2 * error.table["all"]["points"]


def test_points_keep_their_position_and_lie_in_the_mask(truth, labelled):
    old = {person["id"]: person for person in json.loads(truth.read_bytes())["annotations"]}
    for person in with_points(labelled["annotations"]):
        before = old[person["id"]]
        places = set(zip(before["dp_x"], before["dp_y"]))
        assert places.issuperset(zip(person["dp_x"], person["dp_y"]))
        assert {len(person[f"dp_{key}"]) for key in "xyIUV"} == {len(person["dp_x"])}
        assert 1 <= min(person["dp_I"]) <= max(person["dp_I"]) <= 24
        assert min(person["dp_U"] + person["dp_V"]) >= 0
        assert max(person["dp_U"] + person["dp_V"]) <= 1
        assert len(person["dp_masks"]) == 14
        assert any(person["dp_masks"])
        same = ("bbox", "segmentation", "keypoints", "area")
        assert all(person[key] == before[key] for key in same)


def test_without_enough_keypoints_there_are_no_points(labelled):
    person = labelled["annotations"][0]
    assert not [key for key in person if key.startswith("dp_")]
    assert "bbox" in person


def test_finished_batches_are_not_fitted_again(truth, labelled, parts, monkeypatch):
    def fitted_again(*args):
        raise AssertionError

    monkeypatch.setattr(fitted, "BodyFit", fitted_again)
    contents = json.loads(truth.read_bytes())
    contents["annotations"][0]["keypoints"][2::3] = [0] * 17
    label_by_fits(contents, parts)
    assert contents == labelled
    with pytest.raises(AssertionError):
        label_by_fits(json.loads(truth.read_bytes()), parts)


def test_nobody_with_enough_keypoints(truth, tmp_path):
    contents = json.loads(truth.read_bytes())
    for person in contents["annotations"]:
        person.pop("keypoints")
    before = copy.deepcopy(contents)
    with pytest.raises(ValueError, match=r"none of \d people with points has 6 labelled keypoints"):
        label_by_fits(contents, tmp_path)
    assert contents == before
