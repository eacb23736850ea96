"""The Python config of embeddings is that of its YAML file."""

import pytest
import torch
from detectron2.config import LazyConfig, instantiate
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage

from densepose_ext import get_config_file, load_config
from densepose_ext.structures import DensePoseAnnotationList
from projects_tests.tiny_meshes import write_mesh

CSE = "MODEL.ROI_DENSEPOSE_HEAD.CSE."
EMBEDDER = {"TYPE": "vertex_feature", "NUM_VERTICES": 20, "FEATURE_DIM": 6}


def python_config():
    """With a small mesh and head."""
    cfg = LazyConfig.load(get_config_file("lazy/densepose_rcnn_R_50_FPN_CSE_soft_s1x.py"))
    heads = cfg.model.roi_heads
    embedder = heads.densepose_embedder.embedders[0][1]
    embedder.mesh_name, embedder.init_file = "ball", "laplace-beltrami"
    embedder.embedder.num_vertices, embedder.embedder.feature_size = 20, 6
    heads.densepose_embedder.embedders[0][0] = "ball"
    heads.densepose_loss.mesh_names = heads.densepose_class_meshes = ["ball"]
    heads.densepose_head.num_convs, heads.densepose_head.conv_dim = 1, 16
    return cfg


@pytest.mark.slow
def test_the_model_is_that_of_the_yaml_file(tmp_path, monkeypatch):
    write_mesh(tmp_path / "meshes", "ball", 20)
    monkeypatch.setenv("DENSEPOSE_EXT_MESHES", str(tmp_path / "meshes"))
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path / "cache"))
    model = instantiate(python_config().model)
    yaml = load_config(
        get_config_file("cse/densepose_rcnn_R_50_FPN_soft_s1x.yaml"),
        [
            *("MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", ""),
            *(CSE + "EMBEDDERS", {"ball": EMBEDDER}),
            *("DATASETS.CLASS_TO_MESH_NAME_MAPPING", {"0": "ball"}),
            *("MODEL.ROI_DENSEPOSE_HEAD.NUM_STACKED_CONVS", 1),
            *("MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_DIM", 16),
        ],
    )
    other = build_model(yaml)
    shapes, expected = (
        {name: value.shape for name, value in m.state_dict().items()} for m in (model, other)
    )
    assert shapes == expected
    losses = [vars(m.roi_heads.densepose_loss) for m in (model, other)]
    assert losses[0] == losses[1]
    assert model.roi_heads.embedder.embedder_ball.features.any()

    people = Instances((96, 96))
    people.gt_boxes = Boxes(torch.tensor([[10.0, 10, 80, 90]]))
    people.gt_classes = torch.tensor([0])
    people.gt_densepose = DensePoseAnnotationList([None])
    image = torch.zeros(3, 96, 96, dtype=torch.uint8)
    with EventStorage():
        found = model.train()([{"image": image, "instances": people, "height": 96, "width": 96}])
    assert {"loss_densepose_S", "loss_densepose_Eball", "loss_box_reg"} <= found.keys()


def test_data_and_scores_are_by_vertices():
    cfg = python_config()
    yaml = load_config(get_config_file("cse/densepose_rcnn_R_50_FPN_soft_s1x.yaml"))
    assert tuple(cfg.dataloader.train.dataset.names) == yaml.DATASETS.TRAIN
    assert (cfg.dataloader.test.dataset.names,) == yaml.DATASETS.TEST
    assert cfg.dataloader.train.mapper.by_vertices
    assert cfg.dataloader.evaluator[1].by_vertices
    assert cfg.dataloader.evaluator[1].dataset_name == cfg.dataloader.test.dataset.names
