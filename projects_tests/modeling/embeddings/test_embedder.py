"""Embedders of vertices: their output, initialization and learning rates."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from densepose_ext import get_config_file, load_config
from densepose_ext.engine.optimizer import build_optimizer
from densepose_ext.modeling.embeddings.embedder import (
    VertexDirectEmbedder,
    VertexFeatureEmbedder,
    build_embedder,
)
from projects_tests.tiny_meshes import write_mesh

HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
FEATURE = {"TYPE": "vertex_feature", "NUM_VERTICES": 20, "FEATURE_DIM": 5, "IS_TRAINABLE": True}
DIRECT = {"TYPE": "vertex_direct", "NUM_VERTICES": 30, "IS_TRAINABLE": True}


def config(*overrides, **embedders):
    return load_config(
        get_config_file("densepose_rcnn_R_50_FPN_s1x.yaml"),
        [
            *(HEAD + "PREDICTOR_NAME", "DensePoseEmbeddingPredictor"),
            *(HEAD + "LOSS_NAME", "DensePoseCseLoss"),
            *(HEAD + "CSE.EMBEDDERS", embedders),
            *("DENSEPOSE_EVALUATION.TYPE", "cse"),
            *("MODEL.WEIGHTS", ""),
            *overrides,
        ],
    )


def test_embeddings_have_length_one():
    direct, feature = VertexDirectEmbedder(7, 4), VertexFeatureEmbedder(7, 4, 3)
    with torch.no_grad():
        direct.embeddings.normal_()
        feature.embeddings.normal_()
        feature.features.normal_()
    for embedder in (direct, feature):
        torch.testing.assert_close(embedder().norm(dim=1), torch.ones(7))
    assert (VertexDirectEmbedder(7, 4)() == 0).all()


def test_names_are_those_of_published_checkpoints():
    embedder = build_embedder(config(ball=FEATURE, cube=DIRECT))
    assert {name: tuple(value.shape) for name, value in embedder.state_dict().items()} == {
        "embedder_ball.embeddings": (5, 16),
        "embedder_ball.features": (20, 5),
        "embedder_cube.embeddings": (30, 16),
    }
    assert embedder("cube").shape == (30, 16)
    with pytest.raises(ValueError, match="no embedder of mesh 'cat'; the model has ball, cube"):
        embedder("cat")


def test_features_come_from_the_file_and_the_rest_from_the_weights(tmp_path):
    features = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    init_file, weights = tmp_path / "phi.pkl", tmp_path / "model.pth"
    init_file.write_bytes(pickle.dumps({"features": features}))
    embeddings = torch.randn(5, 16)
    torch.save({"model": {"roi_heads.embedder.embedder_ball.embeddings": embeddings}}, weights)
    cfg = config("MODEL.WEIGHTS", str(weights), ball=FEATURE | {"INIT_FILE": str(init_file)})
    state = build_embedder(cfg).state_dict()
    np.testing.assert_array_equal(state["embedder_ball.features"], features)
    torch.testing.assert_close(state["embedder_ball.embeddings"], embeddings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"phi.pkl cannot be read"),
        (b"text", r"phi.pkl is not a pickle of arrays"),
        (pickle.dumps(print), r"it holds a builtins.print"),
        (pickle.dumps({"phi": 1}), r"phi.pkl has neither features nor embeddings"),
        (
            pickle.dumps({"features": np.zeros((20, 4))}),
            r"EMBEDDERS.ball.INIT_FILE = .*: features has shape \(20, 4\), expected \(20, 5\)",
        ),
    ],
)
def test_init_files_that_cannot_be_used_are_named(tmp_path, content, message):
    file = tmp_path / "phi.pkl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises((ValueError, OSError), match=message):
        build_embedder(config(ball=FEATURE | {"INIT_FILE": str(file)}))


def test_weights_are_read_however_a_checkpoint_wraps_them(tmp_path):
    weights, embeddings = tmp_path / "model.pth", torch.randn(30, 16)
    name = "module.roi_heads.embedder.embedder_cube.embeddings"
    torch.save({"state_dict": {name: embeddings}}, weights)
    cfg = config("MODEL.WEIGHTS", str(weights), cube=DIRECT)
    torch.testing.assert_close(
        build_embedder(cfg).state_dict()["embedder_cube.embeddings"], embeddings
    )
    weights.write_bytes(b"<!doctype html>")  # refused, with its reason, when the model is loaded
    assert not build_embedder(cfg).state_dict()["embedder_cube.embeddings"].any()


@pytest.mark.parametrize("count", [9, 20])
def test_with_features_of_the_mesh_embeddings_start_as_the_smoothest(tmp_path, monkeypatch, count):
    """From zero, all vertices would start in one direction or its opposite."""
    monkeypatch.setenv("DENSEPOSE_EXT_MESHES", str(tmp_path))
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path / "cache"))
    write_mesh(tmp_path, "ball", 60)
    node = FEATURE | {"NUM_VERTICES": 60, "FEATURE_DIM": count, "INIT_FILE": "laplace-beltrami"}
    embedder = build_embedder(config(ball=node)).embedder_ball
    used = min(count - 1, 16)
    products = embedder.features @ embedder.embeddings
    torch.testing.assert_close(products[:, :used], embedder.features[:, 1 : used + 1])
    assert not products[:, used:].any()
    embeddings = embedder()
    nearest = (embeddings @ embeddings.T).argmax(1)
    assert torch.equal(nearest, torch.arange(60))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {},
            r"EMBEDDERS\.griffin\.INIT_FILE = laplace-beltrami: no mesh 'griffin'",
        ),
        ({"INIT_FILE": "none.pkl"}, r"INIT_FILE none\.pkl cannot be read"),
    ],
)
def test_features_of_an_unknown_mesh_are_refused(changes, message):
    embedder = FEATURE | {"INIT_FILE": "laplace-beltrami"} | changes
    with pytest.raises((ValueError, OSError), match=message):
        build_embedder(config(griffin=embedder))


def test_weights_of_another_shape_are_refused(tmp_path):
    weights = tmp_path / "model.pth"
    torch.save(
        {"model": {"roi_heads.embedder.embedder_cube.embeddings": torch.ones(9, 16)}}, weights
    )
    with pytest.raises(ValueError, match=r"embedder_cube: embeddings has shape \(9, 16\)"):
        build_embedder(config("MODEL.WEIGHTS", str(weights), cube=DIRECT))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TYPE": "vertex"}, r"EMBEDDERS.ball.TYPE = 'vertex', expected 'vertex_feature' or"),
        ({"NUM_VERTICES": 0}, r"EMBEDDERS.ball.NUM_VERTICES = 0, expected"),
        ({"FEATURE_DIM": "many"}, r"EMBEDDERS.ball.FEATURE_DIM = 'many', expected"),
    ],
)
def test_invalid_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build_embedder(config(ball=FEATURE | changes))


@pytest.mark.parametrize("kind", ["SGD", "AdamW", "Muon"])
def test_learning_rates_of_features_and_embeddings(kind):
    cfg = config(
        *("SOLVER.OPTIMIZER", kind, "SOLVER.BASE_LR", 0.5),
        *(HEAD + "CSE.EMBEDDING_LR_FACTOR", 0.25, HEAD + "CSE.FEATURES_LR_FACTOR", 0.125),
        ball=FEATURE | {"FEATURES_TRAINABLE": True},
    )
    model = nn.Module()
    model.roi_heads = nn.Module()
    model.roi_heads.embedder = build_embedder(cfg)
    model.roi_heads.other = nn.Linear(2, 2)
    rates = {
        parameter: group["lr"]
        for group in build_optimizer(cfg, model).param_groups
        for parameter in group["params"]
    }
    found = {name: rates[parameter] for name, parameter in model.named_parameters()}
    assert found["roi_heads.embedder.embedder_ball.embeddings"] == 0.125
    assert found["roi_heads.embedder.embedder_ball.features"] == 0.0625
    assert found["roi_heads.other.weight"] == 0.5


def test_a_model_needs_an_embedder():
    with pytest.raises(ValueError, match=r"CSE\.EMBEDDERS is empty, expected at least one mesh"):
        build_embedder(config())
