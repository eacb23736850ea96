"""A GPU for machines without one: tensors of the CPU that behave as if they were on it.

What programs for GPUs do wrong shows: operations on tensors of both devices, factories without a
device, NumPy arrays of tensors that were not copied to the host. Time, streams, CUDA graphs, and
rounding of a real GPU do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
HOST = torch.device("cpu")

_aten = torch.ops.aten
#: Torch itself moves the indices of these to the device of what is indexed.
_INDEXING = (
    _aten.index,
    _aten.index_put,
    _aten.index_put_,
    _aten._index_put_impl_,
    _aten._unsafe_index,
)


class OnGPU(torch.Tensor):
    """A tensor on the pretended GPU. Attribute ``of_host``: the same memory as a plain tensor."""

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, of_host: torch.Tensor) -> OnGPU:
        # For torch it stays on the CPU: autograd would look for the streams of a GPU.
        return torch.Tensor._make_wrapper_subclass(
            cls,
            of_host.size(),
            strides=of_host.stride(),
            storage_offset=of_host.storage_offset(),
            dtype=of_host.dtype,
            layout=of_host.layout,
            device=HOST,
        )

    def __init__(self, of_host: torch.Tensor):
        self.of_host = of_host

    @property
    def data(self) -> OnGPU:
        return self.detach()

    @data.setter
    def data(self, other: OnGPU) -> None:
        self.of_host = other.of_host

    def get_device(self) -> int:
        return GPU.index

    def __repr__(self) -> str:
        return f"OnGPU({self.of_host!r})"

    def __reduce_ex__(self, protocol: int) -> tuple:
        """Checkpoints have the plain tensor."""
        return self.detach().of_host.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _computed(function, args, kwargs or {}, makes_on_gpu=True)


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Context with a GPU "cuda". Autocast on it is that of the CPU; inference mode is no_grad."""
    autocast = torch.autocast.__init__

    def autocast_on_host(self, device_type, *args, **kwargs):
        autocast(self, "cpu", *args, **kwargs)

    replaced = {
        torch.cuda: {
            "_lazy_init": lambda: None,
            "is_available": lambda: True,
            "is_bf16_supported": lambda *args, **kwargs: True,
            "device_count": lambda: 1,
            "current_device": lambda: GPU.index,
            "synchronize": lambda device=None: None,
        },
        torch.Tensor: {"pin_memory": _pinned},
        torch.autocast: {"__init__": autocast_on_host},
        # Tensors of inference mode cannot be wrapped.
        torch.inference_mode: {
            "__init__": lambda self, mode=True: None,
            "__enter__": torch.no_grad.__enter__,
            "__exit__": torch.no_grad.__exit__,
            "clone": lambda self: torch.inference_mode(),
        },
        torch.optim.Optimizer: {
            name: lambda self: None
            for name in (
                "_accelerator_graph_capture_health_check",
                "_cuda_graph_capture_health_check",
            )
            if hasattr(torch.optim.Optimizer, name)
        },
    }
    calls = _Calls()
    with ExitStack() as stack:
        for of, values in replaced.items():
            for name, value in values.items():
                stack.enter_context(mock.patch.object(of, name, value))
        swaps = torch.__future__.get_swap_module_params_on_conversion()
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swaps)
        # Else Module.to() puts a tensor of another class into a plain parameter.
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.enter_context(_Operations(calls))
        stack.enter_context(calls)
        yield


def _pinned(tensor: torch.Tensor, device=None) -> torch.Tensor:
    if isinstance(tensor, OnGPU):
        raise RuntimeError("cannot pin the memory of a GPU")
    return tensor


class _Calls(TorchFunctionMode):
    """Copies between the devices, and where the factories within a call make their tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.makes_on_gpu = False

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.cuda):
            return self._copied(function, *args, **kwargs)
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = torch.device(kwargs.pop("device"))
            values = args[0] if isinstance(args[0], OnGPU) else function(*args, **kwargs)
            return _moved(values, device)
        if isinstance(args[0] if args else None, OnGPU):
            if function in (torch.Tensor.numpy, torch.Tensor.__array__):
                raise TypeError("a tensor of the GPU has no NumPy array: use Tensor.cpu() first")
            if function is torch.Tensor.tolist:
                return args[0].of_host.tolist()
        device = kwargs.get("device")
        makes_on_gpu = any(isinstance(x, OnGPU) for x in tree_leaves((args, kwargs)))
        if device is not None:
            makes_on_gpu = torch.device(device).type == GPU.type
            kwargs["device"] = HOST
        return self._run(makes_on_gpu, function, *args, **kwargs)

    def _run(self, makes_on_gpu: bool, function, *args, **kwargs):
        before, self.makes_on_gpu = self.makes_on_gpu, makes_on_gpu
        try:
            return function(*args, **kwargs)
        finally:
            self.makes_on_gpu = before

    def _copied(self, function, tensor, *args, **kwargs):
        dtype, memory_format = tensor.dtype, None
        if function is torch.Tensor.to:
            kwargs.pop("copy", None)
            if args and isinstance(args[0], torch.Tensor):
                device, dtype = args[0].device, args[0].dtype
            else:
                device, given, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
                dtype = given or dtype
        else:
            device = HOST if function is torch.Tensor.cpu else GPU
        if dtype != tensor.dtype or memory_format is not None:
            layout = memory_format or torch.preserve_format
            on_gpu = isinstance(tensor, OnGPU)
            tensor = self._run(on_gpu, torch.Tensor.to, tensor, dtype=dtype, memory_format=layout)
        return tensor if device is None else _moved(tensor, device)


class _Operations(TorchDispatchMode):
    def __init__(self, calls: _Calls):
        super().__init__()
        self._calls = calls

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _computed(function, args, kwargs or {}, self._calls.makes_on_gpu)


def _computed(function, args: tuple, kwargs: dict, makes_on_gpu: bool):
    """An operation on the tensors behind those of the GPU.

    Args:
        makes_on_gpu: whether an operation without tensors makes one of the GPU.
    """
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    takes_of_gpu = any(isinstance(x, OnGPU) for x in tensors)
    if takes_of_gpu:
        _check_devices(function, args, tensors)
    if kwargs.get("device") is not None and torch.device(kwargs["device"]).type == GPU.type:
        kwargs, makes_on_gpu = {**kwargs, "device": HOST}, True
    results = function(*tree_map(_of_host, args), **tree_map(_of_host, kwargs))
    if takes_of_gpu:
        return return_and_correct_aliasing(function, args, kwargs, tree_map(_on_gpu, results))
    return tree_map(_on_gpu, results) if makes_on_gpu and not tensors else results


def _check_devices(function, args: tuple, tensors: list[torch.Tensor]) -> None:
    """Raises RuntimeError if a real GPU would; numbers of the CPU may be among its tensors."""
    packet = function.overloadpacket
    if packet is _aten.copy_:
        return
    if packet in _INDEXING and isinstance(args[0], OnGPU):
        tensors = [x for x in args[2:] if isinstance(x, torch.Tensor)]
    of_host = [tuple(x.shape) for x in tensors if not isinstance(x, OnGPU) and x.dim()]
    if of_host:
        raise RuntimeError(f"{function} of the GPU takes tensors of the CPU, of shapes {of_host}")


def _on_gpu(value):
    is_plain = isinstance(value, torch.Tensor) and not isinstance(value, OnGPU)
    return OnGPU(value) if is_plain else value


def _of_host(value):
    return value.of_host if isinstance(value, OnGPU) else value


def _moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy on the other device, through which gradients pass; the same on its own."""
    if isinstance(tensor, OnGPU) == (device.type == GPU.type):
        return tensor
    return _Copy.apply(tensor)


class _Copy(torch.autograd.Function):
    @staticmethod
    def forward(context, tensor: torch.Tensor) -> torch.Tensor:
        return _on_other_device(tensor)

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> torch.Tensor:
        return _on_other_device(gradient)


def _on_other_device(tensor: torch.Tensor) -> torch.Tensor:
    copy = _of_host(tensor).detach().clone()
    return copy if isinstance(tensor, OnGPU) else OnGPU(copy)
