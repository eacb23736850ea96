"""What ``densepose_ext`` offers: names that are imported when they are first used."""

import importlib

import pytest

import densepose_ext


@pytest.mark.parametrize(
    "folder", ["", ".data", ".engine", ".evaluation", ".modeling", ".visualization"]
)
def test_every_public_name_is_there(folder):
    package = importlib.import_module(f"densepose_ext{folder}")
    assert len(package.__all__) > 1
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="DensePoseTrainr"):
        _ = densepose_ext.DensePoseTrainr


def test_registering_again_changes_nothing():
    from detectron2.data import DatasetCatalog
    from detectron2.modeling import ROI_HEADS_REGISTRY

    heads, datasets = dict(ROI_HEADS_REGISTRY), set(DatasetCatalog.list())
    densepose_ext.register()
    assert dict(ROI_HEADS_REGISTRY) == heads
    assert set(DatasetCatalog.list()) == datasets
    assert "DensePoseROIHeads" in heads
    assert "densepose_coco_2014_train" in datasets
    assert "densepose_synth_train" in datasets


def test_the_path_of_earlier_versions():
    import densepose_ext.checkpoint

    assert densepose_ext.checkpoint is importlib.import_module("densepose_ext.engine.checkpoint")
