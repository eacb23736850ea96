"""Milliseconds of the mapper for a training picture, on one core.

    python benchmarks/bench_mapper.py [--repeats 100]

A photograph of 480 x 640 (JPEG) with 3 people of 100 points and 14 masks each, at shorter side 800,
flipped half of the time. The baseline is straightforward: Detectron2's own mapper for the picture
and boxes, and pycocotools for the masks, one by one; it does not transform points and masks. Both
take turns, so that a busy machine slows them alike.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from detectron2.data import DatasetMapper
from detectron2.data import transforms as T
from pycocotools import mask as coco_mask
from scipy.io import savemat

from densepose_ext.data import DensePoseDatasetMapper, load_densepose_coco

HEIGHT, WIDTH, PEOPLE, POINTS = 480, 640, 3, 100
BAR = 12.0


def photograph() -> np.ndarray:
    """A photograph of HEIGHT x WIDTH, or, without scikit-image, noise with a natural spectrum."""
    try:
        from skimage import data
    except ImportError:
        rng = np.random.default_rng(0)
        y, x = np.meshgrid(np.fft.fftfreq(HEIGHT), np.fft.fftfreq(WIDTH), indexing="ij")
        spectrum = np.fft.fft2(rng.normal(size=(3, HEIGHT, WIDTH))) / (np.hypot(x, y) + 1e-3)
        noise = np.fft.ifft2(spectrum).real
        noise = (noise - noise.min()) / (noise.max() - noise.min()) * 255
        return noise.transpose(1, 2, 0).astype(np.uint8)
    return cv2.resize(data.astronaut()[..., ::-1], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def part_mask(rng: np.random.Generator) -> dict:
    """An ellipse, as annotators draw limbs."""
    mask = np.zeros((256, 256), np.uint8)
    centre, axes = rng.integers(40, 216, 2).tolist(), rng.integers(12, 50, 2).tolist()
    cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    rle = coco_mask.encode(np.asfortranarray(mask))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def make_dataset(folder: Path) -> tuple[dict, list[list[dict]]]:
    """One picture with its people, read as from a dataset, and their masks as in the file."""
    rng = np.random.default_rng(0)
    cv2.imwrite(str(folder / "photograph.jpg"), photograph(), [cv2.IMWRITE_JPEG_QUALITY, 92])
    people = []
    for number in range(PEOPLE):
        w, h = rng.uniform(100, 200), rng.uniform(250, 400)
        people.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "bbox": [rng.uniform(0, WIDTH - w), rng.uniform(0, HEIGHT - h), w, h],
                "dp_x": rng.uniform(0, 255, POINTS).tolist(),
                "dp_y": rng.uniform(0, 255, POINTS).tolist(),
                "dp_I": rng.integers(1, 25, POINTS).tolist(),
                "dp_U": rng.uniform(0, 1, POINTS).tolist(),
                "dp_V": rng.uniform(0, 1, POINTS).tolist(),
                "dp_masks": [part_mask(rng) for _ in range(14)],
            }
        )
    image = {"id": 1, "file_name": "photograph.jpg", "height": HEIGHT, "width": WIDTH}
    contents = {
        "images": [image],
        "annotations": people,
        "categories": [{"id": 1, "name": "person"}],
    }
    (folder / "annotations.json").write_text(json.dumps(contents))
    # A made-up mirror map in the official form: U is mirrored, V is kept.
    v, u = np.meshgrid(np.linspace(0, 1, 256), np.linspace(0, 1, 256), indexing="ij")
    tables = {}
    for key, table in (("U_transforms", 1 - u), ("V_transforms", v)):
        tables[key] = np.empty((1, 24), dtype=object)
        tables[key][0] = [table] * 24
    savemat(folder / "UV_symmetry_transforms.mat", tables)
    (record,) = load_densepose_coco(
        str(folder / "annotations.json"), str(folder), surface=str(folder.resolve())
    )
    return record, [person["dp_masks"] for person in people]


class Baseline(DatasetMapper):
    """Detectron2's mapper, and the part masks decoded and painted one by one."""

    def __init__(self, masks: list[list[dict]], **arguments):
        super().__init__(True, **arguments)
        self.masks = masks

    def __call__(self, dataset_dict: dict) -> dict:
        mapped = super().__call__(dataset_dict)
        for masks_of_person in self.masks:
            segm = np.zeros((256, 256), np.uint8)
            for part, rle in enumerate(masks_of_person, start=1):
                segm[coco_mask.decode(rle) > 0] = part
        return mapped


def milliseconds(mapper, image: dict, seed: int) -> float:
    np.random.seed(seed)
    start = time.perf_counter()
    mapper(image)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    arguments = {
        "augmentations": [T.ResizeShortestEdge([800], 1333, "choice"), T.RandomFlip()],
        "image_format": "BGR",
    }
    with tempfile.TemporaryDirectory() as folder:
        image, masks = make_dataset(Path(folder))
        mappers = {
            "densepose_ext": DensePoseDatasetMapper(True, **arguments),
            "baseline": Baseline(masks, **arguments),
        }
        for mapper in mappers.values():
            for seed in range(4):
                milliseconds(mapper, image, seed)
        times = {name: [] for name in mappers}
        for seed in range(repeats):
            for name, mapper in mappers.items():
                times[name].append(milliseconds(mapper, image, seed))
    print(f"mapper, {HEIGHT} x {WIDTH} to shorter side 800, {PEOPLE} people, ms an image:")
    for label, of in (("median", statistics.median), ("best", min)):
        ours, baseline = (of(times[name]) for name in mappers)
        print(
            f"  {label:6} {ours:5.1f} (bar: {BAR:g}); baseline {baseline:5.1f};"
            f" ratio {ours / baseline:.2f}"
        )


if __name__ == "__main__":
    main()
