"""The Detectron2 evaluator: the same numbers as the results file, in one process and in two."""

import gc
import json
import os
import socket

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.structures import Boxes, Instances

from densepose_ext.evaluation import DensePoseCOCOEvaluator, DensePoseEvaluator, Results
from densepose_ext.evaluation.people import GroundTruth
from densepose_ext.evaluation.scorecard import Scorecard
from densepose_ext.modeling.postprocessing import densepose_results
from densepose_ext.structures import DensePoseOutput
from projects_tests.evaluation.grid_world import GridSurface, grid_points, person, truth_content

pytestmark = pytest.mark.slow

NUM_IMAGES = 6
METRICS = ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]


def boxes_of(image_id):
    random = np.random.default_rng(image_id)
    corner = random.uniform(5, 150, (2, 2))
    return np.concatenate([corner, random.uniform(40, 120, (2, 2))], 1)


def write_dataset(folder):
    people = [
        person(box, grid_points(box), image_id=n) for n in range(NUM_IMAGES) for box in boxes_of(n)
    ]
    path = folder / "truth.json"
    path.write_text(
        json.dumps(truth_content(people, images=[{"id": n} for n in range(NUM_IMAGES)]))
    )
    return path


def instances(image_id, noise=1.0):
    """Detections near the people: part 1 in the middle, U, V about right."""
    random = np.random.default_rng(100 + image_id)
    boxes = np.concatenate([boxes_of(image_id), boxes_of(image_id)[:1] + 40])
    boxes = boxes + random.normal(0, noise, boxes.shape)
    count, side = len(boxes), 14
    v, u = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    generator = torch.Generator().manual_seed(image_id)
    output = DensePoseOutput(
        torch.randn(count, 2, side, side, generator=generator)
        + torch.tensor([-2.0, 2.0])[None, :, None, None],
        torch.randn(count, 25, side, side, generator=generator)
        + torch.eye(25)[1][None, :, None, None] * 4,
        u.expand(count, 25, side, side) + 0.0,
        v.expand(count, 25, side, side) + 0.0,
    )
    result = Instances((300, 400))
    boxes[:, 2:] += boxes[:, :2]
    result.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32))
    result.scores = torch.tensor(random.random(count), dtype=torch.float32)
    result.pred_classes = torch.zeros(count, dtype=torch.int64)
    result.pred_densepose = output
    return result


@pytest.fixture
def dataset(tmp_path):
    name = f"evaluator_test_{tmp_path.name}"
    MetadataCatalog.get(name).set(json_file=str(write_dataset(tmp_path)), surface="unused")
    yield name
    MetadataCatalog.remove(name)


def run(evaluator, images=range(NUM_IMAGES), make=instances):
    evaluator.reset()
    for n in images:
        evaluator.process([{"image_id": n}], [{"instances": make(n)}])
    return evaluator.evaluate()


def test_detectron2_gets_nested_percentages(dataset, surface, tmp_path):
    results = run(DensePoseEvaluator(dataset, output_dir=tmp_path / "out", surface=surface))
    assert list(results) == ["densepose_gps", "densepose_gpsm", "densepose_segm"]
    for values in results.values():
        assert list(values) == [
            "AP",
            "AP50",
            "AP75",
            "APm",
            "APl",
            "AR",
            "AR50",
            "AR75",
            "ARm",
            "ARl",
        ]
        assert all(type(value) is float for value in values.values())
    assert 20 < results["densepose_gps"]["AP"] < 100
    assert DensePoseCOCOEvaluator is DensePoseEvaluator
    written = json.loads((tmp_path / "out/metrics.json").read_text())
    for mode, task in (("gps", "densepose_gps"), ("iou", "densepose_segm")):
        assert written[mode]["AP"] * 100 == pytest.approx(results[task]["AP"])
    low, high = written["intervals"]["gps"]["AP"]
    assert low <= written["gps"]["AP"] <= high
    page = (tmp_path / "out/report.html").read_text()
    assert "data:image/png;base64" in page
    assert "http" not in page.replace("http-equiv", "")


def test_maps_results_and_the_saved_file_score_the_same(dataset, surface, tmp_path):
    from_maps = run(
        DensePoseEvaluator(dataset, output_dir=tmp_path / "o", surface=surface, save_results=True)
    )

    def whole(n):
        result = instances(n)
        result.pred_densepose = densepose_results(result.pred_densepose, result.pred_boxes.tensor)
        return result

    from_results = run(DensePoseEvaluator(dataset, surface=surface), make=whole)
    truth = GroundTruth(MetadataCatalog.get(dataset).json_file)
    results = Results.read(tmp_path / "o/coco_densepose_results.json")
    assert len(results) == 3 * NUM_IMAGES
    card = Scorecard(truth, surface)
    for image in truth.images.values():
        card.add(image, results.detections(image))
    for mode, task in (("gps", "densepose_gps"), ("gpsm", "densepose_gpsm")):
        for name, value in card.metrics()[mode].items():
            expected = value * 100 if value >= 0 else value
            assert from_results[task][name] == pytest.approx(expected, abs=1e-9)
            # read only at the points: ties of parts and the last bit of U may differ
            assert from_maps[task][name] == pytest.approx(expected, abs=0.5)
    assert not list((tmp_path / "o").glob(".*"))


def test_an_evaluation_that_is_given_up_leaves_no_file(dataset, surface, tmp_path):
    out = tmp_path / "o"
    evaluator = DensePoseEvaluator(dataset, output_dir=out, surface=surface, save_results=True)
    evaluator.process([{"image_id": 0}], [{"instances": instances(0)}])
    (part,) = out.iterdir()
    evaluator.reset()
    (other,) = out.iterdir()
    assert other != part
    del evaluator
    gc.collect()
    assert list(out.iterdir()) == []


def test_images_without_detections(dataset, surface):
    def nothing(n):
        return instances(n)[torch.zeros(0, dtype=torch.long)]

    results = run(DensePoseEvaluator(dataset, surface=surface), make=nothing)
    assert set(results["densepose_gps"].values()) == {-1.0}


def test_chosen_images_and_thresholds(dataset, surface):
    chosen = DensePoseEvaluator(dataset, surface=surface, image_ids=[1, 2], min_iou_threshold=0.2)
    results = run(chosen)
    assert {"AP20", "AP30", "AP40"} <= results["densepose_gps"].keys()
    # the others are left out, whether they are processed or not
    assert run(chosen, images=[1, 2]) == results


def test_reset_forgets(dataset, surface):
    evaluator = DensePoseEvaluator(dataset, surface=surface)
    first = run(evaluator)
    assert run(evaluator, make=lambda n: instances(n, noise=30)) != first
    assert run(evaluator) == first


def test_bad_input_is_named(dataset, surface, tmp_path):
    evaluator = DensePoseEvaluator(dataset, surface=surface)
    with pytest.raises(ValueError, match="image 77 is not in"):
        evaluator.process([{"image_id": 77}], [{"instances": instances(0)}])
    bad = instances(0)
    bad.remove("pred_densepose")
    with pytest.raises(ValueError, match="image 0 have no pred_densepose"):
        evaluator.process([{"image_id": 0}], [{"instances": bad}])
    bad = instances(0)
    bad.scores[1] = float("nan")
    with pytest.raises(ValueError, match="image 0: a detection has the score nan"):
        evaluator.process([{"image_id": 0}], [{"instances": bad}])
    with pytest.raises(ValueError, match="no surface 'unused'"):
        DensePoseEvaluator(dataset)
    with pytest.raises(FileNotFoundError, match="SMPL_subdiv"):
        DensePoseEvaluator(dataset, surface=tmp_path, gps=True)
    with pytest.raises(ValueError, match="json_file"):
        DensePoseEvaluator("no_such_dataset", surface=surface)
    MetadataCatalog.get("no_surface").set(json_file="x.json")
    with pytest.raises(ValueError, match="names no surface"):
        DensePoseEvaluator("no_surface")
    with pytest.raises(ValueError, match="output_dir"):
        DensePoseEvaluator(dataset, surface=surface, save_results=True)


def test_parts_only(dataset, tmp_path):
    results = run(DensePoseEvaluator(dataset, output_dir=tmp_path / "o", gps=False))
    assert list(results) == ["densepose_segm"]
    written = json.loads((tmp_path / "o/metrics.json").read_text())
    assert written["parts"]["right_part"] > 0.5
    assert "median_cm" not in written["parts"]
    assert written["surface"] is None


def _worker(name, json_file, folder):
    from detectron2.utils import comm

    MetadataCatalog.get(name).set(json_file=json_file)
    evaluator = DensePoseEvaluator(
        name, output_dir=folder, surface=GridSurface(), save_results=True
    )
    rank = comm.get_rank()
    results = run(evaluator, range(rank, NUM_IMAGES, 2))
    assert bool(results) == (rank == 0)
    if rank == 0:
        with open(os.path.join(folder, "returned.json"), "w") as stream:
            json.dump(results, stream)


def _launch(*arguments):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # as Detectron2's launch does, but over gloo: there may be no GPU
    torch.multiprocessing.start_processes(
        _rank, (port, arguments), nprocs=2, join=True, start_method="spawn"
    )


def _rank(rank, port, arguments):
    from detectron2.utils import comm

    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", world_size=2, rank=rank
    )
    comm.create_local_process_group(2)
    _worker(*arguments)
    torch.distributed.barrier()
    # threads of gloo may abort a process that exits in the ordinary way
    os._exit(0)


def test_two_processes_give_the_numbers_of_one(dataset, surface, tmp_path):
    json_file = MetadataCatalog.get(dataset).json_file
    (tmp_path / "two").mkdir()
    _launch("two_processes", json_file, str(tmp_path / "two"))
    one = run(
        DensePoseEvaluator(dataset, output_dir=tmp_path / "one", surface=surface, save_results=True)
    )
    assert json.loads((tmp_path / "two/returned.json").read_text()) == one
    metrics = [json.loads((tmp_path / d / "metrics.json").read_text()) for d in ("one", "two")]
    for written in metrics:
        del written["dataset"]
    assert metrics[0] == metrics[1]
    results = [
        sorted(map(str, Results.read(tmp_path / d / "coco_densepose_results.json").entries()))
        for d in ("one", "two")
    ]
    assert results[0] == results[1]
    assert not list((tmp_path / "two").glob(".*"))
