"""Peak memory of training, of a large picture, and of an evaluation.

    python benchmarks/bench_memory.py
    python benchmarks/bench_memory.py evaluate --save benchmarks/measured/MACHINE.json

Each is measured in a process of its own: the highest resident memory (ru_maxrss) at its end, less
that once everything is imported. With ``--device cuda``, training and prediction are measured by
the most memory that torch had allocated on the GPU. Pictures, people and results are made up;
weights of R_50 are random. The evaluation takes minutes, and 3 GB of disk while it runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from bench_evaluation import HEIGHT, WIDTH, make_maps, make_truth
from measured_files import rounded, save
from tables import memory
from timing import THREADS

from densepose_ext import DensePosePredictor, get_config_file, load_config
from densepose_ext.commands import main as command_line
from densepose_ext.data import build as data_build
from densepose_ext.engine import DensePoseTrainer
from densepose_ext.evaluation import publish, scorecard
from densepose_ext.evaluation.results import result_entry, write_results
from densepose_ext.modeling.postprocessing import densepose_results
from densepose_ext.surface.registry import get_surface
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.registration import register_synthetic
from densepose_ext.synthetic.settings import Settings

#: Used by what is measured, and imported before that begins.
IMPORTED = (command_line, data_build, publish, scorecard)
NAME = "memory_benchmark"
STEPS, SIDE = 3, 800
LARGE = (3000, 4000)
#: Numbers of the synthetic pictures that it consists of, with nine people.
PICTURES = (1, 3, 4, 7)
IMAGES, DETECTIONS, PEOPLE = 5_000, 20, 7_500
BOX = (100, 210)


def register_pictures(folder: Path) -> None:
    register_synthetic(NAME, "train", 4, Settings(size=256), folder / "people")


def prepare(name: str, folder: Path, images: int) -> None:
    """Makes the files that a measurement needs."""
    if name == "train":
        register_pictures(folder)
        data_build.DatasetCatalog.get(NAME)
    elif name == "predict":
        first, second, third, fourth = (
            make_example(Settings(size=512), "val", number).image for number in PICTURES
        )
        rows = np.hstack([first, second]), np.hstack([third, fourth])
        np.save(folder / "picture.npy", np.vstack(rows))
    else:
        surface = get_surface("open")
        surface.geodesic(*(surface.closest_vertex(*np.array([[1], [0.5], [0.5]])),) * 2)
        make_truth(folder, images, PEOPLE * images // IMAGES)
        write_results(folder / "results.json", made_up_results(images))


def made_up_results(images: int):
    """Entries of a results file, DETECTIONS on each image: a few maps at many places."""
    random = np.random.default_rng(0)
    width, height = BOX
    boxes = torch.tensor([[0.0, 0, width, height]]).expand(DETECTIONS, 4)
    maps = [r.iuv_uint8().numpy() for r in densepose_results(make_maps(DETECTIONS, 0), boxes)]
    entries = [result_entry(0, 1, np.zeros(4), 0.0, iuv) for iuv in maps]
    for image in range(1, images + 1):
        corners = random.uniform(0, (WIDTH - width, HEIGHT - height), (DETECTIONS, 2)).tolist()
        for entry, corner, score in zip(entries, corners, random.random(DETECTIONS).tolist()):
            yield {**entry, "image_id": image, "bbox": [*corner, width, height], "score": score}


def train(device: str, folder: Path) -> None:
    register_pictures(folder)
    cfg = load_config(
        get_config_file("densepose_rcnn_R_50_FPN_s1x.yaml"),
        ["MODEL.DEVICE", device, "MODEL.WEIGHTS", "", "OUTPUT_DIR", str(folder / "run")]
        + ["DATASETS.TRAIN", (NAME,), "DATASETS.TEST", (), "TEST.EVAL_PERIOD", 0]
        + ["SOLVER.MAX_ITER", STEPS, "SOLVER.IMS_PER_BATCH", 2, "SOLVER.BASE_LR", 1e-6]
        + ["INPUT.MIN_SIZE_TRAIN", (SIDE,), "DATALOADER.NUM_WORKERS", 0],
    )
    DensePoseTrainer(cfg).train()


def predict(device: str, folder: Path) -> None:
    import cv2

    picture = np.load(folder / "picture.npy")[:, :, ::-1]
    picture = cv2.resize(np.ascontiguousarray(picture), LARGE[::-1])
    people = DensePosePredictor(device=device, min_score=0.5)(picture)
    print(f"{len(people)} people", file=sys.stderr)


def evaluate(device: str, folder: Path) -> None:
    files = ["--annotations", str(folder / "truth.json"), "--results", str(folder / "results.json")]
    command_line.main(["evaluate", *files, "--surface", "open"])


#: Name: what is measured, in words, and the function.
MEASURED = {
    "train": (f"training R_50, 2 images of {SIDE} pixels", train),
    "predict": (f"`predict`, the shipped model, a picture of {LARGE[1]} x {LARGE[0]}", predict),
    "evaluate": (f"`evaluate`, {{images:,}} images with {DETECTIONS} detections each", evaluate),
}


def resident() -> float:
    """The highest resident memory of this process so far, MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure(name: str, device: str, folder: Path) -> None:
    """Runs it in this process, and writes the megabytes to a file of the folder."""
    torch.set_num_threads(THREADS)
    before = resident()
    MEASURED[name][1](device, folder)
    grown = resident() - before
    print(f"{before:.0f} MB after imports, {grown:.0f} MB more at the peak", file=sys.stderr)
    if device == "cuda" and name != "evaluate":
        grown = torch.cuda.max_memory_allocated() / 1e6
    (folder / "megabytes.json").write_text(json.dumps(grown))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=", ".join(MEASURED))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--images", type=int, default=IMAGES, help="of the evaluation")
    parser.add_argument("--save", type=Path, metavar="JSON", help="keep the table there")
    parser.add_argument("--machine", metavar="WORDS", help="for a new --save file")
    parser.add_argument("--step", choices=("prepare", "measure"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    names = args.names or list(MEASURED)
    if unknown := sorted({*names} - {*MEASURED}):
        parser.error(f"nothing named {unknown[0]!r}; there are {', '.join(MEASURED)}")
    if args.step == "prepare":
        return prepare(names[0], args.folder, args.images)
    if args.step == "measure":
        return measure(names[0], args.device, args.folder)
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for step in ("prepare", "measure"):
                own = [name, "--device", args.device, "--images", str(args.images)]
                own += ["--step", step, "--folder", folder]
                subprocess.run(
                    [sys.executable, "-W", "ignore", __file__, *own],
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
            megabytes = json.loads((Path(folder) / "megabytes.json").read_text())
        where = " (GPU)" if args.device == "cuda" and name != "evaluate" else ""
        what = MEASURED[name][0].format(images=args.images) + where
        rows.append({"what": what, "megabytes": rounded(megabytes)})
    print(memory(rows))
    if args.save:
        save(args.save, "memory", rows, args.machine)


if __name__ == "__main__":
    main()
