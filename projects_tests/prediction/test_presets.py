"""The files of presets, as other programs read them."""

import cv2
import numpy as np
import pytest
import torch

from densepose_ext import People
from densepose_ext.prediction.presets import PRESETS
from densepose_ext.prediction.writers import PART_MASK, Options, write_files
from densepose_ext.structures import VertexResult
from densepose_ext.visualization import part_colours
from projects_tests.visualization.people import random_person

SIZE = (40, 32)


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    return People([random_person(rng, (3, 5, 30, 38), 0.9)], SIZE)


def written(people, preset, folder):
    picture = np.full((*SIZE, 3), 200, np.uint8)
    write_files(folder, "00000_00", [PRESETS[preset].format], picture, people, Options())
    return {path.name: cv2.imread(str(path)) for path in folder.iterdir()}


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"smpl-texture"}))
def test_parts_in_colours(tmp_path, people, preset):
    ((name, picture),) = written(people, preset, tmp_path).items()
    assert name == "00000_00" + (".jpg" if preset == "viton" else ".png")
    labels = people.to_iuv()[..., 0]
    is_parula = preset in ("viton", "controlnet-parula")
    expected = part_colours("parula" if is_parula else "viridis")[labels][..., ::-1].copy()
    if is_parula:
        expected[labels == 0] = 0
    if name.endswith(".png"):
        assert np.array_equal(picture, expected)
    else:  # noise is the worst that can be compressed
        assert np.abs(picture.astype(int) - expected).mean() < 30


def test_iuv_as_opencv_reads_it(tmp_path, people):
    files = written(people, "smpl-texture", tmp_path)
    assert np.array_equal(files["00000_00_IUV.png"], people.to_iuv())
    assert np.array_equal(files["00000_00_INDS.png"][..., 0], people.to_index())


def test_masks_need_parts(tmp_path, people):
    result = people[0].result
    vertices = torch.zeros(result.labels.shape, dtype=torch.int32)
    people[0].result = VertexResult(result.labels, vertices, "cat_5001")
    picture = np.zeros((*SIZE, 3), np.uint8)
    with pytest.raises(ValueError, match="masks need parts, and the mesh cat_5001 has no charts"):
        write_files(tmp_path, "cat", [PART_MASK], picture, people, Options(parts=(1, 2)))
