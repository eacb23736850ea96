"""Losses and targets on cases that can be worked out by hand, and on batches with gaps."""

import pytest
import torch
from detectron2.structures import BitMasks, Boxes, Instances
from torch.nn import functional as F

from densepose_ext.modeling.losses import DensePoseChartLoss, DensePoseChartWithConfidenceLoss
from densepose_ext.modeling.predictor import DensePoseChartWithConfidencePredictor
from densepose_ext.modeling.targets import coarse_targets, gather_annotations, point_targets
from densepose_ext.structures import DensePoseAnnotation, DensePoseAnnotationList, DensePoseOutput

SIDE = 16
WEIGHTS = {"segm_weight": 5.0, "part_weight": 1.0, "point_weight": 0.01}


def annotation(x, y, i, u=None, v=None, segm=None):
    x, y, i = torch.tensor(x), torch.tensor(y), torch.tensor(i)
    u = torch.full_like(x, 0.25) if u is None else torch.tensor(u)
    v = torch.full_like(x, 0.75) if v is None else torch.tensor(v)
    return DensePoseAnnotation(x, y, i, u, v, segm)


def rois(people, boxes=None, gt_box=(10.0, 20, 74, 148)):
    """Instances of one image; each RoI is its person's box unless given."""
    instances = Instances((200, 200))
    gt = torch.tensor([gt_box] * len(people)).reshape(-1, 4)
    instances.gt_boxes = Boxes(gt)
    instances.proposal_boxes = Boxes(gt.clone() if boxes is None else torch.tensor(boxes))
    instances.gt_densepose = DensePoseAnnotationList(people)
    return instances


def random_output(people, requires_grad=True, **more):
    channels = {"coarse_segm": 2, "fine_segm": 25, "u": 25, "v": 25, **more}
    return DensePoseOutput(
        **{
            name: torch.randn(people, c, SIDE, SIDE, requires_grad=requires_grad)
            for name, c in channels.items()
        }
    )


def test_a_point_lands_in_the_roi():
    """At a quarter of the person's box, seen from a RoI that is its right half."""
    person = annotation([192.0, 64.0], [128.0, 128.0], [3, 4])
    instances = rois([person], boxes=[[42.0, 20, 74, 148]])
    targets = point_targets(*gather_annotations([instances]), SIDE)
    # x of the first is 10 + .75 * 64 = 58, half way through the RoI; the second lies left of it.
    assert targets.i.tolist() == [3]
    assert targets.x.tolist() == [SIDE / 2]
    assert targets.y.tolist() == [SIDE / 2]


def test_points_of_several_images_keep_their_roi():
    first = rois([annotation([1.0], [1.0], [1]), None, annotation([2.0, 3.0], [2.0, 3.0], [2, 3])])
    second = rois([annotation([4.0], [4.0], [4])])
    targets = point_targets(*gather_annotations([first, second]), SIDE)
    assert targets.roi.tolist() == [0, 2, 2, 3]
    assert targets.i.tolist() == [1, 2, 3, 4]


def test_coarse_target_of_a_shifted_roi_is_background_outside():
    segm = torch.full((256, 256), 7, dtype=torch.uint8)
    person = annotation([1.0], [1.0], [1], segm=segm)
    instances = rois([None, person], boxes=[[10.0, 20, 74, 148], [42.0, 20, 106, 148]])
    roi, parts = coarse_targets(*gather_annotations([instances]), SIDE)
    assert roi.tolist() == [1]
    # The RoI starts in the middle of the person, so its right half lies outside of it.
    assert (parts[0, :, : SIDE // 2] == 7).all()
    assert (parts[0, :, SIDE // 2 + 1 :] == 0).all()


def test_perfect_maps_have_no_loss_in_u_v_and_little_in_i():
    person = annotation([100.0, 30.0], [50.0, 200.0], [5, 9], [0.1, 0.1], [0.9, 0.9])
    output = random_output(1, requires_grad=False)
    output.u.fill_(0.1)
    output.v.fill_(0.9)
    losses = DensePoseChartLoss(**WEIGHTS)([rois([person])], output)
    assert losses["loss_densepose_U"] == pytest.approx(0, abs=1e-6)
    assert losses["loss_densepose_V"] == pytest.approx(0, abs=1e-6)


def test_weights_scale_the_losses():
    segm = torch.randint(0, 15, (256, 256), dtype=torch.uint8)
    batch = [rois([annotation([100.0], [50.0], [5], segm=segm)])]
    output = random_output(1)
    one = DensePoseChartLoss(segm_weight=1, part_weight=1, point_weight=1)(batch, output)
    two = DensePoseChartLoss(segm_weight=2, part_weight=3, point_weight=4)(batch, output)
    factors = {name: (two[name] / one[name]).item() for name in one}
    assert factors == pytest.approx(
        {
            "loss_densepose_S": 2,
            "loss_densepose_I": 3,
            "loss_densepose_U": 4,
            "loss_densepose_V": 4,
        }
    )


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param([], id="no images"),
        pytest.param([rois([])], id="no RoIs"),
        pytest.param([rois([None, None])], id="nobody annotated"),
        pytest.param([rois([annotation([1.0], [1.0], [0])])], id="background points only"),
        pytest.param(
            [rois([annotation([1.0], [1.0], [3])], boxes=[[60.0, 90, 70, 99]])], id="outside"
        ),
    ],
)
@pytest.mark.parametrize("confidence", [None, "indep_aniso"])
def test_without_a_point_on_the_body_the_losses_are_zero_and_reach_every_parameter(
    batch, confidence
):
    people = sum(len(instances) for instances in batch)
    predictor = DensePoseChartWithConfidencePredictor(
        4, coarse_channels=2, uv_confidence=confidence, segm_confidence=confidence is not None
    )
    loss = DensePoseChartWithConfidenceLoss(uv_confidence=confidence, **WEIGHTS)
    losses = loss(batch, predictor(torch.randn(people, 4, 4, 4)))
    assert set(losses) == set(loss.loss_names)
    assert all(value.item() == 0 for value in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None and not p.grad.any() for p in predictor.parameters())


@pytest.mark.parametrize("confidence", [None, "indep_aniso"])
def test_autocast_does_not_change_the_losses(confidence):
    """A network in bfloat16 has rounded maps; its losses are those of these maps, no less exact."""
    segm = torch.randint(0, 15, (256, 256), dtype=torch.uint8)
    batch = [rois([annotation([100.0, 31.7], [50.0, 200.9], [5, 9], segm=segm)])]
    predictor = DensePoseChartWithConfidencePredictor(
        4, coarse_channels=15, uv_confidence=confidence, segm_confidence=confidence is not None
    )
    loss = DensePoseChartWithConfidenceLoss(uv_confidence=confidence, **WEIGHTS)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = predictor(torch.randn(1, 4, 4, 4))
        found = loss(batch, rounded)
    assert rounded.maps.u.dtype == torch.bfloat16
    rounded.maps = rounded.maps.map(torch.Tensor.float)
    torch.testing.assert_close(found, loss(batch, rounded), rtol=1e-5, atol=1e-6)


def test_zero_losses_of_large_float16_maps_are_zero():
    """The sum of such maps is beyond the range of float16, and infinity times 0 is no number."""
    output = random_output(1, requires_grad=False).map(lambda value: value.half() * 0 + 6e4)
    losses = DensePoseChartLoss(**WEIGHTS)([rois([None])], output)
    assert all(value.item() == 0 for value in losses.values())


def test_only_those_without_masks_are_left_out_of_s():
    """The loss of a batch in which one person lacks masks is that of the others."""
    segm = torch.randint(0, 15, (256, 256), dtype=torch.uint8)
    with_masks = annotation([100.0], [50.0], [5], segm=segm)
    without = annotation([100.0], [50.0], [5])
    output = random_output(2, requires_grad=False)
    loss = DensePoseChartLoss(**WEIGHTS)
    both = loss([rois([with_masks, without])], output)["loss_densepose_S"]
    alone = loss([rois([with_masks])], output[0])["loss_densepose_S"]
    assert both.item() == pytest.approx(alone.item())
    neither = loss([rois([without, without])], output)
    assert neither["loss_densepose_S"] == 0
    assert neither["loss_densepose_I"] > 0


def test_coarse_segmentation_from_instance_masks():
    person = annotation([100.0], [50.0], [5])
    batch = [rois([person])]
    mask = torch.zeros(1, 200, 200, dtype=torch.bool)
    mask[:, 20:84, 10:74] = True  # the upper half of the box
    batch[0].gt_masks = BitMasks(mask)
    output = random_output(1, requires_grad=False)
    loss = DensePoseChartLoss(segm_from_instance_masks=True, **WEIGHTS)
    found = loss(batch, output)["loss_densepose_S"]
    target = torch.zeros(1, SIDE, SIDE, dtype=torch.int64)
    target[:, : SIDE // 2] = 1
    assert found.item() == pytest.approx(5 * F.cross_entropy(output.coarse_segm, target).item())


def test_likelihood_of_the_aniso_model_is_that_of_a_normal_distribution():
    person = annotation([100.0], [50.0], [5], [0.3], [0.6])
    output = random_output(1, requires_grad=False, sigma_2=25, kappa_u=25, kappa_v=25)
    for name, value in (
        ("u", 0.1),
        ("v", 0.5),
        ("sigma_2", 0.4),
        ("kappa_u", 0.7),
        ("kappa_v", -0.2),
    ):
        getattr(output, name).fill_(value)
    loss = DensePoseChartWithConfidenceLoss(uv_confidence="indep_aniso", **WEIGHTS)
    found = loss([rois([person])], output)["loss_densepose_UV"] / WEIGHTS["point_weight"]
    r = torch.tensor([0.7, -0.2])
    covariance = (F.softplus(torch.tensor(0.4)) + 0.01) * torch.eye(2) + torch.outer(r, r)
    normal = torch.distributions.MultivariateNormal(torch.tensor([0.1, 0.5]), covariance)
    # Of the two log(2 pi) of a normal distribution in the plane the published loss has one half.
    expected = -normal.log_prob(torch.tensor([0.3, 0.6])) - 0.5 * torch.log(
        torch.tensor(2 * torch.pi)
    )
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
