"""Quantised files find the people of the file they are made from."""

import numpy as np
import pytest
import torch

from densepose_ext import DensePosePredictor, ExportedPredictor
from densepose_ext.commands.main import main
from densepose_ext.export import export_model, quantize_exported
from densepose_ext.export.int8 import agreement_of
from projects_tests.tiny_model import tiny_config, tiny_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module", autouse=True)
def _little_work():
    """The maps of random weights are noise, of which quantisation changes much."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "_SIDE": 160, "_CALIBRATION": range(2), "_CHECK": range(1), "AGREEMENT": 0.2,
        }.items():  # fmt: skip
            patch.setattr(f"densepose_ext.export.int8.{name}", value)
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("exported")
    torch.save({"model": tiny_model().state_dict()}, folder / "tiny.pth")
    cfg = tiny_config("TEST.DETECTIONS_PER_IMAGE", 20)
    export_model(DensePosePredictor(cfg, folder / "tiny.pth", "cpu"), folder, ["onnx"])
    return folder / "model.onnx"


@pytest.fixture(scope="module")
def quantized(model):
    path, agreement = quantize_exported(model)
    assert 0.2 < agreement < 1
    return path


@pytest.mark.slow
def test_most_people_are_the_same(model, quantized):
    assert quantized == model.with_name("model_int8.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (128, 160, 3), dtype=np.uint8)
    expected, found = ExportedPredictor(model)(picture), ExportedPredictor(quantized)(picture)
    assert abs(len(found) - len(expected)) <= 2
    boxes = np.array([person.box for person in expected])
    is_near = [np.abs(boxes - person.box).max(1).min() < 3 for person in found]
    assert np.mean(is_near) > 0.5  # random weights: the lowest scores are nearly equal


@pytest.mark.slow
def test_layers_are_quantized_but_the_last(quantized):
    graph = onnx.load(quantized).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    read = {
        node.name: [made_by.get(name) == "DequantizeLinear" for name in node.input[:2]]
        for node in graph.node
        if node.op_type in ("Conv", "ConvTranspose", "Gemm")
    }
    for name, of_8_bits in read.items():
        last = any(x in name for x in ("objectness_logits", "anchor_deltas", "predictor"))
        assert of_8_bits[1] != last, name
        assert last or of_8_bits[0], name
    for part in ("bottom_up", "box_head", "densepose_head"):
        assert any(part in name for name in read)


def _without_maps(exported: ExportedPredictor, path) -> None:
    model = onnx.load(exported.path)
    last = {name for n in model.graph.node if n.op_type == "ConvTranspose" for name in n.input[1:]}
    for values in model.graph.initializer:
        if values.name in last:
            zeros = np.zeros(tuple(values.dims), np.float32)
            values.CopyFrom(onnx.numpy_helper.from_array(zeros, values.name))
    onnx.save(model, path)


@pytest.mark.slow
def test_a_destroyed_model_is_not_kept(model, monkeypatch, tmp_path):
    for name in ("model.onnx", "model.json"):
        (tmp_path / name).write_bytes((model.parent / name).read_bytes())
    monkeypatch.setattr("densepose_ext.export.int8._quantize", _without_maps)
    with pytest.raises(ValueError, match=r"int8\.onnx has the part of model\.onnx on 0% of"):
        quantize_exported(tmp_path / "model.onnx")
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model.json"}


@pytest.mark.slow
def test_nobody_to_compare_on(model, monkeypatch):
    exported = ExportedPredictor(model)
    assert agreement_of(exported, exported) == 1
    monkeypatch.setattr("densepose_ext.export.int8._MIN_SCORE", 1.0)
    assert agreement_of(exported, exported) is None


@pytest.mark.parametrize("flags", [[], ["--format", "torchscript"], ["--what", "head"]])
def test_what_is_not_quantized(flags, tmp_path, capsys):
    # checked before the model, which here does not exist
    arguments = ["export", "--model", "nothing", "--out", str(tmp_path / "out"), "--int8"]
    if "--what" in flags:
        flags = [*flags, "--format", "onnx"]
    assert main([*arguments, *flags]) == 2
    assert "--int8 needs --format onnx and --what model" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_other_exported_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"model.ts: expected model.onnx"):
        quantize_exported(tmp_path / "model.ts")
