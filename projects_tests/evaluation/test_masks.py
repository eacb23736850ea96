"""Masks: where they are pasted, what they are decoded from, and their overlap."""

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import zoom

from densepose_ext.evaluation.masks import (
    WindowMask,
    decode,
    paste,
    polygon_union,
    stretch,
)
from projects_tests.evaluation.grid_world import rle


def full(mask, width, height):
    canvas = np.zeros((height, width), bool)
    h, w = mask.pixels.shape
    canvas[mask.y : mask.y + h, mask.x : mask.x + w] = mask.pixels
    return canvas


def test_paste_starts_at_the_whole_pixel_and_is_clipped():
    pixels = np.ones((4, 5), bool)
    assert full(paste(pixels, [2.9, 3.9, 5, 4], 20, 20), 20, 20)[3:7, 2:7].all()
    assert paste(pixels, [2.9, 3.9, 5, 4], 20, 20).area == 20
    # clipped to the image at every side
    assert paste(pixels, [-2.5, -1, 5, 4], 20, 20).area == 2 * 3
    assert paste(pixels, [18, 19, 5, 4], 20, 20).area == 2
    assert paste(pixels, [30, 30, 5, 4], 20, 20).area == 0
    # and to the whole pixel of the box's end: int(2.1 + 3.2) = 5
    assert paste(pixels, [2.1, 2, 3.2, 4], 20, 20).area == 3 * 4


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_iou_is_that_of_pycocotools(seed):
    random = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        x, y, w, h = random.integers(0, 12, 4)
        masks.append(WindowMask(x, y, random.random((h, w)) < random.random()))
    encoded = [coco_mask.encode(np.asfortranarray(full(m, 30, 30).astype("u1"))) for m in masks]
    for crowd in (False, True):
        expected = coco_mask.iou(encoded[:1], encoded[1:], [crowd])[0, 0]
        assert masks[0].iou(masks[1], crowd) == pytest.approx(expected, abs=1e-12)


def test_every_kind_of_segmentation():
    mask = np.zeros((20, 30), bool)
    mask[5:10, 4:14] = True
    encoded = rle(mask)
    polygon = [[4, 5, 14, 5, 14, 10, 4, 10]]
    for segmentation in (encoded, polygon):
        np.testing.assert_array_equal(decode(segmentation, 30, 20), mask)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_a_mask_is_stretched_to_a_box_as_scipy_does_it(seed):
    """Equal to the pixel, for boxes of any size, inside the image and beyond it."""
    random = np.random.default_rng(seed)
    square = np.kron(random.random((16, 16)) < 0.5, np.ones((16, 16))) > 0
    width, height = random.integers(1, 300, 2)
    box = np.concatenate([random.uniform(-100, 300, 2), random.uniform(0, 400, 2)])
    if seed % 2:
        box = box.round()
    scale = np.maximum(box[3], 1) / 256, np.maximum(box[2], 1) / 256
    whole = zoom(square.astype(float), scale, order=1, prefilter=False) > 0.5
    expected, found = paste(whole, box, width, height), stretch(square, box, width, height)
    assert (found.x, found.y) == (expected.x, expected.y)
    np.testing.assert_array_equal(found.pixels, expected.pixels)


def test_a_box_far_larger_than_the_image_takes_no_memory():
    square = np.zeros((256, 256), bool)
    square[:, 128:] = True
    mask = stretch(square, [-1e9, -1e9, 3e9, 3e9], 40, 30)
    assert mask.pixels.shape == (30, 40)
    assert not mask.pixels.any()
    assert stretch(square, [-2e9, -1e9, 3e9, 3e9], 40, 30).pixels.all()


def test_ignore_regions_are_united():
    region = polygon_union([[0, 10, 10, 0], [20, 30, 30]], [[0, 0, 10, 10], [0, 0, 9]], 40, 20)
    assert region[:10, :10].all()
    assert region[1, 27]
    assert not region[15].any()
