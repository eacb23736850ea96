"""Operations that a training step launches, and its waits for the device, by part of the model.

    python benchmarks/bench_operations.py
    python benchmarks/bench_operations.py --device cuda

On a GPU, most operations of a step take less time than launching them, so their number bounds it.
It is counted on a CPU, where the model takes a GPU's path, and hardly depends on sizes; views are
left out, operations on the host are not. "image by image" draws anchors and RoIs as Detectron2
does. With ``--device cuda`` steps of both are timed too.
"""

import argparse
import copy
import functools
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch
from detectron2.utils.events import EventStorage
from tabulate import tabulate
from timing import measure
from torch.utils._python_dispatch import TorchDispatchMode

from densepose_ext import DensePoseDatasetMapper, get_config_file, load_config
from densepose_ext.data import load_densepose_coco
from densepose_ext.engine.optimizer import build_optimizer
from densepose_ext.modeling.build import build_model, train_in_batches
from densepose_ext.modeling.pooling import RowPooler
from densepose_ext.synthetic.dataset import generate
from densepose_ext.synthetic.settings import Settings

sys.path.insert(0, str(Path(__file__).parent.parent))
from projects_tests.synchronisations import Synchronisations

CONFIG = "densepose_rcnn_EffLite0_FPN_synth_demo_gpu.yaml"
KINDS = ("image by image", "in batches")
#: Methods whose operations are counted: (module of the model, method, name of the part).
PARTS = (
    ("backbone", "forward", "backbone"),
    ("proposal_generator.rpn_head", "forward", "RPN, head"),
    ("proposal_generator", "label_and_sample_anchors", "RPN, matching and sampling"),
    ("proposal_generator", "losses", "RPN, losses"),
    ("proposal_generator", "predict_proposals", "RPN, proposals"),
    ("roi_heads", "label_and_sample_proposals", "RoIs, matching and sampling"),
    ("roi_heads", "_forward_box", "boxes"),
    ("roi_heads", "_densepose_losses", "dense pose, head"),
    ("roi_heads", "_select_annotated", "dense pose, selection of RoIs"),
    ("roi_heads", "_densepose_loss", "dense pose, targets and losses"),
)


class Operations(TorchDispatchMode):
    """Counts the operations of each part of a model; the last one named is at work."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter = Counter()
        self.parts = ["images and annotations"]

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        aliases = (value.alias_info for value in function._schema.returns)
        is_view = any(alias is not None and not alias.is_write for alias in aliases)
        if not is_view and "empty" not in function._schema.name:
            self.counts[self.parts[-1]] += 1
        return function(*args, **(kwargs or {}))

    def during(self, name: str, function):
        """A function whose operations count as those of a part."""

        @functools.wraps(function)
        def call(*args, **kwargs):
            self.parts.append(name)
            try:
                return function(*args, **kwargs)
            finally:
                self.parts.pop()

        return call


def make_step(kind: str, batch: list[dict], device: str, counted: Operations | None = None):
    """A model's training step on a batch, a function without arguments."""
    settings = ["MODEL.DEVICE", "cpu", "MODEL.TIMM.WEIGHTS", ""]
    cfg = load_config(get_config_file(CONFIG), settings)
    torch.manual_seed(0)
    model = build_model(cfg).train().to(device)
    if kind == "in batches":
        train_in_batches(model)
    optimizer = build_optimizer(cfg, model)
    for group in optimizer.param_groups:
        group.update(fused=False, foreach=True)  # the default on a GPU
    counted = counted or Operations()
    for path, method, name in PARTS:
        module = model.get_submodule(path)
        setattr(module, method, counted.during(name, getattr(module, method)))

    def run() -> None:
        with EventStorage():
            losses = sum(model(batch).values())
        optimizer.zero_grad()
        counted.during("backward pass", losses.backward)()
        counted.during("optimizer", optimizer.step)()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def count(kind: str, batch: list[dict]) -> tuple[Counter, int]:
    """Operations of a step by part, and its waits for the device but for the optimizer's.

    (Optimizers read counters of steps, which are on the host.)
    """
    operations = Operations()
    step = make_step(kind, batch, "cpu", operations)
    step()  # makes the optimizer's state
    with operations:
        step()
    with Synchronisations() as waits:
        step()
    of_model = (n for (_, place, _), n in waits.counts.items() if not place.endswith(" step"))
    return operations.counts, sum(of_model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--images", type=int, default=16, help="pictures a step")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), Settings(size=192), {"train": args.images})
        records = load_densepose_coco(
            f"{folder}/densepose_train.json", f"{folder}/train", surface="open"
        )
        mapper = DensePoseDatasetMapper(load_config(get_config_file(CONFIG)), True)
        batch = [mapper(record) for record in records]

    own_pooling, RowPooler.forward = RowPooler.forward, lambda self, *args: self.pooler(*args)
    (before, waits_before), (after, waits_after) = (
        count(kind, copy.deepcopy(batch)) for kind in KINDS
    )
    RowPooler.forward = own_pooling
    rows = [[part, before[part], after[part]] for part, _ in before.most_common()]
    rows.append(["all", before.total(), after.total()])
    rows.append(["waits for the device", waits_before, waits_after])
    if args.device == "cuda":
        times = measure({kind: make_step(kind, batch, "cuda") for kind in KINDS}, 20, 5)
        rows.append(["milliseconds", *(round(times[kind] * 1e3, 1) for kind in KINDS)])
    print(f"operations of a step of {args.images} pictures\n")
    print(tabulate(rows, ["", *KINDS], tablefmt="github"))


if __name__ == "__main__":
    main()
