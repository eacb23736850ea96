"""Renders a scene: the image, and the buffers that hold its ground truth."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ..surface.body import vertex_normals
from ..surface.raster import Buffers, project, rasterize
from .backdrop import Camera, draw_obstacle
from .scene import RenderedPerson, Scene
from .skeleton import unit
from .texture import any_colour, cloth_colour, solid_noise, wall
from .things import Thing
from .wardrobe import body_fields

#: Side of the shadow map, pixels.
LIGHT_MAP = 224
#: Rows that the sensor is computed for at a time, so that they stay in the processor's cache.
BAND = 16
NOBODY = -1


@dataclass
class Seen:
    """What the camera sees of the people.

    Attributes:
        owner: (H, W) int16: index of the person whose body, clothes or hair is visible, else -1.
        bodies: for each person, the buffers of the body rendered alone, occluded or not.
        extra: (H, W) bool: hair that stands off the owner's head.
    """

    owner: np.ndarray
    bodies: list[Buffers]
    extra: np.ndarray


@dataclass
class _Surface:
    """One mesh in the image: its buffers, its person, and what colours the pixels of a mask."""

    buffers: Buffers
    owner: int
    paint: Callable[[Buffers, np.ndarray], np.ndarray]


@dataclass
class Light:
    """One directional light, and ambient light.

    Attributes:
        direction: (3,) towards the light, world.
        strength, ambient: of the directional and of the ambient light.
        tint: (3,) colour of the light.
        softness: width of shadow edges in the shadow map, pixels.
    """

    direction: np.ndarray
    strength: float
    ambient: float
    tint: np.ndarray
    softness: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Light":
        around, high = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.3)
        direction = [np.cos(around) * np.cos(high), np.sin(around) * np.cos(high), np.sin(high)]
        ambient = rng.uniform(0.35, 0.8)
        tint = 1 + rng.normal(0, 0.05) * np.array([1.0, 0.1, -1.0]) + rng.normal(0, 0.015, 3)
        return cls(unit(direction), rng.uniform(0.35, 0.95), ambient, tint, rng.uniform(0.6, 3.0))


def render(
    rng: np.random.Generator, scene: Scene, background: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, Seen]:
    """Renders a scene over a background.

    Args:
        background: (H, W, 3) float32, 0 to 255; modified in place.
        faces: (F, 3) of the people's bodies.

    Returns:
        the image (H, W, 3) float32, before lens and sensor (``develop``), and what is seen.
    """
    camera = scene.camera
    light = Light.sample(rng)
    surfaces, bodies = [], []
    for index, person in enumerate(scene.people):
        points = camera.view(person.vertices)
        body = rasterize(points, faces, camera.focal, camera.size)
        bodies.append(body)
        surfaces.append(_Surface(body, index, _BodyPaint(rng, person, faces, light)))
        for cover in person.covers:
            buffers = rasterize(
                camera.view(cover.vertices), cover.faces, camera.focal, camera.size, two_sided=True
            )
            surfaces.append(_Surface(buffers, index, _CoverPaint(person, cover, light, camera)))
    for prop in scene.props:
        buffers = rasterize(camera.view(prop.vertices), prop.faces, camera.focal, camera.size)
        surfaces.append(_Surface(buffers, NOBODY, _BoxPaint(rng, prop, light)))
    for thing in scene.things:
        buffers = rasterize(camera.view(thing.vertices), thing.faces, camera.focal, camera.size)
        surfaces.append(_Surface(buffers, NOBODY, _ThingPaint(rng, thing, light)))

    depth = np.full(camera.size, np.inf, np.float32)
    front = np.full(camera.size, -1, np.int16)
    for number, surface in enumerate(surfaces):
        nearer = surface.buffers.depth < depth
        np.minimum(depth, surface.buffers.depth, out=depth)
        np.putmask(front, nearer, number)
    _ground_shadow(scene, faces, light, background)
    layer = np.zeros_like(background)
    for number, surface in enumerate(surfaces):
        mask = front == number
        if mask.any():
            layer[mask] = surface.paint(surface.buffers, mask)
    image = _compose(rng, background, layer, front >= 0)

    owners = np.array([s.owner for s in surfaces] + [NOBODY], np.int16)
    owner = owners[front]
    is_hair = np.array(
        [isinstance(s.paint, _CoverPaint) and s.paint.cover.kind == "hair" for s in surfaces]
        + [False]
    )
    for _ in range(rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1])):
        shown = owner >= 0
        trial = image.copy()
        mask = draw_obstacle(rng, trial)
        if (mask & shown).sum() < 0.5 * max(shown.sum(), 1):
            image, owner = trial, np.where(mask, NOBODY, owner)
    return image, Seen(owner.astype(np.int16), bodies, is_hair[front])


def _compose(rng, background, layer, mask) -> np.ndarray:
    """Composites the people over the background, in place, with the soft edges of a lens."""
    sigma = rng.uniform(0.35, 0.7) * background.shape[0] / 512 + 0.1
    inside = mask.view(np.uint8)
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)
    blurred = cv2.GaussianBlur(layer, (0, 0), sigma)
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows):
        return background
    across = slice(columns[0], columns[-1] + 1)
    for start in range(rows[0], rows[-1] + 1, BAND):
        window = slice(start, min(start + BAND, rows[-1] + 1)), across
        # three equal channels: numpy is slow at rows of three
        solid, share = (cv2.merge([w[window]] * 3) for w in (inside, alpha))
        colour = np.where(solid, layer[window], blurred[window] / np.maximum(share, 1e-3))
        background[window] = background[window] * (1 - share) + colour * share
    return background


def _shade(light: Light, albedo, normal, lit, gloss) -> np.ndarray:
    """Colours (n, 3) of points with world normals (n, 3), lit (n,) from 0 to 1."""
    facing = normal @ light.direction
    sky = 0.75 + 0.25 * normal[:, 2]
    diffuse = light.strength * np.clip(facing, 0, 1) * lit
    wrap = 0.15 * (0.5 + 0.5 * facing)
    return (
        albedo * ((light.ambient * sky + diffuse + wrap)[:, None] * light.tint)
        + (255 * gloss * np.clip(facing, 0, 1) ** 18 * lit)[:, None]
    )


def _gather(values: np.ndarray, faces: np.ndarray, buffers: Buffers, mask) -> np.ndarray:
    """Vertex values (V, k), interpolated at the pixels of a mask: (n, k) float32."""
    shown = np.flatnonzero(mask)
    corner = faces[buffers.face.ravel()[shown]]
    weight = buffers.barycentric.reshape(-1, 3)[shown]
    result = values.take(corner[:, 0], 0)
    result *= weight[:, :1]
    for k in (1, 2):
        further = values.take(corner[:, k], 0)
        further *= weight[:, k : k + 1]
        result += further
    return result


class _BodyPaint:
    """Colours of a clothed body."""

    def __init__(self, rng, person: RenderedPerson, faces, light: Light):
        self.person, self.faces, self.light = person, faces, light
        self.folds = [solid_noise(rng, rng.uniform(18, 55)) for _ in range(3)]
        self.fold_depth = rng.uniform(0.05, 0.28)
        self.gloss = rng.uniform(0.02, 0.14)

    def __call__(self, buffers: Buffers, mask: np.ndarray) -> np.ndarray:
        person, light = self.person, self.light
        vertices = person.vertices.astype(np.float32)
        normals = vertex_normals(person.vertices, self.faces).astype(np.float32)
        values = np.concatenate([body_fields().stacked, normals, vertices], 1)
        values = _gather(values, self.faces, buffers, mask)
        albedo, cloth = person.outfit.colour(values[:, :7])
        rest, normal = values[:, :3], values[:, 7:10]
        bump = np.stack([f(rest) for f in self.folds], 1) * self.fold_depth
        normal = normal + bump * np.where(cloth, 1.0, 0.12)[:, None]
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        lit = _lit(person, self.faces, light, values[:, 10:13])
        gloss = np.where(cloth, 0.25 * self.gloss, self.gloss)
        return _shade(light, albedo, normal, lit, gloss)


def _lit(person: RenderedPerson, faces, light: Light, points: np.ndarray) -> np.ndarray:
    """Share of the light, 0 to 1, that the person's own body lets through to points (n, 3)."""
    axis = light.direction
    across = unit(np.cross(axis, [0.3, 0.2, 1.0]))
    frame = np.stack([across, np.cross(axis, across), -axis])
    seen = person.vertices @ frame.T
    by_axis = np.ascontiguousarray(seen.T)
    middle = (by_axis.min(1) + by_axis.max(1)) / 2
    reach = np.abs(seen - middle).max() * 1.03
    far = 60.0
    offset = np.array([0, 0, far]) - middle
    focal = LIGHT_MAP / 2 / reach * (far - reach)
    size = (LIGHT_MAP, LIGHT_MAP)
    depth = rasterize(seen + offset, faces, focal, size).depth
    own = points @ frame.T + offset
    pixel = (project(own, focal, size) - 0.5).astype(np.float32)
    depth = np.where(np.isfinite(depth), depth, 2 * far).astype(np.float32).ravel() + 0.03
    x, y = (
        {step: _nearest(way + step, LIGHT_MAP) for step in (0, light.softness, -light.softness)}
        for way in np.ascontiguousarray(pixel.T)
    )
    away = np.ascontiguousarray(own[:, 2])
    spread = light.softness
    lit = np.zeros(len(own), np.float32)
    for dx, dy in ((0, 0), (spread, 0), (-spread, 0), (0, spread), (0, -spread)):
        lit += away < depth[y[dy] * LIGHT_MAP + x[dx]]
    return lit / 5


def _nearest(place: np.ndarray, length: int) -> np.ndarray:
    """Nearest pixel indices of positions along a row."""
    return np.clip(np.rint(place), 0, length - 1).astype(np.int64)


class _CoverPaint:
    """Colours of skirts, hair and brims."""

    def __init__(self, person: RenderedPerson, cover, light: Light, camera: Camera):
        self.person, self.cover, self.light = person, cover, light
        self.backwards = -camera.rotation[2]

    def __call__(self, buffers: Buffers, mask: np.ndarray) -> np.ndarray:
        cover, outfit, light = self.cover, self.person.outfit, self.light
        normals = vertex_normals(cover.vertices, cover.faces)
        values = np.concatenate([cover.places, normals], 1).astype(np.float32)
        values = _gather(values, cover.faces, buffers, mask)
        places, normal = values[:, :3], values[:, 3:]
        if cover.kind == "hair":
            strands = outfit.strands(places)
            albedo = outfit.hair * (1 + 0.18 * strands)[:, None]
            normal = normal + 0.12 * strands[:, None]
        elif cover.kind == "brim":
            albedo = np.broadcast_to(outfit.hat * 0.9, places.shape)
        else:
            albedo = outfit.bottom(places)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        # cloth is two-sided: turn normals towards the camera
        normal = np.where((normal @ self.backwards > 0)[:, None], normal, -normal)
        gloss = np.full(len(places), 0.1 if cover.kind == "hair" else 0.02)
        return _shade(light, albedo, normal, np.full(len(places), 0.9), gloss)


class _BoxPaint:
    """Colours of furniture: a plain colour, or a texture on each side."""

    def __init__(self, rng, prop, light: Light):
        self.prop, self.light = prop, light
        self.colour = any_colour(rng) if rng.random() < 0.5 else cloth_colour(rng)
        self.texture = wall(rng, 128) if rng.random() < 0.5 else None
        self.metres = rng.uniform(0.3, 1.5)

    def __call__(self, buffers: Buffers, mask: np.ndarray) -> np.ndarray:
        prop = self.prop
        normals = vertex_normals(prop.vertices, prop.faces)
        values = np.concatenate([prop.places, normals], 1).astype(np.float32)
        values = _gather(values, prop.faces, buffers, mask)
        normal = values[:, 3:]
        albedo = np.broadcast_to(self.colour, (len(values), 3))
        if self.texture is not None:
            side = len(self.texture)
            u = ((values[:, 0] + values[:, 1]) / self.metres * side).astype(int) % side
            v = ((values[:, 2] + 0.5 * values[:, 1]) / self.metres * side).astype(int) % side
            albedo = self.texture[v, u]
        return _shade(self.light, albedo, normal, np.ones(len(values)), np.zeros(len(values)))


class _ThingPaint:
    """Colours of objects: those of their parts, with dirt, wear or fur."""

    def __init__(self, rng, thing: Thing, light: Light):
        self.thing, self.light = thing, light
        self.grain, self.blotch = solid_noise(rng, 160), solid_noise(rng, rng.uniform(3, 25))
        self.strength = rng.uniform(0, 0.08), rng.uniform(0, 0.25) ** 2

    def __call__(self, buffers: Buffers, mask: np.ndarray) -> np.ndarray:
        thing = self.thing
        normals = vertex_normals(thing.vertices, thing.faces)
        values = [thing.places, normals, thing.colours, thing.gloss[:, None]]
        values = np.concatenate(values, 1).astype(np.float32)
        values = _gather(values, thing.faces, buffers, mask)
        places, normal, albedo, gloss = np.split(values, [3, 6, 9], 1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        noise = self.strength[0] * self.grain(places) + 4 * self.strength[1] * self.blotch(places)
        albedo = albedo * np.clip(1 + noise, 0.3, 1.7)[:, None]
        return _shade(self.light, albedo, normal, np.ones(len(values)), gloss[:, 0])


def _ground_shadow(scene: Scene, faces, light: Light, background: np.ndarray) -> None:
    """Darkens the ground, in place, where people and props cast shadows."""
    camera, scale = scene.camera, 4
    size = (camera.size[0] // scale, camera.size[1] // scale)
    cast = np.zeros(size, np.float32)
    near = np.zeros(size, np.float32)
    half = np.ascontiguousarray(faces[::2])
    meshes = [(p.vertices, half) for p in scene.people]
    meshes += [(p.vertices, p.faces) for p in [*scene.props, *scene.things]]
    slant = light.direction / max(light.direction[2], 0.3)
    for vertices, triangles in meshes:
        for target, way in ((cast, slant), (near, np.array([0, 0, 1.0]))):
            ground = vertices - vertices[:, 2:] * way
            if target is near:
                low = np.minimum.reduce([vertices[:, 2][corner] for corner in triangles.T])
                triangles = triangles[low < 0.5]
            seen = rasterize(camera.view(ground), triangles, camera.focal / scale, size, True)
            np.maximum(target, seen.hit, out=target)
    sigma = size[0] / 128 * (0.7 + light.softness)
    dark = 0.75 * light.strength / (light.strength + light.ambient)
    shadow = dark * cv2.GaussianBlur(cast, (0, 0), sigma)
    shadow = 1 - (1 - shadow) * (1 - 0.4 * cv2.GaussianBlur(near, (0, 0), size[0] / 90))
    shadow = cv2.resize(shadow, camera.size[::-1], interpolation=cv2.INTER_LINEAR)
    background *= 1 - shadow[..., None]


def develop(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Simulates lens and sensor: blur, exposure, colour cast, contrast, noise. uint8 (H, W, 3)."""
    scale = image.shape[0] / 512
    if rng.random() < 0.12:  # motion blur
        length = max(2, int(rng.uniform(3, 13) * scale))
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        steps = np.linspace(-0.5, 0.5, 4 * length) * (length - 1)
        middle = (length - 1) / 2
        rows = np.rint(middle + steps * np.sin(angle)).astype(int)
        kernel[rows, np.rint(middle + steps * np.cos(angle)).astype(int)] = 1
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    sigma = rng.uniform(0.2, 0.8) if rng.random() < 0.8 else rng.uniform(0.8, 2.2)
    image = cv2.GaussianBlur(image, (0, 0), sigma * scale + 0.15)
    gamma = np.float32(np.exp(rng.normal(-0.08, 0.15)))
    contrast, lift = rng.uniform(0.75, 1.25), rng.normal(0, 0.05)
    cast = 1 + rng.normal(0, 0.05, 3)
    grey = rng.random() < 0.06
    noise = rng.standard_normal(image.shape, np.float32)
    noise *= rng.uniform(0.002, 0.03)
    cast = np.tile(cast, image.shape[1])  # numpy is slow at rows of three
    result = np.empty(image.shape, np.uint8)
    for start in range(0, len(image), BAND):
        band = slice(start, start + BAND)
        exposed = np.clip(image[band] / 255, 0, 2) ** gamma
        exposed = (exposed - 0.5) * contrast + 0.5 + lift
        exposed = exposed.reshape(len(exposed), -1) * cast
        if grey:
            colours = exposed.reshape(image[band].shape)
            exposed = np.repeat(colours.mean(-1), 3, axis=1)
        exposed += noise[band].reshape(exposed.shape)
        exposed *= 255
        exposed += 0.5
        result[band] = np.clip(exposed, 0, 255, out=exposed).reshape(image[band].shape)
    return result
