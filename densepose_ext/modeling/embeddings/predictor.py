"""Predictors of an embedding of each pixel (CSE; Neverova et al., NeurIPS 2020)."""

from __future__ import annotations

from detectron2.config import CfgNode, configurable

from ...structures import DensePoseEmbeddingOutput
from ..map_predictor import MapPredictor
from ..registry import DENSEPOSE_PREDICTOR_REGISTRY


@DENSEPOSE_PREDICTOR_REGISTRY.register()
class DensePoseEmbeddingPredictor(MapPredictor):
    """Coarse segmentation, and an embedding of D dimensions."""

    output_type = DensePoseEmbeddingOutput
    layer_of_map = {
        "coarse_segm": "coarse_segm",
        "embedding": "embed",
        "coarse_segm_confidence": "coarse_segm_confidence",
    }

    @configurable
    def __init__(
        self,
        input_channels: int,
        *,
        coarse_channels: int,
        embedding_size: int = 16,
        kernel_size: int = 4,
        upscale: int = 2,
    ):
        """
        Args:
            input_channels: of the head's features.
            coarse_channels: K, 2 or 15.
            embedding_size: D.
            kernel_size: of the transposed convolutions; even.
            upscale: factor of the bilinear upsampling after them.
        """
        super().__init__(input_channels, kernel_size, upscale)
        self._add_map("coarse_segm", coarse_channels)
        self._add_map("embedding", embedding_size)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_channels: int) -> dict:
        head = cfg.MODEL.ROI_DENSEPOSE_HEAD
        return {
            "input_channels": input_channels,
            "coarse_channels": head.NUM_COARSE_SEGM_CHANNELS,
            "embedding_size": head.CSE.EMBED_SIZE,
            "kernel_size": head.DECONV_KERNEL,
            "upscale": head.UP_SCALE,
        }


@DENSEPOSE_PREDICTOR_REGISTRY.register()
class DensePoseEmbeddingWithConfidencePredictor(DensePoseEmbeddingPredictor):
    """The same, optionally with a confidence in the coarse segmentation."""

    @configurable
    def __init__(
        self,
        input_channels: int,
        *,
        segm_confidence: bool = False,
        segm_epsilon: float = 0.01,
        **kwargs,
    ):
        """
        Args:
            segm_confidence: whether the coarse segmentation has a confidence.
            segm_epsilon: lower bound of that confidence.
            kwargs: as for DensePoseEmbeddingPredictor.
        """
        super().__init__(input_channels, **kwargs)
        if segm_confidence:
            self._add_map("coarse_segm_confidence", 1)
            self.segm_epsilon = segm_epsilon

    @classmethod
    def from_config(cls, cfg: CfgNode, input_channels: int) -> dict:
        confidence = cfg.MODEL.ROI_DENSEPOSE_HEAD.SEGM_CONFIDENCE
        return {
            **super().from_config(cfg, input_channels),
            "segm_confidence": confidence.ENABLED,
            "segm_epsilon": confidence.EPSILON,
        }
