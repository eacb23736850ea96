"""Sends all tensors of a batch from a worker in a single block of shared memory.

torch shares each tensor through its own file, which the receiver requests, opens and maps while the
GPU waits. A batch of sixteen pictures has two hundred tensors, whose files took 57 of the 209 ms of
a training step on an H100 (under Python's profiler).
"""

from __future__ import annotations

import io
import pickle

import torch

#: Tensors start at multiples of this many bytes, as in torch's allocator.
_ALIGNMENT = 64


class PackedBatch:
    """Wraps a batch for pickling: unpickled, it is the batch, with tensors that are views of one.

    For the ``collate_fn`` of a DataLoader with workers, which then yields the batch itself.
    """

    def __init__(self, batch: object):
        """
        Args:
            batch: anything that can be pickled. Its CPU tensors will share memory, but overlap only
                if they are the same tensor.
        """
        self.batch = batch

    def __reduce__(self):
        stream = io.BytesIO()
        pickler = _Pickler(stream)
        pickler.dump(self.batch)
        layout, size = [], 0
        for tensor in pickler.tensors:
            layout.append((size, tensor.dtype, tensor.shape))
            size += -(-tensor.numel() * tensor.element_size() // _ALIGNMENT) * _ALIGNMENT
        memory = torch.empty(size, dtype=torch.uint8)
        for tensor, place in zip(pickler.tensors, layout):
            _view(memory, *place).copy_(tensor)
        return _unpacked, (stream.getvalue(), layout, memory)


class _Pickler(pickle.Pickler):
    """Collects tensors, and pickles their indices instead."""

    def __init__(self, stream: io.BytesIO):
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self.tensors: list[torch.Tensor] = []
        self._numbers: dict[int, int] = {}

    def persistent_id(self, obj: object) -> int | None:
        plain = type(obj) is torch.Tensor and obj.layout == torch.strided
        if not plain or obj.device.type != "cpu" or obj.requires_grad:
            return None
        if id(obj) not in self._numbers:
            self._numbers[id(obj)] = len(self.tensors)
            self.tensors.append(obj)
        return self._numbers[id(obj)]


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, tensors: list[torch.Tensor]):
        super().__init__(io.BytesIO(content))
        self._tensors = tensors

    def persistent_load(self, pid: int) -> torch.Tensor:
        return self._tensors[pid]


def _unpacked(content: bytes, layout: list[tuple], memory: torch.Tensor) -> object:
    return _Unpickler(content, [_view(memory, *place) for place in layout]).load()


def _view(memory: torch.Tensor, start: int, dtype: torch.dtype, shape: torch.Size) -> torch.Tensor:
    size = shape.numel() * dtype.itemsize
    return memory[start : start + size].view(dtype).view(shape)
