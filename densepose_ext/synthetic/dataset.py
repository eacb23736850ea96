"""Making data sets of synthetic people: reproducible, resumable, by several processes.

Image number k of a split is a function of the settings, the seed, the split and k, so that neither
the number of workers nor an interruption changes a byte. A folder holds one set of settings.

    settings.json
    train/000000.jpg ...          images
    densepose_train.json          annotations, COCO with dp_*
    dense/train/000000_*          dense truth, on request
    .parts/train/000000.json      annotations of single images, which the JSON is put together from
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ..surface.surface import BodySurface
from .annotations import annotate, part_map
from .annotators import annotate_by_hand
from .backdrop import backdrop, list_pictures
from .render import Seen, develop, render
from .scene import Scene, sample_scene
from .workers import run_workers

#: Changes whenever the same settings give other pictures or annotations.
VERSION = 1
SPLITS = ("train", "val")
SMALLEST, LARGEST = 64, 2048


@dataclass(frozen=True)
class Settings:
    """What the images depend on, besides their number.

    Attributes:
        size: side of the square images, pixels.
        seed: of everything random.
        people: the most people in an image; at least one is there.
        points: the most annotated points on each of the 14 coarse parts; 14 is what human
            annotators placed (Güler et al. 2018, section 2.1).
        by_hand: annotations with the errors of human annotators.
        dense: also write I, U, V, depth and the bodies' parameters.
        backgrounds: folder of photographs to put behind people; None draws backgrounds.
        things: the most cars, animals, plants, chairs, ... around the people of an image.
    """

    size: int = 512
    seed: int = 0
    people: int = 5
    points: int = 14
    by_hand: bool = False
    dense: bool = False
    backgrounds: str | None = None
    things: int = 0
    pictures: tuple[Path, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self):
        if not SMALLEST <= self.size <= LARGEST:
            raise ValueError(f"size is {self.size}; expected {SMALLEST} to {LARGEST} pixels")
        if not 1 <= self.people <= 10:
            raise ValueError(f"people is {self.people}; expected 1 to 10 an image")
        if not 1 <= self.points <= 100:
            raise ValueError(f"points is {self.points}; expected 1 to 100 a part")
        if not 0 <= self.things <= 20:
            raise ValueError(f"things is {self.things}; expected 0 to 20 an image")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; expected 0 or more")
        if self.backgrounds is not None:
            found = tuple(list_pictures(Path(self.backgrounds)))
            object.__setattr__(self, "pictures", found)

    def record(self) -> dict:
        """What `settings.json` says: equal records give equal bytes, wherever things lie."""
        record = asdict(self)
        del record["pictures"]
        if not self.things:
            del record["things"]  # sets made before there were any are the same without
        if self.backgrounds is not None:
            digest = hashlib.sha256()
            for path in self.pictures:
                digest.update(path.relative_to(self.backgrounds).as_posix().encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
            record["backgrounds"] = digest.hexdigest()
        return {"version": VERSION, **record}


@dataclass
class Example:
    """One image with its truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        annotations: as of `annotations.annotate`.
        scene, seen: what it was drawn from.
    """

    image: np.ndarray
    annotations: list[dict]
    scene: Scene
    seen: Seen


def make_example(settings: Settings, split: str, number: int) -> Example:
    """Image `number` of a split; a function of its arguments."""
    rng = np.random.default_rng([settings.seed, SPLITS.index(split), number, VERSION])
    surface = BodySurface.load()
    while True:
        scene = sample_scene(rng, surface.body, settings.size, settings.people, settings.things)
        background = backdrop(rng, scene.camera, list(settings.pictures))
        image, seen = render(rng, scene, background, surface.body.faces)
        annotations = annotate(rng, scene, seen, surface, settings.points)
        if any("dp_I" in a for a in annotations):
            break  # else something hides everybody: the dice again
    if settings.by_hand:
        annotations = [annotate_by_hand(rng, a, surface) for a in annotations]
    return Example(develop(rng, image), annotations, scene, seen)


def generate(out: str | os.PathLike, settings: Settings, counts: dict[str, int], workers: int = 1):
    """Makes what is missing of a data set.

    Args:
        out: the folder.
        settings: of all images in it.
        counts: images of each split, "train" and "val".
        workers: processes.

    Raises:
        ValueError: for counts or workers that make no sense, or a folder with other settings.
        OSError: for a folder that cannot be written.
        RuntimeError: if a worker dies; a later call goes on from there.
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
        return  # nothing to write: the folder may be one that others may only read
    with _claimed(out, settings):
        for split, count in counts.items():
            if count:
                _generate_split(out, settings, split, count, workers)


@contextmanager
def _claimed(out: Path, settings: Settings) -> Iterator[None]:
    """Holds the folder for this process and checks that its settings are ours."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = open(out / ".lock", "w")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise OSError(f"cannot write to {out}: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path, record = out / "settings.json", settings.record()
        if path.exists():
            there = json.loads(path.read_text())
            differing = sorted(k for k in {*there, *record} if there.get(k) != record.get(k))
            if differing:
                raise ValueError(
                    f"{out} holds images of other settings ("
                    + ", ".join(f"{k}: {there.get(k)}, now {record.get(k)}" for k in differing)
                    + "); choose another folder, or delete this one"
                )
        else:
            _write(path, json.dumps(record, indent=1).encode())
        yield


def _is_made(out: Path, settings: Settings, counts: dict[str, int]) -> bool:
    """Whether a folder holds all that is asked for, of these settings."""
    path = out / "settings.json"
    if not path.exists() or json.loads(path.read_text()) != settings.record():
        return False
    return all(_count(out, split) == count for split, count in counts.items() if count)


def _count(out: Path, split: str) -> int | None:
    """Images of a split that is complete; None if it is not."""
    result = out / f"densepose_{split}.json"
    if not result.exists():
        return None
    with open(result) as file:
        return len(json.load(file)["images"])


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _generate_split(out: Path, settings: Settings, split: str, count: int, workers: int) -> None:
    result = out / f"densepose_{split}.json"
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
        found = json.loads((parts / f"{number:06d}.json").read_text())
        for k, annotation in enumerate(found):
            annotations.append({"id": number * 100 + k + 1, "image_id": number, **annotation})
    content = {
        "info": {"description": "synthetic people", "settings": settings.record()},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
    }
    _write(result, json.dumps(content, separators=(",", ":")).encode())


def make_files(out: Path, settings: Settings, split: str, number: int) -> int:
    """Makes one image, its annotations and its dense truth; returns its number."""
    example = make_example(settings, split, number)
    quality = int(np.random.default_rng([settings.seed, number]).integers(70, 97))
    _, jpeg = cv2.imencode(".jpg", example.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    _write(out / split / f"{number:06d}.jpg", jpeg.tobytes())
    if settings.dense:
        _write_dense(out / "dense" / split, number, example)
    people = [{k: v for k, v in a.items() if k != "person"} for a in example.annotations]
    # last, since its being there says that the image is done
    _write(out / ".parts" / split / f"{number:06d}.json", json.dumps(people).encode())
    return number


def _write_dense(folder: Path, number: int, example: Example) -> None:
    """I, U, V and the person of each pixel, depth, and the bodies' parameters.

    ``_iuv.png``: I, U * 255, V * 255 in R, G, B. ``_person.png``: annotation of the image, from 1.
    ``_depth.png``: 16 bits, millimetres. ``_bodies.npz``: shape coefficients, joint rotations,
    placement in the world of each annotated person; focal length, position and rotation of the
    camera.
    """
    folder.mkdir(parents=True, exist_ok=True)
    surface, seen = BodySurface.load(), example.seen
    size = seen.owner.shape
    iuv = np.zeros((*size, 3), np.uint8)
    person = np.zeros(size, np.uint8)
    depth = np.zeros(size, np.uint16)
    indices = [a["person"] for a in example.annotations]
    for place, index in enumerate(indices, start=1):
        body = seen.bodies[index]
        shown = part_map(seen, surface, index) > 0
        i, u, v = surface.iuv(body.face[shown], body.barycentric[shown])
        iuv[shown] = np.stack([i, np.rint(u * 255), np.rint(v * 255)], 1)
        person[seen.owner == index] = place
        depth[shown] = np.clip(np.rint(body.depth[shown] * 1000), 1, 65535)
    for name, picture in (("iuv", iuv[:, :, ::-1]), ("person", person), ("depth", depth)):
        _, png = cv2.imencode(".png", picture)
        _write(folder / f"{number:06d}_{name}.png", png.tobytes())
    people, camera = [example.scene.people[k] for k in indices], example.scene.camera
    temporary = folder / f".{number:06d}_bodies.tmp.npz"
    np.savez_compressed(
        temporary,
        coefficients=np.array([p.coefficients for p in people], np.float32),
        rotations=np.array([p.rotations for p in people], np.float32),
        placement=np.array([p.placement for p in people], np.float32),
        focal=camera.focal,
        camera_position=camera.position,
        camera_rotation=camera.rotation,
    )
    os.replace(temporary, folder / f"{number:06d}_bodies.npz")
