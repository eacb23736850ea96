"""Keypoints of the open body as a differentiable function of its pose and shape.

Letters: N bodies, J joints that move keypoints, D pose and K shape components.
"""

from __future__ import annotations

import numpy as np
import torch

from ..surface.body import OpenBody

#: Joints that carry less of every keypoint, summed over their descendants, turn with their parents.
_LEAST_SHARE = 0.01


class BodyKeypoints:
    """COCO keypoints of posed bodies, relative to the root joint, which does not turn.

    A keypoint is a weighted mean of vertices. Under linear blend skinning it depends on the joints'
    transforms only through its vertices' weighted sums for each joint, which are linear in the
    shape and computed once.
    """

    def __init__(self, body: OpenBody, mean: np.ndarray, basis: np.ndarray):
        """
        Args:
            mean: (3 J') rotation vectors of all joints of the body in its mean pose.
            basis: (D, 3 J') how they change with each component of the pose.
        """
        kept, carrier = _moving_joints(body, basis)
        number = {joint: n for n, joint in enumerate(kept)}
        self._parents = [number.get(carrier[body.parents[joint]], -1) for joint in kept]
        self._parents[0] = -1
        depth = [0] * len(kept)
        for joint, parent in enumerate(self._parents[1:], start=1):
            depth[joint] = depth[parent] + 1
        self._levels = [
            [joint for joint, at in enumerate(depth) if at == level]
            for level in range(1, max(depth) + 1)
        ]
        count = len(body.vertices)
        shapes = np.concatenate(
            [np.concatenate([body.vertices, body.joints])[None], body.shape_basis]
        )
        skinning = body.skinning.toarray()
        weights = np.zeros((count, len(kept)))
        for joint, other in enumerate(carrier):
            weights[:, number[other]] += skinning[:, joint]
        regressor = body.keypoint_regressor
        sums = [regressor @ (weights[:, :, None] * shape[:, None, :]).reshape(count, -1)
                for shape in shapes[:, :count]]  # fmt: skip
        columns = (3 * np.array(kept)[:, None] + np.arange(3)).ravel()
        self._share = _tensor(regressor @ weights)  # (17, J)
        self._sums = _tensor(np.stack(sums)).unflatten(-1, (len(kept), 3))  # (1 + K, 17, J, 3)
        self._joints = _tensor(shapes[:, count:][:, kept])  # (1 + K, J, 3)
        self._mean, self._basis = _tensor(mean[columns]), _tensor(basis[:, columns])

    def __call__(self, pose: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
        """Keypoints (N, 17, 3), metres, of poses (N, D) and shapes (N, K)."""
        turns = rotations((self._mean + pose @ self._basis).unflatten(-1, (-1, 3)))
        joints = self._joints[0] + torch.tensordot(shape, self._joints[1:], 1)
        # Of each joint's transform x -> R x + t: R and t.
        turned, moved = [torch.eye(3).expand(len(pose), 3, 3)], [-joints[:, 0]]
        turned += [turned[0]] * (len(self._parents) - 1)
        moved += [moved[0]] * (len(self._parents) - 1)
        for level in self._levels:
            above = [self._parents[joint] for joint in level]
            parent = torch.stack([turned[joint] for joint in above], 1)
            own, at = turns[:, level], joints[:, level, :, None]
            shift = parent @ (at - own @ at)
            places = shift[..., 0] + torch.stack([moved[joint] for joint in above], 1)
            for joint, turn, place in zip(level, (parent @ own).unbind(1), places.unbind(1)):
                turned[joint], moved[joint] = turn, place
        sums = self._sums[0] + torch.tensordot(shape, self._sums[1:], 1)
        spun = torch.einsum("njab,nkjb->nka", torch.stack(turned, 1), sums)
        return spun + torch.einsum("kj,nja->nka", self._share, torch.stack(moved, 1))


def rotations(vectors: torch.Tensor) -> torch.Tensor:
    """Rotations (..., 3, 3) of rotation vectors (..., 3); differentiable, also at 0."""
    angle = (vectors.square().sum(-1) + 1e-12).sqrt()
    x, y, z = (vectors / angle[..., None]).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    sine, cosine = angle.sin()[..., None, None], angle.cos()[..., None, None]
    return torch.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def _moving_joints(body: OpenBody, basis: np.ndarray) -> tuple[list[int], list[int]]:
    """The root and the joints that move keypoints; and of every joint, the one it turns with."""
    share = (body.keypoint_regressor @ body.skinning).toarray().max(0)
    for joint in range(len(share) - 1, 0, -1):  # children come after their parents
        share[body.parents[joint]] += share[joint]
    turns = np.abs(basis).reshape(len(basis), -1, 3).max((0, 2)) > 1e-6
    moves = turns & (share > _LEAST_SHARE)
    moves[0] = True
    carrier = list(range(len(moves)))
    for joint in np.flatnonzero(~moves):
        carrier[joint] = carrier[body.parents[joint]]
    return np.flatnonzero(moves).tolist(), carrier


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float32)
