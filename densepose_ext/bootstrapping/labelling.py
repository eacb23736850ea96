"""Labels images with a frozen model: confident detections become annotations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from detectron2.data.transforms import ResizeShortestEdge
from detectron2.structures import Boxes, BoxMode, Instances, pairwise_iou
from pycocotools import mask as coco_mask
from torch import nn
from torch.nn import functional as F

from ..data.rle import row_runs
from ..modeling.embeddings.vertex_results import coarse_labels
from ..modeling.postprocessing import densepose_results
from ..structures import (
    DensePoseEmbeddingOutput,
    DensePoseOutput,
    DensePoseResult,
    VertexResult,
)
from ..surface.parts import ANNOTATION_SIDE, FINE_TO_COARSE
from .points import box_coordinates, sampled_pixels

Output = DensePoseOutput | DensePoseEmbeddingOutput
Result = DensePoseResult | VertexResult

#: DATA_SAMPLER.TYPE -> (field, sign): points are sampled where sign * field is low; None: anywhere.
#: With segmentation confidences of charts this selects the least certain pixels, as in the official
#: project, whose published students were trained that way.
ORDERS = {
    "densepose_uniform": None,
    "densepose_UV_confidence": ("sigma_2", 1),
    "densepose_fine_segm_confidence": ("fine_segm_confidence", 1),
    "densepose_coarse_segm_confidence": ("coarse_segm_confidence", 1),
    "densepose_cse_uniform": None,
    "densepose_cse_coarse_segm_confidence": ("coarse_segm_confidence", -1),
}


class Labeller:
    """Turns the detections of a frozen dense pose model into annotations.

    Sanakoyeu et al., "Transferring Dense Pose to Proximal Animal Classes", CVPR 2020, section 4.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        sampler: str = "densepose_uniform",
        count_per_class: int = 8,
        min_score: float = 0.8,
        min_size: int = 800,
        max_size: int = 1333,
        batch_size: int = 4,
        with_masks: bool = False,
    ):
        """
        Args:
            model: in evaluation mode, on its device.
            sampler: a key of ORDERS.
            count_per_class: points per part of a person, or per person for CSE models.
            min_score: minimum score of a detection.
            min_size, max_size: shorter edge of the model's input, and maximum of the longer edge.
            batch_size: of the model.
            with_masks: whether annotations get a ``segmentation``.

        Raises:
            ValueError: the sampler does not exist.
        """
        if sampler not in ORDERS:
            raise ValueError(f"sampler {sampler!r}, expected one of {', '.join(ORDERS)}")
        self._model = model
        self._order = ORDERS[sampler]
        self._count = count_per_class
        self._min_score = min_score
        self._resize = ResizeShortestEdge(min_size, max_size)
        self._batch_size = batch_size
        self._with_masks = with_masks

    def __call__(
        self, pictures: Sequence[np.ndarray], draws: Iterable[np.random.Generator]
    ) -> list[list[dict]]:
        """The annotations of each image; an empty list if no detection has the minimum score.

        Args:
            pictures: images (H, W, 3) uint8 in the model's format.
            draws: a random generator per image.
        """
        found: list[Instances] = []
        for first in range(0, len(pictures), self._batch_size):
            found += self._detected(pictures[first : first + self._batch_size])
        return [self.annotations(people, draw) for people, draw in zip(found, draws)]

    @torch.no_grad()
    def _detected(self, pictures: Sequence[np.ndarray]) -> list[Instances]:
        inputs = []
        for picture in pictures:
            seen = self._resize.get_transform(picture).apply_image(picture)
            image = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)))
            inputs.append({"image": image, "height": picture.shape[0], "width": picture.shape[1]})
        return [output["instances"] for output in self._model(inputs)]

    def annotations(self, people: Instances, draws: np.random.Generator) -> list[dict]:
        """Converts detections to annotations, in the format of ``load_densepose_coco``.

        Args:
            people: with pred_boxes, scores, pred_classes and pred_densepose.
        """
        people = people[people.scores >= self._min_score].to("cpu")
        annotations = []
        for n in range(len(people)):
            person = people[n]
            (box,) = person.pred_boxes.tensor
            output = person.pred_densepose
            (result,) = densepose_results(output, box[None])
            points = self._points(output, result, draws)
            if not len(points["dp_x"]):
                continue
            annotation = {
                "bbox": box.tolist(),
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": int(person.pred_classes),
                "iscrowd": 0,
                **points,
                "dp_masks": row_runs(_coarse_parts(output)),
            }
            if self._with_masks:
                annotation["segmentation"] = _mask(result, box, people.image_size)
            annotations.append(annotation)
        return annotations

    def _points(self, output: Output, result: Result, draws: np.random.Generator) -> dict:
        """The sampled points of a person, in the format of ``read_points``."""
        by_vertices = isinstance(result, VertexResult)
        labels = (result.labels > 0).to(torch.uint8) if by_vertices else result.labels
        order = None
        if self._order is not None:
            field, sign = self._order
            found = getattr(result, field, None)
            if found is None:
                maps = getattr(output, field)
                found = F.interpolate(maps, labels.shape, mode="bilinear", align_corners=False)
            order = sign * found.reshape(labels.shape)
        pixels = sampled_pixels(labels, self._count, draws, order)
        x, y = box_coordinates(pixels, labels.shape, ANNOTATION_SIDE)
        points = {"dp_x": x, "dp_y": y}
        if not by_vertices:
            u, v = result.uv.flatten(1)[:, pixels].clamp(0, 1)
            points |= {"dp_I": labels.flatten()[pixels], "dp_U": u, "dp_V": v}
        points = {key: value.to(torch.float32).numpy() for key, value in points.items()}
        if by_vertices:
            vertices = result.vertices.flatten()[pixels].to(torch.int64).numpy()
            points |= {"dp_vertex": vertices, "ref_model": result.mesh}
        return points


def _coarse_parts(output: Output) -> np.ndarray:
    """(256, 256) uint8: the coarse parts in a person's box, stretched to a square."""
    if isinstance(output, DensePoseEmbeddingOutput):
        return coarse_labels(output, (ANNOTATION_SIDE, ANNOTATION_SIDE)).numpy()
    square = torch.tensor([[0.0, 0.0, ANNOTATION_SIDE, ANNOTATION_SIDE]])
    (result,) = densepose_results(output, square)
    return np.asarray(FINE_TO_COARSE, np.uint8)[result.labels.numpy()]


def _mask(result: Result, box: torch.Tensor, image_size: tuple[int, int]) -> dict:
    """The person's pixels as an RLE of the image."""
    mask = np.zeros(image_size, np.uint8, order="F")
    left, top = int(box[0]), int(box[1])
    inside = mask[top : top + result.labels.shape[0], left : left + result.labels.shape[1]]
    inside[:] = (result.labels > 0).numpy()[: inside.shape[0], : inside.shape[1]]
    return coco_mask.encode(mask)


def with_true_categories(annotations: list[dict], true: Sequence[dict]) -> list[dict]:
    """Gives annotations the class of the true box that they overlap most; drops unmatched ones.

    Args:
        true: the dataset's annotations of the same image; crowds are ignored.
    """
    true = [one for one in true if not one.get("iscrowd", 0)]
    if not true or not annotations:
        return []

    def boxes(people: Sequence[dict]) -> Boxes:
        corners = [BoxMode.convert(p["bbox"], p["bbox_mode"], BoxMode.XYXY_ABS) for p in people]
        return Boxes(torch.tensor(corners, dtype=torch.float32))

    overlap, nearest = pairwise_iou(boxes(annotations), boxes(true)).max(dim=1)
    return [
        {**annotation, "category_id": true[best]["category_id"]}
        for annotation, best, iou in zip(annotations, nearest.tolist(), overlap.tolist())
        if iou > 0
    ]
