"""Muon: gradient descent whose steps on matrices are orthogonal, beside AdamW for all else."""

from __future__ import annotations

from collections import defaultdict

import torch

#: Coefficients and steps of the Newton-Schulz iteration (Jordan et al. 2024): a quintic that takes
#: singular values from (0, 1] to about 1 as fast as it can, not exactly to it.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


class MuonAdamW(torch.optim.AdamW):
    """AdamW, and Muon for the parameter groups that say ``"orthogonal": True``.

    The momentum of a matrix is replaced by the nearest orthogonal one before it is applied: no
    direction of the gradient is drowned by the few that dominate it, which is what slows the
    first thousands of steps of a network from random weights (Jordan et al., "Muon: an optimizer
    for hidden layers in neural networks", 2024). A convolution is the matrix of its output
    channels and all else. Steps are scaled so that a step's root mean square is that of AdamW,
    and the learning rates of both are alike (Liu et al., arXiv:2502.16982, section 2.2).

    Made for hidden layers: first and last layers, biases, norms and depthwise convolutions belong
    in groups of AdamW.
    """

    def __init__(self, params, *, momentum: float = 0.95, **kwargs):
        """
        Args:
            params: parameters, or groups of them; those of groups with ``"orthogonal": True`` have
                two dimensions or more, and their groups may have a ``momentum``.
            momentum: of Muon, Nesterov's.
            kwargs: as for AdamW; ``lr`` and ``weight_decay`` are those of Muon, too.

        Raises:
            ValueError: a parameter to be made orthogonal is a vector.
        """
        super().__init__(params, **kwargs)
        for group in self.param_groups:
            group.setdefault("orthogonal", False)
            group.setdefault("momentum", momentum)
            if group["orthogonal"] and any(p.dim() < 2 for p in group["params"]):
                raise ValueError("Muon takes parameters of two dimensions or more, not vectors")

    @torch.no_grad()
    def step(self, closure=None):
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["orthogonal"]]
        try:
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group["orthogonal"]:
                self._orthogonal_step(group)
        return loss

    def _orthogonal_step(self, group: dict) -> None:
        # Matrices of one shape go through the iteration together.
        by_shape: dict[torch.Size, list] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
                state["step"] = torch.tensor(0.0)  # without which AdamW loads no state
            state["step"] += 1
            momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
            update = parameter.grad.lerp(momentum, group["momentum"]).flatten(1)
            by_shape[update.shape].append((parameter, update))
        for shape, members in by_shape.items():
            directions = orthogonalized(torch.stack([update for _, update in members]))
            # A matrix with orthogonal rows (or columns) has a root mean square of 1 / sqrt(longer
            # side); AdamW's steps have one of about .2.
            rate = group["lr"] * 0.2 * max(shape) ** 0.5
            for (parameter, _), direction in zip(members, directions):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(direction.view(parameter.shape), alpha=-rate)


def orthogonalized(matrices: torch.Tensor) -> torch.Tensor:
    """About U V^T of each matrix U S V^T: its singular values come near to 1, between .7 and 1.2.

    Args:
        matrices: (N, rows, columns).
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    # Each step multiplies x by a polynomial of its Gram matrix x x^T, and what the next step needs
    # of x is its Gram matrix. So the iteration takes place among those, which are small, and x,
    # which is long (1152 for 128 rows of a 3 x 3 convolution), is multiplied once, at the end.
    gram = x @ x.mT
    total = None
    for step in range(NEWTON_SCHULZ_STEPS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        total = factor if total is None else factor @ total
        if step + 1 < NEWTON_SCHULZ_STEPS:
            gram = factor @ gram @ factor
    x = total @ x
    return x.mT if tall else x
