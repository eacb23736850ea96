"""The losses of dense pose, from annotated points and coarse masks.

DensePose, CVPR 2018, section 3.2 (classification of parts, regression of U and V in the channel of
the true part); with confidences, Neverova et al., NeurIPS 2019, sections 3.1 and 3.2.
"""

from __future__ import annotations

import math

import torch
from detectron2.config import CfgNode, configurable
from detectron2.structures import Instances
from torch.nn import functional as F

from ..structures import DensePoseOutput
from .deferred import DeferredOutput, in_single_precision, map_side, zero_of
from .registry import DENSEPOSE_LOSS_REGISTRY
from .sampling import PointSamples, sample_points
from .segm_losses import mask_segm_loss, part_segm_loss
from .targets import PointTargets, gather_annotations, point_targets


@DENSEPOSE_LOSS_REGISTRY.register()
class DensePoseChartLoss:
    """Losses of the segmentations (S coarse, I fine) and of U and V.

    - I: cross-entropy, mean over the points, background points included.
    - U, V: smooth L1, summed over the points on the body.
    - S: cross-entropy, mean over all cells of the RoIs whose person has masks.

    A batch without any point on the body has losses of 0, which still depend on every parameter, so
    that all processes of distributed training reduce the same gradients.
    """

    @configurable
    def __init__(
        self,
        *,
        segm_weight: float,
        part_weight: float,
        point_weight: float,
        segm_from_instance_masks: bool = False,
    ):
        """
        Args:
            segm_weight, part_weight, point_weight: of S, of I, of U and V.
            segm_from_instance_masks: train S with ``gt_masks`` instead of ``dp_masks``.
        """
        self.segm_weight = segm_weight
        self.part_weight = part_weight
        self.point_weight = point_weight
        self.segm_from_instance_masks = segm_from_instance_masks

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        head = cfg.MODEL.ROI_DENSEPOSE_HEAD
        return {
            "segm_weight": head.INDEX_WEIGHTS,
            "part_weight": head.PART_WEIGHTS,
            "point_weight": head.POINT_REGRESSION_WEIGHTS,
            "segm_from_instance_masks": head.COARSE_SEGM_TRAINED_BY_MASKS,
        }

    @in_single_precision
    def __call__(
        self, proposals: list[Instances], output: DensePoseOutput | DeferredOutput
    ) -> dict[str, torch.Tensor]:
        """
        Args:
            proposals: the RoIs of each image, with ``proposal_boxes``, ``gt_boxes`` and
                ``gt_densepose`` (and ``gt_masks``, if they train S).
            output: maps of all RoIs, in order.

        Returns:
            weighted losses: loss_densepose_S, loss_densepose_I, and those of :meth:`uv_losses`.
        """
        side = map_side(output)
        annotations, gt_boxes, boxes = gather_annotations(proposals)
        targets = point_targets(annotations, gt_boxes, boxes, side)
        if not bool((targets.i > 0).any()):
            return dict.fromkeys(self.loss_names, zero_of(output))

        samples = sample_points(output, targets.roi, targets.x, targets.y, targets.i)
        segm = (
            mask_segm_loss(proposals, output, side)
            if self.segm_from_instance_masks
            else part_segm_loss(annotations, gt_boxes, boxes, output, side)
        )
        return {
            "loss_densepose_S": segm * self.segm_weight,
            "loss_densepose_I": F.cross_entropy(samples.fine_segm, targets.i) * self.part_weight,
            **{
                name: loss * self.point_weight
                for name, loss in self.uv_losses(samples, targets).items()
            },
        }

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the losses, the same in every batch."""
        return ("loss_densepose_S", "loss_densepose_I", "loss_densepose_U", "loss_densepose_V")

    def uv_losses(self, samples: PointSamples, targets: PointTargets) -> dict[str, torch.Tensor]:
        """Unweighted losses of U and V over the points on the body."""
        on_body = targets.i > 0
        return {
            f"loss_densepose_{name.upper()}": F.smooth_l1_loss(
                getattr(samples, name)[on_body], getattr(targets, name)[on_body], reduction="sum"
            )
            for name in ("u", "v")
        }


@DENSEPOSE_LOSS_REGISTRY.register()
class DensePoseChartWithConfidenceLoss(DensePoseChartLoss):
    """The same, with a negative log-likelihood for U and V if the network predicts a confidence.

    With d = (u - u*, v - v*), s = softplus(sigma_2) + epsilon and r = (kappa_u, kappa_v), the
    covariance of d is s * identity (``iid_iso``) or s * identity + r r^T (``indep_aniso``).
    """

    @configurable
    def __init__(self, *, uv_confidence: str | None = None, uv_epsilon: float = 0.01, **kwargs):
        """
        Args:
            uv_confidence: None, "iid_iso" or "indep_aniso".
            uv_epsilon: lower bound of s.
            kwargs: as for DensePoseChartLoss.
        """
        super().__init__(**kwargs)
        if uv_confidence not in (None, "iid_iso", "indep_aniso"):
            raise ValueError(
                f"confidence in U and V {uv_confidence!r}, expected iid_iso or indep_aniso"
            )
        self.uv_confidence = uv_confidence
        self.uv_epsilon = uv_epsilon

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        confidence = cfg.MODEL.ROI_DENSEPOSE_HEAD.UV_CONFIDENCE
        return {
            **super().from_config(cfg),
            "uv_confidence": confidence.TYPE if confidence.ENABLED else None,
            "uv_epsilon": confidence.EPSILON,
        }

    @property
    def loss_names(self) -> tuple[str, ...]:
        if self.uv_confidence is None:
            return super().loss_names
        return ("loss_densepose_S", "loss_densepose_I", "loss_densepose_UV")

    def uv_losses(self, samples: PointSamples, targets: PointTargets) -> dict[str, torch.Tensor]:
        """Unweighted losses of U and V over the points on the body."""
        if self.uv_confidence is None:
            return super().uv_losses(samples, targets)
        on_body = targets.i > 0
        du = (samples.u - targets.u)[on_body]
        dv = (samples.v - targets.v)[on_body]
        variance = F.softplus(samples.sigma_2[on_body]) + self.uv_epsilon
        squared = (du**2 + dv**2) / variance
        if self.uv_confidence == "iid_iso":
            log_determinant = 2 * variance.log()
        else:
            kappa_u, kappa_v = samples.kappa_u[on_body], samples.kappa_v[on_body]
            determinant = variance * (variance + kappa_u**2 + kappa_v**2)
            squared = squared - (du * kappa_u + dv * kappa_v) ** 2 / determinant
            log_determinant = determinant.log()
        loss = 0.5 * (math.log(2 * math.pi) + log_determinant + squared)
        return {"loss_densepose_UV": loss.sum()}
