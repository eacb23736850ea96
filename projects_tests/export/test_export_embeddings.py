"""Exported CSE models find the people and vertices that the model finds."""

import json

import cv2
import numpy as np
import pytest
import torch

from densepose_ext import DensePosePredictor, ExportedPredictor, densepose_results
from densepose_ext.export import export_model, quantize_exported
from densepose_ext.export.check import run_exported
from densepose_ext.export.vertex_decoder import VertexDecoder
from densepose_ext.structures import DensePoseEmbeddingOutput, MeshesOfPeople
from projects_tests.export.exported import run_example
from projects_tests.reference import ROOT
from projects_tests.tiny_model import tiny_config, tiny_model

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow

HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
EMBEDDERS = {
    name: {"TYPE": "vertex_direct", "NUM_VERTICES": count}
    for name, count in (("ball", 20), ("cube", 30))
}
OVERRIDES = [
    *(HEAD + "PREDICTOR_NAME", "DensePoseEmbeddingPredictor"),
    *(HEAD + "LOSS_NAME", "DensePoseCseLoss", HEAD + "CSE.EMBEDDERS", EMBEDDERS),
    *("DATASETS.CLASS_TO_MESH_NAME_MAPPING", {"0": "cube"}, "DENSEPOSE_EVALUATION.TYPE", "cse"),
]


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    model = tiny_model(*OVERRIDES)
    for embedder in model.roi_heads.embedder.children():
        torch.nn.init.normal_(embedder.embeddings)
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save({"model": model.state_dict()}, path)
    return DensePosePredictor(tiny_config(*OVERRIDES), path, "cpu", min_score=0.05)


@pytest.fixture(scope="module")
def folder(predictor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    differences = export_model(predictor, folder, ("torchscript", "onnx"))
    assert len(differences) == 4
    assert max(differences.values()) < 1e-3
    return folder


def test_the_description_names_the_meshes(folder):
    described = json.loads((folder / "model.json").read_text())
    assert described["meshes"] == {"ball": 20, "cube": 30}
    outputs = ["boxes", "scores", "mesh", "coarse_segm", "embedding"]
    assert described["networks"]["model"]["outputs"] == outputs
    decoder = described["networks"]["decoder"]
    assert list(decoder["inputs"]) == ["coarse_segm", "embedding", "boxes", "mesh"]
    assert decoder["outputs"] == ["labels", "vertices", "sizes"]


@pytest.mark.parametrize("ending", [".ts", ".onnx"])
def test_an_exported_predictor_finds_the_same(predictor, folder, ending):
    picture = noise(128, 160)
    expected, found = predictor(picture), ExportedPredictor(folder / f"model{ending}")(picture)
    assert len(found) == len(expected) > 0
    for person, other in zip(found, expected):
        np.testing.assert_allclose(person.box, other.box, atol=0.01)
        assert person.result.mesh == other.result.mesh == "cube"
        if person.result.vertices.shape == other.result.vertices.shape:
            assert (person.result.vertices == other.result.vertices).float().mean() > 0.99


def test_in_8_bits_it_finds_the_same_people(folder, monkeypatch):
    monkeypatch.setattr("densepose_ext.export.int8._SIDE", 128)
    monkeypatch.setattr("densepose_ext.export.int8._CALIBRATION", range(1))
    monkeypatch.setattr("densepose_ext.export.int8._CHECK", range(0))
    path, _ = quantize_exported(folder / "model.onnx")
    expected, found = (ExportedPredictor(p)(noise(128, 160)) for p in (folder, path))
    assert len(found) == len(expected) > 0
    assert {person.result.mesh for person in found} == {"cube"}


@pytest.mark.parametrize("ending", ["", ".ts", ".onnx"])
def test_the_decoder_is_that_of_results(predictor, folder, ending):
    torch.manual_seed(1)
    corners = 60 * torch.rand(3, 2)
    boxes = torch.cat([corners, corners + 45 * torch.rand(3, 2)], 1)
    inputs = {
        "coarse_segm": torch.randn(3, 2, 112, 112),
        "embedding": torch.randn(3, 16, 112, 112),
        "boxes": boxes,
        "mesh": torch.tensor([0, 1, 0]),
    }
    embedder = predictor.model.roi_heads.embedder
    meshes = {name: embedder(name).detach() for name in embedder.mesh_names}
    if ending:
        labels, vertices, sizes = run_exported(folder / f"decoder{ending}", inputs)
    else:
        labels, vertices, sizes = VertexDecoder(meshes)(*inputs.values())
    output = DensePoseEmbeddingOutput(
        inputs["coarse_segm"], inputs["embedding"], meshes=MeshesOfPeople(meshes, inputs["mesh"])
    )
    counts = sizes.prod(1).tolist()
    assert len(labels) == len(vertices) == sum(counts)
    results = densepose_results(output, boxes)
    for result, own, found in zip(results, labels.split(counts), vertices.split(counts)):
        assert (own.reshape(result.labels.shape) == result.labels).float().mean() > 0.998
        assert (found.reshape(result.labels.shape) == result.vertices).float().mean() > 0.998


@pytest.mark.parametrize("ending", [".ts", ".onnx"])
def test_a_decoder_of_nobody_on_the_body(folder, ending):
    background = torch.stack([torch.ones(1, 112, 112), torch.zeros(1, 112, 112)], 1)
    inputs = {
        "coarse_segm": background,
        "embedding": torch.randn(1, 16, 112, 112),
        "boxes": torch.tensor([[0.0, 0, 5, 5]]),
        "mesh": torch.tensor([1]),
    }
    labels, vertices, _ = run_exported(folder / f"decoder{ending}", inputs)
    assert labels.shape == vertices.shape == (25,)
    assert not labels.any()
    assert not vertices.any()


def test_the_example_draws_people(predictor, folder, tmp_path):
    picture = noise(128, 160)
    cv2.imwrite(str(tmp_path / "picture.png"), picture)
    out = tmp_path / "parts.png"
    script = ROOT / "examples" / "run_exported.py"
    run_example(script, folder, tmp_path / "picture.png", out, "--min-score", 0)
    painted = (cv2.imread(str(out)) != picture).any(2)
    expected = predictor(picture).to_index() > 0
    assert (painted == expected).mean() > 0.98
    assert painted.any()


def test_vertices_that_cannot_be_read(folder, tmp_path):
    for name in ("model.json", "model.onnx"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(FileNotFoundError, match=r"vertices\.npz"):
        ExportedPredictor(tmp_path)
    (tmp_path / "vertices.npz").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"vertices\.npz does not hold the embeddings"):
        ExportedPredictor(tmp_path)
