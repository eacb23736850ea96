"""Compiled models give the results of the models that they were; shapes are few."""

import copy
import importlib.util
import shutil

import pytest
import torch
from torch._dynamo.utils import counters
from torch.nn import functional as F

from densepose_ext.modeling import compiled
from densepose_ext.modeling.compiled import (
    MOST_SHAPES,
    CompiledPart,
    compile_model,
    pictures,
    power_of_two,
)
from densepose_ext.modeling.test_time_augmentation import DensePoseRCNNWithTTA
from densepose_ext.prediction.opening import open_predictor
from projects_tests.tiny_model import CONFIG, picture, tiny_config, tiny_model

HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
#: Many parts in one model: two stages, a decoder, refined boxes, confidences.
ALL = (
    "MODEL.DENSEPOSE_CASCADE.STAGES", 2, "MODEL.DENSEPOSE_CASCADE.TASKS", ("densepose",),
    "MODEL.ROI_BOX_HEAD.REFINEMENTS", 1, HEAD + "NAME", "DensePoseDeepLabHead",
    HEAD + "SEGM_CONFIDENCE.ENABLED", True, "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_compiled_yet():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def part(rows=power_of_two, function=lambda x: {"double": [2 * x]}) -> CompiledPart:
    return CompiledPart(function, rows, "eager")


def outputs(model, pictures_of_batch):
    with torch.inference_mode():
        return [output["instances"] for output in model(pictures_of_batch)]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert len(one) == len(other) > 0
        assert torch.allclose(one.pred_boxes.tensor, other.pred_boxes.tensor, atol=1e-4)
        for (_, maps), (_, others) in zip(one.pred_densepose.items(), other.pred_densepose.items()):
            assert torch.allclose(maps, others, atol=1e-4)


@pytest.mark.slow
def test_a_compiled_model_gives_the_same_results():
    model = tiny_model(*ALL)
    plain = copy.deepcopy(model)
    names = list(model.state_dict())
    compile_model(model, "eager")
    assert list(model.state_dict()) == names
    both = [picture(seed=1), picture(seed=2)]
    for batch in (both, both[:1]):
        assert_same(outputs(model, batch), outputs(plain, batch))
    parts = counters["frames"]["ok"]
    assert parts > 8
    assert not counters["graph_break"]
    # The smaller batch is padded to the larger one, so nothing was compiled for it but heads.
    assert len(model.backbone.forward._compiled) == 1


@pytest.mark.slow
def test_a_compiled_model_is_averaged_over_versions():
    cfg = tiny_config("TEST.AUG.ENABLED", True, "TEST.AUG.MIN_SIZES", (96,), "TEST.AUG.FLIP", False)
    model = tiny_model("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0)
    plain = copy.deepcopy(model)
    compile_model(model, "eager")
    averaged = [outputs(DensePoseRCNNWithTTA(cfg, m).eval(), [picture()]) for m in (model, plain)]
    assert_same(*averaged)


def test_rows_are_padded_and_cut():
    doubled, plain = part(), torch.arange(21.0).view(7, 3)
    with torch.no_grad():
        for rows in (7, 5, 8, 1, 0):
            (found,) = doubled(plain[:rows])["double"]
            assert torch.equal(found, 2 * plain[:rows])
    (known,) = doubled._compiled.values()
    assert sorted(known) == [1, 8]


def test_a_smaller_batch_is_padded_to_a_known_one():
    assert [pictures(3, known) for known in ([], [8, 4], [2])] == [3, 4, 3]
    doubled = part(pictures)
    with torch.no_grad():
        for rows in (4, 2, 4):
            assert len(doubled(torch.zeros(rows, 5))["double"][0]) == rows
    assert [list(known) for known in doubled._compiled.values()] == [[4]]


def test_gradients_pass_through():
    layer = torch.nn.Linear(3, 3)
    run = CompiledPart(layer.forward, power_of_two, "eager")
    run(torch.ones(3, 3)).sum().backward()
    assert layer.weight.grad is not None
    assert not run._compiled


def test_further_sizes_run_without_compilation(monkeypatch, caplog):
    compiled._warn_of_shapes.cache_clear()
    monkeypatch.setattr(compiled, "MOST_SHAPES", 2)
    shrunk = CompiledPart(lambda x: F.avg_pool2d(x, 2), pictures, "eager")
    with torch.no_grad():
        for side in (4, 6, 8, 10, 4):
            assert shrunk(torch.ones(1, 1, side, side)).shape[-1] == side // 2
    assert len(shrunk._compiled) == 2
    assert len([r for r in caplog.records if "more than 2 sizes" in r.message]) == 1
    assert MOST_SHAPES > 8  # numbers of RoIs up to 128


def test_copies_compile_their_own_modules():
    layer = torch.nn.Linear(2, 2)
    layer.forward = CompiledPart(layer.forward, power_of_two, "eager")
    with torch.no_grad():
        first = layer(torch.ones(1, 2))
        other = copy.deepcopy(layer)
        other.bias += 1
        assert torch.allclose(other(torch.ones(1, 2)), first + 1)
        assert torch.equal(layer(torch.ones(1, 2)), first)


def test_no_compiler_is_said_in_one_line(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ValueError, match=r"needs a C\+\+ compiler, and there is no \S+; CXX may"):
        compile_model(tiny_model())


def test_what_a_gpu_needs_is_said_in_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="needs Triton on a GPU"):
        compiled._check_compiler(on_gpu=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ValueError, match="a C compiler, and there is no cc or gcc or clang; CC"):
        compiled._check_compiler(on_gpu=True)


def test_predictors_pass_it_on(tmp_path, monkeypatch):
    torch.save({"model": tiny_model().state_dict()}, tmp_path / "tiny.pth")
    given = []
    monkeypatch.setattr("densepose_ext.prediction.predictor.compile_model", given.append)
    predictor = open_predictor(CONFIG, str(tmp_path / "tiny.pth"), "cpu", compile=True)
    assert given == [predictor.model]
    open_predictor(CONFIG, str(tmp_path / "tiny.pth"), "cpu")
    assert len(given) == 1
