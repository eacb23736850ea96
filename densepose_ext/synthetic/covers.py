"""Meshes that hide the body: skirts, long hair, ponytails, brims of caps, and furniture.

Pixels of a skirt or of hair keep the labels of the wearer's body beneath; furniture belongs to
nobody.
"""

from dataclasses import dataclass

import numpy as np

from ..surface.body import OpenBody
from .skeleton import unit
from .wardrobe import Outfit, body_fields


@dataclass
class Cover:
    """A mesh with its colours.

    Attributes:
        vertices: (V, 3) metres, world.
        faces: (F, 3).
        places: (V, 3) where the colour is looked up, metres on the body in its rest pose.
        kind: "skirt", "hair", "brim" or "box".
    """

    vertices: np.ndarray
    faces: np.ndarray
    places: np.ndarray
    kind: str


def grid_faces(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Triangles of a grid of vertices (rows, columns); ``closed`` joins last and first column."""
    last = columns if closed else columns - 1
    a = np.arange(rows - 1)[:, None] * columns + np.arange(last)
    b = np.arange(rows - 1)[:, None] * columns + (np.arange(last) + 1) % columns
    a, b = a.ravel(), b.ravel()
    return np.concatenate(
        [np.stack([a, a + columns, b], 1), np.stack([b, a + columns, b + columns], 1)]
    )


def skirt(
    rng: np.random.Generator, body: OpenBody, vertices: np.ndarray, joints: np.ndarray,
    outfit: Outfit,
) -> Cover:  # fmt: skip
    """A skirt: rings around both legs, wider towards the hem.

    Args:
        vertices, joints: the posed, clothed body (V, 3), (J, 3).
        outfit: length (``skirt``: 1 reaches the knee, 2 the ankle) and waist.
    """
    leg = body_fields().leg
    place = body_fields().place
    names = {n: k for k, n in enumerate(body.joint_names)}
    flare = rng.uniform(0.0, 0.22)
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    folds = 1 + rng.uniform(0.01, 0.07) * np.sin(angles * rng.integers(5, 12) + rng.uniform(0, 6))
    hips = (joints[names["upperleg01.L"]] + joints[names["upperleg01.R"]]) / 2
    knees = (joints[names["lowerleg01.L"]] + joints[names["lowerleg01.R"]]) / 2
    side = unit(joints[names["upperleg01.L"]] - joints[names["upperleg01.R"]])
    waist_band = np.abs(place[:, 2] - outfit.waist) < 0.025
    waist_band &= leg < 0.05
    waist_band &= body_fields().arm < -0.5
    radii, frames, coordinates = [], [], []
    levels = np.linspace(-0.25, outfit.skirt, 14)
    for level in levels:
        near = waist_band if level < 0 else np.abs(leg - max(level, 0.12)) < 0.09
        section = vertices[near]
        centre = section.mean(0)
        along = unit(centre - hips) if level > 0.3 else unit(knees - hips)
        across = unit(side - along * (side @ along))
        deep = np.cross(along, across)
        flat = np.stack([(section - centre) @ across, (section - centre) @ deep], 1)
        rays = np.stack([np.cos(angles), np.sin(angles)], 1)
        support = (flat @ rays.T).max(0)
        # distance to the border of the section's convex hull in each direction
        slant = np.cos(angles[:, None] - angles)
        reach = np.where(slant > 0.05, support / np.maximum(slant, 0.05), np.inf).min(1)
        radii.append(reach + 0.014 + 0.1 * flare * max(level, 0))
        frames.append((centre, rays[:, :1] * across + rays[:, 1:] * deep))
        coordinates.append(
            np.stack([0.2 * rays[:, 0], 0.15 * rays[:, 1], np.full(48, 0.15 - 0.42 * level)], 1)
        )
    # each ring also encloses its neighbours' sections: legs apart are not level
    radii = np.stack(radii)
    radii[2:] = np.max([radii[1:-1], radii[2:], np.concatenate([radii[3:], radii[-1:]])], axis=0)
    radii *= 1 + (folds - 1) * np.clip(levels, 0, 1)[:, None]
    rings = np.stack([centre + r[:, None] * rays for (centre, rays), r in zip(frames, radii)])
    rings[1:-1] = (rings[:-2] + 2 * rings[1:-1] + rings[2:]) / 4
    return Cover(
        rings.reshape(-1, 3),
        grid_faces(len(levels), 48, closed=True),
        np.concatenate(coordinates),
        "skirt",
    )


def hair(
    rng: np.random.Generator, body: OpenBody, vertices: np.ndarray, outfit: Outfit
) -> list[Cover]:
    """What stands off the head: long hair, ponytail, bun, brim of a cap."""
    fields = body_fields()
    covers = []
    # the posed head's frame, from its vertices
    head = np.flatnonzero((fields.head > 0.9) & (fields.place[:, 2] > 0.75))
    rest, posed = fields.place[head].astype(float), vertices[head]
    rotation, origin, centre = _fit(rest, posed)

    def to_world(points):
        return (points - centre) @ rotation.T + origin

    if outfit.hair_kind in ("long", "medium") and outfit.hat_kind != "helmet":
        length = rng.uniform(0.1, 0.34) if outfit.hair_kind == "long" else rng.uniform(0.0, 0.08)
        covers.append(_curtain(rng, to_world, length))
    if outfit.hair_kind == "tail" and outfit.hat_kind != "helmet":
        start = np.array([0, 0.06, rng.uniform(0.84, 0.93)])
        way = np.array([rng.normal(0, 0.02), 0.05, -rng.uniform(0.12, 0.28)])
        covers.append(_tube(to_world, start, start + [0, 0.05, 0.0], start + way, 0.028))
    if outfit.hair_kind == "bun" and outfit.hat_kind == "none":
        place = np.array([0, rng.uniform(0.03, 0.1), rng.uniform(0.9, 0.985)])
        covers.append(_ball(to_world, place, rng.uniform(0.03, 0.05)))
    if outfit.hat_kind == "cap":
        covers.append(_brim(to_world, back=rng.random() < 0.12))
    return covers


def _fit(rest, posed):
    """Rotation and both centres of the rigid motion that best fits rest to posed (Kabsch)."""
    centre, origin = rest.mean(0), posed.mean(0)
    u, _, vt = np.linalg.svd((posed - origin).T @ (rest - centre))
    sign = np.sign(np.linalg.det(u @ vt))
    return u @ np.diag([1, 1, sign]) @ vt, origin, centre


def _curtain(rng, to_world, length) -> Cover:
    """Hair around the back and sides of the head, to ``length`` below the chin."""
    opening = rng.uniform(0.65, 1.15)  # half angle left free at the face
    angle = np.linspace(opening, 2 * np.pi - opening, 40)
    drop = np.linspace(0, 1, 12)
    wave = rng.uniform(0, 0.006)
    middle_y, top, low = -0.035, 0.962, 0.77 - length
    rows = []
    for t in drop:
        z = top + (low - top) * t
        # an ellipsoid down to the ears, then straight down, a little narrower at the tips
        up = np.clip((z - 0.85) / (top - 0.85 + 0.012), 0, 1)
        radius = np.sqrt(np.maximum(1 - up**2, 0))
        wide, deep = 0.092 * radius, 0.122 * radius
        below = np.clip((0.85 - z) / 0.3, 0, 1)
        wide = wide * (1 - 0.1 * below) + wave * np.sin(angle * 17 + 9 * t)
        deep = deep * (1 - 0.25 * below) + wave * np.cos(angle * 13 + 7 * t)
        rows.append(
            np.stack([wide * np.sin(angle), middle_y - deep * np.cos(angle), np.full(40, z)], 1)
        )
    rest = np.concatenate(rows)
    return Cover(to_world(rest), grid_faces(12, 40, closed=False), rest, "hair")


def _tube(to_world, start, middle, end, radius) -> Cover:
    """A bent tube, tapered at both ends."""
    t = np.linspace(0, 1, 10)[:, None]
    path = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    tangent = np.gradient(path, axis=0)
    across = np.cross(tangent, [1.0, 0, 0])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    thick = radius * np.sin(np.pi * np.clip(t[:, 0] * 0.85 + 0.12, 0, 1)) ** 0.5
    ring = (
        path[:, None]
        + thick[:, None, None]
        * (np.cos(angle)[None, :, None] * across[:, None]
           + np.sin(angle)[None, :, None] * np.array([1.0, 0, 0]))
    )  # fmt: skip
    rest = ring.reshape(-1, 3)
    return Cover(to_world(rest), grid_faces(10, 14, closed=True), rest, "hair")


def _ball(to_world, place, radius) -> Cover:
    polar, around = (
        np.linspace(0.05, np.pi - 0.05, 10),
        np.linspace(0, 2 * np.pi, 16, endpoint=False),
    )
    p, a = np.meshgrid(polar, around, indexing="ij")
    rest = place + radius * np.stack(
        [np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], -1
    ).reshape(-1, 3)
    return Cover(to_world(rest), grid_faces(10, 16, closed=True), rest, "hair")


def _brim(to_world, back: bool) -> Cover:
    """The brim of a cap, worn forwards or backwards."""
    angle = np.linspace(-1.15, 1.15, 17)
    inner = np.stack([0.078 * np.sin(angle), -0.045 - 0.1 * np.cos(angle), np.full(17, 0.904)], 1)
    outer = inner + np.stack(
        [0.1 * np.zeros(17), -0.075 * np.cos(angle) ** 0.6, np.full(17, -0.018)], 1
    )
    rest = np.concatenate([inner, outer])
    if back:
        rest[:, 1] = -0.07 - rest[:, 1]
    return Cover(to_world(rest), grid_faces(2, 17, closed=False), rest, "brim")


def box(centre: np.ndarray, extent: np.ndarray, around: float = 0.0) -> Cover:
    """A box of the given centre and full extents (3,), turned about the vertical."""
    corner = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
    sides = np.array(
        [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    )
    cos, sin = np.cos(around), np.sin(around)
    spin = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    # sides do not share vertices, so that edges stay sharp
    local = corner[sides].reshape(-1, 3) * extent
    first = np.arange(6)[:, None] * 4
    faces = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]])
    faces = faces.reshape(2, 6, 3).transpose(1, 0, 2).reshape(-1, 3)
    return Cover(local @ spin.T + centre, faces, local, "box")
