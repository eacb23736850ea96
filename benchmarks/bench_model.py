"""Time of a picture by stage, for any config, device and precision.

    python benchmarks/bench_model.py
    python benchmarks/bench_model.py --config densepose_rcnn_R_50_FPN_s1x --short 800 \\
        --device cuda --precision fp32 bf16 fp16 --save benchmarks/measured/MACHINE.json

Models that come with the package have their weights, others random ones, whose maps are noise, so
that "results" take longer. The picture shows synthetic people in five fixed boxes. The box branch
gets the largest number of proposals that the RPN allows, second look and dense pose branch the five
boxes. "results" is the step from maps to part, U and V at each pixel; "drawing" paints parts and
boxes on the picture. Times are those of the fastest of several interleaved runs. With --batch,
times are of one picture of a batch; with --compile, of the network compiled (the runs before the
measured ones compile it). --save keeps the table, for ``benchmarks/tables.py``.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from detectron2.structures import Boxes, Instances
from measured_files import rounded, save
from tables import stages
from timing import THREADS

from densepose_ext import densepose_results, get_config_file, load_config, model_zoo
from densepose_ext.engine.checkpoint import DensePoseCheckpointer
from densepose_ext.modeling.build import build_model
from densepose_ext.modeling.compiled import compile_model
from densepose_ext.modeling.precision import PRECISIONS, lower_precision
from densepose_ext.structures import Person
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.settings import Settings
from densepose_ext.visualization import draw_boxes, draw_parts

STAGES = ("backbone", "RPN", "box", "second look", "dense pose", "results", "drawing")
HEIGHT, WIDTH = 480, 640
#: Runs before the measured ones. CUDA graphs are recorded in the second and third.
WARM_UP = 4
#: XYXY boxes of people from near to far, as on a street.
PEOPLE = np.float32(
    [
        [20, 40, 190, 470],
        [210, 90, 340, 440],
        [360, 120, 460, 420],
        [480, 160, 560, 380],
        [580, 200, 635, 350],
    ]
)


def street() -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8, BGR: a synthetic person in each box of PEOPLE."""
    picture = None
    for number, corners in enumerate(PEOPLE.astype(int).tolist()):
        example = make_example(Settings(size=HEIGHT), "val", number)
        image = np.ascontiguousarray(example.image[:, :, ::-1])
        if picture is None:
            picture = cv2.resize(image, (WIDTH, HEIGHT))
        tallest = max(example.annotations, key=lambda person: person["bbox"][3])
        x, y, width, height = tallest["bbox"]
        x0, y0, x1, y1 = corners
        person = image[y : y + height, x : x + width]
        picture[y0:y1, x0:x1] = cv2.resize(person, (x1 - x0, y1 - y0))
    return picture


class Clock:
    """Seconds spent in each stage, work queued on a GPU included."""

    def __init__(self, device: str):
        self.device = device
        self.seconds = []
        self.restart()

    def _now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def restart(self) -> None:
        self.seconds, self.last = [], self._now()

    def lap(self) -> None:
        now = self._now()
        self.seconds.append(now - self.last)
        self.last = now


def one_batch(model, cfg, picture: np.ndarray, batch: int, clock: Clock) -> None:
    """Runs the stages as the model does on several times the same picture, and times each."""
    device = model.device
    short = cfg.INPUT.MIN_SIZE_TEST
    scale = min(short / HEIGHT, cfg.INPUT.MAX_SIZE_TEST / WIDTH)
    size = round(HEIGHT * scale), round(WIDTH * scale)
    image = torch.from_numpy(picture).permute(2, 0, 1)
    clock.restart()
    inputs = [
        {"image": torch.nn.functional.interpolate(image[None].float(), size, mode="bilinear")[0]}
        for _ in range(batch)
    ]
    images = model.preprocess_image(inputs)
    features = model.backbone(images.tensor)
    clock.lap()
    model.proposal_generator(images, features, None)
    clock.lap()
    proposals = [proposals_of(cfg, size, device)] * batch
    model.roi_heads._forward_box(features, proposals)
    clock.lap()
    boxes = torch.from_numpy(PEOPLE).to(device)
    if model.roi_heads.second_look_on:
        model.roi_heads.second_look(images.tensor, [Boxes(boxes * scale)] * batch)
    clock.lap()
    classes = torch.zeros(len(boxes), dtype=torch.long, device=device)
    found = [
        Instances(size, pred_boxes=Boxes(boxes * scale), pred_classes=classes) for _ in range(batch)
    ]
    found = model.roi_heads.forward_with_given_boxes(features, found)
    clock.lap()
    results = [densepose_results(of_picture.pred_densepose, boxes) for of_picture in found]
    people = [
        [Person(box, 0.9, r.map(torch.Tensor.cpu)) for box, r in zip(PEOPLE, of_picture)]
        for of_picture in results
    ]
    clock.lap()
    for of_picture in people:
        draw_boxes(draw_parts(picture, of_picture), of_picture)
    clock.lap()


def proposals_of(cfg, size: tuple[int, int], device: torch.device) -> Instances:
    """Boxes all over a picture, as many as the RPN allows."""
    count = cfg.MODEL.RPN.POST_NMS_TOPK_TEST
    corners = torch.rand(count, 4, generator=torch.Generator().manual_seed(0))
    corners = corners.view(count, 2, 2).sort(1).values.flatten(1)
    boxes = corners * torch.tensor([size[1], size[0]] * 2)
    return Instances(
        size,
        proposal_boxes=Boxes(boxes.to(device)),
        objectness_logits=torch.zeros(count, device=device),
    )


def prepared(
    name: str, short: int | None, precision: str, is_compiled: bool, batch: int, device: str
) -> tuple[dict, Callable[[Clock], None]]:
    """A row of the table without times, and what runs the stages once with its settings."""
    cfg = load_config(
        get_config_file(f"{name}.yaml"),
        ["MODEL.DEVICE", device, "MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION", precision]
        + (["INPUT.MIN_SIZE_TEST", short] if short else [])
        + ["MODEL.WEIGHTS", "", "MODEL.TIMM.WEIGHTS", ""],
    )
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    if name in model_zoo.names():
        DensePoseCheckpointer(model).load(model_zoo.get(name).weights)
    if device == "cpu":
        model.to(memory_format=torch.channels_last)  # as DensePosePredictor does
    if precision != "fp32":
        lower_precision(model, PRECISIONS[precision])  # as it does, too
    if is_compiled:
        compile_model(model)
    row = {
        "model": name,
        "shorter_side": cfg.INPUT.MIN_SIZE_TEST,
        "precision": precision,
        "mode": "compiled" if is_compiled else "eager",
        "batch": batch,
    }
    return row, functools.partial(one_batch, model, cfg, street(), batch)


def measure(settings: Iterable[tuple], repeats: int, device: str) -> list[dict]:
    """Rows of the table, with milliseconds a picture of each stage in the fastest run."""
    rows, runs = zip(*(prepared(*chosen, device) for chosen in settings))
    clock = Clock(device)
    laps: list[list[list[float]]] = [[] for _ in rows]
    with torch.inference_mode():
        # Interleaved: the speed of a machine changes from minute to minute.
        for _ in range(WARM_UP + repeats):
            for run, of_row in zip(runs, laps):
                run(clock)
                of_row.append(clock.seconds)
    for row, of_row in zip(rows, laps):
        times = [seconds * 1e3 / row["batch"] for seconds in min(of_row[WARM_UP:], key=sum)]
        row["ms"] = dict(zip(STAGES, map(rounded, times)))
        row["in_all"] = rounded(sum(times))
    return list(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--config",
        nargs="+",
        default=["densepose_rcnn_R_50_FPN_s1x", "densepose_rcnn_EffLite0_FPN_synth"],
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=PRECISIONS)
    parser.add_argument(
        "--short", type=int, nargs="+", default=[None], help="shorter side given to the network"
    )
    parser.add_argument(
        "--compile",
        nargs="+",
        default=["no"],
        choices=("no", "yes"),
        help="whether the network is compiled, for GPUs; no yes measures both",
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="pictures in a batch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--save", type=Path, metavar="JSON", help="keep the table there")
    parser.add_argument("--machine", metavar="WORDS", help="for a new --save file")
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    is_compiled = [answer == "yes" for answer in args.compile]
    settings = itertools.product(args.config, args.short, args.precision, is_compiled, args.batch)
    rows = measure(settings, args.repeats, args.device)
    print(f"{len(PEOPLE)} people, {WIDTH} x {HEIGHT}, {args.device}, {THREADS} threads\n")
    print(stages(rows))
    if args.save:
        save(args.save, "stages", rows, args.machine)


if __name__ == "__main__":
    main()
