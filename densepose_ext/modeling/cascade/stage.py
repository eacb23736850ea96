"""One stage of a cascade: its branches, and their outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from detectron2.structures import Instances
from torch import nn

#: The branches that can be in a cascade.
TASKS = ("densepose", "mask", "keypoint")


@dataclass
class BranchOutput:
    """The output of a branch for N RoIs.

    Attributes:
        outputs: (N, channels, ., .), dense pose maps before their upsampling, or the logits of
            masks or keypoints.
        features: (N, channels, ., .), the input of the branch's last layer.
    """

    outputs: torch.Tensor
    features: torch.Tensor

    def __getitem__(self, index: torch.Tensor) -> BranchOutput:
        return BranchOutput(self.outputs[index], self.features[index])

    def detach(self) -> BranchOutput:
        return BranchOutput(self.outputs.detach(), self.features.detach())


class CascadeStage(nn.Module):
    """The branches of one stage. Those of masks and keypoints are Detectron2's heads."""

    def __init__(
        self,
        *,
        densepose_head: nn.Module,
        densepose_predictor: nn.Module,
        mask_head: nn.Module | None = None,
        keypoint_head: nn.Module | None = None,
    ):
        """
        Args:
            densepose_head, densepose_predictor: as of DensePoseROIHeads.
            mask_head, keypoint_head: a BaseMaskRCNNHead, a BaseKeypointRCNNHead.
        """
        super().__init__()
        self.densepose_head = densepose_head
        self.densepose_predictor = densepose_predictor
        self.mask_head = mask_head
        self.keypoint_head = keypoint_head

    def branch_output(self, task: str, rois: torch.Tensor) -> BranchOutput:
        """The output of a task's branch for RoI features (N, channels, s, s)."""
        if task == "densepose":
            features = self.densepose_head(rois)
            return BranchOutput(self.densepose_predictor.lowres_maps(features), features)
        head = self._head(task)
        seen = []
        # Detectron2's heads are sequences of layers, and do not return intermediate features.
        hook = _last_layer(head).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            logits = head.layers(rois)
        finally:
            hook.remove()
        return BranchOutput(logits, seen[0])

    def forward_from_output(self, task: str, output: BranchOutput, instances: list[Instances]):
        """Processes the output as Detectron2's head does: into losses in training, else fields.

        Args:
            task: "mask" or "keypoint".
            output: for all ``instances``, in order.
        """
        head = self._head(task)
        return type(head).forward(_HeadWithLogits(head, output.outputs), None, instances)

    def channels(self, task: str) -> tuple[int, int]:
        """Channels of the outputs and of the features of a task."""
        if task == "densepose":
            return self.densepose_predictor.output_channels, self.densepose_head.output_channels
        last = _last_layer(self._head(task))
        return last.out_channels, last.in_channels

    def _head(self, task: str) -> nn.Module:
        return self.mask_head if task == "mask" else self.keypoint_head


def _last_layer(head: nn.Module) -> nn.Module:
    return list(head.children())[-1]


class _HeadWithLogits:
    """One of Detectron2's heads whose layers have already run."""

    def __init__(self, head: nn.Module, logits: torch.Tensor):
        self._head, self._logits = head, logits

    def __getattr__(self, name: str):
        return getattr(self._head, name)

    def layers(self, _) -> torch.Tensor:
        return self._logits
