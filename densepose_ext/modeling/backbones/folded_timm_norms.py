"""Folds the frozen batch norms of timm's models into the convolutions before them.

Unlike Detectron2's, these are modules of their own: see :mod:`.folded_norms`.

A frozen norm multiplies each channel by a constant and adds another. In the weights and bias of a
convolution that costs nothing. After it, it is a pass over all features, forward and backward: a
seventh of the time of a light backbone on a CPU (``benchmarks/bench_training_step.py``).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

from .folded_norms import FoldedWeights


class AppliedNorm(nn.Module):
    """The rest of a frozen batch norm that was folded into a convolution: its activation.

    It keeps the norm's four vectors under their names, so that checkpoints do not change.
    """

    def __init__(self, norm: nn.Module):
        """
        Args:
            norm: torchvision's FrozenBatchNorm2d or timm's FrozenBatchNormAct2d.
        """
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, getattr(norm, name))
        self.eps = norm.eps
        self.drop = getattr(norm, "drop", nn.Identity())
        self.act = getattr(norm, "act", nn.Identity())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(x))


class ConvWithNorm(nn.Module):
    """A convolution without bias, followed by the scale and shift of a frozen norm."""

    def __init__(self, conv: nn.Conv2d, norm: AppliedNorm, same: bool = False):
        """
        Args:
            conv: its parameter is shared, not copied.
            norm: a module of the model, which owns it.
            same: pad like TensorFlow's "SAME", not as ``conv`` does.
        """
        super().__init__()
        self.weight = conv.weight
        self.stride, self.dilation, self.groups = conv.stride, conv.dilation, conv.groups
        self.padding = conv.padding
        self._same = same
        self._norm = (norm,)  # a tuple: as a submodule it would be in checkpoints twice
        self._folded = FoldedWeights()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        strided_depthwise = self.groups == x.shape[1] > 1 and max(self.stride) > 1
        if strided_depthwise and x.dtype == torch.bfloat16 and x.requires_grad and not x.is_cuda:
            # On a CPU, its gradients take nine times as long in bfloat16.
            with torch.autocast(x.device.type, enabled=False):
                return self._convolved(x.float()).to(x.dtype)
        return self._convolved(x)

    def _convolved(self, x: torch.Tensor) -> torch.Tensor:
        weight, shift = self._folded(self.weight, self._norm[0])
        if not self._same:
            return F.conv2d(x, weight, shift, self.stride, self.padding, self.dilation, self.groups)
        axes = [
            _same_padding(*axis)
            for axis in zip(x.shape[2:], weight.shape[2:], self.stride, self.dilation)
        ]
        if torch.onnx.is_in_onnx_export():  # onnxruntime makes padding a part of the convolution
            ends = [int(end) for _, p in reversed(axes) for end in (p // 2, p - p // 2)]
            x = F.pad(x, ends, value=0.0)
            return F.conv2d(x, weight, shift, self.stride, 0, self.dilation, self.groups)
        axes = [_symmetric(*axis, stride) for axis, stride in zip(axes, self.stride)]
        padding = [before for before, _, _ in axes]
        features = F.conv2d(x, weight, shift, self.stride, padding, self.dilation, self.groups)
        for axis, (_, first, length) in enumerate(axes):
            features = features.narrow(2 + axis, first, length)
        return features.contiguous(memory_format=_layout(features))


def _layout(x: torch.Tensor) -> torch.memory_format:
    """The memory format of a tensor, which may be a slice of another."""
    return torch.channels_last if x.stride(1) == 1 else torch.contiguous_format


def _same_padding(length: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Values of an axis after a convolution with TensorFlow's padding "SAME", and that padding.

    TensorFlow pads so that the stride divides the length; if the padding is odd, it pads one more
    at the end.
    """
    values = -(-length // stride)
    return values, max((values - 1) * stride + (kernel - 1) * dilation + 1 - length, 0)


def _symmetric(values: int, padding: int, stride: int) -> tuple[int, int, int]:
    """Symmetric padding with which a convolution also computes the values of padding "SAME".

    With symmetric padding that is larger by a multiple of the stride, the same values are computed
    after an additional one. Cropping these copies a quarter of what padding the input would.

    Returns:
        padding of each end; index of the first value to keep; their number.
    """
    if padding % 2 == 0:
        return padding // 2, 0, values
    return padding // 2 + stride, 1, values


@torch.no_grad()
def fold_timm_norms(body: nn.Module, image: torch.Tensor) -> int:
    """Folds the frozen norms of a timm model into the convolutions before them, in place.

    Args:
        body: the model; the names of parameters and buffers do not change.
        image: an input for it, to trace which norm follows which convolution.

    Returns:
        the number of norms that were folded.
    """
    from timm.layers import Conv2dSame, FrozenBatchNormAct2d

    frozen = (FrozenBatchNorm2d, FrozenBatchNormAct2d)
    written: dict[str, torch.Tensor] = {}
    pairs: list[tuple[str, str]] = []

    def note(name: str, module: nn.Module):
        def hook(_, inputs, output):
            if isinstance(module, frozen):
                # Only of the same parent: a shortcut may also read the output of another one.
                parent = name.rpartition(".")[0]
                for conv, result in written.items():
                    if result is inputs[0] and conv.rpartition(".")[0] == parent:
                        pairs.append((conv, name))
            else:
                written[name] = output

        return hook

    handles = [
        module.register_forward_hook(note(name, module))
        for name, module in body.named_modules()
        if isinstance(module, frozen)
        or (type(module) in (nn.Conv2d, Conv2dSame) and module.bias is None)
    ]
    body(image)
    for handle in handles:
        handle.remove()
    for conv_name, norm_name in pairs:
        conv, norm = body.get_submodule(conv_name), AppliedNorm(body.get_submodule(norm_name))
        body.set_submodule(norm_name, norm)
        body.set_submodule(conv_name, ConvWithNorm(conv, norm, isinstance(conv, Conv2dSame)))
    return len(pairs)
