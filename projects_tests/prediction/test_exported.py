"""Exported models find what the model finds, also without Detectron2."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from densepose_ext import DensePosePredictor, ExportedPredictor
from densepose_ext.commands.main import main
from densepose_ext.export import export_model
from densepose_ext.prediction.exported import is_exported
from densepose_ext.prediction.opening import open_predictor
from projects_tests.reference import ROOT
from projects_tests.test_packaging import HIDE
from projects_tests.tiny_model import CONFIG, tiny_model

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    torch.manual_seed(0)
    weights = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save({"model": tiny_model().state_dict()}, weights)
    return DensePosePredictor(CONFIG, weights, "cpu")


@pytest.fixture(scope="module")
def folder(predictor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export_model(predictor, folder, ("torchscript", "onnx"))
    return folder


@pytest.mark.parametrize("ending", [".onnx", ".ts"])
@pytest.mark.parametrize("size", [(128, 160), (90, 301), (400, 64)])
def test_the_people_are_those_of_the_model(predictor, folder, ending, size):
    picture = noise(*size)
    expected, found = predictor(picture), ExportedPredictor(folder / f"model{ending}")(picture)
    assert len(found) == len(expected) > 0
    assert found.size == expected.size
    for person, other in zip(found, expected):
        np.testing.assert_allclose(person.box, other.box, atol=0.01)
        assert person.score == pytest.approx(other.score, abs=1e-4)
        if person.result.labels.shape == other.result.labels.shape:  # a box may be cut otherwise
            assert (person.result.labels == other.result.labels).float().mean() > 0.99


def test_it_takes_whatever_the_predictor_takes(folder, tmp_path):
    found = ExportedPredictor(folder, min_score=0.06)
    picture = noise(128, 160)
    Image.fromarray(picture[:, :, ::-1]).save(tmp_path / "a.png")
    people = found.batch([picture, tmp_path / "a.png", Image.open(tmp_path / "a.png")])
    assert people[0].to_iuv().any()
    for other in people[1:]:
        np.testing.assert_array_equal(other.to_iuv(), people[0].to_iuv())
    with pytest.raises(ValueError, match="batch takes a list"):
        found.batch(picture)


def test_fewer_people_by_score(folder):
    picture = noise(128, 160)
    everybody = ExportedPredictor(folder)(picture)
    limit = everybody[len(everybody) // 2].score
    some = ExportedPredictor(folder, min_score=limit)(picture)
    assert [p.score for p in some] == [p.score for p in everybody if p.score >= limit]


@pytest.mark.parametrize("kind", ["onnx", "ts"])
def test_without_detectron2(folder, tmp_path, kind):
    code = f"""{HIDE}
import numpy as np
from densepose_ext import ExportedPredictor
from densepose_ext.visualization import draw_parts

picture = np.load("picture.npy")
people = ExportedPredictor({str(folder / f"model.{kind}")!r})(picture)
np.save("iuv.npy", people.to_iuv())
draw_parts(picture, people)
"""
    np.save(tmp_path / "picture.npy", noise(128, 160))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = ExportedPredictor(folder / f"model.{kind}")(noise(128, 160)).to_iuv()
    # TorchScript compiles itself as it runs, and then rounds otherwise.
    assert (np.load(tmp_path / "iuv.npy") == expected).mean() > 0.99


def test_the_command_takes_one(folder, tmp_path):
    Image.fromarray(noise(128, 160)).save(tmp_path / "a.png")
    command = ["predict", tmp_path / "a.png", "--model", folder / "model.onnx", "--min-score", 0.06]
    command += ["--out", tmp_path / "out", "--format", "iuv"]
    assert main([str(word) for word in command]) == 0
    assert (tmp_path / "out/a_iuv.png").is_file()


def test_what_is_an_exported_model(folder, tmp_path):
    assert is_exported(folder)
    assert is_exported(str(folder / "model.ts"))
    assert not is_exported(tmp_path)
    assert not is_exported("densepose_rcnn_R_50_FPN_s1x")
    assert not is_exported(None)


def test_what_cannot_be_used(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no exported model .*other.onnx"):
        ExportedPredictor(tmp_path / "other.onnx")
    with pytest.raises(FileNotFoundError, match=r"has no model.onnx and no model.ts"):
        ExportedPredictor(tmp_path)
    with pytest.raises(ValueError, match=r"min_score is -0.1, expected 0.0\d* to 1"):
        ExportedPredictor(folder, min_score=-0.1)
    with pytest.raises(ValueError, match="precision 'bf16': the exported model"):
        open_predictor(str(folder), precision="bf16")
    with pytest.raises(ValueError, match=r"compile: the exported model .* cannot be compiled"):
        open_predictor(str(folder), compile=True)
    for ending, kind in ((".onnx", "an ONNX model"), (".ts", "TorchScript")):
        (tmp_path / f"model{ending}").write_bytes(b"<!doctype html>")
        described = json.loads((folder / "model.json").read_text())
        (tmp_path / "model.json").write_text(json.dumps(described))
        with pytest.raises(ValueError, match=f"model{ending} cannot be read as {kind}"):
            ExportedPredictor(tmp_path / f"model{ending}")
    del described["picture"]["channels"]
    for text in (json.dumps(described), "{}", "[]", "no JSON"):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(ValueError, match=r"model.json does not describe"):
            ExportedPredictor(tmp_path / "model.onnx")


def test_only_a_file_that_cannot_be_parsed_is_called_unreadable(folder, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")

    def open_session(*arguments):
        raise RuntimeError("CUDA failure 35: the driver is too old")

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    with pytest.raises(ValueError, match=r"model\.onnx cannot be opened on cpu: CUDA failure 35"):
        ExportedPredictor(folder)
