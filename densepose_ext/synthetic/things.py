"""Objects other than people: cars, cycles, animals, plants, poles, chairs, bags.

A model that has only seen people in front of painted walls takes anything round or limb-like that
is lit from above for a body. These objects are lit, shaded and occluded as people are, and
unlabelled.

All are built from superquadrics (Barr 1981, "Superquadrics and angle-preserving transformations"),
which range from box to cylinder to ball. An object stands on the ground at the origin, in metres, z
up, its length along x.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .covers import grid_faces
from .skeleton import turn, unit
from .texture import any_colour, cloth_colour

RUBBER, STEEL = np.array([28, 28, 30], np.float32), np.array([150, 152, 156], np.float32)
UPRIGHT = np.eye(3)


@dataclass
class Thing:
    """The mesh of an object.

    Attributes:
        vertices: (V, 3) metres, world.
        faces: (F, 3), counter-clockwise seen from outside.
        places: (V, 3) positions at which noise is looked up, metres.
        colours: (V, 3) sRGB, 0 to 255.
        gloss: (V,) strength of highlights, 0 to 1.
    """

    vertices: np.ndarray
    faces: np.ndarray
    places: np.ndarray
    colours: np.ndarray
    gloss: np.ndarray

    @property
    def radius(self) -> float:
        """Radius about the vertical axis through the origin, metres, before placement."""
        return float(np.linalg.norm(self.vertices[:, :2], axis=1).max())

    def placed(self, x: float, y: float, around: float) -> Thing:
        """The object rotated about the vertical (radians) and moved along the ground."""
        vertices = self.vertices @ turn([0, 0, 1], around).T + [x, y, 0]
        return Thing(vertices, self.faces, self.places, self.colours, self.gloss)


class _Parts:
    """Collects superquadrics into one mesh."""

    def __init__(self):
        self.pieces: list[tuple] = []

    def add(self, at, extent, colour, gloss=0.05, square=(1.0, 1.0), rotation=UPRIGHT, fine=14):
        """Adds a superquadric.

        Args:
            at: (3,) centre.
            extent: (3,) full sizes along its own axes.
            colour: (3,) sRGB.
            gloss: strength of highlights.
            square: exponents along the axis (z) and around it: 1 is round, 0 is square.
            rotation: (3, 3) of its axes.
            fine: number of rings of the mesh.
        """
        rings, columns = fine, 2 * fine
        along = np.linspace(-np.pi / 2, np.pi / 2, rings)[:, None]
        around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
        out = _power(np.cos(along), square[0])
        vertices = np.stack(
            [
                out * _power(np.cos(around), square[1]),
                out * _power(np.sin(around), square[1]),
                np.broadcast_to(_power(np.sin(along), square[0]), (rings, columns)),
            ],
            -1,
        ).reshape(-1, 3)
        vertices = vertices * np.asarray(extent) / 2
        faces = grid_faces(rings, columns, closed=True)[:, [0, 2, 1]]
        self.pieces.append((vertices @ rotation.T + at, faces, colour, gloss))

    def bar(self, start, end, radius, colour, gloss=0.05, square=0.25, fine=9):
        """A round bar between two points."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        length = np.linalg.norm(end - start)
        axis = (end - start) / max(length, 1e-9)
        across = unit(np.cross(axis, [0.31, 0.92, 0.24]))
        rotation = np.stack([across, np.cross(axis, across), axis], 1)
        extent = [2 * radius, 2 * radius, length + radius * (1 - square)]
        self.add((start + end) / 2, extent, colour, gloss, (square, 1.0), rotation, fine)

    def wheel(self, at, radius, width, colour, spokes=False):
        """A wheel in the plane of x and z: a disc, or a tyre with spokes."""
        lying = turn([1, 0, 0], np.pi / 2)
        if not spokes:
            self.add(at, [2 * radius, 2 * radius, width], RUBBER, 0.1, (0.2, 1.0), lying, 10)
            hub = [1.1 * radius, 1.1 * radius, width * 1.1]
            self.add(at, hub, colour, 0.4, (0.2, 1.0), lying, 8)
            return
        angles = np.linspace(0, 2 * np.pi, 17)
        rim = np.stack([np.cos(angles), 0 * angles, np.sin(angles)], 1) * radius + at
        for first, second in pairwise(rim):
            self.bar(first, second, width / 2, RUBBER, fine=5)
        for place in rim[:-1:2]:
            self.bar(at, place, 0.006, colour, 0.3, fine=4)

    def thing(self) -> Thing:
        """The object, standing on the ground."""
        counts = np.cumsum([0] + [len(v) for v, *_ in self.pieces])
        vertices = np.concatenate([v for v, *_ in self.pieces])
        vertices = vertices - [0, 0, vertices[:, 2].min()]
        lengths = np.diff(counts)
        return Thing(
            vertices,
            np.concatenate([f + n for (_, f, *_), n in zip(self.pieces, counts)]),
            vertices.copy(),
            np.repeat(np.array([c for *_, c, _ in self.pieces], np.float32), lengths, 0),
            np.repeat(np.array([g for *_, g in self.pieces], np.float32), lengths),
        )


def _power(x, exponent):
    return np.sign(x) * np.abs(x) ** exponent


def car(rng: np.random.Generator) -> Thing:
    """A car or a van."""
    parts, paint = _Parts(), any_colour(rng)
    long, wide, low = rng.uniform(3.4, 4.8), rng.uniform(1.6, 1.9), rng.uniform(0.55, 0.8)
    wheel, tall = rng.uniform(0.28, 0.36), rng.uniform(0.4, 0.9)
    glass, square = any_colour(rng, 0.15) * 0.35, rng.uniform(0.25, 0.5)
    middle = wheel + low / 2 - 0.08
    parts.add([0, 0, middle], [long, wide, low], paint, 0.45, (square, 0.3))
    back, cabin = rng.uniform(-0.5, 0.1), rng.uniform(0.45, 0.75) * long
    top = middle + low / 2 + tall / 2 - 0.12
    parts.add([back, 0, top], [cabin, wide * 0.9, tall], glass, 0.6, (0.55, 0.35))
    roof = [cabin * 0.72, wide * 0.86, tall * 0.3]
    parts.add([back, 0, top + tall * 0.37], roof, paint, 0.45, (0.4, 0.35))
    hub = STEEL * rng.uniform(0.4, 1.2)
    for x in (-0.31, 0.31):
        for y in (-0.5, 0.5):
            parts.wheel([x * long, y * (wide - 0.12), wheel], wheel, 0.22, hub)
    for y in (-0.33, 0.33):
        for x, light in ((0.485, [235, 235, 220]), (-0.485, [170, 25, 20])):
            parts.add([x * long, y * wide, middle + 0.08], [0.14, 0.3, 0.14], light, 0.5, fine=6)
    return parts.thing()


def cycle(rng: np.random.Generator) -> Thing:
    """A bicycle, motorcycle or other vehicle of bars and large wheels."""
    parts, paint = _Parts(), any_colour(rng)
    radius, base = rng.uniform(0.26, 0.36), rng.uniform(0.9, 1.1)
    spokes, tyre = rng.random() < 0.7, rng.uniform(0.03, 0.11)
    rear, front = np.array([-base / 2, 0, radius]), np.array([base / 2, 0, radius])
    for hub in (rear, front):
        parts.wheel(hub, radius, tyre, STEEL, spokes)
    crank, seat = np.array([-0.06, 0, radius - 0.03]), np.array([-0.22, 0, radius + 0.5])
    head = np.array([base / 2 - 0.16, 0, radius + 0.52])
    thick = rng.uniform(0.015, 0.035)
    pairs = [(rear, crank), (rear, seat), (crank, seat), (crank, head), (seat, head), (head, front)]
    for start, end in pairs:
        parts.bar(start, end, thick, paint, 0.3, fine=6)
    handle = head + [-0.02, 0, 0.1]
    parts.bar(head, handle, thick, paint, fine=5)
    parts.bar(handle - [0, 0.28, 0], handle + [0, 0.28, 0], 0.018, RUBBER, fine=5)
    parts.add(seat + [0, 0, 0.05], [0.28, 0.15, 0.07], RUBBER, 0.1, fine=8)
    if not spokes:  # a tank and an engine
        parts.add([0.05, 0, radius + 0.38], [0.55, 0.3, 0.3], paint, 0.5, (0.7, 0.8))
        parts.add([0.02, 0, radius + 0.08], [0.4, 0.3, 0.35], STEEL * 0.5, 0.3, (0.5, 0.5))
    return parts.thing()


def animal(rng: np.random.Generator) -> Thing:
    """A four-legged animal, from cat to horse."""
    parts = _Parts()
    fur = cloth_colour(rng) * rng.uniform(0.5, 1.0) if rng.random() < 0.5 else (
        np.array([rng.uniform(60, 190), rng.uniform(50, 140), rng.uniform(35, 100)])
    )  # fmt: skip
    size = np.exp(rng.uniform(np.log(0.3), np.log(1.3)))
    leg, thick = size * rng.uniform(0.4, 0.75), size * rng.uniform(0.32, 0.5)
    body = np.array([0, 0, leg + thick * 0.4])
    parts.add(body, [size * 1.15, thick, thick * 1.05], fur, 0.05)
    for x in (-0.4, 0.4):
        for y in (-0.28, 0.28):
            hip = body + [x * size, y * thick, -0.1 * thick]
            foot = np.array([hip[0] + rng.uniform(-0.2, 0.2) * leg, hip[1], 0.03])
            knee = (hip + foot) / 2 + [rng.uniform(-0.08, 0.08) * leg, 0, 0]
            parts.bar(hip, knee, 0.17 * thick, fur)
            parts.bar(knee, foot, 0.11 * thick, fur)
    neck = body + [0.5 * size, 0, 0.2 * thick]
    head = neck + size * np.array([rng.uniform(0.12, 0.35), 0, rng.uniform(0.1, 0.5)])
    parts.bar(neck, head, 0.22 * thick, fur, square=1.0)
    parts.add(head, size * np.array([0.42, 0.2, 0.22]), fur, 0.05,
              rotation=turn([0, 1, 0], rng.uniform(-0.1, 0.8)))  # fmt: skip
    for y in (-0.07, 0.07):
        ear = head + size * np.array([-0.1, y, 0.14])
        parts.add(ear, size * np.array([0.05, 0.06, 0.14]), fur * 0.8, fine=6)
    rump = body - [0.55 * size, 0, 0]
    parts.bar(rump, rump + size * np.array([-0.3, 0, rng.uniform(-0.3, 0.3)]), 0.06 * thick, fur)
    return parts.thing()


def plant(rng: np.random.Generator) -> Thing:
    """A tree, a bush or a pot plant: a stem and clumps of leaves."""
    parts = _Parts()
    tall = np.exp(rng.uniform(np.log(0.5), np.log(4)))
    stem, crown = rng.uniform(0.02, 0.06) * tall, rng.uniform(0.2, 0.45) * tall
    bark = np.array([rng.uniform(60, 120), rng.uniform(50, 90), rng.uniform(35, 70)])
    green = np.array([rng.uniform(25, 110), rng.uniform(60, 140), rng.uniform(20, 70)])
    lean = rng.normal(0, 0.06, 2) * tall
    parts.bar([0, 0, 0], [*lean, tall - crown], stem, bark)
    for _ in range(rng.integers(4, 12)):
        at = np.array([*lean, tall - 0.7 * crown]) + rng.normal(0, 0.3, 3) * crown
        extent = crown * rng.uniform(0.4, 0.9, 3)
        parts.add(at, extent, green * rng.uniform(0.75, 1.25), 0.02, fine=9)
    if tall < 1.6:
        pot = rng.uniform(0.2, 0.4) * tall
        parts.add([0, 0, pot / 2], [pot, pot, pot], any_colour(rng), 0.15, (0.25, 1.0))
    return parts.thing()


def pole(rng: np.random.Generator) -> Thing:
    """A lamp post, a traffic sign, a parking meter, a pillar."""
    parts, colour = _Parts(), any_colour(rng, 0.3 * rng.random())
    tall, thick = rng.uniform(0.8, 4), rng.uniform(0.03, 0.16)
    parts.bar([0, 0, 0], [0, 0, tall], thick, colour, rng.uniform(0, 0.4), fine=12)
    if rng.random() < 0.7:
        sign, upper = rng.uniform(0.25, 0.7), any_colour(rng)
        square = (0.15, 1.0) if rng.random() < 0.5 else (0.15, 0.15)
        facing = turn([1, 0, 0], np.pi / 2) if rng.random() < 0.7 else UPRIGHT
        depth = 0.05 if rng.random() < 0.6 else sign
        parts.add([0, -thick, tall], [sign, sign, depth], upper, 0.2, square, facing)
    return parts.thing()


def chair(rng: np.random.Generator) -> Thing:
    """A chair, a stool, a wheelchair or a pram."""
    parts, frame, cloth = _Parts(), any_colour(rng, 0.3), cloth_colour(rng)
    wide, seat = rng.uniform(0.36, 0.7), rng.uniform(0.35, 0.7)
    thick = rng.uniform(0.012, 0.035)
    parts.add([0, 0, seat], [wide, wide, rng.uniform(0.03, 0.15)], cloth, 0.05, (0.3, 0.3))
    half = wide * 0.45
    for x in (-half, half):
        for y in (-half, half):
            foot = [x * rng.uniform(0.9, 1.2), y * 1.1, 0]
            parts.bar(foot, [x, y, seat], thick, frame, 0.2, fine=6)
    if rng.random() < 0.75:
        back = rng.uniform(0.3, 0.65)
        lean = turn([0, 1, 0], -rng.uniform(0, 0.3))
        at = [-half - 0.04, 0, seat + back / 2]
        parts.add(at, [0.05, wide, back], cloth, 0.05, (0.3, 0.3), lean)
    if rng.random() < 0.35:
        radius = rng.uniform(0.1, 0.33)
        for y in (-1, 1):
            for x in (-half, half):
                parts.wheel(
                    np.array([x, y * (half + 0.06), radius]), radius, 0.04, STEEL, radius > 0.2
                )
    return parts.thing()


def vessel(rng: np.random.Generator) -> Thing:
    """A bag, ball, vase, bin, case or bottle: one or two round or square bodies."""
    parts = _Parts()
    for _ in range(rng.integers(1, 4)):
        extent = np.exp(rng.uniform(np.log(0.12), np.log(0.9), 3))
        square, gloss = rng.uniform(0.15, 1.3, 2), rng.uniform(0, 0.5) ** 2
        at = [*rng.normal(0, 0.12, 2), extent[2] / 2 + rng.uniform(0, 0.3)]
        tilt = turn(unit(rng.normal(size=3)), rng.normal(0, 0.3))
        colour = any_colour(rng) if rng.random() < 0.5 else cloth_colour(rng)
        parts.add(at, extent, colour, gloss, tuple(square), tilt)
    return parts.thing()


def sculpture(rng: np.random.Generator) -> Thing:
    """Limb-like bars in the colours of cloth and skin, joined as no body is."""
    parts, at = _Parts(), np.array([0, 0, rng.uniform(0.1, 0.5)])
    skin = np.array([rng.uniform(120, 235), rng.uniform(80, 190), rng.uniform(60, 160)])
    colour = skin if rng.random() < 0.5 else cloth_colour(rng)
    for _ in range(rng.integers(2, 7)):
        end = at + unit(rng.normal(size=3) * [1, 1, 1.3]) * rng.uniform(0.15, 0.8)
        end[2] = max(end[2], 0.1)
        parts.bar(at, end, rng.uniform(0.03, 0.13), colour * rng.uniform(0.85, 1.15), 0.08, 0.7, 12)
        if rng.random() < 0.3:
            colour = cloth_colour(rng)
        at = end if rng.random() < 0.7 else (at + end) / 2
    return parts.thing()


#: Kinds of objects, and how frequent each is.
KINDS = {
    car: 0.2, cycle: 0.14, animal: 0.12, plant: 0.12, pole: 0.12, chair: 0.12, vessel: 0.1,
    sculpture: 0.08,
}  # fmt: skip


def sample_thing(rng: np.random.Generator) -> Thing:
    """A random object at the origin."""
    kinds = list(KINDS)
    return kinds[rng.choice(len(kinds), p=list(KINDS.values()))](rng)
