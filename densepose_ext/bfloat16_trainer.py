"""Training in bfloat16 on the CPU, as Detectron2's AMPTrainer trains in half precision on a GPU."""

from __future__ import annotations

import torch
from detectron2.engine import SimpleTrainer
from torch import nn


class BFloat16Trainer(SimpleTrainer):
    """SimpleTrainer whose convolutions and products compute in bfloat16, by torch's autocast.

    bfloat16 has the range of single precision: losses need no scaling. Weights, their gradients and
    the optimizer's state stay in single precision, and so do losses and normalization.
    """

    def __init__(self, model: nn.Module, *args, **kwargs):
        """
        Args:
            model: on the CPU.
            args, kwargs: as for SimpleTrainer.
        """
        super().__init__(model, *args, **kwargs)
        for module in model.modules():
            if isinstance(module, nn.GroupNorm):
                # Autocast on the CPU, unlike that on a GPU, has them in bfloat16, which takes five
                # times as long there.
                module.register_forward_pre_hook(_in_single_precision)

    def run_step(self) -> None:
        forward = self.model.forward
        self.model.forward = torch.autocast("cpu", torch.bfloat16)(forward)
        try:
            super().run_step()
        finally:
            self.model.forward = forward


def multiplies_bfloat16() -> bool:
    """Whether the CPU has units for products of matrices in bfloat16 (AMX).

    With them a step of ``make demo`` takes three quarters of the time. With bfloat16 for vectors
    only, or none, single precision is as fast or faster.
    """
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16", False))


def _in_single_precision(module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    return tuple(x.float() for x in inputs)
