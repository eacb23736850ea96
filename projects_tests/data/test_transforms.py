"""Annotations under transforms, compared with the transformed picture itself.

A dot is drawn where a point is annotated, and a region where a mask is: after the transform the
annotation has to lie on the dot, and cover the region, wherever the transform has brought them.
"""

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.data.transforms import affine_matrix, transform_densepose
from densepose_ext.structures import DensePoseAnnotation
from densepose_ext.surface.parts import COARSE_MIRROR, FINE_MIRROR

HEIGHT, WIDTH = 240, 320
BOX = np.array([70.0, 40.0, 250.0, 210.0])
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH] + 0.5


def mirror(i, u, v):
    """A mirror map that is its own inverse."""
    return FINE_MIRROR[i], 1 - u, v


def annotation_of(seed: int, points: int = 5, masks: bool = True) -> DensePoseAnnotation:
    rng = np.random.default_rng(seed)
    segm = None
    if masks:
        rows, columns = np.mgrid[:256, :256] + 0.5
        segm = np.zeros((256, 256), np.uint8)
        for part in rng.permutation(np.arange(1, 15))[:4]:
            x, y = rng.uniform(40, 216, 2)
            a, b = rng.uniform(25, 80, 2)
            segm[((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 < 1] = part
        segm = torch.from_numpy(segm)
    return DensePoseAnnotation(
        *(torch.from_numpy(rng.uniform(8, 248, points).astype(np.float32)) for _ in "xy"),
        torch.from_numpy(rng.integers(0, 25, points)),
        *(torch.from_numpy(rng.uniform(0, 1, points).astype(np.float32)) for _ in "uv"),
        segm,
    )


def compose(steps: list[tuple]) -> T.TransformList:
    """Transforms of a picture of HEIGHT x WIDTH, each for the size that the one before leaves."""
    transforms, (h, w) = [], (HEIGHT, WIDTH)
    for kind, *values in steps:
        if kind == "hflip":
            transforms.append(T.HFlipTransform(w))
        elif kind == "vflip":
            transforms.append(T.VFlipTransform(h))
        elif kind == "resize":
            new_h, new_w = round(h * values[0]), round(w * values[1])
            transforms.append(T.ResizeTransform(h, w, new_h, new_w))
            h, w = new_h, new_w
        elif kind == "crop":
            x0, y0 = int(w * values[0]), int(h * values[1])
            w, h = int(w * values[2]), int(h * values[3])
            transforms.append(T.CropTransform(x0, y0, w, h))
        else:
            angle, expand = values
            transforms.append(T.RotationTransform(h, w, angle, expand=expand))
            h, w = transforms[-1].bound_h, transforms[-1].bound_w
    return T.TransformList(transforms)


scale = st.floats(0.8, 1.6)
step = st.one_of(
    st.just(("hflip",)),
    st.just(("vflip",)),
    st.tuples(st.just("resize"), scale, scale),
    st.tuples(
        st.just("crop"), st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0.6, 0.7), st.just(0.7)
    ),
    st.tuples(st.just("rotate"), st.floats(-180, 180), st.booleans()),
)
steps = st.lists(step, max_size=4)


def after(annotation, transforms, box=BOX):
    """The annotation and the person's box, clipped to the picture, after transforms."""
    h, w = transforms.apply_image(np.zeros((HEIGHT, WIDTH), np.uint8)).shape
    new_box = transforms.apply_box(box[None])[0].clip(0, [w, h, w, h])
    if not (new_box[2:] - new_box[:2] > 2).all():
        return None, new_box
    return transform_densepose(annotation, affine_matrix(transforms), box, new_box, mirror), new_box


def positions(annotation: DensePoseAnnotation, box: np.ndarray) -> np.ndarray:
    """(P, 2): positions of the points in the picture."""
    relative = torch.stack([annotation.x, annotation.y], 1).double().numpy()
    return box[:2] + relative * (box[2:] - box[:2]) / 256


def is_mirror_image(steps) -> bool:
    return sum(kind in ("hflip", "vflip") for kind, *_ in steps) % 2 == 1


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(steps, st.integers(0, 1000))
def test_points_stay_on_the_dots_drawn_at_them(steps, seed):
    annotation, transforms = annotation_of(seed, masks=False), compose(steps)
    matrix = affine_matrix(transforms)
    found, box = after(annotation, transforms)
    # A mark that survives as long as the point does: V is not touched by this mirror map.
    kept = {} if found is None else dict(zip(found.v.tolist(), positions(found, box)))
    assert len(kept) == (0 if found is None else len(found.x))
    for v, (x, y) in zip(annotation.v.tolist(), positions(annotation, BOX)):
        dot = 255 * np.exp(-((COLUMNS - x) ** 2 + (ROWS - y) ** 2) / (2 * 2.5**2))
        image = transforms.apply_image(dot.round().astype(np.uint8)).astype(float)
        h, w = image.shape
        dot_at = affine_at(transforms, x, y)
        margin = np.minimum(dot_at, [w, h] - dot_at).min()
        is_whole = image.sum() > 0.99 * dot.sum() * abs(np.linalg.det(matrix[:, :2]))
        if margin > 15 and is_whole:  # nothing of the dot was cut off: look where it is
            rows, columns = np.mgrid[:h, :w] + 0.5
            dot_at = np.array([(columns * image).sum(), (rows * image).sum()]) / image.sum()
            distance = np.minimum(dot_at - box[:2], box[2:] - dot_at).min()
            assert (v in kept) == (distance > 0) or abs(distance) < 0.5
        if v in kept:
            np.testing.assert_allclose(kept[v], dot_at, atol=0.25)


def affine_at(transforms, x: float, y: float) -> np.ndarray:
    return transforms.apply_coords(np.array([[x, y]]))[0]


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(steps, st.integers(0, 1000))
def test_masks_cover_the_regions_drawn_at_them(steps, seed):
    annotation, transforms = annotation_of(seed), compose(steps)
    # A point in the middle of the picture, so that the annotation is not lost with its points.
    annotation.x[:], annotation.y[:] = 128.0, 128.0
    found, box = after(annotation, transforms)
    if found is None:
        return
    picture = transforms.apply_segmentation(draw(annotation.segm.numpy(), BOX, HEIGHT, WIDTH))
    drawn = draw(found.segm.numpy(), box, *picture.shape)
    # The picture shows the person outside of the clipped box too, and where a crop comes before a
    # rotation it shows nothing in some corners that the annotation knows.
    inside = draw(np.ones((256, 256), np.uint8), box, *picture.shape) > 0
    inside &= transforms.apply_segmentation(np.ones((HEIGHT, WIDTH), np.uint8)) > 0
    for part in np.unique(picture[picture > 0]):
        mirrored = COARSE_MIRROR[part] if is_mirror_image(steps) else part
        expected = (picture == part) & inside
        # In slivers, the rounding of each drawing to half a pixel weighs too much.
        if cv2.distanceTransform(expected.astype(np.uint8), cv2.DIST_L2, 5).max() < 25:
            continue
        region = (drawn == mirrored) & inside
        assert (region & expected).sum() / (region | expected).sum() > 0.9
        centres = [np.argwhere(mask).mean(0) for mask in (region, expected)]
        # For each resampling half a pixel of the original picture, which may be several now.
        enlarged = np.linalg.norm(affine_matrix(transforms)[:, :2], axis=0).max()
        np.testing.assert_allclose(*centres, atol=max(1, enlarged / 2 * len(steps)))
    assert set(np.unique(found.segm)) <= set(range(15))


def draw(segm: np.ndarray, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask of a box as a picture: each pixel reads the cell under its centre."""
    x = (np.arange(width) + 0.5 - box[0]) / (box[2] - box[0]) * 256
    y = (np.arange(height) + 0.5 - box[1]) / (box[3] - box[1]) * 256
    cells = segm[np.ix_(y.clip(0, 255).astype(int), x.clip(0, 255).astype(int))]
    inside = ((y >= 0) & (y < 256))[:, None] & ((x >= 0) & (x < 256))[None]
    return np.where(inside, cells, 0).astype(np.uint8)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(steps, st.integers(0, 1000))
def test_left_and_right_change_with_every_mirror_image(steps, seed):
    annotation = annotation_of(seed, masks=False)
    found, _ = after(annotation, compose(steps))
    if found is None:
        return
    number = {v: n for n, v in enumerate(annotation.v.tolist())}
    origin = [number[v] for v in found.v.tolist()]
    i, u = annotation.i[origin].numpy(), annotation.u[origin].numpy()
    if is_mirror_image(steps):
        i, u = FINE_MIRROR[i], np.where(i > 0, 1 - u, u)
    np.testing.assert_array_equal(found.i, i)
    np.testing.assert_allclose(found.u, u, atol=1e-6)
    assert found.i.dtype == torch.int64
    assert {found.x.dtype, found.y.dtype, found.u.dtype, found.v.dtype} == {torch.float32}


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["hflip", "vflip"]),
    st.integers(0, 1000),
    st.tuples(st.floats(0, 200), st.floats(0, 150), st.floats(5, 100), st.floats(5, 80)),
)
def test_flipping_twice_is_the_identity(flip, seed, box):
    x, y, w, h = box
    box = np.array([x, y, x + w, y + h])
    annotation = annotation_of(seed)
    once, flipped_box = after(annotation, compose([(flip,)]), box)
    twice, same_box = after(once, compose([(flip,)]), flipped_box)
    np.testing.assert_allclose(same_box, box, atol=1e-9)
    for name, tolerance in (("x", 1e-3), ("y", 1e-3), ("i", 0), ("u", 1e-6), ("v", 0)):
        np.testing.assert_allclose(
            getattr(twice, name), getattr(annotation, name), atol=tolerance, rtol=0
        )
    np.testing.assert_array_equal(twice.segm, annotation.segm)
    assert not np.array_equal(once.x if flip == "hflip" else once.y, annotation.x)


def test_a_horizontal_flip_in_numbers():
    annotation = annotation_of(0)
    found, _ = after(annotation, compose([("hflip",)]))
    np.testing.assert_allclose(found.x, 256 - annotation.x, atol=1e-4)
    np.testing.assert_allclose(found.y, annotation.y, atol=1e-4)
    np.testing.assert_array_equal(found.segm, COARSE_MIRROR[annotation.segm.numpy()[:, ::-1]])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.3, 4), st.floats(0.3, 4))
def test_resizing_changes_nothing(seed, x, y):
    annotation = annotation_of(seed)
    found, _ = after(annotation, compose([("resize", x, y)]))
    for name in "xyiuv":
        np.testing.assert_allclose(getattr(found, name), getattr(annotation, name), atol=1e-3)
    np.testing.assert_array_equal(found.segm, annotation.segm)


@settings(max_examples=50, deadline=None)
@given(steps, st.integers(0, 1000))
def test_one_matrix_is_what_the_transforms_do(steps, seed):
    transforms = compose(steps)
    points = np.random.default_rng(seed).uniform(-50, 400, (20, 2))
    matrix = affine_matrix(transforms)
    np.testing.assert_allclose(
        points @ matrix[:, :2].T + matrix[:, 2], transforms.apply_coords(points.copy()), atol=1e-6
    )


def test_colours_move_nothing():
    transforms = T.TransformList([T.BlendTransform(0, 0.5, 1.5), T.NoOpTransform()])
    np.testing.assert_array_equal(affine_matrix(transforms), [[1, 0, 0], [0, 1, 0]])


def test_points_outside_leave_and_without_points_nothing_is_left():
    annotation = annotation_of(0)
    annotation.x[:] = torch.tensor([10.0, 20.0, 30.0, 200.0, 210.0])
    right_half = np.array([160.0, 40.0, 250.0, 210.0])
    identity = affine_matrix(T.TransformList([T.NoOpTransform()]))
    found = transform_densepose(annotation, identity, BOX, right_half, None)
    np.testing.assert_allclose(found.x, [144, 164])
    np.testing.assert_array_equal(found.i, annotation.i[3:])
    np.testing.assert_array_equal(found.segm[:, ::2], annotation.segm[:, 128:])
    nowhere = np.array([0.0, 0.0, 20.0, 20.0])
    assert transform_densepose(annotation, identity, BOX, nowhere, None) is None


def test_points_on_the_border_stay():
    annotation = annotation_of(0, points=2, masks=False)
    annotation.x[:] = torch.tensor([0.0, 256.0])
    annotation.y[:] = torch.tensor([256.0, 0.0])
    found, _ = after(annotation, compose([("resize", 1.37, 0.71), ("hflip",)]))
    np.testing.assert_array_equal(found.x, [256, 0])
    np.testing.assert_array_equal(found.y, [256, 0])


def test_background_points_do_not_ask_the_mirror_map():
    def on_the_body_only(i, u, v):
        assert (i > 0).all()
        return mirror(i, u, v)

    annotation = annotation_of(0, points=4, masks=False)
    annotation.i[:] = torch.tensor([0, 3, 0, 24])
    flip = affine_matrix(compose([("hflip",)]))
    new_box = np.array([WIDTH - BOX[2], BOX[1], WIDTH - BOX[0], BOX[3]])
    found = transform_densepose(annotation, flip, BOX, new_box, on_the_body_only)
    assert found.i.tolist() == [0, 4, 0, 23]
    np.testing.assert_allclose(found.u[[0, 2]], annotation.u[[0, 2]])
    annotation.i[:] = 0
    assert (
        transform_densepose(annotation, flip, BOX, new_box, on_the_body_only).i.tolist() == [0] * 4
    )


def test_a_mirror_image_needs_a_mirror_map():
    flip = affine_matrix(compose([("hflip",)]))
    with pytest.raises(ValueError, match="mirror map"):
        transform_densepose(annotation_of(0), flip, BOX, BOX, None)


def test_the_annotation_itself_is_left_as_it_was():
    annotation, same = annotation_of(3), annotation_of(3)
    after(annotation, compose([("hflip",), ("rotate", 30.0, False)]))
    for name in "xyiuv":
        np.testing.assert_array_equal(getattr(annotation, name), getattr(same, name))
    np.testing.assert_array_equal(annotation.segm, same.segm)
