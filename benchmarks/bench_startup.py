"""How long commands take to start, in CPU time, beside an import of Detectron2 alone.

    python benchmarks/bench_startup.py [RUNS]

Every line is a process of its own; their runs are interleaved, and medians are compared. CPU time
(user and system) depends less than the clock on what else the machine does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from densepose_ext.commands.main import COMMANDS  # noqa: E402

IMPORT = "import torch, detectron2.modeling"
# What Detectron2 takes to run the shipped model once, without this package's predictor.
NETWORK = f"""
{IMPORT}
import cv2, sys
import densepose_ext
from densepose_ext import model_zoo
from detectron2.checkpoint import DetectionCheckpointer

shipped = model_zoo.get()
settings = ["MODEL.TIMM.WEIGHTS", "", "MODEL.DEVICE", "cpu"]
cfg = densepose_ext.load_config(shipped.config, settings)
model = detectron2.modeling.build_model(cfg).eval()
DetectionCheckpointer(model).load(shipped.weights)
picture = torch.from_numpy(cv2.imread(sys.argv[1]).transpose(2, 0, 1).copy())
with torch.no_grad():
    model([{{"image": picture}}])
"""
BASELINE, WHOLE = IMPORT, "import, model and network"


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of a Python process, and of those it waits for."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def programs(folder: Path) -> dict[str, list[str]]:
    """Name -> arguments of Python. Makes a synthetic picture and its annotations first."""
    command = ["-m", "densepose_ext"]
    made = ["synth", "--out", str(folder), "--train", "1", "--val", "0", "--size", "384"]
    cpu_seconds([*command, *made])
    picture = str(folder / "train/000000.jpg")
    predict = ["predict", picture, "--out", str(folder / "predicted"), "--device", "cpu"]
    return {
        BASELINE: ["-c", IMPORT],
        "import densepose_ext": ["-c", "import densepose_ext"],
        WHOLE: ["-c", NETWORK, picture],
        "predict": [*command, *predict],
        "check": [*command, "check", str(folder / "densepose_train.json")],
        "configs": [*command, "configs"],
        "--version": [*command, "--version"],
        "--help": [*command, "--help"],
        **{f"{name} --help": [*command, name, "--help"] for name in COMMANDS},
    }


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        times = {name: [] for name in programs(Path(folder))}
        for _ in range(runs):
            for name, arguments in programs(Path(folder)).items():
                times[name].append(cpu_seconds(arguments))
    middle = {name: median(seconds) for name, seconds in times.items()}
    rows = [
        (name, f"{seconds:.2f}", f"{seconds / middle[BASELINE]:.2f}")
        for name, seconds in middle.items()
    ]
    print(f"CPU seconds of a process, median of {runs}")
    print(tabulate(rows, headers=("", "seconds", f"of {BASELINE!r}"), tablefmt="plain"))
    print(f"\npredict is {middle['predict'] / middle[WHOLE]:.2f} of {WHOLE!r}")


if __name__ == "__main__":
    main()
