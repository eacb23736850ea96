"""The losses of CSE models: which points count for which mesh, gaps in batches, precision."""

import pytest
import torch
from detectron2.structures import BitMasks, Boxes, Instances
from torch.nn import functional as F

from densepose_ext.modeling.deferred import DeferredOutput
from densepose_ext.modeling.embeddings.cycle_losses import PixelToShapeCycleLoss
from densepose_ext.modeling.embeddings.embedder import Embedder, VertexDirectEmbedder
from densepose_ext.modeling.embeddings.loss import DensePoseCseLoss
from densepose_ext.structures import (
    DensePoseAnnotation,
    DensePoseAnnotationList,
    DensePoseEmbeddingOutput,
)

SIDE, SIZE, VERTICES = 8, 5, {"cat": 30, "dog": 20}


@pytest.fixture
def embedder():
    torch.manual_seed(0)
    modules = {name: VertexDirectEmbedder(count, SIZE) for name, count in VERTICES.items()}
    for module in modules.values():
        torch.nn.init.normal_(module.embeddings)
    return Embedder(modules)


def loss(**more):
    weights = {"segm_weight": 1.0, "embedding_weight": 1.0}
    return DensePoseCseLoss(mesh_names=list(VERTICES), **weights | more)


def on_mesh(mesh, vertices, segm=None):
    """A person with points along the diagonal of the box."""
    place = torch.linspace(20, 230, len(vertices))
    return DensePoseAnnotation(place, place, segm=segm, vertex=torch.tensor(vertices), mesh=mesh)


def rois(people):
    """Instances of one image; each RoI is its person's box."""
    instances = Instances((100, 100))
    boxes = torch.tensor([[10.0, 10, 90, 90]] * len(people)).reshape(-1, 4)
    instances.gt_boxes, instances.proposal_boxes = Boxes(boxes), Boxes(boxes.clone())
    instances.gt_densepose = DensePoseAnnotationList(people)
    return [instances]


def output(people, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return DensePoseEmbeddingOutput(
        *(torch.randn(people, c, SIDE, SIDE, generator=generator) for c in (2, SIZE))
    )


def test_each_mesh_has_the_loss_of_its_own_people(embedder):
    cat, dog = on_mesh("cat", [3, 29, 7]), on_mesh("dog", [1, 19])
    maps = output(2)
    both = loss()(rois([cat, dog]), maps, embedder)
    assert set(both) == {"loss_densepose_S", "loss_densepose_Ecat", "loss_densepose_Edog"}
    for number, (name, person) in enumerate([("cat", cat), ("dog", dog)]):
        alone = loss()(rois([person]), maps[number], embedder)
        torch.testing.assert_close(
            both[f"loss_densepose_E{name}"], alone[f"loss_densepose_E{name}"]
        )
        other = "dog" if name == "cat" else "cat"
        assert alone[f"loss_densepose_E{other}"] == 0


def test_an_embedding_at_its_vertex_costs_less_than_at_another(embedder):
    maps = output(1)
    costs = []
    for vertex in (4, 5):
        maps.embedding[:] = embedder("cat")[vertex].detach()[:, None, None]
        costs.append(loss()(rois([on_mesh("cat", [4])]), maps, embedder)["loss_densepose_Ecat"])
    assert costs[0] < 1e-3 < costs[1]


@pytest.mark.parametrize("people", [[], [None], [on_mesh("cat", [])]], ids=["no", "none", "empty"])
def test_without_points_the_losses_are_zero_and_reach_every_parameter(people, embedder):
    maps = output(len(people)).map(torch.Tensor.requires_grad_)
    losses = loss()(rois(people), maps, embedder)
    assert set(losses) == set(loss().loss_names)
    assert all(value.item() == 0 for value in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None and not p.grad.any() for p in embedder.parameters())
    assert all(value.grad is not None for _, value in maps.items())


def test_the_coarse_segmentation_is_trained_on_part_masks(embedder):
    segm = torch.zeros(256, 256, dtype=torch.uint8)
    segm[:, :128] = 3
    maps = output(1)
    found = loss(segm_weight=2.0)(rois([on_mesh("cat", [1], segm)]), maps, embedder)
    # Cell k reads the mask at round(255 * k / 8): the fifth at 128, already background.
    target = torch.zeros(1, SIDE, SIDE, dtype=torch.int64)
    target[:, :, : SIDE // 2] = 1
    expected = 2 * F.cross_entropy(maps.coarse_segm, target)
    torch.testing.assert_close(found["loss_densepose_S"], expected)


@pytest.mark.parametrize(
    ("person", "message"),
    [
        (on_mesh("horse", [0]), "ref_model 'horse', .* it has cat, dog"),
        (on_mesh("dog", [2, 20]), "dp_vertex 20, expected 0 to 19, the vertices of dog"),
    ],
)
def test_a_vertex_that_does_not_exist_is_named(person, message, embedder):
    with pytest.raises(ValueError, match=message):
        loss()(rois([person]), output(1), embedder)


def test_autocast_does_not_change_the_losses(embedder):
    """A network in bfloat16 has rounded maps; its losses are those of these maps, no less exact."""
    people = rois([on_mesh("cat", [3, 29, 7]), on_mesh("dog", [1, 19])])
    maps = output(2).map(torch.Tensor.bfloat16)
    cycle = {"pixel_cycle": PixelToShapeCycleLoss(num_pixels=0), "pixel_cycle_weight": 1.0}
    masks = torch.ones(2, 100, 100, dtype=torch.bool)
    people[0].gt_masks = BitMasks(masks)
    expected = loss(**cycle)(people, DeferredOutput(maps.map(torch.Tensor.float), 2), embedder)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(**cycle)(people, DeferredOutput(maps, 2), embedder)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
