"""A GPU computes what the CPU computes, in training and in testing.

Without one most tests run on a pretended one, which shows mixed devices but neither rounding nor
time; those that need a real one are skipped.
"""

import copy
import itertools
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from torch._dynamo.utils import counters

from densepose_ext import DensePosePredictor, get_config_file, load_config
from densepose_ext.data.build import build_densepose_train_loader
from densepose_ext.model_zoo import get
from densepose_ext.modeling.build import train_in_batches
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.settings import Settings
from projects_tests.launching import Workplace
from projects_tests.modeling.tiny_cascades import ALL, cascade
from projects_tests.pretended_gpu import pretended_gpu
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_run import config, register, train, unregister, weights

pytestmark = pytest.mark.slow
needs_real_one = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

DEVICE = "cuda"
HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
DEEPLAB = (HEAD + "NAME", "DensePoseDeepLabHead")
#: The parts of make demo's head that do not change sizes. With 32 channels the norm of the pooled
#: branch would be over one value, whose rounding alone says on which side of ReLU's corner it lies.
DEMO = (
    *DEEPLAB, HEAD + "DECODER_NUM_CLASSES", 64, HEAD + "NUM_COARSE_SEGM_CHANNELS", 15,
    HEAD + "COARSE_PARTS_TOGETHER", True, HEAD + "FINE_FROM_COARSE", True,
    HEAD + "POOLER_SAMPLING_RATIO", 1, HEAD + "PART_WEIGHTS", 5.0,
    "MODEL.ROI_BOX_HEAD.REFINEMENTS", 2,
)  # fmt: skip
MASKS = (HEAD + "COARSE_SEGM_TRAINED_BY_MASKS", True)
CONFIDENT = (
    HEAD + "UV_CONFIDENCE.ENABLED", True, HEAD + "UV_CONFIDENCE.TYPE", "indep_aniso",
    HEAD + "SEGM_CONFIDENCE.ENABLED", True,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def dataset(tmp_path_factory):
    register(make_dataset(tmp_path_factory.mktemp("gpu")))
    yield
    unregister()


@pytest.fixture(autouse=True)
def _gpu():
    with nullcontext() if torch.cuda.is_available() else pretended_gpu():
        yield


@pytest.fixture(autouse=True)
def _full_single_precision(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def loss_and_gradient(cfg, device: str, inputs: list[dict]) -> tuple[dict, dict]:
    """Losses of one step that leaves out no proposal at random, and the size of each gradient."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.DEVICE = device
    cfg.MODEL.RPN.BATCH_SIZE_PER_IMAGE = 100_000
    cfg.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE = 100_000
    torch.manual_seed(0)
    model = build_model(cfg).train()
    if device == DEVICE:
        train_in_batches(model)
    with EventStorage():
        losses = model(copy.deepcopy(inputs))
    sum(losses.values()).backward()
    gradients = {n: float(p.grad.norm()) for n, p in model.named_parameters() if p.grad is not None}
    return {name: float(loss) for name, loss in losses.items()}, gradients


@pytest.mark.parametrize(
    "kind",
    [(), DEMO, MASKS, CONFIDENT, cascade(ALL), (HEAD + "FULLY_CONVOLUTIONAL", True)],
    ids=["plain", "demo", "masks", "WC", "cascade", "fully convolutional"],
)
def test_losses_and_gradients_are_those_of_the_cpu(tmp_path, kind):
    cfg = config(tmp_path, *kind)
    inputs = next(iter(build_densepose_train_loader(cfg)))
    (cpu, cpu_gradients), (gpu, gpu_gradients) = (
        loss_and_gradient(cfg, device, inputs) for device in ("cpu", DEVICE)
    )
    assert gpu == pytest.approx(cpu, rel=1e-3, abs=1e-5)
    assert gpu_gradients == pytest.approx(cpu_gradients, rel=0.02, abs=1e-4)


# A CPU takes minutes for a step in half precision, and seconds for the others.
ON_EVERY_MACHINE = {("SGD", ""), ("AdamW", "bf16"), ("Muon", "")}
OPTIMIZERS = [
    pytest.param(*pair, marks=() if pair in ON_EVERY_MACHINE else needs_real_one)
    for pair in itertools.product(("SGD", "AdamW", "Muon"), ("", "fp16", "bf16"))
]


@pytest.mark.parametrize(("optimizer", "mixed"), OPTIMIZERS)
def test_runs_are_resumed(tmp_path, optimizer, mixed):
    overrides = ("MODEL.DEVICE", DEVICE, *DEMO, "SOLVER.EMA_DECAY", 0.9)
    overrides += ("SOLVER.OPTIMIZER", optimizer, "SOLVER.BASE_LR", 1e-4)
    if mixed:
        overrides += ("SOLVER.AMP.ENABLED", True, "SOLVER.AMP.PRECISION", mixed)
    train(config(tmp_path, *overrides, "SOLVER.MAX_ITER", 2))
    trainer = train(config(tmp_path, *overrides, "SOLVER.MAX_ITER", 3), resume=True)
    assert trainer.start_iter == 2
    assert np.isfinite(trainer.storage.latest()["total_loss"][0])
    assert all(value.isfinite().all() for value in weights(tmp_path / "model_final.pth").values())


def test_a_step_without_people(tmp_path):
    """Losses without points are 0, and still depend on every weight."""
    cfg = config(tmp_path, "MODEL.DEVICE", DEVICE, *DEMO)
    inputs = next(iter(build_densepose_train_loader(cfg)))
    for image in inputs:
        image["instances"] = image["instances"][:0]
    with EventStorage():
        losses = build_model(cfg).train()(inputs)
    assert all(loss.isfinite() for loss in losses.values())
    assert float(losses["loss_densepose_U"]) == 0
    sum(losses.values()).backward()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.ascontiguousarray(make_example(Settings(size=384), "val", 3).image)


def the_shipped_model(device: str, *overrides, precision: str = "fp32") -> DensePosePredictor:
    model = get()
    cfg = load_config(get_config_file(model.config), list(overrides))
    return DensePosePredictor(cfg, model.weights, device, precision=precision, min_score=0.5)


MIRRORED = ("TEST.AUG.ENABLED", True, "TEST.AUG.MIN_SIZES", (320,), "TEST.AUG.MAX_SIZE", 640)


@pytest.mark.parametrize(
    ("overrides", "precision", "pixels", "same"),
    [
        ((), "fp32", 0.05, 0.999),
        (MIRRORED, "fp32", 0.05, 0.999),
        ((), "fp16", 2, 0.97),
        ((), "bf16", 8, 0.9),
    ],
)
def test_people_are_those_of_the_cpu(picture, overrides, precision, pixels, same):
    cpu = the_shipped_model("cpu", *overrides)(picture)
    gpu = the_shipped_model(DEVICE, *overrides, precision=precision)(picture)
    if precision == "fp32":
        assert len(gpu) == len(cpu)
    sure = [person for person in cpu if person.score > 0.9]
    assert sure
    for one in sure:
        other = min(gpu, key=lambda person: np.abs(one.box - person.box).max())
        assert np.abs(one.box - other.box).max() < pixels
        if one.result.labels.shape == other.result.labels.shape:
            assert (one.result.labels == other.result.labels).float().mean() > same
        assert other.result.labels.device.type == "cpu"


@needs_real_one
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_compiled_model_finds_the_same_people(picture, precision):
    model = get()
    counters.clear()
    eager, compiled = (
        DensePosePredictor(
            model.config, model.weights, DEVICE, precision, min_score=0.5, compile=is_compiled
        )
        for is_compiled in (False, True)
    )
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    # CUDA graphs are recorded in the second and third call, and replayed from then on.
    for batch in [[picture]] * 4 + [[mirrored, picture], [picture], [mirrored]] * 3:
        for found, expected in zip(compiled.batch(batch), eager.batch(batch), strict=True):
            assert len(found) == len(expected) > 0
            for one, other in zip(found, expected):
                assert np.abs(one.box - other.box).max() < (0.05 if precision == "fp32" else 2)
                if one.result.labels.shape == other.result.labels.shape:
                    assert (one.result.labels == other.result.labels).float().mean() > 0.97
    assert not counters["inductor"]["cudagraph_skips"]


@needs_real_one
@pytest.mark.parametrize("count", [1, 4])
def test_transfers_of_a_batch(picture, count):
    """No more of ours than :mod:`projects_tests.prediction.test_finding` counts on a CPU."""
    model = the_shipped_model(DEVICE)
    model.batch([picture] * count)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            model.batch([picture] * count)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    ours = [w for w in waits if "densepose_ext" in w.filename and "synchronizing" in str(w.message)]
    assert len(ours) <= 3, [(w.filename, w.lineno) for w in ours]


def test_given_boxes(tmp_path):
    """Dense pose in given boxes, as trackers and test-time augmentation need it."""
    found = []
    for device in ("cpu", DEVICE):
        torch.manual_seed(0)
        model = build_model(config(tmp_path, "MODEL.DEVICE", device, *DEMO)).eval()
        torch.manual_seed(1)
        image = torch.rand(3, 96, 128) * 255
        people = Instances((96, 128))
        people.pred_boxes = Boxes(torch.tensor([[10.0, 10, 60, 90], [50, 5, 120, 80]])).to(device)
        people.pred_classes = torch.zeros(2, dtype=torch.long, device=device)
        with torch.no_grad():
            [people] = model.inference([{"image": image}], [people], do_postprocess=False)
        found.append(people.pred_densepose.u.cpu())
    assert torch.allclose(*found, rtol=1e-3, atol=1e-4)


@needs_real_one
def test_train_net_trains_and_scores(tmp_path):
    workplace = Workplace.make(tmp_path, images=4)
    log = workplace.train(
        "OUTPUT_DIR", "run", "MODEL.DEVICE", DEVICE, "SOLVER.AMP.ENABLED", True,
        "TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(96,)",
        env={"CUDA_VISIBLE_DEVICES": "0"},
    )  # fmt: skip
    for task in ("bbox", "densepose_gps"):
        assert log.count(f"copypaste: Task: {task}\n") == 2
