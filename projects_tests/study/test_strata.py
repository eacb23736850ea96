"""Groups of people by what they wear."""

import json
from types import SimpleNamespace

import numpy as np

from densepose_ext.evaluation.people import AnnotatedPerson
from densepose_ext.study.strata import records_clothing, strata

WORN = {
    1: ["tight", "trousers", "cap"],
    2: ["loose", "short sleeves", "short skirt"],
    3: ["loose", "shorts", "helmet", "glasses"],
}


def card_of(annotations, folder):
    """A scorecard of one image."""
    path = folder / "annotations.json"
    path.write_text(json.dumps({"annotations": annotations}))
    zero = np.zeros(0)
    people = [
        AnnotatedPerson(
            one["id"], 1, None, np.array([0.0, 0, 9, 9]), 81.0, False, True, zero, zero,
            np.zeros(0, int), zero, zero,
        )
        for one in annotations
    ]  # fmt: skip
    truth = SimpleNamespace(source=path, people=lambda image: people)
    image = SimpleNamespace(image_id=0, category=1)
    return SimpleNamespace(truth=truth, images=lambda: [image])


def members(groups):
    return {name: np.flatnonzero(inside).tolist() for name, (inside,) in groups.items()}


def test_people_are_in_the_stratum_of_what_hides_them_most(tmp_path):
    people = [{"id": number, "clothing": words} for number, words in WORN.items()]
    found = strata(card_of([*people, {"id": 4}], tmp_path))
    clothing = {"tight": [0], "loose": [2], "short skirt": [1], "long skirt": []}
    assert members(found["clothing"]) == clothing
    assert members(found["headgear"]) == {"none": [1], "cap or beanie": [0], "helmet": [2]}
    assert sum(map(len, members(found["size"]).values())) == 4


def test_without_clothing_there_are_no_such_strata(tmp_path):
    people = [{"id": number} for number in WORN]
    assert list(strata(card_of(people, tmp_path))) == [
        "size", "occlusion", "truncation", "crowd", "view",
    ]  # fmt: skip
    assert not records_clothing(people)
