"""Random poses of activities: standing, walking, sitting, reaching, lying, riding, and more."""

import numpy as np

from ..surface.body import OpenBody
from .skeleton import (
    Arm,
    Leg,
    Pose,
    Skeleton,
    self_intersection,
    turn,
    unit,
)

#: Self-intersection that is tolerated, as clothes and soft tissue give way, metres.
TOLERANCE = 0.025
#: Poses tried for one person before the least self-intersecting one is taken.
TRIALS = 6


def _near(rng, direction, spread):
    """A random direction near another one."""
    return unit(unit(direction) + rng.normal(0, spread, 3))


def _arm(rng, upper, lower, spread=0.12, roll=None, curl=None):
    upper, lower = _near(rng, upper, spread), _near(rng, lower, spread)
    # joint limits: the arm does not reach far behind the back, the elbow neither folds flat nor
    # bends backwards
    upper[1] = min(upper[1], 0.55)
    upper[0] = max(upper[0], -0.35)
    lower = lower + max(-0.82 - unit(lower) @ unit(upper), 0) * unit(upper)
    return Arm(
        unit(upper),
        unit(lower),
        roll=rng.normal(0, 0.45) if roll is None else rng.normal(roll, 0.2),
        curl=rng.uniform(0.05, 0.7) if curl is None else rng.normal(curl, 0.1),
        wrist=rng.normal(0.05, 0.2),
    )


def _leg(rng, thigh, knee, spread=0.06, turn_out=0.12, ankle=0.0):
    thigh = _near(rng, thigh, spread)
    thigh[0] = min(max(thigh[0], -0.3), 0.75)
    thigh[1] = min(thigh[1], 0.5)
    return Leg(
        unit(thigh),
        knee=min(max(float(knee + rng.normal(0, spread)), 0.02), 2.5),
        turn=rng.normal(turn_out, 0.12),
        ankle=rng.normal(ankle, 0.08),
    )


# Gestures: directions of upper arm and forearm of a left arm, in the axes of the chest.
_ARMS = {
    "down": ([0.2, 0.02, -1], [0.12, -0.22, -1]),
    "hip": ([0.75, 0.3, -0.75], [-0.65, -0.5, -0.5]),
    "pocket": ([0.35, 0.3, -1], [-0.1, -0.35, -0.9]),
    "behind": ([0.3, 0.45, -0.95], [-0.55, 0.3, -0.75]),
    "crossed": ([0.2, -0.35, -0.95], [-0.85, -0.55, 0.15]),
    "chest": ([0.3, -0.15, -1], [-0.6, -0.6, 0.5]),
    "phone": ([0.2, -0.25, -0.95], [-0.25, -0.8, 0.4]),
    "ear": ([0.45, -0.5, -0.6], [-0.15, 0.1, 1]),
    "face": ([0.3, -0.65, -0.55], [-0.4, -0.25, 0.9]),
    "forward": ([0.1, -1, -0.15], [0.0, -1, 0.05]),
    "forward_low": ([0.15, -0.65, -0.75], [0.0, -1, -0.1]),
    "carry": ([0.2, -0.1, -1], [0.0, -1, -0.05]),
    "up": ([0.35, -0.15, 1], [0.05, -0.1, 1]),
    "wave": ([0.9, -0.15, 0.1], [0.35, -0.15, 1]),
    "side": ([1, -0.05, 0.05], [1, -0.2, 0.0]),
    "side_low": ([0.85, -0.1, -0.5], [0.8, -0.35, -0.35]),
    "head": ([0.85, -0.2, 0.55], [-0.7, 0.1, 0.55]),
    "lap": ([0.2, -0.3, -0.95], [-0.25, -0.95, -0.2]),
    "knee": ([0.25, -0.55, -0.85], [0.0, -0.85, -0.5]),
    "handlebar": ([0.35, -0.8, -0.55], [0.05, -1, -0.2]),
    "ground": ([0.2, -0.85, -0.5], [0.0, -0.9, -0.45]),
    "run_front": ([0.2, -0.35, -0.95], [-0.2, -0.8, 0.45]),
    "run_back": ([0.35, 0.5, -0.85], [0.05, -0.75, -0.55]),
    "throw": ([0.75, 0.25, 0.45], [0.1, -0.1, 1]),
}
_IDLE = (
    "down", "down", "down", "hip", "pocket", "behind", "crossed", "chest", "phone", "ear",
    "face", "carry", "head", "side_low", "wave", "forward_low",
)  # fmt: skip


def _arms(rng, *names, spread=0.12):
    """Both arms in one of the gestures of ``_ARMS``, or each in its own: left, right."""
    if len(names) == 1:
        names = names * 2
    return [_arm(rng, *_ARMS[n], spread=spread) for n in names]


def _idle_arms(rng):
    if rng.random() < 0.5:
        name = _IDLE[rng.integers(len(_IDLE))]
        return _arms(rng, name)
    return _arms(rng, _IDLE[rng.integers(len(_IDLE))], _IDLE[rng.integers(len(_IDLE))])


def _trunk(rng, forwards=0.05, spread=0.08):
    return np.array([forwards, 0, 0]) + rng.normal(0, spread, 3) * [1, 0.7, 1.3]


def _head(rng, forwards=0.05):
    limits = np.array([0.6, 0.4, 1.1])
    return np.clip(np.array([forwards, 0, 0]) + rng.normal(0, [0.18, 0.1, 0.38]), -limits, limits)


def _stand(rng):
    left, right = _idle_arms(rng)
    wide = rng.uniform(0.0, 0.22)
    rest = rng.uniform(0, 0.35) if rng.random() < 0.4 else 0.0
    return Pose(
        "stand", left, right,
        _leg(rng, [wide, -0.05, -1], 0.06),
        _leg(rng, [wide, -0.05 - rest * 0.5, -1], 0.06 + rest),
        _trunk(rng), _head(rng),
    )  # fmt: skip


def _walk(rng):
    phase, stride = rng.uniform(0, 1), rng.uniform(0.3, 0.6)
    swing = np.sin(2 * np.pi * phase)
    lift = np.clip(np.cos(2 * np.pi * phase), 0, 1)
    left, right = (
        _arm(rng, [0.2, 0.05 + s * 0.45 * stride * 1.6, -1], [0.08, -0.3 + s * 0.3, -1], 0.08)
        for s in (swing, -swing)
    )
    if rng.random() < 0.35:
        right = _arm(rng, *_ARMS[_IDLE[rng.integers(len(_IDLE))]])
    back = max(-swing, 0) * 0.5
    other = max(swing, 0) * 0.5
    return Pose(
        "walk", left, right,
        _leg(rng, [0.03, -stride * swing, -1], 0.1 + back + lift * 0.7),
        _leg(rng, [0.03, stride * swing, -1], 0.1 + other),
        _trunk(rng, 0.08), _head(rng),
    )  # fmt: skip


def _run(rng):
    sign = rng.choice([-1, 1])
    left, right = _arms(rng, "run_back", "run_front")
    knee = rng.uniform(0.9, 1.9)
    return Pose(
        "run", left, right,
        _leg(rng, [0.05, -rng.uniform(0.5, 1.1), -0.9], knee),
        _leg(rng, [0.05, rng.uniform(0.25, 0.5), -1], rng.uniform(0.3, 1.3), ankle=-0.4),
        np.array([rng.uniform(0.1, 0.4), 0, 0.15 * sign]) + rng.normal(0, 0.05, 3), _head(rng),
        root=turn([1, 0, 0], rng.uniform(0.0, 0.2)), support="air",
    )  # fmt: skip


def _sit(rng):
    name = rng.choice(["lap", "knee", "carry", "forward_low", "crossed", "phone", "idle"])
    left, right = _idle_arms(rng) if name == "idle" else _arms(rng, name)
    spread, up = rng.uniform(0.02, 0.4), rng.normal(0.0, 0.12)
    legs = [
        _leg(rng, [spread, -1, up], rng.uniform(1.1, 1.9), turn_out=0.1 + spread * 0.4)
        for _ in range(2)
    ]
    if rng.random() < 0.2:  # legs crossed
        legs[0] = _leg(rng, [-0.22, -1, 0.3], 1.3, turn_out=0.1)
    lean = rng.uniform(-0.3, 0.55)
    return Pose(
        "sit", left, right, *legs, _trunk(rng, lean), _head(rng, 0.1 - 0.3 * lean), support="seat"
    )


def _sit_ground(rng):
    left, right = _arms(rng, rng.choice(["knee", "lap", "behind", "forward_low"]))
    if rng.random() < 0.5:  # knees up
        legs = [_leg(rng, [rng.uniform(0, 0.3), -0.8, 0.7], rng.uniform(1.7, 2.2)) for _ in "LR"]
    else:  # legs forward
        legs = [_leg(rng, [rng.uniform(0.05, 0.4), -1, 0.05], rng.uniform(0, 0.6)) for _ in "LR"]
    return Pose("sit", left, right, *legs, _trunk(rng, 0.2), _head(rng), support="ground")


def _crouch(rng):
    left, right = _arms(rng, rng.choice(["knee", "forward_low", "ground", "lap", "chest"]))
    deep = rng.uniform(0.2, 1)
    spread = rng.uniform(0.1, 0.5)
    thigh = [spread, -0.6 - 0.5 * deep, -0.7 + 0.8 * deep]
    legs = [_leg(rng, thigh, 1.2 + 1.0 * deep, turn_out=0.1 + 0.6 * spread, ankle=0.35)
            for _ in "LR"]  # fmt: skip
    return Pose(
        "crouch", left, right, *legs, _trunk(rng, 0.35), _head(rng, -0.1),
        root=turn([1, 0, 0], 0.15 + 0.2 * deep),
    )  # fmt: skip


def _kneel(rng):
    left, right = _idle_arms(rng)
    legs = [_leg(rng, [0.1, 0.0, -1], 1.6), _leg(rng, [0.1, -1, -0.1], 1.5)]
    if rng.random() < 0.4:
        legs[1] = _leg(rng, [0.1, 0.0, -1], 1.6)
    return Pose("kneel", left, right, *legs, _trunk(rng, 0.1), _head(rng), support="ground")


def _reach(rng):
    one = rng.choice(["forward", "up", "side", "forward_low", "throw", "wave"])
    other = rng.choice(["down", "down", "hip", one, "carry"])
    left, right = _arms(rng, one, other, spread=0.2)
    return Pose(
        "reach", left, right,
        _leg(rng, [0.12, -rng.uniform(-0.2, 0.45), -1], rng.uniform(0.05, 0.5)),
        _leg(rng, [0.12, rng.uniform(-0.1, 0.3), -1], 0.1),
        _trunk(rng, rng.uniform(-0.1, 0.35), 0.15), _head(rng),
    )  # fmt: skip


def _arms_up(rng):
    left, right = _arms(rng, rng.choice(["up", "up", "wave", "head"]), spread=0.18)
    wide = rng.uniform(0, 0.35)
    legs = [_leg(rng, [wide, -0.02, -1], 0.08) for _ in "LR"]
    return Pose("arms up", left, right, *legs, _trunk(rng, -0.1), _head(rng, -0.15))


def _bend(rng):
    deep = rng.uniform(0.4, 1.3)
    left, right = _arms(rng, rng.choice(["forward_low", "ground", "forward", "knee", "hip"]))
    knee = rng.uniform(0.05, 0.9)
    legs = [_leg(rng, [rng.uniform(0.05, 0.25), -0.15 - deep * 0.5 - knee * 0.5, -1], knee)
            for _ in "LR"]  # fmt: skip
    return Pose(
        "bend", left, right, *legs, np.array([0.55 * deep, *rng.normal(0, 0.12, 2)]),
        _head(rng, -0.2), root=turn([1, 0, 0], 0.45 * deep),
    )  # fmt: skip


def _lie(rng):
    left, right = _arms(rng, *rng.choice(["down", "side_low", "up", "side", "chest", "head"], 2))
    legs = [
        _leg(rng, [rng.uniform(0, 0.3), -rng.choice([0, 0, 0.9]) * rng.random(), -1],
             rng.choice([0.1, 0.2, 1.2]) * rng.random())
        for _ in "LR"
    ]  # fmt: skip
    roll = rng.choice([0, 0, np.pi, np.pi / 2, -np.pi / 2]) + rng.normal(0, 0.15)
    root = turn([1, 0, 0], -np.pi / 2) @ turn([0, 0, 1], roll)
    return Pose("lie", left, right, *legs, _trunk(rng, 0), _head(rng), root, "ground")


def _ride(rng):
    left, right = _arms(rng, "handlebar", spread=0.08)
    lean = rng.uniform(0.1, 0.6)
    turned = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:  # pedals
        legs = [
            _leg(
                rng,
                [0.12, -0.85, -0.55 + 0.35 * np.sin(turned + k)],
                1.3 + 0.5 * np.cos(turned + k),
            )
            for k in (0, np.pi)
        ]
    else:  # motorbike: knees apart
        legs = [_leg(rng, [0.45, -0.95, -0.25], 1.5, turn_out=0.2) for _ in "LR"]
    return Pose(
        "ride", left, right, *legs, _trunk(rng, 0.5 * lean), _head(rng, -0.3 * lean),
        turn([1, 0, 0], 0.5 * lean), "seat",
    )  # fmt: skip


def _jump(rng):
    left, right = _arms(rng, rng.choice(["up", "side", "throw", "side_low"]), spread=0.25)
    bent = rng.uniform(0.2, 1.5)
    legs = [_leg(rng, [rng.uniform(0.05, 0.5), -0.5 * bent, -1], bent, 0.15, ankle=-0.5)
            for _ in "LR"]  # fmt: skip
    return Pose("jump", left, right, *legs, _trunk(rng, 0.1, 0.15), _head(rng), support="air")


def _sport(rng):
    """Throwing, kicking, lunging: the long diagonals of a body in action."""
    left, right = _arms(rng, *rng.choice(["throw", "side", "forward", "run_back", "wave"], 2),
                        spread=0.25)  # fmt: skip
    if rng.random() < 0.5:  # kick
        legs = [_leg(rng, [0.15, -rng.uniform(0.4, 1.4), -0.8], rng.uniform(0, 0.8)),
                _leg(rng, [0.05, 0.1, -1], 0.2)]  # fmt: skip
    else:  # lunge
        legs = [_leg(rng, [0.15, -1, -0.6], 1.2), _leg(rng, [0.2, 0.5, -0.9], 0.3, ankle=-0.4)]
    return Pose(
        "sport", left, right, *legs, _trunk(rng, 0.15, 0.2), _head(rng),
        turn([1, 0, 0], rng.uniform(-0.1, 0.3)),
    )  # fmt: skip


#: Activities, and how frequent each is.
ACTIVITIES = {
    _stand: 0.23, _walk: 0.17, _run: 0.05, _sit: 0.15, _sit_ground: 0.03, _crouch: 0.05,
    _kneel: 0.02, _reach: 0.09, _arms_up: 0.05, _bend: 0.05, _lie: 0.02, _ride: 0.04,
    _jump: 0.02, _sport: 0.03,
}  # fmt: skip


def sample_posture(
    rng: np.random.Generator, body: OpenBody, joints: np.ndarray
) -> tuple[Pose, np.ndarray]:
    """A pose drawn from ``ACTIVITIES``, and its joint rotations (J, 3, 3).

    Of several draws, the first without gross self-intersection is taken.

    Args:
        joints: (J, 3) joints of the person's shape in the rest pose.
    """
    skeleton = Skeleton(body)
    activity = list(ACTIVITIES)[rng.choice(len(ACTIVITIES), p=list(ACTIVITIES.values()))]
    candidates = [activity(rng) for _ in range(TRIALS)]
    if rng.random() < 0.5:
        candidates = [pose.mirrored() for pose in candidates]
    tried = []
    for pose in candidates:
        rotations = skeleton.rotations(pose)
        transforms = body.joint_transforms(joints[None], rotations[None])
        posed = (transforms[..., :3] @ joints[None, ..., None])[..., 0] + transforms[..., 3]
        depth = self_intersection(body, posed)[0]
        if depth < TOLERANCE:
            return pose, rotations
        tried.append((depth, pose, rotations))
    _, pose, rotations = min(tried, key=lambda trial: trial[0])
    return pose, rotations
