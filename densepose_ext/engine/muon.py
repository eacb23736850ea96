"""Muon, an optimizer whose steps on matrices are orthogonal, with AdamW for all else."""

from __future__ import annotations

from collections import defaultdict

import torch

#: Coefficients of the Newton-Schulz iteration (Jordan et al. 2024): a quintic that takes singular
#: values from (0, 1] close to 1 in the fewest steps, but not exactly to 1.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


class MuonAdamW(torch.optim.AdamW):
    """AdamW, with Muon for the parameter groups that have ``"orthogonal": True``.

    Muon replaces the momentum of a matrix by the nearest orthogonal matrix: no few directions
    dominate the step, which is what slows the first thousands of steps from random weights (Jordan
    et al., "Muon: an optimizer for hidden layers in neural networks", 2024). A convolution is
    flattened to a matrix with a row per output channel. Steps are scaled to the root mean square of
    AdamW's, so one learning rate suits both (Liu et al., arXiv:2502.16982, section 2.2).

    Muon is for hidden layers: first and last layers, biases, norms and depthwise convolutions
    belong in groups of AdamW.
    """

    def __init__(self, params, *, momentum: float = 0.95, **kwargs):
        """
        Args:
            params: parameters, or groups of them. Groups with ``"orthogonal": True`` hold
                parameters of two or more dimensions, and may have their own ``momentum``.
            momentum: of Muon (Nesterov).
            kwargs: as for AdamW; ``lr`` and ``weight_decay`` apply to Muon too.

        Raises:
            ValueError: a group with ``"orthogonal": True`` holds a vector.
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
        # Matrices of one shape are orthogonalized together.
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
                state["step"] = torch.tensor(0.0)  # AdamW requires it to load a state
            state["step"] += 1
        # On a GPU, an operation on a list of tensors is launched once.
        gradients = [p.grad for p in parameters]
        momenta = [self.state[p]["momentum"] for p in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        updates = torch._foreach_lerp(gradients, momenta, group["momentum"])
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        by_shape: dict[torch.Size, list] = defaultdict(list)
        for parameter, update in zip(parameters, updates):
            update = update.flatten(1)
            by_shape[update.shape].append((parameter, update))
        for shape, members in by_shape.items():
            directions = orthogonalized(torch.stack([update for _, update in members]))
            # The root mean square of a matrix with orthonormal rows (or columns) is 1 / sqrt(longer
            # side), that of AdamW's steps about .2.
            rate = group["lr"] * 0.2 * max(shape) ** 0.5
            moved = [parameter for parameter, _ in members]
            directions = [d.view(p.shape) for p, d in zip(moved, directions)]
            torch._foreach_add_(moved, directions, alpha=-rate)


def orthogonalized(matrices: torch.Tensor) -> torch.Tensor:
    """Approximately U V^T of each matrix U S V^T: its singular values become .7 to 1.2.

    Args:
        matrices: (N, rows, columns).
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    # Each step multiplies x by a polynomial of its Gram matrix x x^T, and the next step needs only
    # the new Gram matrix. So the iteration works on these small matrices; x, which is long (1152
    # for 128 rows of a 3 x 3 convolution), is multiplied once, at the end.
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
