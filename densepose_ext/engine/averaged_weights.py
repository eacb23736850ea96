"""An average of the weights of all iterations, which is what a run tests and saves."""

from __future__ import annotations

import torch
from detectron2.engine import HookBase
from torch import nn


class AveragedWeights(HookBase):
    """Exponential moving average of trained weights, in the model whenever no iteration runs.

    After iteration t, counted from 0, the average moves to the trained weights by 1 - d, where d is
    the smaller of ``decay`` and (1 + t) / (10 + t), so that it soon forgets the initial weights. It
    tests better than the weights themselves, most of all before the learning rate has fallen
    (Polyak and Juditsky 1992; Tarvainen and Valpola, NIPS 2017, section 2).

    Iterations train as they would without it. Between them, hooks after this one find the average
    in the model: it is tested, and it is the ``model`` of checkpoints, which also have the trained
    weights, to be resumed from. A checkpoint without any starts an average at its weights.
    """

    def __init__(self, model: nn.Module, decay: float):
        """
        Args:
            model: its trainable parameters and floating-point buffers are averaged, as far as
                checkpoints have them.
            decay: 0 to 1; an average of roughly the last 1 / (1 - decay) iterations.
        """
        self._decay = decay
        model = getattr(model, "module", model)
        saved = model.state_dict().keys()
        trained = ((name, p) for name, p in model.named_parameters() if p.requires_grad)
        buffers = ((name, b) for name, b in model.named_buffers() if b.is_floating_point())
        self._in_model = {name: x for name, x in (*trained, *buffers) if name in saved}
        #: The average while an iteration runs, else the trained weights.
        self._beside: dict[str, torch.Tensor] = {}
        self._averages_in_model = False
        self._iterations = 0

    def before_train(self) -> None:
        if not self._beside:
            self._beside = {name: x.detach().clone() for name, x in self._in_model.items()}

    def before_step(self) -> None:
        self._put(averages=False)

    @torch.no_grad()
    def after_step(self) -> None:
        decay = min(self._decay, (1 + self._iterations) / (10 + self._iterations))
        trained = [self._in_model[name].detach() for name in self._beside]
        torch._foreach_lerp_(list(self._beside.values()), trained, 1 - decay)
        self._iterations += 1
        self._put(averages=True)

    def after_train(self) -> None:
        if self._beside:
            self._put(averages=True)

    def state_dict(self) -> dict:
        return {"trained": self._beside, "iterations": self._iterations}

    def load_state_dict(self, state: dict) -> None:
        """Goes on from a checkpoint whose ``model`` has been loaded.

        Raises:
            ValueError: the trained weights are of another model.
        """
        trained = state["trained"]
        for name, tensor in self._in_model.items():
            found = tuple(trained[name].shape) if name in trained else "nothing"
            if found != tuple(tensor.shape):
                raise ValueError(
                    f"the trained weights of the checkpoint have {found} for {name}, expected"
                    f" {tuple(tensor.shape)}"
                )
        self._beside = {
            name: torch.empty_like(x).copy_(trained[name]) for name, x in self._in_model.items()
        }
        self._iterations = state["iterations"]
        self._averages_in_model = True

    def _put(self, averages: bool) -> None:
        """Exchanges, if need be, the weights in the model and those beside it."""
        if averages == self._averages_in_model:
            return
        self._averages_in_model = averages
        for name, tensor in self._in_model.items():
            tensor.data, self._beside[name] = self._beside[name], tensor.data
