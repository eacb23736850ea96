"""Masks: where they are pasted, what they are decoded from, and their overlap."""

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import zoom

from densepose_ext.evaluation.masks import (
    WindowMask,
    coarse_union,
    decode,
    paste,
    polygon_union,
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
    flat = mask.T.ravel()
    counts = np.diff(np.flatnonzero(np.concatenate([[1], flat[1:] != flat[:-1], [1]]))).tolist()
    polygon = [[4, 5, 14, 5, 14, 10, 4, 10]]
    for segmentation in (encoded, {"size": [20, 30], "counts": counts}, polygon):
        np.testing.assert_array_equal(decode(segmentation, 30, 20), mask)
    assert not decode([], 30, 20).any()


@pytest.mark.parametrize(
    "segmentation",
    [{"size": [9, 9], "counts": [81]}, {"size": [20, 30]}, [[1, 2, 3]], {"counts": "x"}, [5], 7],
)
def test_bad_segmentations(segmentation):
    with pytest.raises(ValueError, match=r"RLE|polygon"):
        decode(segmentation, 30, 20)


def test_coarse_union_is_stretched_to_the_box():
    random = np.random.default_rng(0)
    low = random.random((2, 8, 8)) < 0.4
    masks = [np.kron(m, np.ones((32, 32))) > 0 for m in low]
    box = [3.5, 4.5, 61.7, 90.2]
    union = coarse_union([rle(masks[0]), [], rle(masks[1])], box)
    expected = zoom((masks[0] | masks[1]).astype(float), (90.2 / 256, 61.7 / 256), order=1)
    np.testing.assert_array_equal(union, expected > 0.5)
    assert union.shape == (90, 62)
    assert not coarse_union([], box).any()


def test_coarse_union_of_a_box_without_size():
    assert coarse_union([rle(np.ones((256, 256)))], [0, 0, 0.2, 0]).shape == (1, 1)


def test_coarse_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"\[256, 256\]"):
        coarse_union([rle(np.ones((20, 20)))], [0, 0, 10, 10])


def test_ignore_regions_are_united():
    region = polygon_union([[0, 10, 10, 0], [20, 30, 30]], [[0, 0, 10, 10], [0, 0, 9]], 40, 20)
    assert region[:10, :10].all()
    assert region[1, 27]
    assert not region[15].any()
    with pytest.raises(ValueError, match="as many"):
        polygon_union([[0, 1]], [[0, 1, 2]], 9, 9)
