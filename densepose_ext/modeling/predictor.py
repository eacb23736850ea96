"""Predictors of I, U and V, optionally with confidences."""

from __future__ import annotations

import torch
from detectron2.config import CfgNode, configurable

from ..structures import DensePoseOutput
from ..surface.parts import FINE_TO_COARSE, NUM_COARSE_PARTS
from .map_predictor import MapPredictor
from .registry import DENSEPOSE_PREDICTOR_REGISTRY


@DENSEPOSE_PREDICTOR_REGISTRY.register()
class DensePoseChartPredictor(MapPredictor):
    """Coarse and fine segmentation, U and V: a transposed convolution of stride 2 for each map."""

    output_type = DensePoseOutput
    layer_of_map = {
        "coarse_segm": "ann_index",
        "fine_segm": "index_uv",
        "u": "u",
        "v": "v",
        "sigma_2": "sigma_2",
        "kappa_u": "kappa_u",
        "kappa_v": "kappa_v",
        "fine_segm_confidence": "fine_segm_confidence",
        "coarse_segm_confidence": "coarse_segm_confidence",
    }

    @configurable
    def __init__(
        self,
        input_channels: int,
        *,
        coarse_channels: int,
        num_patches: int = 24,
        kernel_size: int = 4,
        upscale: int = 2,
        fine_from_coarse: bool = False,
    ):
        """
        Args:
            input_channels: of the head's features.
            coarse_channels: K, 2 or 15.
            num_patches: fine parts without background.
            kernel_size: of the transposed convolutions; even.
            upscale: factor of the bilinear upsampling after them.
            fine_from_coarse: add the logit of each coarse part to those of its fine parts, so that
                the fine segmentation, trained on points, benefits from the coarse masks. Requires
                15 coarse channels.
        """
        super().__init__(input_channels, kernel_size, upscale)
        if fine_from_coarse and coarse_channels != NUM_COARSE_PARTS + 1:
            raise ValueError(
                "MODEL.ROI_DENSEPOSE_HEAD.FINE_FROM_COARSE = True needs NUM_COARSE_SEGM_CHANNELS"
                f" {NUM_COARSE_PARTS + 1}, not {coarse_channels}"
            )
        self.fine_from_coarse = fine_from_coarse
        fine_channels = num_patches + 1
        self._add_map("coarse_segm", coarse_channels)
        self._add_map("fine_segm", fine_channels)
        self._add_map("u", fine_channels)
        self._add_map("v", fine_channels)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_channels: int) -> dict:
        head = cfg.MODEL.ROI_DENSEPOSE_HEAD
        return {
            "input_channels": input_channels,
            "coarse_channels": head.NUM_COARSE_SEGM_CHANNELS,
            "num_patches": head.NUM_PATCHES,
            "kernel_size": head.DECONV_KERNEL,
            "upscale": head.UP_SCALE,
            "fine_from_coarse": head.FINE_FROM_COARSE,
        }

    def _split(self, maps: torch.Tensor) -> DensePoseOutput:
        output = super()._split(maps)
        if self.fine_from_coarse:
            output.fine_segm = output.fine_segm + output.coarse_segm[:, FINE_TO_COARSE]
        return output


@DENSEPOSE_PREDICTOR_REGISTRY.register()
class DensePoseChartWithConfidencePredictor(DensePoseChartPredictor):
    """The same, optionally with confidences in U and V and in the segmentations.

    Neverova et al., Correlated Uncertainty for Learning Dense Correspondences from Noisy Labels,
    NeurIPS 2019; the segmentations' confidences from Sanakoyeu et al., Transferring Dense Pose to
    Proximal Animal Classes, CVPR 2020.
    """

    @configurable
    def __init__(
        self,
        input_channels: int,
        *,
        uv_confidence: str | None = None,
        segm_confidence: bool = False,
        segm_epsilon: float = 0.01,
        num_patches: int = 24,
        **kwargs,
    ):
        """
        Args:
            uv_confidence: None, "iid_iso" or "indep_aniso".
            segm_confidence: whether the segmentations have a confidence.
            segm_epsilon: lower bound of that confidence.
            kwargs: as for DensePoseChartPredictor.
        """
        super().__init__(input_channels, num_patches=num_patches, **kwargs)
        if uv_confidence not in (None, "iid_iso", "indep_aniso"):
            raise ValueError(
                f"confidence in U and V {uv_confidence!r}, expected iid_iso or indep_aniso"
            )
        if uv_confidence is not None:
            self._add_map("sigma_2", num_patches + 1)
        if uv_confidence == "indep_aniso":
            self._add_map("kappa_u", num_patches + 1)
            self._add_map("kappa_v", num_patches + 1)
        if segm_confidence:
            self._add_map("fine_segm_confidence", 1)
            self._add_map("coarse_segm_confidence", 1)
            self.segm_epsilon = segm_epsilon

    @classmethod
    def from_config(cls, cfg: CfgNode, input_channels: int) -> dict:
        head = cfg.MODEL.ROI_DENSEPOSE_HEAD
        return {
            **super().from_config(cfg, input_channels),
            "uv_confidence": head.UV_CONFIDENCE.TYPE if head.UV_CONFIDENCE.ENABLED else None,
            "segm_confidence": head.SEGM_CONFIDENCE.ENABLED,
            "segm_epsilon": head.SEGM_CONFIDENCE.EPSILON,
        }
