"""Clips of synthetic people walking past a fixed camera, with exact ground truth for every frame.

Clothes, light, background and sensor noise are constant: only motion changes from frame to frame. A
clip is a function of its settings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from densepose_ext.surface.body import OpenBody
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic.annotations import annotate
from densepose_ext.synthetic.backdrop import Camera, backdrop
from densepose_ext.synthetic.example import Example
from densepose_ext.synthetic.render import develop, render
from densepose_ext.synthetic.scene import RenderedPerson, Scene, move, posed_person
from densepose_ext.synthetic.settings import LARGEST, SMALLEST
from densepose_ext.synthetic.skeleton import Arm, Leg, Pose, Skeleton, turn
from densepose_ext.synthetic.wardrobe import Outfit

#: Length of two steps, metres, and swing of the legs, as the tangent of its angle.
STRIDE, SWING = 1.5, 0.42
#: Distance in depth between the paths of two people, metres.
APART = 0.9


@dataclass(frozen=True)
class ClipSettings:
    """Everything a clip depends on.

    Attributes:
        size: side of the square frames, pixels.
        frames: number of frames.
        rate: frames per second.
        people: number of people; every other one walks the other way, so that they cross.
        speed: metres per second.
        seed: random seed.
    """

    size: int = 256
    frames: int = 50
    rate: float = 25.0
    people: int = 1
    speed: float = 1.3
    seed: int = 0

    def __post_init__(self):
        if not SMALLEST <= self.size <= LARGEST:
            raise ValueError(f"size is {self.size}; expected {SMALLEST} to {LARGEST} pixels")
        if not 1 <= self.people <= 4:
            raise ValueError(f"people is {self.people}; expected 1 to 4")
        if self.frames < 1 or not self.rate > 0:
            raise ValueError(f"{self.frames} frames, {self.rate} a second; expected more than 0")
        if not 0 <= self.speed <= 3:
            raise ValueError(f"speed is {self.speed} m/s; expected 0 to 3, people walk")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; expected 0 or more")


def make_clip(settings: ClipSettings) -> Iterator[Example]:
    """Yields the frames; ``true_people`` gives the ground truth of each.

    The key "person" of an annotation identifies a person across frames. People who are hidden or
    outside the frame have no annotation.
    """
    rng = np.random.default_rng([settings.seed, 0])
    surface = BodySurface.load()
    walkers = [_Walker(rng, surface.body, k, settings) for k in range(settings.people)]
    camera = _camera(rng, settings)
    background = backdrop(rng, camera, [])
    for number in range(settings.frames):
        time = (number - (settings.frames - 1) / 2) / settings.rate
        scene = Scene(camera, [walker.at(time) for walker in walkers])
        # the same random numbers in every frame keep light, cloth and lens constant
        rng = np.random.default_rng([settings.seed, 1])
        image, seen = render(rng, scene, background.copy(), surface.body.faces)
        annotations = annotate(np.random.default_rng(settings.seed), scene, seen, surface, points=1)
        image = develop(np.random.default_rng([settings.seed, 2]), image)
        yield Example(image, annotations, scene, seen)


def _camera(rng: np.random.Generator, settings: ClipSettings) -> Camera:
    """A camera that keeps everybody in view throughout."""
    walked = settings.speed * settings.frames / settings.rate
    extent = max(2.3, walked + 1.2)
    focal = settings.size * rng.uniform(1.1, 1.8)
    above = rng.uniform(0.02, 0.2)
    look = np.array([0, np.cos(above), -np.sin(above)])
    right = np.array([1.0, 0, 0])
    rotation = np.stack([right, np.cross(look, right), look])
    position = np.array([0, 0, 0.95]) - look * extent * focal / settings.size
    return Camera(float(focal), (settings.size, settings.size), position, rotation)


class _Walker:
    """Somebody who walks in a straight line and is in the middle at time 0."""

    def __init__(self, rng, body: OpenBody, place: int, settings: ClipSettings):
        self.body, self.skeleton, self.settings = body, Skeleton(body), settings
        self.coefficients = body.population[rng.integers(len(body.population))]
        self.outfit = Outfit.sample(rng)
        side = 1 if place % 2 == 0 else -1
        way = rng.uniform(-0.6, 0.6)
        self.direction = side * np.array([np.cos(way), np.sin(way)])
        self.middle = np.array([0, APART * place])
        self.start = rng.uniform(0, 1)
        self.curl = rng.uniform(0.2, 0.6)
        self.seed = [settings.seed, 3, place]

    def at(self, time: float) -> RenderedPerson:
        """The person at a time, seconds."""
        gone = self.settings.speed * time
        pose = _walking(self.start + gone / STRIDE, self.curl)
        around = np.arctan2(self.direction[0], -self.direction[1])
        person = posed_person(
            np.random.default_rng(self.seed), self.body, self.coefficients, self.outfit, pose,
            self.skeleton.rotations(pose), turn([0, 0, 1], around),
        )  # fmt: skip
        move(person, *(self.middle + gone * self.direction))
        return person


def _walking(phase: float, curl: float) -> Pose:
    """A walking pose; a phase of 1 is two steps."""
    swing, lift = np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)
    arms, legs = [], []
    for side in (1, -1):  # left, right
        back = 0.6 * side * swing  # arms swing opposite to the legs
        arms.append(
            Arm(np.array([0.2, back * 0.6, -1]), np.array([0.1, back * 0.5 - 0.25, -1]), curl=curl)
        )
        # the knee bends most while the foot swings forwards
        knee = 0.12 + 0.35 * max(-side * swing, 0) + 0.75 * max(side * lift, 0)
        legs.append(Leg(np.array([0.03, -SWING * side * swing, -1]), knee))
    trunk = np.array([0.05, 0.02 * lift, 0.06 * swing])
    return Pose("walk", *arms, *legs, trunk)
