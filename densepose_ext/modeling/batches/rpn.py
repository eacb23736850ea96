"""Detectron2's region proposal network, trained on all images of a batch at once."""

from __future__ import annotations

import torch
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.proposal_generator import RPN
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import get_event_storage
from fvcore.nn import smooth_l1_loss
from torch.nn import functional as F
from torchvision.ops import nms

from .matching import match, padded_rows, sample, uploaded

#: Boxes among which non-maximum suppression runs at once: it compares every two of them.
MAX_NMS_BOXES = 2**14


class BatchRPN(RPN):
    """An RPN whose training step takes a few operations a batch instead of a hundred an image.

    What an RPN computes, up to rounding; the anchors that it is trained on are drawn likewise.
    """

    @classmethod
    def of(cls, rpn: RPN) -> RPN:
        """The same RPN in this form; if it has a variant that this class lacks, ``rpn`` itself."""
        if (
            type(rpn) is not RPN
            or not isinstance(rpn.box2box_transform, Box2BoxTransform)
            or rpn.box_reg_loss_type != "smooth_l1"
            or rpn.anchor_boundary_thresh >= 0
        ):
            return rpn
        new = cls.__new__(cls)
        new.__dict__ = rpn.__dict__
        return new

    @torch.no_grad()
    def label_and_sample_anchors(self, anchors: list[Boxes], gt_instances: list[Instances]):
        """See :meth:`RPN.label_and_sample_anchors`. Lists of tensors are stacked."""
        lengths = [len(image) for image in gt_instances]
        if not any(lengths):
            labels, boxes = super().label_and_sample_anchors(anchors, gt_instances)
            return torch.stack(labels), torch.stack(boxes)
        boxes = Boxes.cat(anchors).tensor.expand(len(lengths), -1, -1)
        rows = padded_rows(lengths, boxes.device)
        gt_boxes = Boxes.cat([image.gt_boxes for image in gt_instances]).tensor[rows.clamp(min=0)]
        matches, labels = match(self.anchor_matcher, gt_boxes, rows >= 0, boxes)
        labels = self._sampled(labels)
        return labels, gt_boxes.gather(1, matches[..., None].expand(-1, -1, 4))

    def _sampled(self, labels: torch.Tensor, priority: torch.Tensor | None = None) -> torch.Tensor:
        """Labels (images, N), with -1 for anchors that are not drawn."""
        count, fraction = self.batch_size_per_image, self.positive_fraction
        people, is_person, rest, is_rest = sample(
            labels == 1, labels == 0, count, fraction, priority
        )
        # What is not drawn goes into a column that is cut off.
        none = labels.shape[1]
        drawn = labels.new_full((len(labels), none + 1), -1)
        drawn.scatter_(1, people.masked_fill(~is_person, none), 1)
        drawn.scatter_(1, rest.masked_fill(~is_rest, none), 0)
        return drawn[:, :none]

    def losses(self, anchors, pred_objectness_logits, gt_labels, pred_anchor_deltas, gt_boxes):
        """See :meth:`RPN.losses`; labels (images, N) and boxes (images, N, 4) are tensors."""
        positive, drawn = gt_labels == 1, gt_labels >= 0
        of_people, all_drawn = torch.stack([positive.sum(), drawn.sum()]).tolist()
        storage = get_event_storage()
        storage.put_scalar("rpn/num_pos_anchors", of_people / len(gt_labels))
        storage.put_scalar("rpn/num_neg_anchors", (all_drawn - of_people) / len(gt_labels))

        boxes = Boxes.cat(anchors).tensor.expand_as(gt_boxes).reshape(-1, 4)
        deltas = self.box2box_transform.get_deltas(boxes, gt_boxes.reshape(-1, 4))
        predicted = torch.cat(pred_anchor_deltas, dim=1)
        # Where no box is expected, the prediction is its own target: neither loss nor gradient.
        deltas = torch.where(positive[..., None], deltas.view_as(gt_boxes), predicted.detach())
        losses = {
            "loss_rpn_cls": F.binary_cross_entropy_with_logits(
                torch.cat(pred_objectness_logits, dim=1),
                positive.float(),
                drawn.float(),
                reduction="sum",
            ),
            "loss_rpn_loc": smooth_l1_loss(
                predicted, deltas, beta=self.smooth_l1_beta, reduction="sum"
            ),
        }
        total = self.batch_size_per_image * len(gt_labels)
        return {k: loss / total * self.loss_weight.get(k, 1.0) for k, loss in losses.items()}

    @torch.no_grad()
    def predict_proposals(self, anchors, pred_objectness_logits, pred_anchor_deltas, image_sizes):
        """See :meth:`RPN.predict_proposals`. Only the boxes with the best scores are decoded."""
        if not self.training:
            return super().predict_proposals(
                anchors, pred_objectness_logits, pred_anchor_deltas, image_sizes
            )
        best_scores, best_deltas, best_anchors, levels = [], [], [], []
        for level, scores in enumerate(pred_objectness_logits):
            best, index = scores.topk(min(scores.shape[1], self.pre_nms_topk[True]), dim=1)
            best_scores.append(best)
            corners = index[..., None].expand(-1, -1, 4)
            best_deltas.append(pred_anchor_deltas[level].gather(1, corners))
            best_anchors.append(anchors[level].tensor[index])
            levels.append(torch.full_like(index, level))
        scores, levels = torch.cat(best_scores, dim=1), torch.cat(levels, dim=1)
        deltas, boxes = torch.cat(best_deltas, dim=1), torch.cat(best_anchors, dim=1)
        boxes = self.box2box_transform.apply_deltas(deltas.flatten(0, 1), boxes.flatten(0, 1))
        boxes = boxes.view(*scores.shape, 4)
        finite = boxes.isfinite().all() & scores.isfinite().all()
        sizes = uploaded(torch.tensor([[w, h, w, h] for h, w in image_sizes]), boxes.device)
        boxes = torch.minimum(boxes.clamp(min=0), sizes[:, None].to(boxes.dtype))
        sides = boxes[..., 2:] - boxes[..., :2]
        is_box = (sides > self.min_box_size).all(dim=2)
        return self._selected(boxes, scores, levels, is_box, finite, image_sizes)

    def _selected(self, boxes, scores, levels, is_box, finite, image_sizes) -> list[Instances]:
        """The boxes (images, N, 4) of each image that remain after non-maximum suppression."""
        images, per_image = scores.shape
        # Boxes of different levels and images do not meet: they are moved apart, in double
        # precision, which keeps all digits. Those that are too small meet only one another.
        groups = levels.masked_fill(~is_box, len(self.in_features))
        image = torch.arange(images, device=boxes.device)[:, None]
        groups = groups + image * (len(self.in_features) + 1)
        apart = groups * (max(map(max, image_sizes)) + 1.0)
        apart = boxes.double() + apart[..., None]
        at_once = max(1, MAX_NMS_BOXES // per_image)
        kept = [
            nms(part.flatten(0, 1), of.flatten().double(), self.nms_thresh) + n * per_image
            for n, part, of in zip(
                range(0, images, at_once), apart.split(at_once), scores.split(at_once)
            )
        ]
        kept = torch.cat(kept)
        of_image = (kept // per_image).masked_fill(~is_box.flatten()[kept], images)
        of_image, order = of_image.sort(stable=True)
        numbers = torch.arange(images + 1, device=boxes.device)[:, None]
        *counts, is_finite = torch.cat([(of_image == numbers).sum(dim=1), finite[None]]).tolist()
        if not is_finite:
            raise FloatingPointError(
                "Predicted boxes or scores contain Inf/NaN. Training has diverged."
            )
        kept = kept[order]
        boxes = boxes.flatten(0, 1)[kept].split(counts)
        scores = scores.flatten()[kept].split(counts)
        most = self.post_nms_topk[True]
        return [
            Instances(size, proposal_boxes=Boxes(of[:most]), objectness_logits=score[:most])
            for size, of, score in zip(image_sizes, boxes, scores)
        ]
