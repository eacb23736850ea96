"""Training targets: annotations in the frames of RoIs, for all RoIs of a batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from detectron2.structures import Boxes, Instances

from ..structures import ABSENT, DensePoseAnnotationList
from ..surface.parts import ANNOTATION_SIDE


@dataclass
class PointTargets:
    """Annotated points inside RoIs.

    Attributes:
        roi: (P,) int64, RoI of each point.
        x, y: (P,) float32, position in the RoI's map, in [0, S).
        i: (P,) int64, fine part, 0 for background.
        u, v: (P,) float32, chart coordinates.
        vertex: (P,) int64, vertex of a mesh.
        mesh: (P,) int64, index of that mesh in ``annotations.meshes``.

    Targets in charts use i, u and v only, targets on meshes vertex and mesh only.
    """

    roi: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    i: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor
    vertex: torch.Tensor
    mesh: torch.Tensor


def gather_annotations(
    proposals: list[Instances],
) -> tuple[DensePoseAnnotationList, torch.Tensor, torch.Tensor]:
    """Annotations, ground-truth boxes and boxes of all N RoIs of a batch.

    Returns:
        the annotations, gt_boxes (N, 4) XYXY, proposal_boxes (N, 4) XYXY.
    """
    annotations, gt_boxes, boxes = [], [], []
    for instances in proposals:
        if len(instances) == 0:
            continue
        annotations.append(
            instances.gt_densepose
            if instances.has("gt_densepose")
            else DensePoseAnnotationList([None] * len(instances)).to(instances.gt_boxes.device)
        )
        gt_boxes.append(instances.gt_boxes)
        boxes.append(instances.proposal_boxes)
    if not annotations:
        return DensePoseAnnotationList([]), torch.zeros(0, 4), torch.zeros(0, 4)
    return (
        DensePoseAnnotationList.cat(annotations),
        Boxes.cat(gt_boxes).tensor,
        Boxes.cat(boxes).tensor,
    )


def point_targets(
    annotations: DensePoseAnnotationList,
    gt_boxes: torch.Tensor,
    boxes: torch.Tensor,
    side: int,
    by_vertices: bool = False,
) -> PointTargets:
    """The points of each RoI's person that lie inside the RoI.

    A point at image position x has the map position (x - x0) * side / w, without an offset of half
    a pixel. It is left out unless 0 <= x - x0 < w; likewise for y.

    Args:
        annotations: of N RoIs.
        gt_boxes, boxes: (N, 4) XYXY, the person's box and the RoI.
        side: S.
        by_vertices: use points that are vertices of meshes, not points in charts.
    """
    a = annotations
    with_points = a.present.nonzero()[:, 0]
    person = a.person[with_points]
    count = a.offsets[person + 1] - a.offsets[person]
    roi = with_points.repeat_interleave(count)
    # Index of each point among those of its RoI, then among those of all people.
    rank = torch.arange(len(roi), device=roi.device) - (count.cumsum(0) - count).repeat_interleave(
        count
    )
    point = a.offsets[person].repeat_interleave(count) + rank

    def place(relative: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
        gt_size = (gt_boxes[:, axis + 2] - gt_boxes[:, axis])[roi]
        size = (boxes[:, axis + 2] - boxes[:, axis])[roi]
        offset = relative[point] * gt_size / ANNOTATION_SIDE + gt_boxes[roi, axis]
        offset = offset - boxes[roi, axis]
        return offset * side / size, (offset >= 0) & (offset < size)

    x, inside_x = place(a.x, 0)
    y, inside_y = place(a.y, 1)
    # The product above may be rounded up to the side itself.
    inside = inside_x & inside_y & (x < side) & (y < side)
    inside &= (a.vertex if by_vertices else a.i)[point] != ABSENT
    point, roi = point[inside], roi[inside]
    return PointTargets(
        *(roi, x[inside], y[inside]),
        *(values[point] for values in (a.i, a.u, a.v, a.vertex)),
        mesh=a.mesh_of_person[a.person[roi]],
    )


def coarse_targets(
    annotations: DensePoseAnnotationList, gt_boxes: torch.Tensor, boxes: torch.Tensor, side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Coarse parts at each cell of the RoIs whose person has masks.

    Cell k of a RoI at x0 with width w reads the mask of its person (x_gt, w_gt) at
    round(255 * (x0 + k * w / side - x_gt) / w_gt), and is background outside the mask.

    Args:
        annotations, gt_boxes, boxes, side: as for :func:`point_targets`.

    Returns:
        (M,) int64 indices of these RoIs; (M, side, side) int64 coarse parts 0..14.
    """
    a = annotations
    person = a.person.clamp(min=0)
    mask = a.segm_of_person[person] if len(a.segm_of_person) else torch.full_like(person, ABSENT)
    roi = (a.present & (mask >= 0)).nonzero()[:, 0]
    mask = mask[roi]
    cells = torch.arange(side, device=roi.device) / side

    def indices(axis: int) -> tuple[torch.Tensor, torch.Tensor]:  # (M, side) each
        start, end = boxes[roi, axis, None], boxes[roi, axis + 2, None]
        gt_start, gt_end = gt_boxes[roi, axis, None], gt_boxes[roi, axis + 2, None]
        position = (start + cells * (end - start) - gt_start) / (gt_end - gt_start)
        index = (position * (ANNOTATION_SIDE - 1)).round()
        inside = (index >= 0) & (index <= ANNOTATION_SIDE - 1)
        return index.clamp(0, ANNOTATION_SIDE - 1).long(), inside

    columns, inside_x = indices(0)
    rows, inside_y = indices(1)
    flat = (mask[:, None] * ANNOTATION_SIDE + rows)[:, :, None] * ANNOTATION_SIDE
    parts = a.segm.reshape(-1)[flat + columns[:, None, :]].long()
    return roi, parts * (inside_y[:, :, None] & inside_x[:, None, :])
