"""The plugin for Detectron2's own launchers: what it changes, and that it changes nothing else."""

import os
import subprocess
import sys

import detectron2.checkpoint
import detectron2.modeling
import pytest
from detectron2 import model_zoo
from detectron2.config import CfgNode, get_cfg
from detectron2.engine import DefaultTrainer, defaults

from densepose_ext import get_config_file, plugin
from densepose_ext.modeling import DensePoseRCNNWithTTA
from projects_tests.reference import ROOT
from projects_tests.tiny_model import CONFIG, tiny_config, tiny_model

PLACES = [
    (CfgNode, "merge_from_file"),
    (DefaultTrainer, "build_train_loader"),
    (DefaultTrainer, "build_test_loader"),
    (DefaultTrainer, "__init_subclass__"),
    (defaults, "create_ddp_model"),
    (defaults, "DetectionCheckpointer"),
    (detectron2.modeling, "GeneralizedRCNNWithTTA"),
    (detectron2.checkpoint, "DetectionCheckpointer"),
]


def snapshot():
    return [vars(owner).get(name) for owner, name in PLACES]


@pytest.fixture
def active():
    plugin.activate()
    yield
    plugin.deactivate()


def test_activating_twice_and_deactivating_leaves_no_trace():
    before = snapshot()
    plugin.activate()
    first = snapshot()
    assert all(one is not other for one, other in zip(before, first))
    plugin.activate()
    assert snapshot() == first
    plugin.deactivate()
    assert snapshot() == before
    assert not plugin.is_active()
    plugin.deactivate()
    assert snapshot() == before


@pytest.mark.usefixtures("active")
def test_a_dense_pose_config_brings_its_keys():
    cfg = get_cfg()
    cfg.merge_from_file(get_config_file(CONFIG))
    assert cfg.MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_DIM == 32


@pytest.mark.usefixtures("active")
def test_other_configs_are_as_without_the_plugin():
    name = "COCO-Detection/faster_rcnn_R_50_FPN_1x.yaml"
    with_plugin = get_cfg()
    with_plugin.merge_from_file(model_zoo.get_config_file(name))
    plugin.deactivate()
    without = get_cfg()
    without.merge_from_file(model_zoo.get_config_file(name))
    assert with_plugin.dump() == without.dump()


@pytest.mark.usefixtures("active")
def test_the_home_folder_is_expanded_in_output_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    path = tmp_path / "model.yaml"
    path.write_text(f"_BASE_: {get_config_file(CONFIG)}\nOUTPUT_DIR: ~/out\n")
    cfg = get_cfg()
    cfg.merge_from_file(str(path))
    assert cfg.OUTPUT_DIR == "/home/somebody/out"


@pytest.mark.usefixtures("active")
def test_a_contradiction_stops_the_stock_launcher(tmp_path):
    path = tmp_path / "cse.yaml"
    path.write_text(
        f"_BASE_: {get_config_file(CONFIG)}\n"
        "MODEL: {ROI_DENSEPOSE_HEAD: {PREDICTOR_NAME: DensePoseEmbeddingPredictor}}\n"
    )
    with pytest.raises(ValueError, match="LOSS_NAME"):
        get_cfg().merge_from_file(str(path))


@pytest.mark.usefixtures("active")
def test_trainers_of_other_models_keep_their_evaluator():
    class Trainer(DefaultTrainer):
        @classmethod
        def build_evaluator(cls, cfg, dataset_name, output_folder=None):
            return (cls, dataset_name, output_folder)

    cfg = get_cfg()
    assert Trainer.build_evaluator(cfg, "some_dataset") == (Trainer, "some_dataset", None)

    class Derived(Trainer):
        pass

    assert Derived.build_evaluator(cfg, "d", "f") == (Derived, "d", "f")


@pytest.mark.slow
@pytest.mark.usefixtures("active")
def test_test_time_augmentation_is_chosen_by_the_config():
    from detectron2.modeling import GeneralizedRCNNWithTTA

    settings = ["TEST.AUG.FLIP", False]
    model = tiny_model(*settings)
    assert isinstance(GeneralizedRCNNWithTTA(tiny_config(*settings), model), DensePoseRCNNWithTTA)

    cfg = get_cfg()
    plain = GeneralizedRCNNWithTTA(cfg, tiny_model("MODEL.DENSEPOSE_ON", False))
    assert not isinstance(plain, DensePoseRCNNWithTTA)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["densepose_ext", "detectron2.engine"])
def test_import_order_does_not_matter(first):
    code = (
        f"import {first}\n"
        "import densepose_ext\n"
        "from detectron2.modeling import ROI_HEADS_REGISTRY\n"
        "assert 'DensePoseROIHeads' in ROI_HEADS_REGISTRY\n"
        "assert densepose_ext.plugin.is_active()\n"
    )
    environment = {
        **os.environ,
        "DETECTRON2_ENV_MODULE": "densepose_ext.plugin",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True)
