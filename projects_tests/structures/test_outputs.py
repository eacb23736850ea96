"""Subsets, concatenations and 8-bit forms of outputs and results."""

import pytest
import torch

from densepose_ext.structures import (
    DensePoseEmbeddingOutput,
    DensePoseOutput,
    DensePoseResult,
    MeshesOfPeople,
    VertexResult,
)

PEOPLE = 4


def charts() -> DensePoseOutput:
    maps = torch.arange(PEOPLE).view(-1, 1, 1, 1) * torch.ones(1, 25, 2, 2)
    return DensePoseOutput(maps[:, :2], maps, maps, maps, sigma_2=maps)


def embeddings() -> DensePoseEmbeddingOutput:
    meshes = MeshesOfPeople({"cat": torch.eye(3), "dog": torch.eye(3)}, torch.tensor([0, 1, 1, 0]))
    maps = torch.arange(PEOPLE).view(-1, 1, 1, 1) * torch.ones(1, 3, 2, 2)
    return DensePoseEmbeddingOutput(maps[:, :2], maps, meshes=meshes)


@pytest.mark.parametrize("output", [charts(), embeddings()], ids=["charts", "embeddings"])
@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (2, [2]),
        (-1, [3]),
        (-2, [2]),
        (slice(1, 3), [1, 2]),
        (torch.tensor([3, 0]), [3, 0]),
        (torch.tensor([True, False, True, False]), [0, 2]),
        (slice(0, 0), []),
    ],
)
def test_a_subset_has_the_maps_and_meshes_of_its_people(output, item, expected):
    found = output[item]
    assert len(found) == len(expected)
    for _, value in found.items():
        assert value[:, 0, 0, 0].tolist() == expected
    if isinstance(output, DensePoseEmbeddingOutput):
        names = output.meshes.names()
        assert found.meshes.names() == [names[n] for n in expected]


@pytest.mark.parametrize("output", [charts(), embeddings()], ids=["charts", "embeddings"])
def test_outputs_are_joined_in_order(output):
    joined = type(output).cat([output[2:], output[:1]])
    assert joined.coarse_segm[:, 0, 0, 0].tolist() == [2, 3, 0]
    assert {name for name, _ in joined.items()} == {name for name, _ in output.items()}
    if isinstance(output, DensePoseEmbeddingOutput):
        assert joined.meshes.names() == ["dog", "cat", "cat"]


def test_iuv_is_clamped_and_truncated_to_8_bits():
    labels = torch.tensor([[0, 3]], dtype=torch.uint8)
    uv = torch.tensor([[[0.0, 1.2]], [[0.0, 0.999]]])
    expected = [[[0, 3]], [[0, 255]], [[0, 254]]]
    assert DensePoseResult(labels, uv).iuv_uint8().tolist() == expected
    vertices = torch.zeros(1, 2, dtype=torch.int32)
    assert VertexResult(labels, vertices, "open", uv).iuv_uint8().tolist() == expected
    with pytest.raises(ValueError, match="the mesh cat has no charts"):
        VertexResult(labels, vertices, "cat").iuv_uint8()
