"""Scenes: people on common ground, props, a camera.

World coordinates are in metres, with the ground at z = 0. A person facing -y looks towards the
camera; directions are uniform, so that backs are as frequent as fronts.
"""

from dataclasses import dataclass, field

import numpy as np

from ..surface.body import OpenBody, vertex_normals
from .backdrop import Camera
from .covers import Cover, box, hair, skirt
from .poses import sample_posture
from .skeleton import Pose, turn, unit
from .things import Thing, sample_thing
from .wardrobe import Outfit, body_fields

#: How the first person is framed, and how frequent each framing is.
FRAMINGS = {"full": 0.46, "upper": 0.27, "face": 0.1, "part": 0.17}
#: Least distance between the centres of two people, metres.
ELBOW_ROOM = 0.45


@dataclass
class RenderedPerson:
    """One person in the world.

    Attributes:
        coefficients: (K,) shape of the body.
        rotations: (J, 3, 3) joint rotations of the pose.
        placement: (3, 4) from body to world coordinates.
        activity: what the person does.
        outfit: clothes and hair.
        vertices: (V, 3) visible surface: the body pushed out to its clothes.
        skin: (V, 3) the bare body.
        keypoints: (17, 3) COCO keypoints.
        covers: skirt, hair, brim.
        support: what carries the weight, as in ``Pose``.
        seat: height of the underside of the hips, metres.
    """

    coefficients: np.ndarray
    rotations: np.ndarray
    placement: np.ndarray
    activity: str
    outfit: Outfit
    vertices: np.ndarray
    skin: np.ndarray
    keypoints: np.ndarray
    covers: list[Cover]
    support: str
    seat: float


@dataclass
class Scene:
    """People, props and things before a camera."""

    camera: Camera
    people: list[RenderedPerson]
    props: list[Cover] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)


def sample_person(rng: np.random.Generator, body: OpenBody, facing: float = 0.5) -> RenderedPerson:
    """A random person on the ground at the origin, facing any direction.

    Args:
        facing: share of people who face -y, where the camera is, by less than 90 degrees.
    """
    first, second = body.population[rng.integers(0, len(body.population), 2)]
    coefficients = first + (second - first) * rng.uniform(0, 0.5)
    joints = body.shape(coefficients[None])[1][0]
    pose, rotations = sample_posture(rng, body, joints)
    outfit = Outfit.sample(rng)
    around = rng.uniform(-np.pi, np.pi)
    if facing != 0.5:  # at a half, pictures stay as they were to the bit
        halves = [0, np.pi / 2, np.pi]
        around = np.copysign(np.interp(abs(around), [0, facing * np.pi, np.pi], halves), around)
    return posed_person(rng, body, coefficients, outfit, pose, rotations, turn([0, 0, 1], around))


def posed_person(
    rng: np.random.Generator,
    body: OpenBody,
    coefficients: np.ndarray,
    outfit: Outfit,
    pose: Pose,
    rotations: np.ndarray,
    spin: np.ndarray,
) -> RenderedPerson:
    """A person in a given pose, on the ground at the origin.

    Args:
        rng: draws hair, folds and the height of jumps.
        coefficients: (K,) shape.
        outfit: clothes and hair.
        pose, rotations: the pose, and its joint rotations (J, 3, 3).
        spin: (3, 3) rotation of the person, who faces -y without it.
    """
    rest, joints = (x[0] for x in body.shape(coefficients[None]))
    fields = body_fields()
    clothed = rest + vertex_normals(rest, body.faces) * outfit.offsets(fields)[:, None]

    both, posed_joints = body.pose(np.stack([clothed, rest]), joints[None], rotations[None])
    vertices, skin = both @ spin.T
    posed_joints = posed_joints[0] @ spin.T
    pelvis = posed_joints[0]
    shift = -np.array([pelvis[0], pelvis[1], vertices[:, 2].min()])
    if pose.support == "air":
        shift[2] += rng.uniform(0.02, 0.3)
    vertices, skin, posed_joints = vertices + shift, skin + shift, posed_joints + shift
    under = (fields.leg < 0.35) & (fields.arm < -0.8) & (fields.place[:, 2] < 0.2)
    seat = float(vertices[under, 2].min())

    covers = hair(rng, body, vertices, outfit)
    if outfit.skirt:
        covers.append(skirt(rng, body, vertices, posed_joints, outfit))
    return RenderedPerson(
        coefficients, rotations, np.concatenate([spin, shift[:, None]], 1), pose.name, outfit,
        vertices, skin, body.keypoints(skin), covers, pose.support, seat,
    )  # fmt: skip


def move(person: RenderedPerson, x: float, y: float) -> None:
    """Shifts a person along the ground."""
    shift = np.array([x, y, 0.0])
    person.vertices = person.vertices + shift
    person.skin = person.skin + shift
    person.keypoints = person.keypoints + shift
    person.placement[:, 3] += shift
    for cover in person.covers:
        cover.vertices = cover.vertices + shift


def sample_scene(
    rng: np.random.Generator,
    body: OpenBody,
    size: int,
    max_people: int,
    max_things: int = 0,
    facing: float = 0.5,
) -> Scene:
    """A scene of 1 to ``max_people`` people for an image of (size, size) pixels.

    Up to ``max_things`` objects (cars, animals, plants, ...) stand around them. ``facing`` is the
    share of people who are turned towards the camera.
    """
    framing = str(rng.choice(list(FRAMINGS), p=list(FRAMINGS.values())))
    weights = np.array([0.36, 0.3, 0.17, 0.1, 0.07] + [0.05] * max(0, max_people - 5))[:max_people]
    if framing != "full":
        weights = weights * 0.55 ** np.arange(len(weights))
    count = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
    people = [sample_person(rng, body, facing)]
    camera = _aim(rng, people[0], framing, size)
    for _ in range(count - 1):
        person = sample_person(rng, body, facing)
        place = _free_place(rng, camera, people, framing)
        if place is not None:
            move(person, *place)
            people.append(person)
    scene = Scene(camera, people)
    for person in people:
        _furnish(rng, scene, person)
    if max_things:
        for _ in range(rng.integers(0, max_things + 1)):
            _place_thing(rng, scene)
    return scene


def _aim(rng, person: RenderedPerson, framing: str, size: int) -> Camera:
    """A camera that frames a person as asked."""
    focal = size * np.exp(rng.uniform(np.log(0.85), np.log(2.6)))
    low, high = person.vertices.min(0), person.vertices.max(0)
    points = person.keypoints
    chest = points[[5, 6, 11, 12]].mean(0)
    if framing == "full":
        target, extent = (low + high) / 2, (high - low).max() / rng.uniform(0.38, 0.98)
    elif framing == "upper":
        target = 0.6 * chest + 0.4 * points[0] + rng.normal(0, 0.08, 3)
        extent = rng.uniform(0.75, 1.5)
    elif framing == "face":
        target, extent = points[0] + rng.normal(0, 0.07, 3), rng.uniform(0.38, 0.8)
    else:
        target = points[rng.integers(5, 17)] + rng.normal(0, 0.08, 3)
        extent = rng.uniform(0.6, 1.5)
    distance = extent * focal / size
    kind = rng.random()
    if kind < 0.72:
        above = rng.normal(0.06, 0.13)
    elif kind < 0.88:
        above = rng.uniform(0.25, 0.95)
    else:
        above = rng.uniform(-0.45, -0.12)
    for _ in range(30):  # move back until no part of the person is too near to the camera
        above = max(above, np.arcsin(np.clip((0.12 - target[2]) / distance, -1, 1)))
        look = np.array([0, np.cos(above), -np.sin(above)])
        position = target - distance * look
        if ((person.vertices - position) @ look).min() > 0.22:
            break
        distance *= 1.15
    roll = rng.normal(0, 0.05) if rng.random() < 0.85 else rng.normal(0, 0.35)
    off = rng.normal(0, 0.1 if framing == "full" else 0.07, 2) * size / focal
    right = np.array([1.0, 0, 0])
    down = np.cross(look, right)
    rotation = np.stack([right, down, look])
    aside = turn([0, 1, 0], off[0]) @ turn([1, 0, 0], off[1]) @ turn([0, 0, 1], roll)
    return Camera(float(focal), (size, size), position, aside @ rotation)


def _free_place(rng, camera: Camera, people: list[RenderedPerson], framing: str):
    """A position (x, y) on the ground, in view and clear of everybody; None if none is found."""
    first = people[0]
    forward = unit(camera.rotation[2] * [1, 1, 0])
    across = np.array([forward[1], -forward[0], 0])
    base = camera.position * [1, 1, 0]
    depth0 = (first.placement[:, 3] - base) @ forward
    for _ in range(12):
        # beside, in front of or behind the first person
        if framing == "full" and rng.random() < 0.45:
            x, y = rng.normal(0, 0.55), rng.normal(0, 0.6)
        else:
            nearest = 0.8 if framing == "full" else 1.15
            depth = max(depth0, 0.4) * np.exp(rng.uniform(np.log(nearest), np.log(3.2)))
            depth = depth if framing == "full" else depth + rng.uniform(0.3, 2.5)
            side = rng.uniform(-0.5, 0.5) * camera.size[1] / camera.focal * depth
            x, y, _ = base + forward * depth + across * side
        here = np.array([x, y, 0.0])
        apart = [np.linalg.norm((p.placement[:, 3] - here)[:2]) for p in people]
        if min(apart) > ELBOW_ROOM and (here - base) @ forward > 0.9:
            return x, y
    return None


def _furnish(rng, scene: Scene, person: RenderedPerson) -> None:
    """Adds a seat for a sitting person, and sometimes a table or another prop."""
    x, y, _ = person.placement[:, 3]
    facing = -person.placement[:, 1]  # the body faces its own -y
    around = np.arctan2(facing[0], -facing[1])
    if person.support == "seat" and person.seat > 0.1:
        wide, deep = rng.uniform(0.35, 0.6), rng.uniform(0.38, 0.55)
        if person.activity == "ride":
            wide, deep = rng.uniform(0.14, 0.26), rng.uniform(0.5, 1.1)
        thick = person.seat if rng.random() < 0.6 else rng.uniform(0.05, 0.15)
        middle = [x, y, person.seat - thick / 2 + 0.015]
        scene.props.append(box(np.array(middle), np.array([wide, deep, thick]), around))
        if person.activity == "sit" and rng.random() < 0.3:
            back = np.array([x, y, 0]) - facing * [1, 1, 0] * (deep / 2 + 0.06)
            tall = rng.uniform(0.3, 0.6)
            back[2] = person.seat + tall / 2
            scene.props.append(box(back, np.array([wide, 0.04, tall]), around))
    if rng.random() < (0.15 if person.activity == "sit" else 0.04):
        table = np.array([x, y, 0]) + unit(facing * [1, 1, 0]) * rng.uniform(0.45, 0.7)
        height = max(person.seat + rng.uniform(0.12, 0.3), 0.4)
        extent = np.array([rng.uniform(0.6, 1.6), rng.uniform(0.3, 0.5), rng.uniform(0.03, 0.2)])
        table[2] = height - extent[2] / 2
        scene.props.append(box(table, extent, around))
    if rng.random() < 0.25:
        extent = np.exp(rng.uniform(np.log(0.15), np.log(1.4), 3))
        way = rng.uniform(0, 2 * np.pi)
        distance = rng.uniform(0.6, 2.5) + extent[:2].max() / 2
        place = [x + distance * np.cos(way), y + distance * np.sin(way), extent[2] / 2]
        scene.props.append(box(np.array(place), extent, rng.uniform(0, np.pi)))


def _place_thing(rng, scene: Scene) -> None:
    """Places an object in view if it fits, more often behind the first person than in front."""
    camera, thing = scene.camera, sample_thing(rng)
    forward = unit(camera.rotation[2] * [1, 1, 0])
    across = np.array([forward[1], -forward[0], 0])
    base = camera.position * [1, 1, 0]
    depth0 = max((scene.people[0].placement[:, 3] - base) @ forward, 0.4)
    for _ in range(8):
        depth = depth0 * np.exp(rng.uniform(np.log(0.75), np.log(4))) + rng.uniform(0, 1.5)
        side = rng.uniform(-0.6, 0.6) * camera.size[1] / camera.focal * depth
        here = base + forward * depth + across * side
        apart = [np.linalg.norm((p.placement[:, 3] - here)[:2]) for p in scene.people]
        # A long object may extend past somebody who stands beside it.
        if min(apart) > 0.3 + 0.6 * thing.radius and depth > thing.radius + 0.4:
            scene.things.append(thing.placed(here[0], here[1], rng.uniform(-np.pi, np.pi)))
            return
