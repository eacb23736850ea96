"""The evaluation, compared with the official evaluator's on every case folder."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from densepose_ext.evaluation.matching import MODES
from densepose_ext.evaluation.people import GroundTruth
from densepose_ext.evaluation.results import Results
from densepose_ext.evaluation.scorecard import Scorecard
from densepose_ext.surface.official import OfficialSurface
from projects_tests.reference import ROOT

FOLDER = Path(os.environ.get("DENSEPOSE_EXT_CONFORMANCE", ROOT.parent / "shared" / "conformance"))
CASES = sorted(path.parent for path in FOLDER.rglob("expected.json"))


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def run(case, surface=None):
    truth, results = GroundTruth(case / "gt.json"), Results.read(case / "results.json")
    card = Scorecard(truth, surface or OfficialSurface(case))
    for image in truth.images.values():
        card.add(image, results.detections(image))
    return card


@pytest.fixture(scope="module", params=CASES or [None], ids=lambda case: case and case.name)
def case(request):
    if request.param is None:
        pytest.skip(f"no case folders in {FOLDER}")
    return request.param


@pytest.fixture(scope="module")
def card(case):
    return run(case)


@pytest.fixture(scope="module")
def expected(case):
    return json.loads((case / "expected.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_metrics(card, expected, mode):
    assert card.metrics()[mode] == pytest.approx(expected["metrics"][mode], abs=1e-9, rel=0)


def test_similarities_of_all_pairs(card, expected):
    found = {
        str(scores.image_id): scores
        for scores in card.images()
        if len(scores.scores) and len(scores.areas)
    }
    assert found.keys() == expected["pairs"].keys()
    for image_id, pairs in expected["pairs"].items():
        for name, values in (
            ("gps", found[image_id].gps),
            ("mask_iou", found[image_id].mask_iou),
        ):
            np.testing.assert_allclose(values, pairs[name], rtol=0, atol=1e-6, err_msg=image_id)


@pytest.mark.slow
def test_the_order_of_images_does_not_matter(case, expected):
    truth, results = GroundTruth(case / "gt.json"), Results.read(case / "results.json")
    card = Scorecard(truth, OfficialSurface(case))
    for image in reversed(truth.images.values()):
        card.add(image, results.detections(image))
    for mode in MODES:
        assert card.metrics()[mode] == pytest.approx(expected["metrics"][mode], abs=1e-9, rel=0)


@pytest.mark.slow
@pytest.mark.parametrize("index_type", [np.uint16, np.int32])
def test_every_type_of_vertex_index(case, expected, tmp_path, index_type):
    """The index of a pair in the table exceeds the range of the vertices' 16-bit type."""
    for name in ("SMPL_subdiv.mat", "Pdist_matrix.pkl"):
        shutil.copy(case / name, tmp_path)
    name = "SMPL_SUBDIV_TRANSFORM.mat"
    index = loadmat(case / name)["index"]
    assert index.max() <= np.iinfo(index_type).max
    savemat(tmp_path / name, {"index": index.astype(index_type)})
    metrics = run(case, OfficialSurface(tmp_path)).metrics()
    for mode in MODES:
        assert metrics[mode] == pytest.approx(expected["metrics"][mode], abs=1e-9, rel=0)


def test_distances_of_the_pickle(case):
    with open(case / "Pdist_matrix.pkl", "rb") as stream:
        flat = pickle.load(stream, encoding="latin1")["Pdist_matrix"].ravel()
    assert OfficialSurface(case).geodesic(1, 0) == flat[0]
    assert OfficialSurface(case).geodesic(2, 3) == flat[5]
