"""Training and testing on a tiny random dataset, through every launcher."""

import json

import pytest
import torch

import densepose_ext
from densepose_ext import DensePoseTrainer, get_config_file
from projects_tests.launching import STOCK_TOOLS, Workplace
from projects_tests.tiny_dataset import make_surface
from projects_tests.tiny_model import tiny_config

pytestmark = pytest.mark.slow

PLUGIN = {"DETECTRON2_ENV_MODULE": "densepose_ext.plugin"}
needs_stock_tools = pytest.mark.skipif(
    not STOCK_TOOLS.is_dir(), reason="this Detectron2 came without its tools"
)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return Workplace.make(tmp_path_factory.mktemp("training"), images=4, dense=lambda n: n != 2)


@pytest.fixture(scope="module")
def trained(workplace):
    """The output folder of a run of train_net.py."""
    log = workplace.train("OUTPUT_DIR", "own")
    assert "3 images to train on, with 6 people, 6 with dense pose; left out 1" in log
    assert "loss_densepose_I" in log
    return workplace.folder / "own"


def scores(folder):
    lines = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    return {k: v for line in lines for k, v in line.items() if k.startswith(("bbox/", "densepose"))}


def weights(path):
    return torch.load(path, weights_only=True)["model"]


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_train_net_trains_saves_and_scores(trained):
    assert {"bbox/AP", "densepose_gps/AP", "densepose_gpsm/AP", "densepose_segm/AP"} <= scores(
        trained
    ).keys()
    assert (trained / "inference" / "report.html").is_file()
    names = weights(trained / "model_final.pth")
    assert "roi_heads.densepose_predictor.ann_index_lowres.weight" in names


def test_eval_only_with_augmentation(workplace, trained):
    log = workplace.train(
        "OUTPUT_DIR", "augmented", "MODEL.WEIGHTS", trained / "model_final.pth",
        "TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(96,)",
        flags=["--eval-only"],
    )  # fmt: skip
    assert "Testing with test-time augmentation" in log
    for task in ("bbox", "densepose_gps"):
        assert log.count(f"copypaste: Task: {task}\n") == 2


def test_resume_goes_on(workplace, trained):
    log = workplace.train("OUTPUT_DIR", "own", "SOLVER.MAX_ITER", "3", flags=["--resume"])
    assert "Starting training from iteration 2" in log


@needs_stock_tools
def test_stock_launcher_with_the_plugin_gives_the_same_weights(workplace, trained):
    workplace.train("OUTPUT_DIR", "stock", launcher=STOCK_TOOLS / "train_net.py", env=PLUGIN)
    workplace.train("OUTPUT_DIR", "own_again")
    stock, own = (workplace.folder / name for name in ("stock", "own_again"))
    assert_same_weights(weights(stock / "model_final.pth"), weights(own / "model_final.pth"))
    assert scores(stock) == scores(own)


@needs_stock_tools
def test_stock_launcher_tests_with_augmentation(workplace, trained):
    log = workplace.train(
        "OUTPUT_DIR", "stock_augmented", "MODEL.WEIGHTS", trained / "model_final.pth",
        "TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(96,)",
        launcher=STOCK_TOOLS / "train_net.py", flags=["--eval-only"], env=PLUGIN,
    )  # fmt: skip
    for task in ("bbox", "densepose_gps"):
        assert log.count(f"copypaste: Task: {task}\n") == 2


@needs_stock_tools
@pytest.mark.parametrize(
    "name", ["densepose_rcnn_R_50_FPN_s1x", "densepose_rcnn_R_50_FPN_multitask_s1x"]
)
def test_stock_launcher_of_python_configs(workplace, name):
    minival = "densepose_coco_2014_minival_100"
    # The standard model, made small.
    overrides = [
        "train.device=cpu", "train.init_checkpoint=", "train.max_iter=2", "train.eval_period=2",
        f"train.output_dir={workplace.folder / name}",
        f"dataloader.train.dataset.names=[{minival}]", f"dataloader.test.dataset.names={minival}",
        "dataloader.train.total_batch_size=2", "dataloader.train.num_workers=0",
        "dataloader.test.num_workers=0", "optimizer.lr=1e-5",
        "dataloader.train.mapper.augmentations.0.short_edge_length=[96]",
        "dataloader.test.mapper.augmentations.0.short_edge_length=96",
        "model.roi_heads.batch_size_per_image=8", "model.proposal_generator.post_nms_topk=[50,20]",
        "model.roi_heads.densepose_head.num_convs=1", "model.roi_heads.densepose_head.conv_dim=16",
    ]  # fmt: skip
    log = workplace.run(
        STOCK_TOOLS / "lazyconfig_train_net.py",
        "--config-file", get_config_file(f"lazy/{name}.py"), *overrides,
    )  # fmt: skip
    assert "left out 1 image in which nobody has dense pose" in log
    assert "loss_densepose_I" in log
    assert "copypaste: Task: bbox" in log
    assert "copypaste: Task: densepose_gps" in log
    if "multitask" in name:
        assert "loss_mask" in log
        assert "loss_keypoint" in log


def test_training_from_plain_python_works_without_a_launcher(workplace, monkeypatch, tmp_path):
    for name, value in workplace.environment().items():
        monkeypatch.setenv(name, value)
    data = workplace.folder / "datasets" / "coco"
    densepose_ext.register_densepose_coco(
        "tiny_in_plain_python",
        data / "annotations" / "densepose_minival2014_100.json",
        data / "val2014",
        surface=workplace.folder / "cache" / "densepose" / "data",
    )
    cfg = tiny_config(
        "DATASETS.TRAIN", ("tiny_in_plain_python",), "DATASETS.TEST", ("tiny_in_plain_python",),
        "OUTPUT_DIR", str(tmp_path), "SEED", 1,
    )  # fmt: skip
    trainer = DensePoseTrainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    assert {"bbox/AP", "densepose_gps/AP"} <= trainer.storage.histories().keys()
    assert (tmp_path / "model_final.pth").is_file()


TWO = ["--num-gpus", "2"]


def test_two_processes_score_as_one(workplace, trained):
    for name, flags in (("one", []), ("two", TWO)):
        workplace.train(
            "OUTPUT_DIR", name, "MODEL.WEIGHTS", trained / "model_final.pth",
            flags=["--eval-only", *flags],
        )  # fmt: skip
    found = []
    logged = []
    for name in ("one", "two"):
        metrics = json.loads((workplace.folder / name / "inference" / "metrics.json").read_text())
        logged.append({mode: metrics[mode] for mode in ("gps", "gpsm", "iou")})
        path = workplace.folder / name / "inference" / "coco_instances_results.json"
        detections = json.loads(path.read_text())
        assert detections
        found.append(
            sorted(
                (d["image_id"], round(d["score"], 4), *map(round, d["bbox"])) for d in detections
            )
        )
    assert found[0] == found[1]


def test_two_processes_keep_identical_weights(workplace):
    """Each process takes one picture a step, most pictures have no dense pose, and all are used:
    so there are steps in which one process has nothing to learn from."""
    script = workplace.folder / "two_processes.py"
    script.write_text(
        """
import torch
from densepose_ext import DensePoseTrainer
from densepose_ext.engine.launch import launch
from detectron2.engine import default_setup
from detectron2.utils import comm
from projects_tests.tiny_dataset import make_surface
from projects_tests.tiny_model import tiny_config

def main():
    cfg = tiny_config("OUTPUT_DIR", "two_train", "SEED", 1, "SOLVER.MAX_ITER", 6,
                      "DATALOADER.FILTER_EMPTY_ANNOTATIONS", False, "DATASETS.TEST", ())
    trainer = DensePoseTrainer(cfg)
    trained = []
    model = trainer.model.module
    losses = model.roi_heads._densepose_losses
    def watched(features, proposals):
        found = losses(features, proposals)
        trained.append(float(found["loss_densepose_I"]) > 0)
        return found
    model.roi_heads._densepose_losses = watched
    trainer.train()
    state = {k: v.cpu() for k, v in model.state_dict().items()}
    states, steps = comm.gather(state), comm.gather(trained)
    if comm.is_main_process():
        assert all(torch.equal(states[0][k], states[1][k]) for k in state)
        assert any(one != other for one, other in zip(*steps)), steps
        print("identical after", steps)

if __name__ == "__main__":
    launch(main, 2)
"""
    )
    assert "identical after" in workplace.run(script)


def test_a_checkpoint_of_another_shape_is_refused(workplace, trained):
    log = workplace.train(
        "OUTPUT_DIR", "other", "MODEL.WEIGHTS", trained / "model_final.pth",
        "MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_DIM", "48",
        flags=["--eval-only"], succeed=False,
    )  # fmt: skip
    assert "model_final.pth is of another model" in log
    assert "roi_heads.densepose_head.body_conv_fcn1.weight with (32, 32, 3, 3)" in log


def test_without_geodesics_training_ends_with_the_other_scores(workplace, tmp_path):
    make_surface(tmp_path / "densepose" / "data")
    log = workplace.train("OUTPUT_DIR", "no_gps", env={"FVCORE_CACHE": str(tmp_path)})
    assert "GPS is not scored, parts and masks are: the smpl surface needs Pdist_matrix.pkl" in log
    assert "densepose_segm/AP" in scores(workplace.folder / "no_gps")


def test_a_missing_surface_is_reported_before_training(workplace, tmp_path):
    log = workplace.train(
        "OUTPUT_DIR", "no_surface", env={"FVCORE_CACHE": str(tmp_path)}, succeed=False
    )
    assert "UV_symmetry_transforms.mat" in log
    assert "INPUT.RANDOM_FLIP none" in log
    assert "Starting training" not in log
