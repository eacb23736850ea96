"""Frozen batch norms in the weights of the convolutions before them.

A frozen norm multiplies each channel by a constant and adds one. In the weights and the bias of the
convolution that costs nothing, after it a pass over all features in memory, forward and back: a
seventh of the time of a light backbone on a CPU (``benchmarks/bench_training_step.py``).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d


class AppliedNorm(nn.Module):
    """What is left of a frozen batch norm that a convolution has taken over: its activation.

    It keeps the norm's four vectors under their names, so that checkpoints stay as they are.
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

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Factor and summand of each channel, (C,) both."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(x))


class ConvWithNorm(nn.Module):
    """A convolution without bias, followed by the scale and shift of a frozen norm."""

    def __init__(self, conv: nn.Conv2d, norm: AppliedNorm, same: bool = False):
        """
        Args:
            conv: its parameter is shared, not copied.
            norm: a sibling in the model, which owns it.
            same: pads as TensorFlow's "SAME" does, and not as ``conv`` says.
        """
        super().__init__()
        self.weight = conv.weight
        self.stride, self.dilation, self.groups = conv.stride, conv.dilation, conv.groups
        self.padding = conv.padding
        self._same = same
        self._norm = (norm,)  # in a tuple, since a module here would be in the checkpoint twice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        strided_depthwise = self.groups == x.shape[1] > 1 and max(self.stride) > 1
        if strided_depthwise and x.dtype == torch.bfloat16 and x.requires_grad and not x.is_cuda:
            # Its gradients take the CPU nine times as long in bfloat16.
            with torch.autocast(x.device.type, enabled=False):
                return self._convolved(x.float()).to(x.dtype)
        return self._convolved(x)

    def _convolved(self, x: torch.Tensor) -> torch.Tensor:
        scale, shift = self._norm[0].affine()
        weight = self.weight * scale[:, None, None, None]
        if not self._same:
            return F.conv2d(x, weight, shift, self.stride, self.padding, self.dilation, self.groups)
        axes = [
            _same_padding(*axis)
            for axis in zip(x.shape[2:], weight.shape[2:], self.stride, self.dilation)
        ]
        padding = [before for before, _, _ in axes]
        features = F.conv2d(x, weight, shift, self.stride, padding, self.dilation, self.groups)
        for axis, (_, first, length) in enumerate(axes):
            features = features.narrow(2 + axis, first, length)
        return features.contiguous(memory_format=_layout(features))


def _layout(x: torch.Tensor) -> torch.memory_format:
    """Whether channels come last, of a part of a tensor, too."""
    return torch.channels_last if x.stride(1) == 1 else torch.contiguous_format


def _same_padding(length: int, kernel: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """How a convolution that pads both ends alike gives what one padded "SAME" does.

    TensorFlow pads so that a stride divides the length without loss, and where the padding is odd,
    by one more at the end. With a stride's worth more at both ends, all that follow are the same,
    behind one value more. To pad the input would be a copy of it; of the values it is a quarter.

    Returns:
        padding of each end; the first of the values that count; their number.
    """
    values = -(-length // stride)
    padding = max((values - 1) * stride + (kernel - 1) * dilation + 1 - length, 0)
    if padding % 2 == 0:
        return padding // 2, 0, values
    return padding // 2 + stride, 1, values


@torch.no_grad()
def apply_frozen_norms(body: nn.Module, image: torch.Tensor) -> int:
    """Puts the frozen norms of a timm model into the convolutions before them, in place.

    Args:
        body: the model; parameter and buffer names stay as they are.
        image: a picture that it takes, to see which norm follows which convolution.

    Returns:
        how many norms were taken over: those that read what a convolution of theirs wrote.
    """
    from timm.layers import Conv2dSame, FrozenBatchNormAct2d

    frozen = (FrozenBatchNorm2d, FrozenBatchNormAct2d)
    written: dict[str, torch.Tensor] = {}
    pairs: list[tuple[str, str]] = []

    def note(name: str, module: nn.Module):
        def hook(_, inputs, output):
            if isinstance(module, frozen):
                # Of the same parent: another one's may be read by a shortcut, too.
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
