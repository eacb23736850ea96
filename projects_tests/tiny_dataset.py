"""A dataset of a few pictures of noise with random people, for tests that need only its format."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as rle
from scipy.io import savemat

SIDE = 256


def make_surface(folder: Path, geodesics: bool = False) -> Path:
    """A folder with a made-up ``UV_symmetry_transforms.mat``: U is mirrored, V is kept.

    Args:
        geodesics: also the other official files, of 48 vertices, two on each part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    v, u = np.meshgrid(np.linspace(0, 1, SIDE), np.linspace(0, 1, SIDE), indexing="ij")
    tables = {}
    for key, table in (("U_transforms", 1 - u), ("V_transforms", v)):
        tables[key] = np.empty((1, 24), dtype=object)
        for part in range(24):
            tables[key][0, part] = table
    savemat(folder / "UV_symmetry_transforms.mat", tables)
    if geodesics:
        vertices = np.arange(48)
        savemat(
            folder / "SMPL_subdiv.mat",
            {
                "Part_ID_subdiv": vertices // 2 + 1,
                "U_subdiv": np.where(vertices % 2, 0.25, 0.75),
                "V_subdiv": np.full(48, 0.5),
            },
        )
        savemat(folder / "SMPL_SUBDIV_TRANSFORM.mat", {"index": vertices[:, None] + 1})
        distances = np.full((48 * 47 // 2, 1), 0.1, dtype=np.float32)
        with open(folder / "Pdist_matrix.pkl", "wb") as stream:
            pickle.dump({"Pdist_matrix": distances}, stream, protocol=2)
    return folder


def make_person(rng: np.random.Generator, number: int, image: dict, dense: bool = True) -> dict:
    """A COCO annotation with masks, keypoints and, if ``dense``, ``dp_*`` keys."""
    w, h = rng.uniform(40, image["width"] / 2), rng.uniform(60, image["height"] - 10)
    x, y = rng.uniform(0, image["width"] - w), rng.uniform(0, image["height"] - h)
    x, y, w, h = (round(float(value), 2) for value in (x, y, w, h))
    keypoints = np.stack(
        [rng.uniform(x, x + w, 17), rng.uniform(y, y + h, 17), np.full(17, 2)], axis=1
    )
    person = {
        "id": number,
        "image_id": image["id"],
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [x, y, w, h],
        "area": w * h,
        "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
        "keypoints": keypoints.round().ravel().tolist(),
        "num_keypoints": 17,
    }
    if dense:
        count = int(rng.integers(20, 60))
        masks = []
        for _ in range(14):
            mask = np.zeros((SIDE, SIDE), np.uint8, order="F")
            top, left = rng.integers(0, 200, 2)
            mask[top : top + 56, left : left + 56] = 1
            encoded = rle.encode(mask)
            masks.append({"size": encoded["size"], "counts": encoded["counts"].decode()})
        person |= {
            "dp_x": rng.uniform(0, 255, count).tolist(),
            "dp_y": rng.uniform(0, 255, count).tolist(),
            "dp_I": rng.integers(1, 25, count).astype(float).tolist(),
            "dp_U": rng.uniform(0, 1, count).tolist(),
            "dp_V": rng.uniform(0, 1, count).tolist(),
            "dp_masks": masks,
        }
    return person


def make_dataset(
    folder: Path, images: int = 3, size: tuple[int, int] = (160, 200), dense=None, seed: int = 0
) -> Path:
    """Pictures and ``annotations.json`` in ``folder``, two people a picture.

    Args:
        size: (height, width).
        dense: number of the picture -> whether its people have dense pose. Default: all.

    Returns:
        the JSON file.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    records, people = [], []
    for number in range(1, images + 1):
        image = {
            "id": number,
            "file_name": f"{number}.jpg",
            "height": size[0],
            "width": size[1],
        }
        cv2.imwrite(str(folder / image["file_name"]), rng.integers(0, 256, (*size, 3), np.uint8))
        records.append(image)
        for _ in range(2):
            is_dense = True if dense is None else dense(number)
            people.append(make_person(rng, len(people) + 1, image, is_dense))
    path = folder / "annotations.json"
    write_coco(path, records, people)
    return path


def write_coco(path: Path, images: list[dict], annotations: list[dict]) -> None:
    path.write_text(
        json.dumps(
            {
                "info": {},
                "images": images,
                "annotations": annotations,
                "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
            }
        )
    )
