"""From what a network found in a batch to people, with as few transfers from a GPU as possible.

A program that asks a GPU for a value waits until all that was queued before is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from detectron2.structures import Boxes, Instances

from ..modeling.postprocessing import densepose_results
from ..structures import DensePoseResult, Person, VertexResult
from .charted import charted
from .people import People

#: Attributes of people that some models have, and their fields in instances.
_OPTIONAL = {"mask": "pred_masks", "keypoints": "pred_keypoints"}


def people_of_batch(
    found: Sequence[Instances], sizes: Sequence[tuple[int, int]], min_confidence: float
) -> list[People]:
    """The people of each picture, best score first.

    There are two transfers from a GPU, of boxes and scores and of results, and one for each mask or
    set of keypoints.

    Args:
        found: instances of each picture, as Detectron2's models give them with or without
            postprocessing. Those with masks or keypoints are postprocessed.
        sizes: (H, W) of the pictures.
        min_confidence: as for densepose_results.
    """
    chosen = [
        _Chosen(instances, values, size)
        for instances, values, size in zip(found, _boxes_and_scores(found), sizes)
    ]
    results = on_cpu([r for of_picture in chosen for r in of_picture.results(min_confidence)])
    people, first = [], 0
    for of_picture in chosen:
        last = first + len(of_picture.scores)
        people.append(of_picture.people(results[first:last]))
        first = last
    return people


class _Chosen:
    """The people of one picture that remain, on the CPU.

    Attributes:
        boxes: (N, 4) in the picture's pixels. scores: (N,) descending.
    """

    def __init__(self, instances: Instances, values: torch.Tensor, size: tuple[int, int]):
        """
        Args:
            values: (N, 5) boxes and scores on the CPU.
        """
        self._instances, self._size = instances, size
        boxes, scores = Boxes(values[:, :4].clone()), values[:, 4]
        # As Detectron2's detector_postprocess.
        height, width = instances.image_size
        boxes.scale(size[1] / width, size[0] / height)
        boxes.clip(size)
        order = scores.argsort(descending=True, stable=True)
        order = order[boxes.nonempty()[order]]
        self.boxes, self.scores = boxes.tensor[order], scores[order]
        # None: as they are. Otherwise their places are sent to the device.
        is_same = torch.equal(order, torch.arange(len(values)))
        self._order = None if is_same else order

    def _of(self, field: str):
        value = self._instances.get(field)
        return value if self._order is None else value[self._order.to(self._device)]

    @property
    def _device(self) -> torch.device:
        return self._instances.scores.device

    def results(self, min_confidence: float) -> list[DensePoseResult | VertexResult]:
        return densepose_results(self._of("pred_densepose"), self.boxes, min_confidence)

    def people(self, results: Sequence[DensePoseResult | VertexResult]) -> People:
        """
        Args:
            results: of these people, on the CPU.
        """
        optional = {
            name: self._of(field).cpu().numpy()
            for name, field in _OPTIONAL.items()
            if self._instances.has(field)
        }
        persons = [
            Person(
                box.copy(),  # a view would keep the boxes of all people alive
                score,
                charted(result) if isinstance(result, VertexResult) else result,
                **{name: values[n].copy() for name, values in optional.items()},
            )
            for n, (box, score, result) in enumerate(
                zip(self.boxes.numpy(), self.scores.tolist(), results)
            )
        ]
        return People(persons, self._size)


def _boxes_and_scores(found: Sequence[Instances]) -> Sequence[torch.Tensor]:
    """(N, 5) of each picture, on the CPU."""
    packed = [torch.cat([i.pred_boxes.tensor, i.scores[:, None]], dim=1) for i in found]
    return torch.cat(packed).cpu().split([len(values) for values in packed])


def on_cpu(
    results: Sequence[DensePoseResult | VertexResult],
) -> list[DensePoseResult | VertexResult]:
    """The same results on the CPU, all transferred as one piece."""
    tensors = tensors_of(results)
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [*results]
    return [*transferred(results, tensors)]


def tensors_of(results: Sequence[DensePoseResult | VertexResult]) -> list[torch.Tensor]:
    """The tensors of all results, in the order in which ``map`` takes them."""
    tensors: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        tensors.append(tensor)
        return tensor

    for result in results:
        result.map(note)
    return tensors


def transferred(
    results: Sequence[DensePoseResult | VertexResult], tensors: Sequence[torch.Tensor]
) -> Iterator[DensePoseResult | VertexResult]:
    """Yields the results with their tensors, in order, from one transfer of all bytes."""
    packed = torch.cat([tensor.contiguous().flatten().view(torch.uint8) for tensor in tensors])
    pieces = packed.cpu().split([tensor.nbytes for tensor in tensors])
    # Copies: a result must not keep those of all people alive.
    copies = (
        piece.clone().view(tensor.dtype).view(tensor.shape)
        for piece, tensor in zip(pieces, tensors)
    )
    for result in results:
        yield result.map(lambda _: next(copies))
