"""Configuration of CSE: contradictions are named, and each key has an effect."""

import pytest

from densepose_ext import get_config_file, load_config
from densepose_ext.config.embeddings import embedder_sizes, is_cse_config, needs_instance_masks

BASE = "densepose_rcnn_R_50_FPN_s1x.yaml"
HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
CSE = {
    HEAD + "PREDICTOR_NAME": "DensePoseEmbeddingPredictor",
    HEAD + "LOSS_NAME": "DensePoseCseLoss",
    HEAD + "CSE.EMBEDDERS": {"open": {"TYPE": "vertex_direct", "NUM_VERTICES": 12411}},
    "DENSEPOSE_EVALUATION.TYPE": "cse",
}


def config(changes):
    values = {key: value for key, value in (CSE | changes).items() if value is not None}
    return load_config(get_config_file(BASE), [x for item in values.items() for x in item])


def test_a_config_with_embeddings_is_recognized():
    cfg = config({"DATASETS.CLASS_TO_MESH_NAME_MAPPING": {"0": "open"}})
    assert is_cse_config(cfg)
    assert embedder_sizes(cfg) == {"open": 12411}
    assert not needs_instance_masks(cfg)
    cycle = HEAD + "CSE.PIX_TO_SHAPE_CYCLE_LOSS.ENABLED"
    assert needs_instance_masks(config({cycle: True}))


def test_a_config_with_charts_has_no_embedders():
    cfg = load_config(get_config_file(BASE))
    assert not is_cse_config(cfg)
    assert embedder_sizes(cfg) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({HEAD + "PREDICTOR_NAME": None}, r"CSE.EMBEDDERS names open, .*EmbeddingPredictor"),
        (dict.fromkeys(CSE) | {"DENSEPOSE_EVALUATION.TYPE": "cse"}, r"'cse', expected 'iou'"),
        (
            dict.fromkeys(CSE) | {"DENSEPOSE_EVALUATION.EVALUATE_MESH_ALIGNMENT": True},
            r"EVALUATE_MESH_ALIGNMENT = True requires",
        ),
        (dict.fromkeys(CSE) | {HEAD + "LOSS_NAME": "DensePoseCseLoss"}, r"LOSS_NAME = "),
        ({HEAD + "LOSS_NAME": None}, r"LOSS_NAME = 'DensePoseChart.*expected 'DensePoseCseLoss'"),
        ({"DENSEPOSE_EVALUATION.TYPE": "iou"}, r"TYPE = 'iou', expected 'cse'"),
        ({HEAD + "CSE.EMBED_LOSS_NAME": "Hard"}, r"EMBED_LOSS_NAME = 'Hard', expected"),
        ({HEAD + "CSE.EMBEDDING_DIST_GAUSS_SIGMA": 0.0}, r"GAUSS_SIGMA = 0.0, expected"),
        (
            {"DATASETS.CLASS_TO_MESH_NAME_MAPPING": {"a": "open"}},
            r"'a' is not the index of a class",
        ),
        ({"DATASETS.CLASS_TO_MESH_NAME_MAPPING": {"0": "cat"}}, r"MAPPING.0 = 'cat', .*: open"),
    ],
)
def test_contradictions_name_the_key(changes, message):
    with pytest.raises(ValueError, match=message):
        config(changes)
