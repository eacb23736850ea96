"""RPN and RoI heads trained on all images of a batch at once, beside Detectron2's."""

import copy

import pytest
import torch
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.proposal_generator import RPN
from detectron2.modeling.sampling import subsample_labels
from detectron2.structures import Boxes, Instances, pairwise_iou
from detectron2.utils.events import EventStorage
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.data.build import build_densepose_train_loader
from densepose_ext.modeling.batches import matching
from densepose_ext.modeling.batches.matching import match, padded_rows, sample
from densepose_ext.modeling.batches.rows import select, take
from densepose_ext.modeling.batches.rpn import BatchRPN
from densepose_ext.modeling.build import train_in_batches
from densepose_ext.modeling.pooling import RowPooler
from densepose_ext.structures import DensePoseAnnotation, DensePoseAnnotationList
from projects_tests.synchronisations import Synchronisations
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_model import tiny_model
from projects_tests.tiny_run import config, register, unregister

HOST = torch.device("cpu")
SIZES = [(96, 128), (120, 90), (64, 64)]


def some_boxes(count, generator, size=(96, 128)):
    """Boxes with corners on whole pixels: equal IoUs are frequent."""
    height, width = size
    corners = torch.rand((count, 2, 2), generator=generator).sort(dim=1).values
    low, high = (corners * torch.tensor([width - 9, height - 9])).round().unbind(dim=1)
    return Boxes(torch.cat([low, high + 8], dim=1))


def people(counts, generator):
    return [
        Instances(
            size,
            gt_boxes=some_boxes(count, generator, size),
            gt_classes=torch.zeros(count, dtype=torch.int64),
            gt_keypoints=torch.rand((count, 17, 3), generator=generator),
        )
        for count, size in zip(counts, SIZES)
    ]


COUNTS = st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any)


@settings(max_examples=40, deadline=None)
@given(counts=COUNTS, boxes=st.integers(1, 40), low_quality=st.booleans(), seed=st.integers(0, 999))
def test_matches_and_labels_are_those_of_detectron2(counts, boxes, low_quality, seed):
    generator = torch.Generator().manual_seed(seed)
    gt = [some_boxes(count, generator) for count in counts]
    candidates = [some_boxes(boxes, generator) for _ in counts]
    matcher = Matcher([0.3, 0.5], [0, -1, 1], allow_low_quality_matches=low_quality)
    rows = padded_rows(counts, HOST)
    padded = Boxes.cat(gt).tensor[rows.clamp(min=0)]
    stacked = torch.stack([of.tensor for of in candidates])
    matches, labels = match(matcher, padded, rows >= 0, stacked)
    for n, (own, of) in enumerate(zip(gt, candidates)):
        expected, expected_labels = matcher(pairwise_iou(own, of))
        assert torch.equal(labels[n], expected_labels)
        assert torch.equal(matches[n], expected)


def test_large_batches_are_matched_in_parts(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    gt = torch.stack([some_boxes(3, generator).tensor for _ in range(5)])
    boxes = torch.stack([some_boxes(20, generator).tensor for _ in range(5)])
    arguments = Matcher([0.5], [0, 1]), gt, torch.ones(5, 3, dtype=torch.bool), boxes
    whole = match(*arguments)
    monkeypatch.setattr(matching, "MAX_PAIRS", 130)
    for one, other in zip(whole, match(*arguments)):
        assert torch.equal(one, other)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 30), fraction=st.floats(0, 1), seed=st.integers(0, 999))
def test_the_highest_priorities_are_chosen_where_detectron2_permutes(count, fraction, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, 2, (4, 25), generator=generator)
    priority = torch.rand((4, 25), generator=generator)
    found = sample(labels == 1, labels == 0, count, fraction, priority)
    for n, row in enumerate(labels):
        orders = [priority[n][row == kind].argsort(descending=True) for kind in (1, 0)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "randperm", lambda *_, **__: orders.pop(0))  # noqa: B023
            expected = subsample_labels(row, count, fraction, 0)
        chosen, is_chosen, rest, is_rest = (of[n] for of in found)
        assert torch.equal(chosen[is_chosen], expected[0])
        assert torch.equal(rest[is_rest], expected[1])


def test_all_boxes_are_as_likely():
    torch.manual_seed(0)
    foreground = torch.tensor([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]).bool().expand(2000, -1)
    chosen, is_chosen, rest, is_rest = sample(foreground, ~foreground, 5, 0.5)
    assert is_chosen.sum(dim=1).unique().tolist() == [2]
    assert is_rest.sum(dim=1).unique().tolist() == [3]
    assert chosen[is_chosen].bincount()[:5].float().std() < 60  # of 800 each
    assert rest[is_rest].bincount()[5:].float().std() < 60


@pytest.fixture(scope="module")
def rpns() -> tuple[RPN, BatchRPN]:
    """The RPN of the tiny model, as Detectron2's and for batches."""
    theirs = tiny_model().proposal_generator.train()
    ours = tiny_model().proposal_generator.train()
    return theirs, BatchRPN.of(ours)


def outputs_of(rpn, seed):
    """Anchors, logits and deltas of three pictures, as the RPN's head might give them."""
    generator = torch.Generator().manual_seed(seed)
    strides = (4, 8, 16, 32, 64)[: len(rpn.in_features)]
    features = [torch.zeros(3, 1, 128 // s, 128 // s) for s in strides]
    anchors = rpn.anchor_generator(features)
    logits = [torch.randn((3, len(a)), generator=generator) for a in anchors]
    deltas = [torch.randn((3, len(a), 4), generator=generator) / 2 for a in anchors]
    return anchors, [x.requires_grad_() for x in logits], [x.requires_grad_() for x in deltas]


@settings(max_examples=6, deadline=None)
@given(counts=COUNTS, seed=st.integers(0, 999))
def test_labels_losses_and_gradients_of_anchors(rpns, counts, seed):
    theirs, ours = rpns
    gt = people(counts, torch.Generator().manual_seed(seed))
    anchors, logits, deltas = outputs_of(theirs, seed)
    with pytest.MonkeyPatch.context() as patch:
        for rpn in rpns:
            patch.setattr(type(rpn), "_subsample_labels", lambda _, label: label)
            patch.setattr(type(rpn), "_sampled", lambda _, labels: labels, raising=False)
        labels, boxes = theirs.label_and_sample_anchors(anchors, gt)
        found, found_boxes = ours.label_and_sample_anchors(anchors, gt)
    labels, boxes = torch.stack(labels), torch.stack(boxes)
    assert torch.equal(found, labels)
    assert torch.equal(found_boxes[labels == 1], boxes[labels == 1])
    with EventStorage() as storage:
        expected = theirs.losses(anchors, logits, list(labels), deltas, list(boxes))
        numbers = storage.latest()
        gradients = torch.autograd.grad(sum(expected.values()), [*logits, *deltas])
    with EventStorage() as storage:
        losses = ours.losses(anchors, logits, found, deltas, found_boxes)
        assert storage.latest() == numbers
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], loss)
    for one, other in zip(torch.autograd.grad(sum(losses.values()), [*logits, *deltas]), gradients):
        torch.testing.assert_close(one, other)


def test_anchors_are_drawn_in_the_numbers_of_detectron2(rpns):
    theirs, ours = rpns
    gt = people((2, 0, 5), torch.Generator().manual_seed(0))
    anchors, _, _ = outputs_of(theirs, 0)
    labels, _ = theirs.label_and_sample_anchors(anchors, gt)
    found, _ = ours.label_and_sample_anchors(anchors, gt)
    for label in (1, 0):
        assert (found == label).sum(dim=1).tolist() == [int((of == label).sum()) for of in labels]
    nobody, _ = ours.label_and_sample_anchors(anchors, people((0, 0, 0), None))
    assert (nobody != 1).all()


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 999), at_once=st.sampled_from([1, 2**14]), minimum=st.sampled_from([0, 9])
)
def test_proposals_are_those_of_detectron2(rpns, seed, at_once, minimum):
    anchors, logits, deltas = outputs_of(rpns[0], seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("densepose_ext.modeling.batches.rpn.MAX_NMS_BOXES", at_once)
        found = []
        for rpn in rpns:
            patch.setattr(rpn, "min_box_size", float(minimum))
            patch.setattr(rpn, "pre_nms_topk", {True: 150})
            patch.setattr(rpn, "post_nms_topk", {True: 60})
            found.append(rpn.predict_proposals(anchors, logits, deltas, SIZES))
    for one, other in zip(*found):
        assert one.image_size == other.image_size
        assert torch.equal(one.proposal_boxes.tensor, other.proposal_boxes.tensor)
        assert torch.equal(one.objectness_logits, other.objectness_logits)


def test_a_diverged_rpn_is_an_error(rpns):
    anchors, logits, deltas = outputs_of(rpns[1], 0)
    deltas[0].data[1, 5] = float("nan")
    logits[0].data[1, 5] = 99.0
    with pytest.raises(FloatingPointError, match="diverged"):
        rpns[1].predict_proposals(anchors, logits, deltas, SIZES)


def test_other_kinds_of_rpn_stay_as_they_are():
    rpn = tiny_model("MODEL.RPN.BBOX_REG_LOSS_TYPE", "giou").proposal_generator
    assert BatchRPN.of(rpn) is rpn


@pytest.mark.parametrize("counts", [(2, 1, 4), (2, 0, 4), (0, 0, 0)])
def test_rois_are_drawn_as_by_detectron2(counts):
    """All proposals are drawn, so that order is the only thing left to chance."""
    generator = torch.Generator().manual_seed(0)
    targets = people(counts, generator)
    proposals = [
        Instances(
            size, proposal_boxes=some_boxes(n, generator, size), objectness_logits=torch.rand(n)
        )
        for n, size in zip((30, 20, 0), SIZES)
    ]
    heads = tiny_model().roi_heads.train()
    heads.batch_size_per_image, heads.positive_fraction = 99, 1.0
    found = []
    for heads.samples_in_batches in (False, True):
        with EventStorage() as storage:
            found.append(heads.label_and_sample_proposals(proposals, targets))
            numbers = {name: value for name, (value, _) in storage.latest().items()}
        found.append(numbers)
    theirs, their_numbers, ours, our_numbers = found
    assert our_numbers == pytest.approx(their_numbers)
    for one, other in zip(ours, theirs):
        assert {*one.get_fields()} == {*other.get_fields()}
        rows = []
        for image in (one, other):
            fields = [image.proposal_boxes.tensor, image.gt_classes[:, None]]
            is_person = image.gt_classes != heads.num_classes
            if image.has("gt_boxes"):
                fields += [image.gt_boxes.tensor, image.gt_keypoints.flatten(1)]
                # As in Detectron2, people come first.
                assert is_person.tolist() == sorted(is_person.tolist(), reverse=True)
            table = torch.cat([*fields, image.objectness_logits[:, None]], dim=1)
            rows.append(sorted(table.tolist()))
        assert rows[0] == rows[1]


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> list[dict]:
    register(make_dataset(tmp_path_factory.mktemp("batches"), images=3))
    cfg = config("", "SOLVER.IMS_PER_BATCH", 3, "MODEL.MASK_ON", True)
    yield next(iter(build_densepose_train_loader(cfg)))
    unregister()


def model_of(*overrides, together):
    model = tiny_model(*overrides).train()
    if together:
        train_in_batches(model)
    return model


def step(model, batch):
    """The losses of a step and the size of each gradient."""
    torch.manual_seed(0)
    with EventStorage():
        losses = model(batch)
    sum(losses.values()).backward()
    gradients = {n: p.grad.norm() for n, p in model.named_parameters() if p.grad is not None}
    return {name: float(value) for name, value in {**losses, **gradients}.items()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [(), ("MODEL.MASK_ON", True)])
def test_losses_and_gradients_of_a_step_without_chance(batch, kind):
    everything = ["MODEL.RPN.BATCH_SIZE_PER_IMAGE", 10**5]
    everything += ["MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 10**5, *kind]
    ones, others = (step(model_of(*everything, together=t), batch) for t in (False, True))
    assert others == pytest.approx(ones, rel=1e-3, abs=1e-5)


@pytest.mark.slow
def test_waits_for_the_device_do_not_grow_with_the_batch(batch, monkeypatch):
    monkeypatch.setattr(RowPooler, "forward", lambda self, *args: self.pooler(*args))
    batch = copy.deepcopy(batch)
    for image in batch:
        image["instances"].remove("gt_masks")  # Detectron2 keeps polygons on the host
    waits = {}
    for together in (False, True):
        model = model_of(together=together)
        for pictures in (batch[:1], batch):
            with Synchronisations() as noted, EventStorage():
                model(pictures)
            waits[together, len(pictures)] = sum(noted.counts.values())
    assert waits[True, 1] == waits[True, 3]
    assert waits[False, 3] > waits[False, 1] + 30


def annotated(count):
    x = torch.arange(3.0)
    person = DensePoseAnnotation(x, x, i=x.long(), u=x / 9, v=x / 9)
    return DensePoseAnnotationList([None if n == 1 else person for n in range(count)])


def test_selected_instances_are_those_of_each_image():
    generator = torch.Generator().manual_seed(0)
    images = people((3, 0, 2), generator)
    for image in images:
        image.gt_densepose = annotated(len(image))
    mask = torch.tensor([True, False, True, False, True])
    for found, image, part in zip(select(images, mask), images, mask.split([3, 0, 2])):
        expected = image[part]
        assert torch.equal(found.gt_boxes.tensor, expected.gt_boxes.tensor)
        assert torch.equal(found.gt_keypoints, expected.gt_keypoints)
        assert torch.equal(found.gt_densepose.present, expected.gt_densepose.present)
    images[0].only_here = torch.tensor([5, 6, 7])
    first, *others = take(images, torch.tensor([2, 0, 4]), [2, 0, 1])
    assert first.only_here.tolist() == [7, 5]
    assert not any(image.has("only_here") for image in others)


def test_parts_of_a_list_are_joined_without_copies():
    whole = annotated(4)
    joined = DensePoseAnnotationList.cat([whole[2:], whole[:2]])
    assert joined.x is whole.x
    assert joined.present.tolist() == [True, True, True, False]
