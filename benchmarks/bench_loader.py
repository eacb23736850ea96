"""CPU time that the training process takes to receive a batch from its workers.

    python benchmarks/bench_loader.py

Batches of 16 synthetic pictures, mapped beforehand. The baseline sends each tensor by itself, as
Detectron2 does; ours come in one piece. Both take turns; the time is the main thread's CPU time.
"""

import argparse
import tempfile
import time

from detectron2.data import DatasetCatalog
from detectron2.data.build import trivial_batch_collator
from timing import report
from torch.utils.data import DataLoader

from densepose_ext import get_config_file, load_config
from densepose_ext.data import DensePoseDatasetMapper
from densepose_ext.data.packing import PackedBatch
from densepose_ext.synthetic.registration import register_synthetic
from densepose_ext.synthetic.settings import Settings

NAME, PICTURES = "loader_benchmark", 16
CONFIG = "densepose_rcnn_EffLite0_FPN_synth_demo.yaml"


def seconds_a_batch(pictures: list, collate_fn, batches: int) -> float:
    loader = DataLoader(pictures * batches, PICTURES, num_workers=1, collate_fn=collate_fn)
    iterator = iter(loader)
    next(iterator)  # starts the worker
    start = time.thread_time()
    for _ in range(batches - 1):
        next(iterator)
    return (time.thread_time() - start) / (batches - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        register_synthetic(NAME, "train", PICTURES, Settings(size=256, points=40), folder)
        cfg = load_config(get_config_file(CONFIG), ["DATASETS.TRAIN", (NAME,)])
        mapper = DensePoseDatasetMapper(cfg, True)
        pictures = [mapper(record) for record in DatasetCatalog.get(NAME)]
    ways = {"each tensor": trivial_batch_collator, "in one piece": PackedBatch}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(args.repeats):
        for name, collate_fn in ways.items():
            best[name] = min(best[name], seconds_a_batch(pictures, collate_fn, args.batches))
    report(f"A batch of {PICTURES} pictures from a worker", best, "each tensor")


if __name__ == "__main__":
    main()
