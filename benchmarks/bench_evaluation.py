"""Time and memory of the evaluation, and how they grow.

    python benchmarks/bench_evaluation.py [--images 335] [--people 500] [--detections 8]

Random people of 100 points on a random surface of the official size (27,554 vertices); detections
with maps of 112 x 112 and boxes of about 160 x 310 pixels. The official evaluator takes 67 s in
process() and 22 s in evaluate() for such a set, and grows from 1.2 to 2.9 GiB.

Run it on two idle cores: beside other work, torch's threads wait for each other and the figures are
meaningless.
"""

import argparse
import json
import os
import resource
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pycocotools.mask as coco_mask
import torch
import torch.nn.functional as F
from detectron2.data import MetadataCatalog
from detectron2.structures import Boxes, Instances

from densepose_ext.evaluation.evaluator import DensePoseEvaluator
from densepose_ext.structures import DensePoseOutput
from densepose_ext.surface.geodesics import cached_geodesics
from densepose_ext.surface.official import _ChartVertices

NUM_VERTICES, NUM_UV, POINTS, SIDE = 27554, 31000, 100, 112
WIDTH, HEIGHT = 640, 480


class MadeUpSurface:
    """Charts of scattered vertices; distances are Euclidean, between random points."""

    name = "made-up"

    def __init__(self, num_vertices: int):
        random = np.random.default_rng(0)
        self.places = random.random((num_vertices, 3), np.float32)
        parts = random.integers(1, 25, NUM_UV)
        vertices = random.integers(0, num_vertices, NUM_UV)
        self._charts = _ChartVertices(parts, random.random((NUM_UV, 2)), vertices)
        self.closest_vertex = self._charts.closest
        start = time.perf_counter()
        self._table = cached_geodesics(self.name, "bench", num_vertices, self._rows)
        print(f"geodesics built in {time.perf_counter() - start:.1f} s")
        start = time.perf_counter()
        self._table = cached_geodesics(self.name, "bench", num_vertices, self._rows)
        print(f"geodesics opened in {time.perf_counter() - start:.4f} s (bar: .1 s)")

    def _rows(self):
        for i in range(len(self.places)):
            yield np.sqrt(((self.places[:i] - self.places[i]) ** 2).sum(1))

    def geodesic(self, a, b):
        return self._table.distances(a, b)


def make_truth(folder: Path, images: int, people: int) -> Path:
    random = np.random.default_rng(1)
    empty = coco_mask.encode(np.asfortranarray(np.ones((256, 256), np.uint8)))
    empty["counts"] = empty["counts"].decode()
    annotations = []
    for number in range(people):
        w, h = random.normal(160, 15), random.normal(310, 20)
        box = [random.uniform(0, WIDTH - w), random.uniform(0, HEIGHT - h), w, h]
        annotations.append(
            {
                "id": number + 1,
                "image_id": number % images + 1,
                "category_id": 1,
                "bbox": box,
                "area": w * h * 0.6,
                "iscrowd": 0,
                "dp_x": random.uniform(0, 255, POINTS).tolist(),
                "dp_y": random.uniform(0, 255, POINTS).tolist(),
                "dp_I": random.integers(1, 25, POINTS).tolist(),
                "dp_U": random.random(POINTS).tolist(),
                "dp_V": random.random(POINTS).tolist(),
                "dp_masks": [empty] + [[]] * 13,
            }
        )
    content = {
        "images": [
            {"id": n + 1, "width": WIDTH, "height": HEIGHT, "file_name": ""} for n in range(images)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    path = folder / "truth.json"
    path.write_text(json.dumps(content))
    return path


def make_maps(count: int, seed: int) -> DensePoseOutput:
    """Smooth random maps, like a network's."""
    generator = torch.Generator().manual_seed(seed)

    def smooth(channels: int, side: int) -> torch.Tensor:
        noise = torch.randn(count, channels, side, side, generator=generator)
        return F.interpolate(noise, (SIDE, SIDE), mode="bilinear") * 4

    return DensePoseOutput(smooth(2, 8), smooth(25, 14), *(smooth(25, 14) / 8 + 0.5 for _ in "uv"))


def detections(truth_boxes: np.ndarray, count: int, maps: DensePoseOutput, random) -> Instances:
    """Detections near the people of an image, and anywhere."""
    boxes = np.stack(
        [
            random.uniform(0, WIDTH - 160, count),
            random.uniform(0, HEIGHT - 310, count),
            random.normal(160, 15, count),
            random.normal(310, 20, count),
        ],
        1,
    )
    boxes[: len(truth_boxes)] = (truth_boxes + random.normal(0, 4, truth_boxes.shape))[:count]
    boxes[:, 2:] += boxes[:, :2]
    instances = Instances((HEIGHT, WIDTH))
    instances.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32))
    instances.pred_boxes.clip((HEIGHT, WIDTH))
    instances.scores = torch.tensor(random.random(count), dtype=torch.float32)
    instances.pred_classes = torch.zeros(count, dtype=torch.int64)
    instances.pred_densepose = maps
    return instances


class PeakMemory:
    """Highest resident memory of the process between entry and exit, in MB."""

    def __enter__(self):
        self._stop = threading.Event()
        self.start = self.peak = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        while not self._stop.wait(0.01):
            self.peak = max(self.peak, self._now())

    @staticmethod
    def _now() -> float:
        with open("/proc/self/statm", encoding="utf-8") as stream:
            return int(stream.read().split()[1]) * resource.getpagesize() / 1e6


def measure(truth: Path, surface: MadeUpSurface, images: int, count: int) -> tuple[float, ...]:
    name = f"bench_evaluation_{images}_{count}"
    MetadataCatalog.get(name).set(json_file=str(truth), surface="made-up")
    pools = [make_maps(count, seed) for seed in range(2)]
    random = np.random.default_rng(2)
    boxes: dict[int, list] = {}
    for annotation in json.loads(truth.read_bytes())["annotations"]:
        boxes.setdefault(annotation["image_id"], []).append(annotation["bbox"])
    elapsed = 0.0
    with PeakMemory() as memory:
        evaluator = DensePoseEvaluator(name, surface=surface)
        for n in range(images):
            instances = detections(np.array(boxes[n + 1]), count, pools[n % 2], random)
            start = time.perf_counter()
            evaluator.process([{"image_id": n + 1}], [{"instances": instances}])
            elapsed += time.perf_counter() - start
        start = time.perf_counter()
        evaluator.evaluate()
        finish = time.perf_counter() - start
    return elapsed, finish, memory.peak - memory.start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=335)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--detections", type=int, default=8)
    parser.add_argument("--vertices", type=int, default=NUM_VERTICES)
    args = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DENSEPOSE_EXT_CACHE"] = folder
        surface = MadeUpSurface(args.vertices)
        truth = make_truth(Path(folder), args.images, args.people)
        print(
            f"{args.people} people of {POINTS} points on {args.images} images, "
            f"{args.detections} detections an image"
        )
        process, evaluate, grown = measure(truth, surface, args.images, args.detections)
        print(f"process {process:.2f} s, evaluate {evaluate:.2f} s (bars: 9 s together, 1 s)")
        print(f"official 67 s + 22 s: {89 / (process + evaluate):.0f} times as fast")
        print(f"resident memory grew by {grown:.0f} MB (bar: 300 MB; official 1650 MB)")
        half = make_truth(Path(folder), args.images // 2, args.people // 2)
        less, *_ = measure(half, surface, args.images // 2, args.detections)
        print(f"half the images: {less / process:.2f} of the time (bar: about .5)")
        half = make_truth(Path(folder), args.images // 4, args.people // 4)
        twenty, *_ = measure(half, surface, args.images // 4, 20)
        hundred, *_ = measure(half, surface, args.images // 4, 100)
        print(f"100 detections an image for 20: {hundred / twenty:.2f} of the time (bar: about 1)")


if __name__ == "__main__":
    main()
