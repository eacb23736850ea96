"""The losses of CSE models: points, coarse masks and, if enabled, cycle consistency.

Neverova et al., Continuous Surface Embeddings, NeurIPS 2020, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from detectron2.config import CfgNode, configurable
from detectron2.structures import Instances

from ...structures import DensePoseEmbeddingOutput
from ..deferred import DeferredOutput, in_single_precision, map_side, raw_maps, zero_of
from ..registry import DENSEPOSE_LOSS_REGISTRY
from ..sampling import PointReader
from ..segm_losses import mask_segm_loss, part_segm_loss, roi_masks
from ..targets import gather_annotations, point_targets
from .cycle_losses import PixelToShapeCycleLoss, ShapeToShapeCycleLoss
from .embedder import Embedder, normalized
from .point_losses import embedding_loss, soft_embedding_loss


@DENSEPOSE_LOSS_REGISTRY.register()
class DensePoseCseLoss:
    """Losses of the embeddings of annotated points, of the coarse segmentation, and of cycles.

    Batches and meshes without points have losses of 0, which still depend on every parameter, so
    that all processes of distributed training reduce the same gradients.
    """

    @configurable
    def __init__(
        self,
        *,
        mesh_names: Sequence[str],
        segm_weight: float,
        embedding_weight: float,
        soft: bool = False,
        embedding_sigma: float = 0.01,
        geodesic_sigma: float = 0.01,
        segm_from_instance_masks: bool = False,
        shape_cycle: ShapeToShapeCycleLoss | None = None,
        shape_cycle_weight: float = 0.025,
        pixel_cycle: PixelToShapeCycleLoss | None = None,
        pixel_cycle_weight: float = 0.0001,
        pixel_cycle_all_meshes: bool = False,
    ):
        """
        Args:
            mesh_names: of the embedders.
            segm_weight, embedding_weight: of the two losses that are always on.
            soft: use SoftEmbeddingLoss instead of EmbeddingLoss.
            embedding_sigma: divides squared distances between embeddings.
            geodesic_sigma: divides geodesic distances (metres), with ``soft``.
            segm_from_instance_masks: train the segmentation with ``gt_masks``, not ``dp_masks``.
            shape_cycle, pixel_cycle: the cycle losses; None: off. The latter needs ``gt_masks``.
            shape_cycle_weight, pixel_cycle_weight: of these.
            pixel_cycle_all_meshes: for ``pixel_cycle``, use all meshes, not only those with points
                in the batch.
        """
        self.mesh_names = tuple(mesh_names)
        self.segm_weight = segm_weight
        self.embedding_weight = embedding_weight
        self.soft = soft
        self.embedding_sigma = embedding_sigma
        self.geodesic_sigma = geodesic_sigma
        self.segm_from_instance_masks = segm_from_instance_masks
        self.shape_cycle = shape_cycle
        self.shape_cycle_weight = shape_cycle_weight
        self.pixel_cycle = pixel_cycle
        self.pixel_cycle_weight = pixel_cycle_weight
        self.pixel_cycle_all_meshes = pixel_cycle_all_meshes

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        head = cfg.MODEL.ROI_DENSEPOSE_HEAD
        cse, mesh_names = head.CSE, list(head.CSE.EMBEDDERS)
        shapes, pixels = cse.SHAPE_TO_SHAPE_CYCLE_LOSS, cse.PIX_TO_SHAPE_CYCLE_LOSS
        shape_cycle = ShapeToShapeCycleLoss(
            mesh_names,
            norm_p=shapes.NORM_P,
            temperature=shapes.TEMPERATURE,
            max_num_vertices=shapes.MAX_NUM_VERTICES,
        )
        pixel_cycle = PixelToShapeCycleLoss(
            norm_p=pixels.NORM_P,
            num_pixels=pixels.NUM_PIXELS_TO_SAMPLE,
            temperature_to_vertex=pixels.TEMPERATURE_PIXEL_TO_VERTEX,
            temperature_to_pixel=pixels.TEMPERATURE_VERTEX_TO_PIXEL,
        )
        return {
            "mesh_names": mesh_names,
            "segm_weight": head.INDEX_WEIGHTS,
            "embedding_weight": cse.EMBED_LOSS_WEIGHT,
            "soft": cse.EMBED_LOSS_NAME == "SoftEmbeddingLoss",
            "embedding_sigma": cse.EMBEDDING_DIST_GAUSS_SIGMA,
            "geodesic_sigma": cse.GEODESIC_DIST_GAUSS_SIGMA,
            "segm_from_instance_masks": head.COARSE_SEGM_TRAINED_BY_MASKS,
            "shape_cycle": shape_cycle if shapes.ENABLED else None,
            "shape_cycle_weight": shapes.WEIGHT,
            "pixel_cycle": pixel_cycle if pixels.ENABLED else None,
            "pixel_cycle_weight": pixels.WEIGHT,
            "pixel_cycle_all_meshes": pixels.USE_ALL_MESHES_NOT_GT_ONLY,
        }

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the losses, the same in every batch."""
        return (
            "loss_densepose_S",
            *(f"loss_densepose_E{name}" for name in self.mesh_names),
            *(["loss_shape2shape"] if self.shape_cycle is not None else []),
            *(["loss_pix2shape"] if self.pixel_cycle is not None else []),
        )

    @in_single_precision
    def __call__(
        self,
        proposals: list[Instances],
        output: DensePoseEmbeddingOutput | DeferredOutput,
        embedder: Embedder,
    ) -> dict[str, torch.Tensor]:
        """
        Args:
            proposals: the RoIs of each image, with ``proposal_boxes``, ``gt_boxes`` and
                ``gt_densepose`` (and ``gt_masks``, if used).
            output: maps of all RoIs, in order.
            embedder: mesh name -> embeddings of its vertices.

        Returns:
            weighted losses, by :attr:`loss_names`.

        Raises:
            ValueError: a person's mesh has no embedder, or an annotated vertex does not exist.
        """
        side = map_side(output)
        annotations, gt_boxes, boxes = gather_annotations(proposals)
        targets = point_targets(annotations, gt_boxes, boxes, side, by_vertices=True)
        vertices = {name: embedder(name) for name in self.mesh_names}
        nothing = zero_of(output) + sum(value.sum() for value in vertices.values()) * 0.0
        if len(targets.roi) == 0:
            return dict.fromkeys(self.loss_names, nothing)

        reader = PointReader(output, targets.roi, targets.x, targets.y)
        points = normalized(reader.blended(raw_maps(output).embedding))
        losses = dict.fromkeys(self.loss_names, nothing)
        for number, name in enumerate(annotations.meshes):
            on_mesh = targets.mesh == number
            true = targets.vertex[on_mesh]
            if len(true):
                self._check(name, true, vertices)
                loss = self._embedding_loss(points[on_mesh], vertices[name], true, name)
                losses[f"loss_densepose_E{name}"] = loss * self.embedding_weight
        losses["loss_densepose_S"] = self.segm_weight * (
            mask_segm_loss(proposals, output, side)
            if self.segm_from_instance_masks
            else part_segm_loss(annotations, gt_boxes, boxes, output, side)
        )
        if self.shape_cycle is not None:
            losses["loss_shape2shape"] = self.shape_cycle(embedder) * self.shape_cycle_weight
        if self.pixel_cycle is not None:
            present = {annotations.meshes[number] for number in targets.mesh.unique().tolist()}
            # In the order of the embedders: that of a set of strings differs from run to run.
            used = [
                vertices[name]
                for name in self.mesh_names
                if self.pixel_cycle_all_meshes or name in present
            ]
            loss = self._pixel_cycle(proposals, output, side, used)
            losses["loss_pix2shape"] = loss * self.pixel_cycle_weight
        return losses

    def _embedding_loss(self, points, vertices, true, mesh_name: str) -> torch.Tensor:
        if not self.soft:
            return embedding_loss(points, vertices, true, self.embedding_sigma)
        return soft_embedding_loss(
            points, vertices, true, self.embedding_sigma, mesh_name, self.geodesic_sigma
        )

    def _pixel_cycle(self, proposals, output, side: int, vertices) -> torch.Tensor:
        embedding = (
            output.enlarged("embedding") if isinstance(output, DeferredOutput) else output.embedding
        )
        roi, masks = roi_masks(proposals, side)
        return self.pixel_cycle(
            embedding[roi.to(embedding.device)], masks.to(embedding.device), vertices
        )

    @staticmethod
    def _check(name: str, true: torch.Tensor, vertices: dict[str, torch.Tensor]) -> None:
        if name not in vertices:
            raise ValueError(
                f"a person has ref_model {name!r}, for which the model has no embedder; it has"
                f" {', '.join(vertices)}"
            )
        if int(true.max()) >= len(vertices[name]):
            raise ValueError(
                f"a person has dp_vertex {int(true.max())}, expected 0 to"
                f" {len(vertices[name]) - 1}, the vertices of {name}"
            )
