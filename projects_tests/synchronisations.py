"""Counts, on a CPU, the operations for which a program would wait for a GPU."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

#: Operations whose result is a number, or has a shape that depends on values; in inference mode,
#: composite ones as they are, else those that they consist of.
_WAITING = {
    "aten._local_scalar_dense": "item",
    "aten.item": "item",
    "aten.is_nonzero": "item",
    "aten.equal": "equal",
    "aten.nonzero": "nonzero",
    "aten.nonzero_numpy": "nonzero",
    "aten.masked_select": "masked_select",
    "aten.unique_dim": "unique",
    "aten._unique2": "unique",
    "torchvision.nms": "nms",
}
_DOWNLOADS = {torch.Tensor.cpu: "cpu", torch.Tensor.tolist: "tolist"}
_UPLOADS = {torch.tensor, torch.as_tensor}
_PACKAGES = ("densepose_ext", "detectron2")
#: Modules whose callers count as those who wait.
_TOOLS = ("detectron2.structures", "detectron2.layers")


class Synchronisations:
    """A context that notes each operation that waits for the device, and who calls it.

    Whatever ``cpu()`` returns, and what is computed from it, counts as on the host, until ``to()``
    uploads it; everything else, as on the device.

    Attributes:
        counts: (package, "file:line function", operation) -> number. Copies of numbers to the
            device are among them, since torch waits for these too.
    """

    def __init__(self) -> None:
        self.counts: Counter = Counter()
        self._modes = (_Operations(self), _Calls(self))
        # By the memory they are in; the tensors are kept, so that no other gets it.
        self._on_host: dict[int, torch.Tensor] = {}

    def of(self, package: str) -> int:
        return sum(count for (of, _, _), count in self.counts.items() if of == package)

    def __enter__(self) -> Synchronisations:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)

    def is_on_host(self, tensor: torch.Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self._on_host

    def put_on_host(self, value) -> None:
        for tensor in _tensors(value):
            self._on_host[tensor.untyped_storage().data_ptr()] = tensor

    def uploaded(self, tensor: torch.Tensor) -> torch.Tensor:
        copy = tensor.clone()
        self._on_host.pop(copy.untyped_storage().data_ptr(), None)
        return copy

    def note(self, operation: str) -> None:
        frame = sys._getframe(1)
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            package = module.split(".")[0]
            if package in _PACKAGES and not module.startswith(_TOOLS):
                place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                self.counts[package, f"{place} {frame.f_code.co_name}", operation] += 1
                return
            frame = frame.f_back
        self.counts["other", "", operation] += 1


def _tensors(value) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


class _Operations(TorchDispatchMode):
    def __init__(self, noted: Synchronisations):
        super().__init__()
        self._noted = noted

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = str(function.overloadpacket)
        if any(map(self._noted.is_on_host, _tensors(args))):
            result = function(*args, **kwargs)
            self._noted.put_on_host(result)
            return result
        if name in _WAITING:
            self._noted.note(_WAITING[name])
        elif name in ("aten.index", "aten.index_put", "aten.index_put_"):
            if any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1]):
                self._noted.note("mask")
        elif (
            name == "aten.repeat_interleave"
            and isinstance(args[-1], torch.Tensor)
            and kwargs.get("output_size") is None
        ):
            self._noted.note("repeat_interleave")
        return function(*args, **kwargs)


class _Calls(TorchFunctionMode):
    def __init__(self, noted: Synchronisations):
        super().__init__()
        self._noted = noted

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in _DOWNLOADS and not self._noted.is_on_host(args[0]):
            self._noted.note(_DOWNLOADS[function])
            if function is torch.Tensor.cpu:
                copy = args[0].clone()
                self._noted.put_on_host(copy)
                return copy
        elif (
            function is torch.Tensor.to
            and any(isinstance(x, (torch.device, str)) for x in (*args[1:], *kwargs.values()))
            and self._noted.is_on_host(args[0])
        ):
            return self._noted.uploaded(args[0])
        elif (
            function in _UPLOADS
            and kwargs.get("device") is not None
            and not isinstance(args[0], torch.Tensor)
        ):
            self._noted.note("upload")
        return function(*args, **kwargs)
