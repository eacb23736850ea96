"""Detections: their order, and reading the network's maps without resizing all of them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.evaluation import detections
from densepose_ext.evaluation.detections import ArrayMaps, Detections, OutputMaps
from densepose_ext.modeling.postprocessing import densepose_results
from densepose_ext.structures import DensePoseOutput


def smooth(count, channels, side, seed):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, channels, 5, 5, generator=generator)
    return F.interpolate(noise, (side, side), mode="bilinear") * 3


def output(count, side, seed, coarse=2):
    return DensePoseOutput(
        smooth(count, coarse, side, seed),
        smooth(count, 25, side, seed + 1),
        smooth(count, 25, side, seed + 2) / 6 + 0.5,
        smooth(count, 25, side, seed + 3) / 6 + 0.5,
    )


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    side=st.sampled_from([1, 7, 28]),
    width=st.floats(0.2, 70),
    height=st.floats(0.2, 70),
    coarse=st.sampled_from([2, 15]),
)
def test_points_and_masks_are_those_of_the_whole_result(seed, side, width, height, coarse):
    maps = output(2, side, seed, coarse)
    boxes = torch.tensor([[3.0, 4, 3 + width, 4 + height], [3.0, 4, 3 + height, 4 + width]])
    sparse = OutputMaps(maps, (boxes[:, 2:] - boxes[:, :2]).numpy())
    for n, result in enumerate(densepose_results(maps, boxes)):
        whole = result.iuv_uint8().numpy()
        np.testing.assert_array_equal(sparse.whole(n), whole)
        py, px = (p.ravel() for p in np.mgrid[: whole.shape[1], : whole.shape[2]])
        found = sparse.at(n, px, py).reshape(whole.shape)
        # rounded in another order: ties of parts may differ, and U by one step
        same = found[0] == whole[0]
        assert same.mean() > 0.999
        difference = np.abs(found[1:].astype(int) - whole[1:])[:, same]
        assert difference.max(initial=0) <= 1
        if difference.size > 1000:
            assert (difference > 0).mean() < 0.01
        np.testing.assert_array_equal(sparse.mask(n), found[0] > 0)


@pytest.mark.parametrize("coarse", [2, 15])
@pytest.mark.parametrize("at_once", [1, 3 * 20 * 30, 24 * 20 * 30])
def test_large_boxes_are_enlarged_some_channels_at_a_time(monkeypatch, coarse, at_once):
    maps = output(2, 14, 3, coarse)
    sizes = np.array([[20, 30], [30, 20]])
    px, py = np.random.default_rng(0).integers(0, 20, (2, 50))
    whole = OutputMaps(maps, sizes)
    expected = [(whole.mask(n), whole.at(n, px, py)) for n in (0, 1)]
    monkeypatch.setattr(detections, "VALUES_AT_ONCE", at_once)
    found = OutputMaps(maps, sizes)
    for n in (0, 1):
        np.testing.assert_array_equal(found.mask(n), expected[n][0])
        np.testing.assert_array_equal(found.at(n, px, py), expected[n][1])
        assert expected[n][0].any()


def test_order_is_stable_and_subsets_keep_their_maps():
    arrays = [np.full((3, 1, 1), n, np.uint8) for n in range(4)]
    maps = ArrayMaps([lambda n=n: arrays[n] for n in range(4)])
    boxes = np.arange(16.0).reshape(4, 4)
    best = Detections.best_first(boxes, [0.5, 0.9, 0.5, 0.9], [1, 1, 2, 2], maps)
    assert best.order.tolist() == [1, 3, 0, 2]
    subset = best[np.array([1, 2])]
    assert [subset.whole(n)[0, 0, 0] for n in range(2)] == [3, 0]
    assert subset.boxes.tolist() == boxes[[3, 0]].tolist()
    assert subset.categories.tolist() == [2, 1]


def test_maps_are_read_when_they_are_needed():
    maps = ArrayMaps([lambda: pytest.fail("read")])
    best = Detections.best_first(np.ones((1, 4)), [1.0], [1], maps)
    assert len(best) == 1


def test_pixels_beyond_a_smaller_map_are_background():
    maps = ArrayMaps([lambda: np.full((3, 2, 3), 7, np.uint8)])
    values = maps.at(0, np.array([2, 3, 0]), np.array([1, 1, 2]))
    assert values[0].tolist() == [7, 0, 0]


@pytest.mark.parametrize(
    ("box", "score", "message"),
    [
        ([0, 0, 1, 1], np.nan, "score nan"),
        ([0, 0, 1, np.inf], 1, "box"),
        ([0, 0, -1, 1], 1, "box"),
    ],
)
def test_bad_values_are_named(box, score, message):
    with pytest.raises(ValueError, match=message):
        Detections.best_first(np.array([box]), [score], [1], ArrayMaps([]))


def test_half_precision_maps():
    maps = output(1, 14, 0)
    half = maps.to(torch.float16)
    exact = half.to(torch.float32)
    np.testing.assert_array_equal(
        OutputMaps(half, np.array([[20, 30]])).whole(0),
        OutputMaps(exact, np.array([[20, 30]])).whole(0),
    )
