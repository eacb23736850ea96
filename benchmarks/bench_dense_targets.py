"""A training step of the light model on annotated points, on dense targets and on both.

    python benchmarks/bench_dense_targets.py

A step is the mapper for two synthetic pictures (their dense targets are read and points drawn of
them), forward, losses and backward. All of it runs in one process.
"""

import tempfile
from pathlib import Path

import torch
from detectron2.utils.events import EventStorage
from timing import measure, report

from densepose_ext import DensePoseDatasetMapper, get_config_file, load_config
from densepose_ext.data import load_densepose_coco
from densepose_ext.engine.trainer import build_model
from densepose_ext.synthetic.dataset import generate
from densepose_ext.synthetic.settings import Settings

CONFIG = "densepose_rcnn_EffLite0_FPN_synth.yaml"
PICTURES = 2


def step(model, records: list[dict], supervision: str):
    """Runs one step each time it is called."""
    cfg = load_config(get_config_file(CONFIG), ["INPUT.DENSEPOSE_SUPERVISION", supervision])
    mapper = DensePoseDatasetMapper(cfg, True)

    def run() -> None:
        torch.manual_seed(0)
        with EventStorage():
            losses = model([mapper(record) for record in records])
        sum(losses.values()).backward()

    return run


def main() -> None:
    cfg = load_config(get_config_file(CONFIG), ["MODEL.DEVICE", "cpu", "MODEL.TIMM.WEIGHTS", ""])
    model = build_model(cfg).train()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, Settings(size=384, dense=True), {"train": PICTURES})
        records = load_densepose_coco(
            str(folder / "densepose_train.json"), str(folder / "train"), surface="open"
        )
        steps = {kind: step(model, records, kind) for kind in ("points", "dense", "both")}
        mappers = {f"{kind}, mapper alone": _mapping(records, kind) for kind in ("points", "dense")}
        times = measure({**steps, **mappers})
    report("a training step of two pictures", times, baseline="points")


def _mapping(records: list[dict], supervision: str):
    cfg = load_config(get_config_file(CONFIG), ["INPUT.DENSEPOSE_SUPERVISION", supervision])
    mapper = DensePoseDatasetMapper(cfg, True)
    return lambda: [mapper(record) for record in records]


if __name__ == "__main__":
    main()
