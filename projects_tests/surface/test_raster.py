"""The z-buffer against an independent ray cast, and against flips of the scene."""

import numpy as np
import pytest

from densepose_ext.surface.body import OpenBody
from densepose_ext.surface.raster import project, rasterize
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic.skeleton import turn


def _cast(points, faces, focal, size, pixels):
    """First triangle that the ray of each pixel (n, 2) hits from its front, -1 for none; depth."""
    rays = np.stack(
        [
            (pixels[:, 0] + 0.5 - size[1] / 2) / focal,
            (pixels[:, 1] + 0.5 - size[0] / 2) / focal,
            np.ones(len(pixels)),
        ],
        1,
    )
    a, b, c = (points[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    best, found = np.full(len(rays), np.inf), np.full(len(rays), -1)
    for start in range(0, len(rays), 100):
        ray = rays[start : start + 100, None]
        facing = (ray * normal).sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (a * normal).sum(-1) / facing
        hit = ray * t[..., None]
        inside = facing < 0
        for p, q in ((a, b), (b, c), (c, a)):
            inside &= (np.cross(q - p, hit - p) * normal).sum(-1) >= 0
        t = np.where(inside & (t > 0), t, np.inf)
        nearest = t.argmin(1)
        best[start : start + 100] = t[np.arange(len(t)), nearest]
        found[start : start + 100] = np.where(np.isfinite(t.min(1)), nearest, -1)
    return found, best


def _compare(points, faces, focal, size, pixels):
    buffers = rasterize(points, faces, focal, size)
    found, depth = _cast(points, faces, focal, size, pixels)
    drawn = buffers.face[pixels[:, 1], pixels[:, 0]]
    assert (found == drawn).mean() > 0.999
    same = (found == drawn) & (found >= 0)
    assert same.sum() > 100
    np.testing.assert_allclose(
        buffers.depth[pixels[:, 1], pixels[:, 0]][same], depth[same], rtol=1e-5
    )


def test_random_triangles():
    rng = np.random.default_rng(0)
    points = rng.uniform([-2, -2, 1], [2, 2, 6], (240, 3))
    faces = np.arange(240).reshape(-1, 3)
    grid = np.stack(np.meshgrid(np.arange(72), np.arange(64)), -1).reshape(-1, 2)
    _compare(points, faces, 50.0, (64, 72), grid)


@pytest.mark.slow
def test_posed_body():
    body = OpenBody.load()
    rng = np.random.default_rng(1)
    points = body.vertices @ turn([0, 0, 1], 0.7).T
    points = np.stack([points[:, 0], -points[:, 2], points[:, 1] + 2.5], 1)
    buffers = rasterize(points, body.faces, 260.0, (256, 256))
    rows, columns = np.nonzero(buffers.hit)
    chosen = rng.choice(len(rows), 1500, replace=False)
    _compare(points, body.faces, 260.0, (256, 256), np.stack([columns, rows], 1)[chosen])


def test_barycentrics_give_back_the_pixel():
    body = OpenBody.load()
    points = np.stack([body.vertices[:, 0], -body.vertices[:, 2], body.vertices[:, 1] + 1.4], 1)
    buffers = rasterize(points, body.faces, 150.0, (128, 128))
    rows, columns = np.nonzero(buffers.hit)
    weight = buffers.barycentric[rows, columns]
    place = (points[body.faces[buffers.face[rows, columns]]] * weight[..., None]).sum(1)
    pixel = project(place, 150.0, (128, 128))
    np.testing.assert_allclose(pixel, np.stack([columns, rows], 1) + 0.5, atol=1e-3)
    np.testing.assert_allclose(place[:, 2], buffers.depth[rows, columns], rtol=1e-5)


def test_mirrored_scene_has_mirrored_labels():
    surface = BodySurface.load()
    body = surface.body
    camera = np.stack([body.vertices[:, 0], -body.vertices[:, 2], body.vertices[:, 1] + 2.2], 1)
    camera = camera @ turn([0, 1, 0], 0.1).T
    mirrored = (camera * [-1, 1, 1])[body.vertex_mirror]
    first = rasterize(camera, body.faces, 200.0, (160, 160))
    second = rasterize(mirrored, body.faces, 200.0, (160, 160))
    both = first.hit[:, ::-1] & second.hit
    assert both.sum() > 0.995 * max(first.hit.sum(), second.hit.sum())
    i, u, v = surface.iuv(first.face[:, ::-1][both], first.barycentric[:, ::-1][both])
    expected = surface.mirror(i, u, v)
    found = surface.iuv(second.face[both], second.barycentric[both])
    same = expected[0] == found[0]
    assert same.mean() > 0.998
    for a, b in zip(expected[1:], found[1:]):
        assert np.quantile(np.abs(a - b)[same], 0.99) < 1e-3


def test_near_and_hidden_triangles_are_not_drawn():
    triangle = np.array([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]])
    faces = np.array([[0, 2, 1]])
    assert rasterize(triangle, faces, 20.0, (32, 32)).hit.any()
    assert not rasterize(triangle, faces[:, ::-1], 20.0, (32, 32)).hit.any()
    assert rasterize(triangle, faces[:, ::-1], 20.0, (32, 32), two_sided=True).hit.any()
    assert not rasterize(triangle - [0, 0, 1.99], faces, 20.0, (32, 32)).hit.any()
    assert not rasterize(triangle + [90, 0, 0], faces, 20.0, (32, 32)).hit.any()


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearer_triangle_hides_the_farther(order):
    triangle = np.array([[-1.0, -1, 2], [0, 1, 2], [1, -1, 2]])
    points = np.concatenate([triangle, triangle * 0.5])
    faces = np.array([[0, 1, 2], [3, 4, 5]])[order]
    assert set(np.unique(rasterize(points, faces, 20.0, (32, 32)).face)) == {-1, order.index(1)}
