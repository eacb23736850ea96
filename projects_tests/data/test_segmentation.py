"""Instance masks of COCO annotations: polygons and run lengths of either kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from densepose_ext.data.segmentation import read_segmentation

HEIGHT, WIDTH = 30, 40
TRIANGLE = [1, 1, 20.5, 1, 10, 25]


def picture(seed: int = 0) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:20, 10:30] = np.random.default_rng(seed).random((15, 20)) < 0.7
    return mask


def uncompressed(mask: np.ndarray) -> dict:
    """COCO's other RLE: a list of runs down the columns, background first."""
    flat = np.concatenate([[0], mask.ravel(order="F"), [1 - mask[-1, -1]]])
    changes = np.flatnonzero(np.diff(flat))
    return {
        "size": list(mask.shape),
        "counts": [int(n) for n in np.diff(np.concatenate([[0], changes]))],
    }


def compressed(mask: np.ndarray) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def test_polygons_of_fewer_than_three_points_are_dropped():
    assert read_segmentation([TRIANGLE], HEIGHT, WIDTH) == [TRIANGLE]
    # Lines and points are no regions; the rest of the person stays.
    assert read_segmentation([[1, 1, 5, 5], TRIANGLE, []], HEIGHT, WIDTH) == [TRIANGLE]


@pytest.mark.parametrize("form", [compressed, uncompressed])
def test_run_lengths_of_either_kind(form):
    found = read_segmentation(form(picture()), HEIGHT, WIDTH)
    np.testing.assert_array_equal(coco_mask.decode(found), picture())


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2, 3, 4]], "no polygon of three points"),
        ([[*TRIANGLE, 1]], "no polygon"),
        ([[1, 2, 3, 4, float("nan"), 6]], "no polygon"),
        ([["1", "2", "3", "4", "5", "6"]], "no polygon"),
        ([[1, 2, 3, 4, 5, None]], "no polygon"),
        ([[[1, 2], [3, 4, 5], 1, 1, 1, 1]], "no polygon"),
        (TRIANGLE, "no polygon"),
        ("polygon", "a str, expected polygons or an RLE"),
        (5, "a int, expected polygons or an RLE"),
        ({"counts": "0"}, r"an RLE of size None, expected that of its image, \[30, 40\]"),
        (
            {"size": [40, 30], "counts": "0"},
            r"size \[40, 30\], expected that of its image, \[30, 40\]",
        ),
        ({"size": [30, 40]}, "without counts"),
        ({"size": [30, 40], "counts": []}, "not whole numbers"),
        ({"size": [30, 40], "counts": [1200.0]}, "not whole numbers"),
        ({"size": [30, 40], "counts": [10**30]}, "not whole numbers"),
        ({"size": [30, 40], "counts": [1199]}, "do not fill 40 x 30"),
        ({"size": [30, 40], "counts": [1300, -100]}, "do not fill"),
        ({"size": [30, 40], "counts": ""}, "do not fill"),
        ({"size": [30, 40], "counts": "garbage!"}, "characters that do not occur"),
    ],
)
def test_wrong_masks_are_refused(segmentation, message):
    with pytest.raises(ValueError, match=message):
        read_segmentation(segmentation, HEIGHT, WIDTH)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1000), st.data())
def test_what_is_accepted_pycocotools_decodes(seed, data):
    rle = compressed(picture(seed))
    counts = list(rle["counts"])
    for _ in range(data.draw(st.integers(0, 2))):
        counts[data.draw(st.integers(0, len(counts) - 1))] = chr(data.draw(st.integers(40, 120)))
    rle["counts"] = "".join(counts)
    try:
        found = read_segmentation(rle, HEIGHT, WIDTH)
    except ValueError:
        return
    decoded = coco_mask.decode(found)
    assert decoded.shape == (HEIGHT, WIDTH)
    assert decoded.sum() == coco_mask.area(found) <= HEIGHT * WIDTH
