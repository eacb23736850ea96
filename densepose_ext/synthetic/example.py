"""One synthetic image and its ground truth: a function of the settings, the split and a number."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.atomic import write_whole
from ..files.picture_encoding import encode_picture
from ..surface.dense_target import DENSE_KEY, write_dense_target
from ..surface.surface import BodySurface
from .annotations import annotate, part_map
from .annotators import annotate_by_hand
from .backdrop import backdrop
from .prints import print_clothes
from .render import Seen, develop, render
from .scene import Scene, sample_scene
from .settings import SPLITS, VERSION, Settings


@dataclass
class Example:
    """One image with its ground truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        annotations: from ``annotations.annotate``.
        scene, seen: what it was rendered from.
    """

    image: np.ndarray
    annotations: list[dict]
    scene: Scene
    seen: Seen


def make_example(settings: Settings, split: str, number: int) -> Example:
    """Image ``number`` of a split; a function of its arguments."""
    rng = np.random.default_rng([settings.seed, SPLITS.index(split), number, VERSION])
    surface = BodySurface.load()
    while True:
        scene = sample_scene(
            rng,
            surface.body,
            settings.size,
            settings.people,
            settings.things,
            settings.facing,
        )
        pictures = list(settings.pictures)
        if settings.printed:
            print_clothes(rng, scene.people, pictures)
        background = backdrop(rng, scene.camera, pictures)
        image, seen = render(rng, scene, background, surface.body.faces)
        annotations = annotate(rng, scene, seen, surface, settings.points)
        if any("dp_I" in a for a in annotations):
            break  # else everybody is hidden: draw again
    if settings.by_hand:
        annotations = [annotate_by_hand(rng, a, surface) for a in annotations]
    return Example(develop(rng, image), annotations, scene, seen)


def make_files(out: Path, settings: Settings, split: str, number: int) -> int:
    """Writes one image, its annotations and its dense ground truth; returns its number."""
    example = make_example(settings, split, number)
    quality = int(np.random.default_rng([settings.seed, number]).integers(70, 97))
    jpeg = encode_picture(".jpg", example.image[:, :, ::-1], quality)
    write_whole(out / split / f"{number:06d}.jpg", jpeg)
    people = [{k: v for k, v in a.items() if k != "person"} for a in example.annotations]
    if settings.dense:
        folder = out / "dense" / split
        targets = _write_dense(folder, number, example)
        for person, target in zip(people, targets):
            person[DENSE_KEY] = target.relative_to(out).as_posix()
    # written last: its presence marks the image as complete
    write_whole(out / ".parts" / split / f"{number:06d}.json", json.dumps(people).encode())
    return number


def _write_dense(folder: Path, number: int, example: Example) -> list[Path]:
    """Writes I, U, V and the person of each pixel, depth, and the bodies' parameters.

    ``_iuv.png``: I, U * 255, V * 255 in R, G, B. ``_person.png``: number of the annotation in the
    image, from 1. ``_depth.png``: 16 bits, millimetres. ``_bodies.npz``: shape coefficients, joint
    rotations and placement in the world of each annotated person; focal length, position and
    rotation of the camera.

    Returns:
        the files of the dense targets, ``_1_iuv.png`` and so on: I, U, V in the box of each
        annotated person, without other people.
    """
    folder.mkdir(parents=True, exist_ok=True)
    surface, seen = BodySurface.load(), example.seen
    size = seen.owner.shape
    iuv = np.zeros((*size, 3), np.uint8)
    person = np.zeros(size, np.uint8)
    depth = np.zeros(size, np.uint16)
    indices = [a["person"] for a in example.annotations]
    targets = []
    for place, index in enumerate(indices, start=1):
        body = seen.bodies[index]
        shown = part_map(seen, surface, index) > 0
        i, u, v = surface.iuv(body.face[shown], body.barycentric[shown])
        iuv[shown] = np.stack([i, np.rint(u * 255), np.rint(v * 255)], 1)
        person[seen.owner == index] = place
        depth[shown] = np.clip(np.rint(body.depth[shown] * 1000), 1, 65535)
        x, y, width, height = example.annotations[place - 1]["bbox"]
        window = slice(y, y + height), slice(x, x + width)
        targets.append(folder / f"{number:06d}_{place}_iuv.png")
        write_dense_target(targets[-1], iuv[window] * shown[window][:, :, None])
    for name, picture in (("iuv", iuv[:, :, ::-1]), ("person", person), ("depth", depth)):
        write_whole(folder / f"{number:06d}_{name}.png", encode_picture(".png", picture))
    people, camera = [example.scene.people[k] for k in indices], example.scene.camera
    content = io.BytesIO()
    np.savez_compressed(
        content,
        coefficients=np.array([p.coefficients for p in people], np.float32),
        rotations=np.array([p.rotations for p in people], np.float32),
        placement=np.array([p.placement for p in people], np.float32),
        focal=camera.focal,
        camera_position=camera.position,
        camera_rotation=camera.rotation,
    )
    write_whole(folder / f"{number:06d}_bodies.npz", content.getvalue())
    return targets
