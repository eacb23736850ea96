"""Mixed precision in bfloat16: the counterpart of Detectron2's AMPTrainer."""

from __future__ import annotations

import torch
from detectron2.engine import SimpleTrainer
from torch import nn


class BFloat16Trainer(SimpleTrainer):
    """SimpleTrainer whose convolutions and matrix products run in bfloat16, by torch's autocast.

    bfloat16 has the range of single precision, so losses need no scaling. Weights, gradients,
    optimizer state, losses and normalization stay in single precision.
    """

    def __init__(self, model: nn.Module, *args, **kwargs):
        """
        Args:
            model: on the CPU or a GPU.
            args, kwargs: as for SimpleTrainer.
        """
        super().__init__(model, *args, **kwargs)
        self._device = next(model.parameters()).device.type
        if self._device == "cpu":
            keep_norms_in_single_precision(model)

    def run_step(self) -> None:
        # Only the forward pass: the backward pass runs in the types that it has used.
        forward = self.model.forward
        self.model.forward = torch.autocast(self._device, torch.bfloat16)(forward)
        try:
            super().run_step()
        finally:
            self.model.forward = forward


def keep_norms_in_single_precision(model: nn.Module) -> None:
    """Makes GroupNorm compute in single precision, as autocast does on a GPU. Changes ``model``.

    On a CPU, autocast leaves it in bfloat16, which is five times slower.
    """
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.register_forward_pre_hook(_in_single_precision)


def multiplies_bfloat16() -> bool:
    """Whether the CPU has matrix units for bfloat16 (AMX).

    They make a step of ``make demo`` at least a fifth shorter.
    """
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16", False))


def _in_single_precision(module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    return tuple(x.float() for x in inputs)
