"""Examples run: the notebook's cells, and what the node and the page call."""

import importlib.util
import json
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from densepose_ext import DensePosePredictor, get_config_file
from densepose_ext.commands.main import COMMANDS
from projects_tests.reference import ROOT
from projects_tests.tiny_model import CONFIG, tiny_model

EXAMPLES = ROOT / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save({"model": tiny_model().state_dict()}, path)
    return DensePosePredictor(get_config_file(CONFIG), path, "cpu", min_score=0)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.slow
def test_notebook(capsys):
    notebook = json.loads((EXAMPLES / "dense_pose.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    variables: dict = {}
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    for number, cell in enumerate(cells):
        *_, last = cell.splitlines()
        exec(compile(cell, f"cell {number}", "exec"), variables)
        if last.startswith("show("):
            assert isinstance(eval(last, variables), Image.Image)
    assert "score 1.00" in capsys.readouterr().out
    assert len(variables["people"]) > 0
    assert variables["shirt"].any()
    assert all(not cell.get("outputs") for cell in notebook["cells"])


@pytest.mark.slow
def test_comfyui_node(tiny, monkeypatch):
    node = example("comfyui_node")
    monkeypatch.setattr(node, "predictor", lambda model, min_score: tiny)
    (kind,) = node.NODE_CLASS_MAPPINGS.values()
    required = kind.INPUT_TYPES()["required"]
    assert list(required) == ["image", "style", "model", "min_score"]
    pictures = noise(2, 48, 64, 3)
    image = torch.from_numpy(pictures.astype(np.float32) / 255)
    expected = [tiny(picture[..., ::-1].copy()) for picture in pictures]
    for style in required["style"][0]:
        drawn, masks = getattr(kind(), kind.FUNCTION)(image, style, "any", 0.5)
        assert drawn.shape == image.shape
        assert drawn.dtype == masks.dtype == torch.float32
        assert 0 <= drawn.min() <= drawn.max() <= 1
        for mask, people in zip(masks, expected):
            assert np.array_equal(mask.numpy() > 0, people.to_index() > 0)
    assert np.array_equal((drawn[1] * 255).round().numpy(), expected[1].to_iuv())


@pytest.mark.slow
def test_gradio_app(tiny, monkeypatch):
    app = example("gradio_app")
    monkeypatch.setattr(app, "predictor", lambda model, min_score: tiny)
    picture = noise(48, 64, 3)
    for drawing in app.DRAWINGS:
        drawn = app.draw(picture, drawing, "any", 0.5)
        assert drawn.shape == picture.shape
        assert drawn.dtype == np.uint8
        assert (drawn != picture).any()


def test_dockerfile_calls_commands_that_exist():
    text = (EXAMPLES / "Dockerfile").read_text()
    assert "it has not been built yet" in text
    words = text.split()
    called = [words[n + 1] for n, word in enumerate(words[:-1]) if word == "densepose-ext"]
    assert called == ["setup-detectron2"]
    assert set(called) <= set(COMMANDS)
