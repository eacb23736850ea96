"""Fits the open body to 2-D keypoints of people, as SMPLify does (Bogo et al., ECCV 2016).

Pose, shape and camera minimize a robust reprojection error and Gaussian priors on pose and shape,
starting from several views of the mean body. Letters: N people, V vertices, D pose and K shape
components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ..surface.body import OpenBody
from ..synthetic.annotators import KEYPOINT_ERROR
from ..synthetic.poses import sample_posture
from .body_keypoints import BodyKeypoints, rotations

#: Assumed focal length, in longer sides of the image: cameras rarely state theirs.
FOCAL = 1.5
#: Fewest labelled keypoints of a person who can be fitted.
FEWEST_KEYPOINTS = 6
#: Annotators' errors from which a keypoint counts as an outlier.
OUTLIER = 10.0
#: Directions around the vertical from which the mean body is seen first.
VIEWS = 4
STEPS = 200
#: Postures from which the prior on poses is estimated, and number of its principal components.
POSTURES, POSE_COMPONENTS = 500, 32

_LEARNING_RATE = 0.06
#: From the axes of the body, which faces -y, to those of a camera in front of it.
_FRONT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
#: Least depth of a keypoint when it is projected, metres.
_NEAR = 0.05


@dataclass
class Fit:
    """Fitted bodies.

    Attributes:
        pose: (N, D), shape: (N, K), in standard deviations of their priors.
        rotation: (N, 3, 3), translation: (N, 3), metres: from the axes of the body, with the origin
            at its root joint, to those of the camera (x right, y down, z forward).
        error: (N,) mean distance of the labelled keypoints, pixels.
    """

    pose: np.ndarray
    shape: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    error: np.ndarray


class BodyFit:
    """Fits bodies to keypoints. The prior on poses is that of synthetic people."""

    def __init__(self, body: OpenBody):
        self._body = body
        rng = np.random.default_rng(0)
        drawn = np.stack([sample_posture(rng, body, body.joints)[1] for _ in range(POSTURES)])
        vectors = Rotation.from_matrix(drawn.reshape(-1, 3, 3)).as_rotvec().reshape(POSTURES, -1)
        vectors[:, :3] = 0  # the root is turned by the camera
        self._mean = vectors.mean(0)
        _, sizes, axes = np.linalg.svd(vectors - self._mean, full_matrices=False)
        self._basis = (axes * sizes[:, None])[:POSE_COMPONENTS] / np.sqrt(POSTURES)
        self._keypoints = BodyKeypoints(body, self._mean, self._basis)

    def fit(
        self, keypoints: np.ndarray, areas: np.ndarray, sizes: np.ndarray, steps: int = STEPS
    ) -> Fit:
        """Fits a body to each person.

        Args:
            keypoints: (N, 17, 3) of COCO, whole pixels; at least one labelled (visibility over 0).
            areas: (N,) of the people, pixels.
            sizes: (N, 2) heights and widths of their images.
        """
        problem = _Problem(self, keypoints, areas, sizes)
        optimizer = torch.optim.Adam(problem.unknowns, _LEARNING_RATE, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            problem.energy().sum().backward()
            optimizer.step()
            schedule.step()
        return problem.best()

    def vertices(self, fit: Fit) -> np.ndarray:
        """Vertices (N, V, 3) of fitted bodies in the axes of the camera, metres."""
        vectors = self._mean + fit.pose @ self._basis
        turns = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
        turns = turns.reshape(len(vectors), -1, 3, 3)
        posed, joints = self._body.pose(*self._body.shape(fit.shape), turns)
        return (posed - joints[:, :1]) @ fit.rotation.swapaxes(1, 2) + fit.translation[:, None]


class _Problem:
    """What is minimized: all people in all views, as one batch of B = N * VIEWS bodies.

    Attributes:
        unknowns: pose (B, D), shape (B, K), rotation vector (B, 3) after the initial rotation, and
            place (B, 3): x / z, y / z and log z of the root joint.
    """

    def __init__(
        self, fitter: BodyFit, keypoints: np.ndarray, areas: np.ndarray, sizes: np.ndarray
    ):
        self._keypoints = fitter._keypoints
        components = len(fitter._basis), len(fitter._body.shape_basis)
        labelled = keypoints[..., 2] > 0
        target = keypoints[..., :2] + 0.5 - sizes[:, None, ::-1] / 2
        focal = FOCAL * sizes.max(1)
        sigma = np.sqrt(np.maximum(areas, 1) / 2)[:, None] * KEYPOINT_ERROR  # along each axis

        with torch.no_grad():
            mean = self._keypoints(*(torch.zeros(1, number) for number in components))[0].numpy()
        turn, place = _start(mean, target, labelled, focal)
        self._start = torch.as_tensor(turn.reshape(-1, 3, 3), dtype=torch.float32)
        self._target, self._labelled, self._focal, self._sigma = (
            torch.as_tensor(np.repeat(values, VIEWS, 0), dtype=torch.float32)
            for values in (target, labelled, focal, sigma)
        )
        first = torch.as_tensor(place.reshape(-1, 3), dtype=torch.float32)
        zeros = [torch.zeros(len(first), number) for number in (*components, 3)]
        self.unknowns = [values.requires_grad_() for values in (*zeros, first)]

    def _placement(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotations (B, 3, 3) and translations (B, 3) from bodies to cameras."""
        _, _, turn, place = self.unknowns
        ray = torch.cat([place[:, :2], torch.ones_like(place[:, :1])], 1)
        return rotations(turn) @ self._start, ray * place[:, 2:].exp()

    def _offsets(self) -> torch.Tensor:
        """Vectors (B, 17, 2) from annotated to projected keypoints, pixels."""
        rotation, translation = self._placement()
        points = self._keypoints(*self.unknowns[:2]) @ rotation.mT + translation[:, None]
        projected = points[..., :2] / points[..., 2:].clamp(min=_NEAR)
        return self._focal[:, None, None] * projected - self._target

    def energy(self) -> torch.Tensor:
        """(B,) negative logarithms of the probability of each body."""
        pose, shape, *_ = self.unknowns
        squared = (self._offsets() / self._sigma[..., None]).square().sum(-1)
        robust = squared / (1 + squared / OUTLIER**2)  # Geman and McClure
        return ((robust * self._labelled).sum(1) + pose.square().sum(1) + shape.square().sum(1)) / 2

    @torch.no_grad()
    def best(self) -> Fit:
        """Of each person, the body of the least energy."""
        views = self.energy().unflatten(0, (-1, VIEWS)).argmin(1)
        chosen = views + VIEWS * torch.arange(len(views))
        distances = self._offsets().norm(dim=-1)
        errors = (distances * self._labelled).sum(1) / self._labelled.sum(1)
        values = (*self.unknowns[:2], *self._placement(), errors)
        return Fit(*(value[chosen].double().numpy() for value in values))


def _start(
    mean: np.ndarray, target: np.ndarray, labelled: np.ndarray, focal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Initial rotations (N, VIEWS, 3, 3) and places (N, VIEWS, 3) of the mean body.

    Its size, position and rotation in the image are those of the similarity that brings its
    keypoints closest to the annotated ones.

    Args:
        mean: (17, 3) keypoints of the mean body.
        target: (N, 17, 2) annotated ones, from the image's centre. labelled: (N, 17) bool.
        focal: (N,) pixels.
    """
    around = np.arange(VIEWS)[:, None] * [0, 0, 2 * np.pi / VIEWS]
    views = _FRONT @ Rotation.from_rotvec(around).as_matrix()
    seen = mean @ views.swapaxes(1, 2)
    # Points of the plane as complex numbers, with which a similarity is z -> a z + b.
    model, goal = seen[None, ..., 0] + 1j * seen[None, ..., 1], target @ [1, 1j]
    weight = (labelled / labelled.sum(1, keepdims=True))[:, None]
    goal = goal[:, None]
    model_centre, goal_centre = ((weight * x).sum(-1, keepdims=True) for x in (model, goal))
    model, goal = model - model_centre, goal - goal_centre
    angle = np.angle((weight * goal * model.conj()).sum(-1))
    scale = np.sqrt((weight * abs(goal) ** 2).sum(-1) / (weight * abs(model) ** 2).sum(-1))
    scale = np.maximum(scale, 1)  # pixels per metre
    root = goal_centre[..., 0] - scale * np.exp(1j * angle) * model_centre[..., 0]
    in_image = Rotation.from_rotvec(angle.reshape(-1, 1) * [0, 0, 1]).as_matrix()
    place = [root.real / focal[:, None], root.imag / focal[:, None]]
    place.append(np.log(focal[:, None] / scale))
    return in_image.reshape(*angle.shape, 3, 3) @ views, np.stack(place, -1)
