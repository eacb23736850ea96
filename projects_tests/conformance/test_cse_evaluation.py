"""The evaluation of vertices, compared with the official evaluator's."""

import json

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Boxes, Instances

from densepose_ext import DensePoseEvaluator, load_config, register_densepose_coco
from densepose_ext.evaluation.evaluator import TASKS
from densepose_ext.modeling.embeddings.embedder import build_embedder
from densepose_ext.structures import DensePoseEmbeddingOutput, MeshesOfPeople
from projects_tests.reference import conformance_file

FILE = conformance_file("cse/evaluation/expected_cse.json")
pytestmark = pytest.mark.skipif(FILE is None, reason="no cse/evaluation")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The expected scores, and an evaluator that has seen all images, by its lowest threshold."""
    folder = FILE.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("DENSEPOSE_EXT_MESHES", str(folder.parent / "meshes"))
        weights = ["MODEL.WEIGHTS", str(folder / "embedder.pth")]
        cfg = load_config(str(folder / "config.yaml"), weights)
        embedder = build_embedder(cfg)
        vertices = {name: embedder(name).detach() for name in embedder.mesh_names}
        truth = json.loads((folder / "gt.json").read_text())
        detections = json.loads((folder / "detections.json").read_text())
        maps = np.load(folder / "maps.npz")
        name = "conformance_cse"
        register_densepose_coco(name, folder / "gt.json", folder, surface="smpl")
        evaluators = {}
        for threshold in (0.5, 0.2):
            cfg.defrost()
            cfg.DENSEPOSE_EVALUATION.MIN_IOU_THRESHOLD = threshold
            evaluator = DensePoseEvaluator.from_config(cfg, name)
            for image in truth["images"]:
                own = [n for n, d in enumerate(detections) if d["image_id"] == image["id"]]
                instances = Instances((image["height"], image["width"]))
                boxes = torch.tensor([detections[n]["bbox_xywh"] for n in own]).reshape(-1, 4)
                instances.pred_boxes = Boxes(
                    torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
                )
                instances.scores = torch.tensor([detections[n]["score"] for n in own])
                classes = torch.tensor([detections[n]["category"] for n in own]).long()
                instances.pred_classes = classes
                instances.pred_densepose = DensePoseEmbeddingOutput(
                    torch.from_numpy(maps["coarse_segm"][own].astype(np.float32)),
                    torch.from_numpy(maps["embedding"][own].astype(np.float32)),
                    meshes=MeshesOfPeople(vertices, classes),
                )
                evaluator.process([{"image_id": image["id"]}], [{"instances": instances}])
            evaluators[threshold] = evaluator, evaluator.evaluate()
        yield json.loads(FILE.read_text()), evaluators
    DatasetCatalog.remove(name)
    MetadataCatalog.remove(name)


@pytest.mark.parametrize(("key", "threshold"), [("metrics", 0.5), ("metrics_from_0.2", 0.2)])
def test_metrics(evaluated, key, threshold):
    expected, evaluators = evaluated
    _, found = evaluators[threshold]
    for task in TASKS.values():
        assert found[task] == pytest.approx(expected[key][task], abs=1e-9, rel=1e-11), task


def test_mesh_alignment(evaluated):
    expected, evaluators = evaluated
    _, found = evaluators[0.5]
    task = "densepose_mesh_alignment"
    assert found[task] == pytest.approx(expected["metrics"][task], rel=1e-6)


def test_similarities_of_all_pairs(evaluated):
    expected, evaluators = evaluated
    card = evaluators[0.5][0]._card
    categories = sorted(card.truth.categories)
    found = {
        (scores.image_id, categories.index(scores.category)): scores
        for scores in card.images()
        if len(scores.scores) and len(scores.areas)
    }
    for pair in expected["pairs"]:
        scores = found[pair["image_id"], pair["category"]]
        np.testing.assert_allclose(
            scores.gps, pair["gps"], atol=1e-6, err_msg=str(pair["image_id"])
        )
        np.testing.assert_allclose(scores.mask_iou, pair["mask_iou"], atol=1e-6)
