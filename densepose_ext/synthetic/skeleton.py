"""From limb directions to joint rotations of the open body, and a test for self-intersection.

A pose says where upper arms and forearms point, how far knees bend, how the trunk leans. Directions
are those of left limbs in the axes of the chest (arms) or pelvis (legs): x to the person's left, -y
to the front, z up; right limbs mirror x.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from ..surface.body import OpenBody

_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03", "head")


@dataclass
class Arm:
    """One arm, described as a left one.

    Attributes:
        upper, lower: directions of upper arm and forearm in the axes of the chest.
        roll: rotation of the hand about the forearm, radians; at 0 the palm faces the thigh.
        curl: bend of each finger joint, radians.
        wrist: bend of the wrist towards the palm, radians.
    """

    upper: np.ndarray
    lower: np.ndarray
    roll: float = 0.0
    curl: float = 0.3
    wrist: float = 0.0


@dataclass
class Leg:
    """One leg, described as a left one.

    Attributes:
        thigh: direction of the thigh in the axes of the pelvis.
        knee: bend of the knee, radians.
        turn: outward rotation of knee and foot about the thigh, radians.
        ankle: bend that lifts the toes, radians.
    """

    thigh: np.ndarray
    knee: float = 0.0
    turn: float = 0.1
    ankle: float = 0.0


@dataclass
class Pose:
    """The pose of a whole body.

    Attributes:
        name: the activity.
        left_arm, right_arm, left_leg, right_leg: limbs.
        trunk, head: bend forwards, bend to the left and turn to the left, radians.
        root: rotation (3, 3) of the whole body; the identity is upright, facing -y.
        support: what carries the weight: "feet", "seat", "ground" or "air".
    """

    name: str
    left_arm: Arm
    right_arm: Arm
    left_leg: Leg
    right_leg: Leg
    trunk: np.ndarray = field(default_factory=lambda: np.zeros(3))
    head: np.ndarray = field(default_factory=lambda: np.zeros(3))
    root: np.ndarray = field(default_factory=lambda: np.eye(3))
    support: str = "feet"

    def mirrored(self) -> "Pose":
        """The pose with left and right exchanged."""
        reflect = np.diag([-1.0, 1, 1])
        return Pose(
            self.name,
            self.right_arm,
            self.left_arm,
            self.right_leg,
            self.left_leg,
            self.trunk * [1, -1, -1],
            self.head * [1, -1, -1],
            reflect @ self.root @ reflect,
            self.support,
        )


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector scaled to length 1."""
    vector = np.asarray(vector, float)
    return vector / max(math.sqrt(vector.dot(vector)), 1e-12)


def turn(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation (3, 3) by an angle in radians about an axis."""
    return _turned_by(unit(axis) * angle)


def _turned_by(vector: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) of a rotation vector, whose length is the angle in radians.

    In plain floats, by a quaternion: for single vectors, of which a body takes about 40, this is
    four times as fast as scipy's ``Rotation``.
    """
    x, y, z = vector.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    if angle > 1e-3:
        scale = math.sin(angle / 2) / angle
    else:
        scale = 0.5 - angle**2 / 48 + angle**2 * angle**2 / 3840
    x, y, z, w = x * scale, y * scale, z * scale, math.cos(angle / 2)
    xx, yy, zz, ww = x * x, y * y, z * z, w * w
    xy, yz, zx, xw, yw, zw = x * y, y * z, x * z, x * w, y * w, z * w
    return np.array(
        [
            [xx - yy - zz + ww, 2 * (xy - zw), 2 * (zx + yw)],
            [2 * (xy + zw), -xx + yy - zz + ww, 2 * (yz - xw)],
            [2 * (zx - yw), 2 * (yz + xw), -xx - yy + zz + ww],
        ]
    )


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cross product of two vectors (3,), ten times as fast as ``np.cross`` for one pair."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def bend(forwards: float, left: float, around: float) -> np.ndarray:
    """Rotation (3, 3) of trunk or head: bend forwards, bend to the left, turn to the left."""
    return Rotation.from_euler("zyx", [around, left, forwards]).as_matrix()


def _swing(start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The smallest rotation from one direction to another."""
    axis = cross(start, goal)
    sine = math.sqrt(axis.dot(axis))
    if sine < 1e-9:
        return np.eye(3) if start @ goal > 0 else turn(np.cross(start, [0.3, 0.5, 0.8]), np.pi)
    return turn(axis, np.arctan2(sine, start @ goal))


def _frame(along: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """Right-handed axes (3, 3), as columns: bone, hinge axis, and their cross product."""
    along = unit(along)
    hinge = unit(hinge - along * (hinge @ along))
    return np.stack([along, hinge, cross(along, hinge)], 1)


class Skeleton:
    """Turns poses into joint rotations for the proportions of the open body."""

    def __init__(self, body: OpenBody):
        self.body = body
        self._joint = {n: k for k, n in enumerate(body.joint_names)}
        place = {n: body.joints[k] for n, k in self._joint.items()}
        self._upper = unit(place["lowerarm01.L"] - place["upperarm01.L"])
        self._lower = unit(place["wrist.L"] - place["lowerarm01.L"])
        self._elbow = unit(cross(self._upper, self._lower))
        self._thigh = unit(place["lowerleg01.L"] - place["upperleg01.L"])
        self._shin = unit(place["foot.L"] - place["lowerleg01.L"])
        self._hand = unit(place["finger3-1.L"] - place["wrist.L"])
        across = place["finger2-1.L"] - place["finger5-1.L"]
        palm = unit(cross(self._hand, across))
        self._palm = palm * np.sign(palm @ [-1.0, 0, -1])

    def rotations(self, pose: Pose) -> np.ndarray:
        """Joint rotations (J, 3, 3), relative to the parents, in the axes of the rest pose."""
        result = np.tile(np.eye(3), (len(self.body.parents), 1, 1))

        def put(name, rotation):
            result[self._joint[name]] = rotation

        put("root", pose.root)
        for names, angles in ((_SPINE, pose.trunk), (_NECK, pose.head)):
            share = bend(*(np.asarray(angles) / len(names)))
            for name in names:
                put(name, share)
        for side, arm, leg in (
            ("L", pose.left_arm, pose.left_leg),
            ("R", pose.right_arm, pose.right_leg),
        ):
            for name, rotation in {**self._arm(arm), **self._leg(leg)}.items():
                if side == "R":
                    reflect = np.diag([-1.0, 1, 1])
                    rotation = reflect @ rotation @ reflect
                put(f"{name}.{side}", rotation)
        return result

    def _arm(self, arm: Arm) -> dict[str, np.ndarray]:
        """Local rotations of the joints of a left arm."""
        upper, lower = unit(arm.upper), unit(arm.lower)
        # the shoulder girdle follows the arm up and forwards
        lift = 0.45 * np.arcsin(min(max(upper[2] + 0.3, 0.0), 1.0))
        reach = 0.3 * np.arcsin(min(max(-upper[1], -0.5), 1.0))
        girdle = turn([0, 0, 1], -reach) @ turn([0, 1, 0], -lift)
        half = _turned_by(Rotation.from_matrix(girdle).as_rotvec() / 2)

        swing = _swing(self._upper, upper)
        hinge = cross(upper, lower) + 0.2 * (swing @ self._elbow)
        whole = _frame(upper, hinge) @ _frame(self._upper, self._elbow).T
        twist = Rotation.from_matrix(swing.T @ whole).as_rotvec() @ self._upper
        first = swing @ turn(self._upper, 0.4 * twist)
        forearm = _frame(lower, hinge) @ _frame(self._lower, self._elbow).T
        result = {
            "clavicle": half,
            "shoulder01": half,
            "upperarm01": girdle.T @ first,
            "upperarm02": turn(self._upper, 0.6 * twist),
            "lowerarm01": whole.T @ forearm,
            "lowerarm02": turn(self._lower, 0.5 * arm.roll),
        }
        grip = cross(self._hand, self._palm)
        result["wrist"] = turn(self._lower, 0.5 * arm.roll) @ turn(grip, arm.wrist)
        for finger in (2, 3, 4, 5):
            bent = turn(grip, arm.curl * (0.85 + 0.05 * finger))
            result.update({f"finger{finger}-{joint}": bent for joint in (1, 2, 3)})
        result["finger1-2"] = turn(grip, 0.4 * arm.curl)
        result["finger1-3"] = turn(grip, 0.5 * arm.curl)
        return result

    def _leg(self, leg: Leg) -> dict[str, np.ndarray]:
        """Local rotations of the joints of a left leg."""
        thigh = unit(leg.thigh)
        swing = _swing(self._thigh, thigh)
        side = np.array([1.0, 0, 0])
        rest_hinge = _frame(self._thigh, side)[:, 1]
        hinge = turn(thigh, -leg.turn) @ (swing @ rest_hinge)
        whole = _frame(thigh, hinge) @ _frame(self._thigh, rest_hinge).T
        twist = Rotation.from_matrix(swing.T @ whole).as_rotvec() @ self._thigh
        return {
            "upperleg01": swing @ turn(self._thigh, 0.5 * twist),
            "upperleg02": turn(self._thigh, 0.5 * twist),
            # in the rest pose the knee is already bent by about 10 degrees
            "lowerleg01": turn(rest_hinge, leg.knee - 0.17),
            "foot": turn(side, -leg.ankle),
        }


#: Capsules that approximate the body in the self-intersection test: end joints, radius.
_CAPSULES = {
    "torso": ("spine05", "spine01", 0.115),
    "head": ("head", "head", 0.10),
    "upper_arm.L": ("upperarm01.L", "lowerarm01.L", 0.045),
    "upper_arm.R": ("upperarm01.R", "lowerarm01.R", 0.045),
    "forearm.L": ("lowerarm01.L", "wrist.L", 0.038),
    "forearm.R": ("lowerarm01.R", "wrist.R", 0.038),
    "hand.L": ("wrist.L", "finger3-2.L", 0.03),
    "hand.R": ("wrist.R", "finger3-2.R", 0.03),
    "thigh.L": ("upperleg02.L", "lowerleg01.L", 0.07),
    "thigh.R": ("upperleg02.R", "lowerleg01.R", 0.07),
    "shin.L": ("lowerleg01.L", "foot.L", 0.05),
    "shin.R": ("lowerleg01.R", "foot.R", 0.05),
}
_PAIRS = (
    [(f"{a}.{s}", b) for s in "LR" for a in ("forearm", "hand") for b in ("torso", "head")]
    + [(f"{a}.{s}", f"{b}.{t}") for s in "LR" for t in "LR" for a in ("forearm", "hand")
       for b in ("thigh", "shin")]
    + [(f"{a}.L", f"{b}.R") for a in ("upper_arm", "forearm", "hand")
       for b in ("upper_arm", "forearm", "hand")]
    + [(f"{a}.L", f"{b}.R") for a in ("thigh", "shin") for b in ("thigh", "shin")]
    + [(f"shin.{s}", "torso") for s in "LR"]
)  # fmt: skip


def self_intersection(body: OpenBody, joints: np.ndarray) -> np.ndarray:
    """Deepest penetration (N,), metres, among the limbs' capsules at posed joints (N, J, 3)."""
    index = {n: k for k, n in enumerate(body.joint_names)}
    ends = {k: (joints[:, index[a]], joints[:, index[b]]) for k, (a, b, _) in _CAPSULES.items()}
    head = joints[:, index["head"]]
    ends["head"] = (head, head + 1.2 * (head - joints[:, index["neck02"]]))
    # all pairs at once, (N, P, 3) for each end, instead of a hundred small operations
    corners = (
        np.stack([ends[pair[k]][end] for pair in _PAIRS], 1) for k in (0, 1) for end in (0, 1)
    )
    radii = np.array([_CAPSULES[a][2] + _CAPSULES[b][2] for a, b in _PAIRS])
    return np.maximum((radii - _segment_distance(*corners)).max(1), 0)


def _segment_distance(p0, p1, q0, q1, steps: int = 7):
    """Least distance (...) from samples of one segment to the other segment; ends (..., 3)."""
    t = np.linspace(0, 1, steps)[:, None]
    points = p0[..., None, :] * (1 - t) + p1[..., None, :] * t
    start, along = q0[..., None, :], (q1 - q0)[..., None, :]
    s = ((points - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    nearest = start + np.clip(s, 0, 1)[..., None] * along
    return np.linalg.norm(points - nearest, axis=-1).min(-1)
