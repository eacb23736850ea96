"""The open body: posing against Anny's own output, and its symmetry."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from densepose_ext.surface.body import COCO_KEYPOINTS, OpenBody, vertex_normals

POSED = Path(__file__).parent / "data" / "posed_anny.npz"


@pytest.fixture(scope="module")
def body():
    return OpenBody.load()


def _rotations(vectors):
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)


def test_posed_vertices_agree_with_stored_anny_output(body):
    stored = np.load(POSED)
    rest, joints = body.shape(stored["coefficients"])
    posed, _ = body.pose(rest, joints, _rotations(stored["rotation_vectors"]))
    error = np.linalg.norm(posed[:, stored["vertex"]] - stored["position"], axis=-1)
    assert error.mean() < 1e-4
    assert error.max() < 3e-3


def test_rest_pose_is_a_fixed_point(body):
    rest, joints = body.shape(body.population[:2])
    identity = np.tile(np.eye(3), (2, len(body.parents), 1, 1))
    posed, posed_joints = body.pose(rest, joints, identity)
    np.testing.assert_allclose(posed, rest, atol=1e-12)
    np.testing.assert_allclose(posed_joints, joints, atol=1e-12)


def test_surface_is_watertight_and_of_genus_zero(body):
    edges = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)
    assert len(np.unique(np.sort(edges, 1), axis=0)) * 2 == len(edges)
    assert len(body.vertices) - len(edges) // 2 + len(body.faces) == 2
    volume = np.einsum("fi,fi->f", *_two(body)).sum() / 6
    assert 0.04 < volume < 0.12  # outward faces, cubic metres


def _two(body):
    a, b, c = (body.vertices[body.faces[:, k]] for k in range(3))
    return a, np.cross(b, c)


@pytest.mark.slow
def test_shapes_and_poses_mirror_exactly(body):
    rng = np.random.default_rng(0)
    rest, joints = body.shape(body.population[:1])
    flip = np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(rest[:, body.vertex_mirror] * flip, rest, atol=1e-6)
    rotations = _rotations(rng.normal(0, 0.3, (1, len(body.parents), 3)))
    reflect = np.diag(flip)
    mirrored = reflect @ rotations[:, body.joint_mirror] @ reflect
    posed, _ = body.pose(rest, joints, rotations)
    twin, _ = body.pose(rest, joints, mirrored)
    np.testing.assert_allclose(twin[:, body.vertex_mirror] * flip, posed, atol=2e-5)
    triangles = {tuple(np.roll(f, -f.argmin())) for f in body.faces}
    flipped = body.vertex_mirror[body.faces][:, [0, 2, 1]]
    assert {tuple(np.roll(f, -f.argmin())) for f in flipped} == triangles


def test_keypoints_are_where_their_names_say(body):
    points = dict(zip(COCO_KEYPOINTS, body.keypoints(body.vertices)))
    assert points["left_wrist"][0] > points["left_shoulder"][0] > 0 > points["right_hip"][0]
    assert points["nose"][1] < points["left_ear"][1]
    assert points["nose"][2] > points["left_hip"][2] > points["left_knee"][2]
    many = body.keypoints(np.stack([body.vertices, body.vertices + 1]))
    np.testing.assert_allclose(many[1], many[0] + 1)


def test_normals_point_outwards(body):
    normals = vertex_normals(body.vertices, body.faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)
    top = body.vertices[:, 2].argmax()
    assert normals[top, 2] > 0.9


def test_wrong_number_of_coefficients_is_named(body):
    with pytest.raises(ValueError, match="12 shape coefficients"):
        body.shape(np.zeros((1, 5)))
    with pytest.raises(KeyError, match="tail"):
        body.joint("tail")
