"""The samplers of bootstrapping, compared with the official project's."""

import json
import zlib

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from densepose_ext import DensePoseOutput, densepose_results
from densepose_ext.bootstrapping.labelling import ORDERS, Labeller
from densepose_ext.data.rle import painted_map
from densepose_ext.structures import DensePoseEmbeddingOutput, MeshesOfPeople
from projects_tests.reference import conformance_file

INPUTS = conformance_file("cse/bootstrap/inputs.npz")
pytestmark = pytest.mark.skipif(INPUTS is None, reason="no cases of bootstrapping")


class FirstOnes:
    """Draws the first of the possible values, as the reference cases do."""

    def choice(self, n: int, size: int, replace: bool) -> np.ndarray:
        assert not replace
        assert n >= size
        return np.arange(size)


class LastOnes(FirstOnes):
    """As FirstOnes, for values in reverse order."""

    def choice(self, n: int, size: int, replace: bool) -> np.ndarray:
        return n - 1 - super().choice(n, size, replace)


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


@pytest.mark.parametrize("sampler", [name for name in ORDERS if "cse" not in name])
def test_points_and_masks_are_the_official_ones(people, sampler):
    case = json.loads(INPUTS.with_name("expected_samples.json").read_text())
    expected = case["samples"][sampler]
    labeller = Labeller(
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
        if ORDERS[sampler] is None:
            for key, name in (("dp_x", "x"), ("dp_y", "y"), ("dp_U", "u"), ("dp_V", "v")):
                np.testing.assert_allclose(one[key], other[name], atol=1e-5)
            continue
        # The order of pixels with equal values, beyond the outermost cells, is undefined.
        (result,) = densepose_results(
            people.pred_densepose[number], people.pred_boxes.tensor[number, None]
        )
        values = getattr(result, ORDERS[sampler][0]).numpy()
        height, width = values.shape

        def at(x, y, values=values, height=height, width=width):
            x, y = np.asarray(x), np.asarray(y)
            return values[(y * height / 256).astype(int), (x * width / 256).astype(int)]

        mine, theirs = at(one["dp_x"], one["dp_y"]), at(other["x"], other["y"])
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def embedded_people(people):
    stored = np.load(INPUTS)
    embedder = torch.load(INPUTS.with_name("embedder.pth"), weights_only=True)
    prefix = "roi_heads.embedder.embedder_made_up_130."
    features, embeddings = (embedder[prefix + name].float() for name in ("features", "embeddings"))
    vertices = torch.nn.functional.normalize(features @ embeddings, dim=1, eps=1e-6)
    embedded = people[:]
    embedded.remove("pred_densepose")
    embedded.pred_densepose = DensePoseEmbeddingOutput(
        coarse_segm=people.pred_densepose.coarse_segm,
        embedding=torch.from_numpy(stored["cse_embedding"]).float(),
        coarse_segm_confidence=people.pred_densepose.coarse_segm_confidence,
        meshes=MeshesOfPeople({"made_up_130": vertices}, torch.zeros(3, dtype=torch.int64)),
    )
    return embedded


@pytest.mark.parametrize(
    ("sampler", "draws"),
    [
        ("densepose_cse_uniform", FirstOnes()),
        ("densepose_cse_coarse_segm_confidence", LastOnes()),
    ],
)
def test_points_of_embeddings_are_the_official_ones(embedded_people, sampler, draws):
    case = json.loads(INPUTS.with_name("expected_samples.json").read_text())
    labeller = Labeller(
        None,
        sampler=sampler,
        count_per_class=case["count_per_class"],
        min_score=case["min_score"],
    )
    found = labeller.annotations(embedded_people, draws)
    for one, other in zip(found, case["samples"][sampler], strict=True):
        assert zlib.crc32(painted_map(one["dp_masks"]).tobytes()) == other["segm_crc32"]
        np.testing.assert_allclose(one["dp_x"], other["x"], atol=1e-4)
        np.testing.assert_allclose(one["dp_y"], other["y"], atol=1e-4)
        np.testing.assert_array_equal(one["dp_vertex"], other["vertex"])
        assert one["ref_model"] == "made_up_130"
