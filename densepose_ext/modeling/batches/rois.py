"""Draws the RoIs that the heads are trained on, in all images of a batch at once."""

from __future__ import annotations

import math
from itertools import chain

import torch
from detectron2.modeling import ROIHeads
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import get_event_storage

from .matching import match, padded_rows, sample
from .rows import take

#: Logit of a ground-truth box as a proposal: that of a probability of 1 - 1e-10, as in Detectron2.
_SURE = math.log((1.0 - 1e-10) / (1 - (1.0 - 1e-10)))


def can_sample(proposals: list[Instances], targets: list[Instances]) -> bool:
    """Whether :func:`label_and_sample` takes a batch: there are people, and the RPN's fields."""
    fields = {"proposal_boxes", "objectness_logits"}
    return any(map(len, targets)) and all(fields == {*p.get_fields()} for p in proposals)


@torch.no_grad()
def label_and_sample(
    heads: ROIHeads, proposals: list[Instances], targets: list[Instances]
) -> list[Instances]:
    """As :meth:`ROIHeads.label_and_sample_proposals`: matches are the same, draws as random."""
    device = proposals[0].objectness_logits.device
    people = [len(image) for image in targets]
    gt_boxes = [image.gt_boxes.tensor for image in targets]
    boxes = [image.proposal_boxes.tensor for image in proposals]
    logits = [image.objectness_logits for image in proposals]
    lengths = [len(image) for image in proposals]
    if heads.proposal_append_gt:
        sure = logits[0].new_full((sum(people),), _SURE).split(people)
        boxes, logits = (list(chain(*zip(*both))) for both in ((boxes, gt_boxes), (logits, sure)))
        lengths = [own + given for own, given in zip(lengths, people)]
    all_boxes, all_logits, all_gt = torch.cat(boxes), torch.cat(logits), torch.cat(gt_boxes)

    rows, gt_rows = padded_rows(lengths, device), padded_rows(people, device)
    is_box, is_gt = rows >= 0, gt_rows >= 0
    rows, gt_rows = rows.clamp(min=0), gt_rows.clamp(min=0)
    matches, labels = match(heads.proposal_matcher, all_gt[gt_rows], is_gt, all_boxes[rows])
    persons = gt_rows.gather(1, matches)
    classes = torch.cat([image.gt_classes for image in targets])[persons]
    background = heads.num_classes
    has_people = is_gt.any(dim=1, keepdim=True)
    classes = classes.masked_fill((labels == 0) | ~has_people, background)
    classes = classes.masked_fill((labels == -1) & has_people | ~is_box, -1)

    chosen, is_chosen, rest, is_rest = sample(
        (classes != -1) & (classes != background),
        classes == background,
        heads.batch_size_per_image,
        heads.positive_fraction,
    )
    storage = get_event_storage()
    of_people, of_rest = torch.stack([is_chosen.sum(dim=1), is_rest.sum(dim=1)]).tolist()
    storage.put_scalar("roi_head/num_fg_samples", sum(of_people) / len(of_people))
    storage.put_scalar("roi_head/num_bg_samples", sum(of_rest) / len(of_rest))

    counts = [a + b for a, b in zip(of_people, of_rest)]
    # The drawn ones first, in order, without asking the device which these are.
    is_drawn = torch.cat([is_chosen, is_rest], dim=1).flatten()
    drawn = (~is_drawn).byte().argsort(stable=True)[: sum(counts)]
    index = torch.cat([chosen, rest], dim=1)
    rows, persons, classes = (
        values.gather(1, index).flatten()[drawn] for values in (rows, persons, classes)
    )
    # As Detectron2's, RoIs of pictures without people have no ground truth but their class.
    sampled = [Instances(image.image_size) for image in targets]
    shown = [n for n, count in enumerate(people) if count]
    of_people = persons.split(counts)
    known = [_ground_truth(targets[n]) for n in shown]
    taken = take(known, torch.cat([of_people[n] for n in shown]), [counts[n] for n in shown])
    for n, image in zip(shown, taken):
        sampled[n] = image
    values = (each.split(counts) for each in (all_boxes[rows], all_logits[rows], classes))
    for image, *of_image in zip(sampled, *values):
        image.proposal_boxes = Boxes(of_image[0])
        image.objectness_logits, image.gt_classes = of_image[1:]
    return sampled


def _ground_truth(image: Instances) -> Instances:
    """What RoIs take over from their person."""
    fields = {k: v for k, v in image.get_fields().items() if k.startswith("gt_")}
    return Instances(image.image_size, **{k: v for k, v in fields.items() if k != "gt_classes"})
