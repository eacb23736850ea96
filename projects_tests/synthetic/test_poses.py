"""Poses: joints bend as asked, within limits, without gross self-intersection."""

import numpy as np
import pytest

from densepose_ext.surface.body import OpenBody
from densepose_ext.synthetic.poses import ACTIVITIES, sample_posture
from densepose_ext.synthetic.skeleton import Arm, Leg, Pose, Skeleton, self_intersection, unit


@pytest.fixture(scope="module")
def body():
    return OpenBody.load()


def _posed(body, rotations):
    transforms = body.joint_transforms(body.joints[None], rotations[None])[0]
    return (transforms[..., :3] @ body.joints[..., None])[..., 0] + transforms[..., 3]


def _pose(**changes):
    down = {"upper": np.array([0.2, 0, -1.0]), "lower": np.array([0.1, -0.2, -1.0])}
    parts = {
        "left_arm": Arm(**down), "right_arm": Arm(**down),
        "left_leg": Leg(np.array([0.1, 0, -1.0])), "right_leg": Leg(np.array([0.1, 0, -1.0])),
    }  # fmt: skip
    return Pose("test", **{**parts, **changes})


@pytest.mark.parametrize("seed", range(8))
def test_limbs_point_where_they_are_told(body, seed):
    rng = np.random.default_rng(seed)
    upper, lower = unit(rng.normal(size=3) + [1.5, 0, 0]), unit(rng.normal(size=3) + [0, -1, 0])
    thigh = unit(rng.normal(size=3) * 0.4 + [0, -0.5, -1])
    pose = _pose(left_arm=Arm(upper, lower), right_leg=Leg(thigh, knee=1.2))
    joints = _posed(body, Skeleton(body).rotations(pose))
    place = {n: joints[k] for k, n in enumerate(body.joint_names)}
    np.testing.assert_allclose(
        unit(place["lowerarm01.L"] - place["upperarm01.L"]), upper, atol=0.02
    )
    np.testing.assert_allclose(unit(place["wrist.L"] - place["lowerarm01.L"]), lower, atol=0.02)
    found = unit(place["lowerleg01.R"] - place["upperleg01.R"])
    np.testing.assert_allclose(found, thigh * [-1, 1, 1], atol=0.02)
    shin = unit(place["foot.R"] - place["lowerleg01.R"])
    assert np.arccos(shin @ found) == pytest.approx(1.2, abs=0.1)


def test_knees_and_elbows_bend_the_right_way(body):
    pose = _pose(left_leg=Leg(np.array([0, -1.0, 0]), knee=np.pi / 2))
    joints = _posed(body, Skeleton(body).rotations(pose))
    place = {n: joints[k] for k, n in enumerate(body.joint_names)}
    assert place["foot.L"][2] < place["lowerleg01.L"][2] - 0.3  # sitting: the shin hangs down
    assert place["toe1-1.L"][1] < place["foot.L"][1]  # toes forward


def test_mirrored_poses_mirror(body):
    rng = np.random.default_rng(3)
    for activity in ACTIVITIES:
        pose = activity(rng)
        skeleton = Skeleton(body)
        one = _posed(body, skeleton.rotations(pose))
        two = _posed(body, skeleton.rotations(pose.mirrored()))
        np.testing.assert_allclose(two[body.joint_mirror] * [-1, 1, 1], one, atol=1e-5)


def test_every_activity_gives_a_body_with_its_head_on(body):
    rng = np.random.default_rng(0)
    skeleton = Skeleton(body)
    for activity in ACTIVITIES:
        for _ in range(5):
            pose = activity(rng)
            rotations = skeleton.rotations(pose)
            np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-6)
            joints = _posed(body, rotations)
            place = {n: joints[k] for k, n in enumerate(body.joint_names)}
            if pose.name in ("stand", "walk", "sit", "reach", "arms up", "kneel"):
                assert place["head"][2] > place["root"][2] + 0.3


def test_self_intersection_finds_an_arm_in_the_chest(body):
    skeleton = Skeleton(body)
    through = Arm(np.array([-0.3, -0.3, -1.0]), np.array([-1.0, 0.6, 0.3]))
    bad = _posed(body, skeleton.rotations(_pose(left_arm=through)))
    good = _posed(body, skeleton.rotations(_pose()))
    depth = self_intersection(body, np.stack([bad, good]))
    assert depth[0] > 0.05
    assert depth[1] < 0.02


def test_sampled_postures_rarely_intersect(body):
    rng = np.random.default_rng(0)
    depth = []
    for _ in range(40):
        _, rotations = sample_posture(rng, body, body.joints)
        depth.append(self_intersection(body, _posed(body, rotations)[None])[0])
    assert np.mean(np.array(depth) > 0.03) < 0.1
