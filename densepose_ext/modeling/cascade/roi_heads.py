"""ROI heads whose mask and keypoint branches can be in a cascade with that of dense pose."""

from __future__ import annotations

from collections import deque

import torch
from detectron2.modeling import StandardROIHeads
from detectron2.modeling.roi_heads.roi_heads import select_proposals_with_visible_keypoints
from detectron2.structures import Boxes, Instances

from .cascade import DensePoseCascade
from .shared_rois import select_proposals_with_masks, share_rois
from .stage import BranchOutput, CascadeStage
from .warm_start import copy_first_stage


class CascadeROIHeads(StandardROIHeads):
    """The part of DensePoseROIHeads that runs a cascade.

    Attributes:
        cascade: the stages after the first; None if there is only one.
    """

    cascade: DensePoseCascade | None

    def _load_from_state_dict(self, state_dict, prefix, *args):
        if self.cascade is not None:
            copy_first_stage(state_dict, prefix, self._first_stage(), self.cascade)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _forward_mask(self, features: dict[str, torch.Tensor], instances: list[Instances]):
        if self._in_cascade("mask"):
            return {} if self.training else instances
        return super()._forward_mask(features, instances)

    def _forward_keypoint(self, features: dict[str, torch.Tensor], instances: list[Instances]):
        if self._in_cascade("keypoint"):
            return {} if self.training else instances
        return super()._forward_keypoint(features, instances)

    def _cascade_losses(
        self, features: dict[str, torch.Tensor], proposals: list[Instances]
    ) -> dict[str, torch.Tensor]:
        """Losses of all stages on foreground proposals."""
        selections = {
            "densepose": self._select_annotated,
            "mask": select_proposals_with_masks,
            "keypoint": select_proposals_with_visible_keypoints,
        }
        selections = {task: selections[task] for task in self.cascade.tasks}
        shared, trained = share_rois(proposals, selections)
        boxes = [image.proposal_boxes for image in shared]
        rois = {task: self._rois(task, features, boxes) for task in self.cascade.tasks}
        return self.cascade.losses(self._first_stage(), rois, trained, self._densepose_loss)

    @torch.no_grad()
    def _cascade_inference(
        self, features: dict[str, torch.Tensor], boxes: list[Boxes]
    ) -> dict[str, BranchOutput]:
        """Outputs of the last stage, by task."""
        wanted = {task: slice(None) for task in self.cascade.tasks if getattr(self, f"{task}_on")}
        rois = {
            task: self._rois(task, features, boxes)
            for task in self.cascade.tasks_needed_for(wanted)
        }
        stages = self.cascade.stage_outputs(self._first_stage(), rois, wanted, self._precision)
        return deque(stages, maxlen=1).pop()

    def _rois(
        self, task: str, features: dict[str, torch.Tensor], boxes: list[Boxes]
    ) -> torch.Tensor:
        """RoI features of a task in the cascade."""
        if task == "densepose":
            return self._densepose_rois(features, boxes)
        levels = self.mask_in_features if task == "mask" else self.keypoint_in_features
        pooler = self.mask_pooler if task == "mask" else self.keypoint_pooler
        return pooler([features[name] for name in levels], boxes)

    def _in_cascade(self, task: str) -> bool:
        return self.cascade is not None and task in self.cascade.tasks

    def _first_stage(self) -> CascadeStage:
        return CascadeStage(
            densepose_head=self.densepose_head,
            densepose_predictor=self.densepose_predictor,
            mask_head=getattr(self, "mask_head", None),
            keypoint_head=getattr(self, "keypoint_head", None),
        )
