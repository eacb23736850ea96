"""Generating datasets of synthetic people: reproducible, resumable, in parallel.

Image k of a split is a function of the settings (with their seed), the split and k: neither the
number of workers nor an interruption changes a byte. A folder belongs to one set of settings.

    settings.json
    train/000000.jpg ...          images
    densepose_train.json          annotations, COCO with dp_*
    dense/train/000000_*          dense truth, on request
    .parts/train/000000.json      annotations of one image, from which the JSON is assembled
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from ..data.json_file import read_json
from ..files.atomic import write_whole
from ..files.locks import acquire
from .example import make_files
from .settings import SPLITS, Settings
from .workers import run_workers


def generate(
    out: str | os.PathLike, settings: Settings, counts: dict[str, int], workers: int = 1
) -> None:
    """Generates what is missing of a dataset.

    Args:
        out: the folder.
        settings: of all its images.
        counts: images of each split, "train" and "val".
        workers: number of processes.

    Raises:
        ValueError: a count or number of workers is out of range, or the folder has other settings.
        OSError: the folder cannot be written.
        RuntimeError: a worker died; a later call continues from there.
    """
    for split, count in counts.items():
        if split not in SPLITS:
            raise ValueError(f"split {split!r}; expected one of {', '.join(SPLITS)}")
        if count < 0:
            raise ValueError(f"{count} images of {split}; expected 0 or more")
    if workers < 1:
        raise ValueError(f"{workers} workers; expected 1 or more")
    out = Path(out)
    if _is_made(out, settings, counts):
        return  # nothing to write, so a read-only folder will do
    with _claimed(out, settings):
        for split, count in counts.items():
            if count:
                _generate_split(out, settings, split, count, workers)


@contextmanager
def _claimed(out: Path, settings: Settings) -> Iterator[None]:
    """Locks the folder for this process and checks that its settings are ours."""
    out.mkdir(parents=True, exist_ok=True)
    with open(out / ".lock", "wb") as lock:
        acquire(lock.fileno())
        path, record = out / "settings.json", settings.record()
        if path.exists():
            there = _object(path)
            differing = sorted(k for k in {*there, *record} if there.get(k) != record.get(k))
            if differing:
                raise ValueError(
                    f"{out} holds images of other settings ("
                    + ", ".join(f"{k}: {there.get(k)}, now {record.get(k)}" for k in differing)
                    + "); choose another folder, or delete this one"
                )
        else:
            write_whole(path, json.dumps(record, indent=1).encode())
        yield


def _is_made(out: Path, settings: Settings, counts: dict[str, int]) -> bool:
    """Whether a folder already holds everything asked for, with these settings."""
    path = out / "settings.json"
    if not path.exists() or _object(path) != settings.record():
        return False
    return all(_count(out, split) == count for split, count in counts.items() if count)


def _count(out: Path, split: str) -> int | None:
    """Number of images of a complete split; None if it is incomplete."""
    path = _annotations(out, split)
    if not path.exists():
        return None
    images = _object(path).get("images")
    if not isinstance(images, list):
        raise ValueError(f"{path} has no list of images; delete it, and it is made anew")
    return len(images)


def _object(path: Path) -> dict:
    """The content of a JSON file of the dataset."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected an object, found {str(found)[:40]}")
    return found


def _annotations(out: Path, split: str) -> Path:
    """Path of the JSON of a split."""
    return out / f"densepose_{split}.json"


def _generate_split(out: Path, settings: Settings, split: str, count: int, workers: int) -> None:
    if _count(out, split) == count:
        return
    parts = out / ".parts" / split
    parts.mkdir(parents=True, exist_ok=True)
    (out / split).mkdir(exist_ok=True)
    todo = [
        n for n in range(count)
        if not ((parts / f"{n:06d}.json").exists() and (out / split / f"{n:06d}.jpg").exists())
    ]  # fmt: skip
    with tqdm(
        total=count, initial=count - len(todo), desc=f"synthetic {split}", unit="image"
    ) as bar:
        if workers == 1 or len(todo) < 2:
            done = (make_files(out, settings, split, number) for number in todo)
        else:
            done = run_workers(out, settings, split, todo, workers)
        for _ in done:
            bar.update()
    _assemble(out, settings, split, count)


def _assemble(out: Path, settings: Settings, split: str, count: int) -> None:
    """Writes the JSON of a split from the annotations of its images."""
    images, annotations = [], []
    for number in range(count):
        images.append(
            {
                "id": number,
                "file_name": f"{number:06d}.jpg",
                "height": settings.size,
                "width": settings.size,
            }
        )
        found = json.loads((out / ".parts" / split / f"{number:06d}.json").read_bytes())
        for k, annotation in enumerate(found):
            annotations.append({"id": number * 100 + k + 1, "image_id": number, **annotation})
    content = {
        "info": {"description": "synthetic people", "settings": settings.record()},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
    }
    path = _annotations(out, split)
    write_whole(path, json.dumps(content, separators=(",", ":")).encode())
