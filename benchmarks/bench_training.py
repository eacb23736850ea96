"""Time of a whole training step, and the share spent waiting for pictures.

    python benchmarks/bench_training.py
    python benchmarks/bench_training.py --device cuda --precision fp32 bf16 --images 16 --workers 8

Configs are trained on 64 synthetic pictures, rendered first, with Detectron2's trainer and hooks: a
step includes mapper, loss, gradients and the optimizer. Configs take turns; their time is the
median of all steps but the first ones of each turn. "fp16" and "bf16" are SOLVER.AMP.PRECISION,
with SOLVER.AMP.ENABLED; on a CPU both are bfloat16.
"""

import argparse
import itertools
import logging
import statistics
import tempfile
from pathlib import Path

import torch
from detectron2.engine.hooks import CallbackHook
from tabulate import tabulate
from timing import THREADS

from densepose_ext import DensePoseTrainer, get_config_file, load_config
from densepose_ext.synthetic.registration import register_synthetic
from densepose_ext.synthetic.settings import Settings

NAME = "training_benchmark"
WARM_UP = 10


def steps(overrides: list, config: str, folder: str, count: int) -> tuple[list, list]:
    """Seconds of each step, and of its wait for pictures."""
    cfg = load_config(
        get_config_file(f"{config}.yaml"),
        ["DATASETS.TRAIN", (NAME,), "DATASETS.TEST", (), "OUTPUT_DIR", folder, "MODEL.WEIGHTS", ""]
        + ["SOLVER.MAX_ITER", WARM_UP + count, "TEST.EVAL_PERIOD", 0, *overrides],
    )
    trainer = DensePoseTrainer(cfg)
    seconds, waits = [], []

    def after_step(trainer):
        latest = trainer.storage.latest()
        if trainer.iter > WARM_UP:
            seconds.append(latest["time"][0])
            waits.append(latest["data_time"][0])

    trainer.register_hooks([CallbackHook(after_step=after_step)])
    trainer.train()
    return seconds, waits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", nargs="+", default=["densepose_rcnn_EffLite0_FPN_synth_demo"])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument(
        "--precision", nargs="+", default=["fp32"], choices=("fp32", "fp16", "bf16")
    )
    parser.add_argument("--images", nargs="+", type=int, default=[4], help="pictures a step")
    parser.add_argument("--workers", type=int, default=0, help="processes that load pictures")
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--turns", type=int, default=2)
    args = parser.parse_args()
    if args.device == "cpu":
        torch.set_num_threads(THREADS)
    logging.disable(logging.WARNING)
    cases = list(itertools.product(args.config, args.images, args.precision))
    seconds, waits = ({case: [] for case in cases} for _ in range(2))
    memory = {}
    with tempfile.TemporaryDirectory() as folder:
        pictures = Settings(size=384, points=40)
        register_synthetic(NAME, "train", 64, pictures, Path(folder) / "pictures")
        for _, case in itertools.product(range(args.turns), cases):
            config, images, precision = case
            overrides = ["MODEL.DEVICE", args.device, "SOLVER.IMS_PER_BATCH", images]
            if precision != "fp32":
                overrides += ["SOLVER.AMP.ENABLED", True, "SOLVER.AMP.PRECISION", precision]
            overrides += ["DATALOADER.NUM_WORKERS", args.workers]
            if args.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            measured = steps(overrides, config, folder, args.steps)
            for found, new in zip((seconds, waits), measured):
                found[case] += new
            if args.device == "cuda":
                memory[case] = torch.cuda.max_memory_allocated() / 2**30
    rows = [
        [
            *case,
            f"{statistics.median(seconds[case]) * 1e3:.0f}",
            f"{statistics.median(waits[case]) * 1e3:.0f}",
            f"{case[1] / statistics.median(seconds[case]):.1f}",
            f"{memory[case]:.1f}" if case in memory else "",
        ]
        for case in cases
    ]
    headings = ["config", "pictures a step", "precision", "ms a step", "of it waiting"]
    headings += ["pictures/s", "GiB on the GPU"]
    print(f"{args.device}, {args.workers} workers\n")
    print(tabulate(rows, headings, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
