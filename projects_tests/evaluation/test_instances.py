"""Detectron2's scores of boxes, on datasets that a model was not made for alone."""

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Boxes, Instances

from densepose_ext import register_densepose_coco
from densepose_ext.evaluation.instances import InstanceEvaluator
from projects_tests.tiny_dataset import make_dataset


@pytest.fixture
def people(tmp_path):
    name = f"instances_{tmp_path.name}"
    register_densepose_coco(name, make_dataset(tmp_path), tmp_path, surface="open")
    yield name, DatasetCatalog.get(name)
    DatasetCatalog.remove(name)
    MetadataCatalog.remove(name)


def found(image: dict, with_another_class: bool) -> Instances:
    """Everybody of an image and, if wanted, something of a class that the dataset lacks."""
    boxes = torch.tensor([person["bbox"] for person in image["annotations"]])
    boxes[:, 2:] += boxes[:, :2]
    instances = Instances((image["height"], image["width"]))
    instances.pred_boxes = Boxes(boxes)
    instances.scores = torch.full((len(boxes),), 0.9)
    instances.pred_classes = torch.zeros(len(boxes), dtype=torch.int64)
    if not with_another_class:
        return instances
    other = instances[:1]
    other.pred_classes = torch.ones(1, dtype=torch.int64)
    return Instances.cat([other, instances])


@pytest.mark.parametrize("with_another_class", [False, True])
def test_detections_of_other_classes_are_left_out(people, with_another_class, tmp_path):
    name, images = people
    evaluator = InstanceEvaluator(name, output_dir=str(tmp_path / "out"))
    evaluator.reset()
    for image in images:
        instances = found(image, with_another_class)
        evaluator.process([{"image_id": image["image_id"]}], [{"instances": instances}])
    assert evaluator.evaluate()["bbox"]["AP"] == pytest.approx(100)


def test_a_dataset_without_a_file_is_refused():
    name = "instances_without_a_file"
    MetadataCatalog.get(name).set(thing_classes=["person"])
    with pytest.raises(ValueError, match=f"'{name}' has no json_file"):
        InstanceEvaluator(name)
    MetadataCatalog.remove(name)
