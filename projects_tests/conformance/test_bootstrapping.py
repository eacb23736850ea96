"""What the samplers of bootstrapping make of detections, against the official project's."""

import json
import zlib

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from densepose_ext import DensePoseOutput, densepose_results
from densepose_ext.bootstrapping.labelling import LOWEST, ChartLabeller
from densepose_ext.data.rle import painted_map
from projects_tests.reference import conformance_file

INPUTS = conformance_file("cse/bootstrap/inputs.npz")
pytestmark = pytest.mark.skipif(INPUTS is None, reason="no cases of bootstrapping")


class FirstOnes:
    """Draws as the cases were drawn: the first of what may be chosen."""

    def choice(self, n: int, size: int, replace: bool) -> np.ndarray:
        assert not replace
        assert n >= size
        return np.arange(size)


@pytest.fixture(scope="module")
def people():
    stored = np.load(INPUTS)
    maps = {
        name.removeprefix("chart_"): torch.from_numpy(stored[name]).float()
        for name in stored.files
        if name.startswith("chart_")
    }
    people = Instances((300, 300))
    people.pred_boxes = Boxes(torch.from_numpy(stored["boxes"]))
    people.scores = torch.from_numpy(stored["scores"])
    people.pred_classes = torch.zeros(len(people), dtype=torch.int64)
    people.pred_densepose = DensePoseOutput(**maps)
    return people


@pytest.mark.parametrize("sampler", LOWEST)
def test_points_and_masks_are_the_official_ones(people, sampler):
    case = json.loads(INPUTS.with_name("expected_samples.json").read_text())
    expected = case["samples"][sampler]
    labeller = ChartLabeller(
        None,
        sampler=sampler,
        count_per_class=case["count_per_class"],
        min_score=case["min_score"],
    )
    found = labeller.annotations(people, FirstOnes())
    assert len(found) == len(expected) == 2  # the third has a score of .79
    for number, (one, other) in enumerate(zip(found, expected)):
        assert zlib.crc32(painted_map(one["dp_masks"]).tobytes()) == other["segm_crc32"]
        np.testing.assert_array_equal(one["dp_I"], other["i"])
        if LOWEST[sampler] is None:
            for key, name in (("dp_x", "x"), ("dp_y", "y"), ("dp_U", "u"), ("dp_V", "v")):
                np.testing.assert_allclose(one[key], other[name], atol=1e-5)
            continue
        # Among pixels of one value, beyond the outermost cells, which come first is left open.
        (result,) = densepose_results(
            people.pred_densepose[number], people.pred_boxes.tensor[number, None]
        )
        values = getattr(result, LOWEST[sampler]).numpy()
        height, width = values.shape

        def at(x, y, values=values, height=height, width=width):
            x, y = np.asarray(x), np.asarray(y)
            return values[(y * height / 256).astype(int), (x * width / 256).astype(int)]

        mine, theirs = at(one["dp_x"], one["dp_y"]), at(other["x"], other["y"])
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
