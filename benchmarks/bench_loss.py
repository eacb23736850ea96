"""Losses of dense pose, forward and backward, for 64 and 256 RoIs of 100 points.

    python benchmarks/bench_loss.py

"zero the gradients" is a lower bound for any loss on full maps: clearing as much memory as the maps
take. "plain" is the straightforward implementation: targets RoI by RoI, and one read of each map
for each of the four neighbours. "full maps" are the losses on maps of 112 x 112; "in training" is
the path of a training step, on maps of 56 x 56 that the losses read as if upsampled.
"""

import torch
from detectron2.structures import Boxes, Instances
from timing import measure, report
from torch.nn import functional as F

from densepose_ext.modeling.deferred import DeferredOutput
from densepose_ext.modeling.losses import DensePoseChartLoss
from densepose_ext.modeling.targets import coarse_targets, gather_annotations
from densepose_ext.structures import DensePoseAnnotation, DensePoseAnnotationList, DensePoseOutput

CHANNELS = {"coarse_segm": 2, "fine_segm": 25, "u": 25, "v": 25}
SIDE, POINTS, PEOPLE = 112, 100, 8


def make_rois(count: int) -> list[Instances]:
    """RoIs of two images: shifted boxes of a few annotated people."""
    images = []
    for _ in range(2):
        people = [
            DensePoseAnnotation(
                torch.rand(POINTS) * 255, torch.rand(POINTS) * 255,
                torch.randint(1, 25, (POINTS,)), torch.rand(POINTS), torch.rand(POINTS),
                torch.randint(0, 15, (256, 256), dtype=torch.uint8),
            )
            for _ in range(PEOPLE)
        ]  # fmt: skip
        person = torch.randint(PEOPLE, (count // 2,))
        corners = torch.rand(PEOPLE, 2) * 400
        boxes = torch.cat([corners, corners + torch.tensor([160.0, 310.0])], dim=1)[person]
        instances = Instances((800, 800))
        instances.gt_boxes = Boxes(boxes)
        instances.proposal_boxes = Boxes(boxes + torch.randn(len(boxes), 4) * 8)
        instances.gt_densepose = DensePoseAnnotationList(people)[person]
        images.append(instances)
    return images


def make_maps(count: int, side: int) -> dict[str, torch.Tensor]:
    return {n: torch.randn(count, c, side, side, requires_grad=True) for n, c in CHANNELS.items()}


def plain_losses(rois: list[Instances], maps: dict[str, torch.Tensor]) -> torch.Tensor:
    """Targets RoI by RoI, then four reads of each map, with the standard weights."""
    annotations, gt_boxes, boxes = gather_annotations(rois)
    columns = []
    for n in range(len(boxes)):
        person, gt, box = annotations[n], gt_boxes[n], boxes[n]
        x = (person.x / 256 * (gt[2] - gt[0]) + gt[0] - box[0]) * SIDE / (box[2] - box[0])
        y = (person.y / 256 * (gt[3] - gt[1]) + gt[1] - box[1]) * SIDE / (box[3] - box[1])
        inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
        values = (torch.full_like(person.i, n), x, y, person.i, person.u, person.v)
        columns.append([value[inside] for value in values])
    n, x, y, i, true_u, true_v = (torch.cat(values) for values in zip(*columns))
    x0, y0 = x.long(), y.long()
    x1, y1 = (x0 + 1).clamp(max=SIDE - 1), (y0 + 1).clamp(max=SIDE - 1)
    fx, fy = x - x0, y - y0

    def read(value, *channel):
        weights = (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx
        corners = [
            value[(n, *(channel or [slice(None)]), rows, columns)]
            for rows in (y0, y1)
            for columns in (x0, x1)
        ]
        return sum((corner.T * weight).T for corner, weight in zip(corners, weights))

    _, coarse = coarse_targets(annotations, gt_boxes, boxes, SIDE)
    return (
        F.cross_entropy(read(maps["fine_segm"]), i)
        + 0.01 * F.smooth_l1_loss(read(maps["u"], i), true_u, reduction="sum")
        + 0.01 * F.smooth_l1_loss(read(maps["v"], i), true_v, reduction="sum")
        + 5.0 * F.cross_entropy(maps["coarse_segm"], (coarse > 0).long())
    )


def main() -> None:
    torch.manual_seed(0)
    loss = DensePoseChartLoss(segm_weight=5.0, part_weight=1.0, point_weight=0.01)
    for count in (64, 256):
        rois = make_rois(count)
        full, small = make_maps(count, SIDE), make_maps(count, SIDE // 2)

        def clear(maps):
            for value in maps.values():
                value.grad = None

        def on_full_maps(rois=rois, full=full):
            clear(full)
            sum(loss(rois, DensePoseOutput(**full)).values()).backward()

        def in_training(rois=rois, small=small):
            clear(small)
            sum(loss(rois, DeferredOutput(DensePoseOutput(**small), 2)).values()).backward()

        def plain(rois=rois, full=full):
            clear(full)
            plain_losses(rois, full).backward()

        def zero_gradients(full=full):
            return [torch.zeros_like(value) for value in full.values()]

        found = sum(loss(rois, DensePoseOutput(**full)).values()).item()
        expected = plain_losses(rois, full).item()
        assert abs(found / expected - 1) < 1e-4, (found, expected)
        times = measure(
            {
                "zero the gradients": zero_gradients,
                "plain": plain,
                "full maps": on_full_maps,
                "in training": in_training,
            },
            repeats=5,
        )
        report(f"losses of {count} RoIs, {POINTS} points each", times, "zero the gradients")


if __name__ == "__main__":
    main()
