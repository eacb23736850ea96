#!/usr/bin/env python3
"""Cuts the open body into the 24 charts of DensePose and adds them to assets/body.npz.

    python tools/build_body.py && python tools/build_charts.py

Needs ``pip install libigl`` (SLIM: Rabinovich et al., "Scalable Locally Injective Mappings", 2017).

Parts: see body_parts.py.

Charts: Tutte's embedding, then SLIM; hands and feet start from MakeHuman's UV. Charts are rotated
so that U and V have their directions on the official body (`directions`): texture atlases and
trained models are nearly compatible. Left charts are right ones, with U or V reversed as in the
official charts (`FLIP_U`, `FLIP_V`).
"""

import argparse
import tempfile
from pathlib import Path

import igl
import numpy as np
import scipy.sparse as sp
from body_parts import FRONT, LEFT, UP, QuadMesh, label_parts
from scipy.sparse.linalg import spsolve

from densepose_ext.surface.parts import FINE_MIRROR

ROOT = Path(__file__).resolve().parent.parent
ASSET = ROOT / "densepose_ext" / "surface" / "assets" / "body.npz"

#: What a horizontal flip does to U and V of a part, besides exchanging left and right.
FLIP_U = (3, 4, 5, 6, 23, 24)
FLIP_V = (1, 2)
#: Rounds of SLIM where it must stop early: the border of the foot crosses itself later.
ROUNDS = {3: 20, 6: 2}


def stretch(points, faces, uv):
    """Area-weighted mean of max(s1, 1 / s2) of the map's singular values; number of flips."""
    e1, e2 = points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]]
    length = np.linalg.norm(e1, axis=1)
    x2 = (e1 * e2).sum(1) / length
    area = np.linalg.norm(np.cross(e1, e2), axis=1) / 2
    plane = np.zeros((len(faces), 2, 2))
    plane[:, 0, 0], plane[:, 0, 1], plane[:, 1, 1] = length, x2, 2 * area / length
    image = np.stack([uv[faces[:, 1]] - uv[faces[:, 0]], uv[faces[:, 2]] - uv[faces[:, 0]]], 2)
    jacobian = image @ np.linalg.inv(plane)
    det = np.linalg.det(jacobian)
    singular = np.linalg.svd(jacobian, compute_uv=False)
    singular /= np.sqrt((area * np.abs(det)).sum() / area.sum())
    worst = np.maximum(singular[:, 0], 1 / np.maximum(singular[:, 1], 1e-9))
    flips = min((det <= 0).sum(), (det >= 0).sum())
    return (area * worst).sum() / area.sum(), int(flips), area.sum()


def crossings(faces, uv):
    """Number of crossing pairs of border edges; 0 and no flips make the chart one-to-one."""
    loop = np.asarray(igl.boundary_loop_all(faces)[0]).ravel()
    a, b = uv[loop], uv[np.roll(loop, -1)]

    def side(p, q, r):
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (
            r[..., 0] - p[..., 0]
        )

    one = side(a[:, None], b[:, None], a[None]) * side(a[:, None], b[:, None], b[None]) < 0
    return int((one & one.T).sum() // 2)


def tutte(faces, num):
    """Uniform Tutte embedding of a disk onto the unit circle."""
    loop = np.asarray(igl.boundary_loop_all(faces)[0]).ravel()
    angle = np.arange(len(loop)) * (2 * np.pi / len(loop))
    uv = np.zeros((num, 2))
    uv[loop] = np.stack([np.cos(angle), np.sin(angle)], 1)
    edge = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    graph = sp.coo_matrix((np.ones(len(edge)), edge.T), (num, num)).tocsr()
    graph = ((graph + graph.T) > 0).astype(float)
    laplace = (sp.diags(np.asarray(graph.sum(1)).ravel()) - graph).tocsr()
    inner = np.setdiff1d(np.arange(num), loop)
    if len(inner):
        uv[inner] = spsolve(laplace[inner][:, inner].tocsc(), -(laplace[inner][:, loop] @ uv[loop]))
    return uv


def slim(points, faces, start, rounds):
    """SLIM from `start`, scaled to the surface's area."""
    area = np.linalg.norm(
        np.cross(
            points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]]
        ),
        axis=1,
    ).sum()
    e1, e2 = start[faces[:, 1]] - start[faces[:, 0]], start[faces[:, 2]] - start[faces[:, 0]]
    signed = e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0]
    if signed.sum() < 0:
        start = start * [1, -1]
    start = (start - start.mean(0)) * np.sqrt(area / np.abs(signed).sum())
    data = igl.slim_precompute(
        points, faces, start, igl.MappingEnergyType.SYMMETRIC_DIRICHLET,
        np.zeros(0, np.int64), np.zeros((0, 2)), 0.0,
    )  # fmt: skip
    return np.asarray(igl.slim_solve(data, rounds))


def directions(body):
    """For each right part (and the torso): 3-D directions in which U and V grow."""
    names = [str(n) for n in body["joint_names"]]
    joint = {n: body["joints"][k].astype(float) for k, n in enumerate(names)}
    upper = joint["lowerarm01.R"] - joint["upperarm01.R"]
    lower = joint["wrist.R"] - joint["lowerarm01.R"]
    thumb = joint["finger2-1.R"] - joint["finger5-1.R"]
    hand = joint["finger3-1.R"] - joint["wrist.R"]
    palm = np.cross(hand, thumb)
    palm *= np.sign(palm @ (LEFT - UP))
    out = -LEFT  # away from the middle, on the right half
    return {
        1: (-UP, out),
        2: (-UP, out),
        3: (palm, hand),
        6: (-FRONT, out + 0.5 * FRONT),
        7: (-UP, out),
        9: (UP, -out),
        11: (UP, out),
        13: (-UP, out),
        16: (upper, FRONT + 0.4 * (out + UP)),
        18: (upper, FRONT + 0.4 * (-out - UP)),
        20: (-lower, -FRONT),
        22: (lower, FRONT),
        23: (FRONT, UP),
    }


def turn(points, faces, uv, aims):
    """Rotates (and reflects) a chart so that U and V grow along the two 3-D directions."""
    face_area = np.linalg.norm(
        np.cross(
            points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]]
        ),
        axis=1,
    )
    weight = np.zeros(len(points))
    np.add.at(weight, faces, face_area[:, None])
    flat = uv - np.average(uv, axis=0, weights=weight)
    solid = points - np.average(points, axis=0, weights=weight)
    target = np.stack([solid @ (a / np.linalg.norm(a)) for a in aims], 1)
    moment = (flat * weight[:, None]).T @ target
    u, _, vt = np.linalg.svd(moment)
    return flat @ (u @ vt)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "build_body.npz")
    args = parser.parse_args()
    with np.load(ASSET) as data:
        body = {k: data[k] for k in data.files if not k.startswith("chart_")}
    build = np.load(args.work)
    points = body["vertices"].astype(float)
    faces = body["faces"].astype(np.int64)
    mirror = body["vertex_mirror"].astype(np.int64)
    mesh = QuadMesh(points, build["quads"])
    quad_part = label_parts(body, build, mesh)

    num_caps = int(build["num_cap_faces"])
    right_cap = points[faces[-num_caps:]].mean(1)[:, 0] < 0
    part = np.concatenate([np.repeat(quad_part, 2), np.where(right_cap, 23, 24)])
    twin = np.concatenate(
        [
            (2 * build["quad_twin"][:, None] + [0, 1]).ravel(),
            len(faces) - num_caps + (np.arange(num_caps) + num_caps // 2) % num_caps,
        ]
    )
    assert (np.sort(mirror[faces[twin]], 1) == np.sort(faces, 1)).all()
    assert (part[twin] == FINE_MIRROR[part]).all()

    # UV index of each corner, where a chart starts from MakeHuman's own (cut) UV.
    quad_uv = build["quad_uv"]
    tri_uv = np.stack([quad_uv[:, [0, 1, 3]], quad_uv[:, [1, 2, 3]]], 1).reshape(-1, 3)

    corner = np.zeros((len(faces), 3, 2))
    report = []
    for p, aims in directions(body).items():
        member = np.flatnonzero(part == p)
        given = p in (3, 6)
        source = tri_uv[member] if given else faces[member]
        keys, f = np.unique(source, return_inverse=True)
        f = np.ascontiguousarray(f.reshape(-1, 3).astype(np.int64))
        x = np.zeros((len(keys), 3))
        x[f] = points[faces[member]]
        loops = igl.boundary_loop_all(f)
        edges = np.unique(
            np.sort(np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]]), 1), axis=0
        )
        euler = len(keys) - len(edges) + len(f)
        assert (euler, len(loops)) == (1, 1), (p, euler, [len(x) for x in loops])
        start = build["texture"][keys].astype(float) if given else tutte(f, len(keys))
        uv = slim(x, f, start, ROUNDS.get(p, 40))
        uv = turn(x, f, uv, aims)
        if p in FLIP_V:  # the torso is its own mirror image
            twin_of = np.searchsorted(keys, mirror[keys])
            uv = (uv + uv[twin_of] * [1, -1]) / 2
        mean_stretch, flips, area = stretch(x, f, uv)
        crossed = crossings(f, uv)
        report.append((p, len(f), mean_stretch, flips, crossed, area))
        low, high = uv.min(0), uv.max(0)
        if p in FLIP_V:
            high[1] = np.abs(uv[:, 1]).max()
            low[1] = -high[1]
        corner[member] = ((uv - low) / (high - low))[f]
    print("part faces stretch flips crossings")
    for row in report:
        print("{:4d} {:5d}   {:.3f} {:5d} {:5d}".format(*row[:5]))
    areas = np.array([r[5] * (1 if r[0] in (1, 2) else 2) for r in report])
    mean = np.array([r[2] for r in report])
    print(f"mean stretch {mean @ areas / areas.sum():.3f} by area, {mean.mean():.3f} by part")

    quantised = np.rint(corner * 65535).astype(np.int64)
    for p in FLIP_V:  # exact symmetry after rounding: the right half rules
        rows = part == p
        for k in np.flatnonzero(rows & (points[faces].mean(1)[:, 0] > 0)):
            match = quantised[twin[k]] * [1, -1] + [0, 65535]
            where = dict(zip(mirror[faces[twin[k]]], match))
            quantised[k] = [where[v] for v in faces[k]]
    for p in (4, 5, 8, 10, 12, 14, 15, 17, 19, 21, 24):
        for k in np.flatnonzero(part == p):
            match = quantised[twin[k]].copy()
            if p in FLIP_U:
                match[:, 0] = 65535 - match[:, 0]
            where = dict(zip(mirror[faces[twin[k]]], match))
            quantised[k] = [where[v] for v in faces[k]]
    flat = np.concatenate(
        [np.repeat(part, 3)[:, None], faces.reshape(-1, 1), quantised.reshape(-1, 2)], 1
    )
    unique, inverse = np.unique(flat, axis=0, return_inverse=True)
    flip = np.zeros((2, 25), bool)
    flip[0, list(FLIP_U)], flip[1, list(FLIP_V)] = True, True
    body.update(
        chart_part=unique[:, 0].astype(np.uint8),
        chart_vertex=unique[:, 1].astype(np.uint16),
        chart_uv=unique[:, 2:].astype(np.uint16),
        chart_faces=inverse.reshape(-1, 3).astype(np.uint16),
        chart_flip=flip,
    )
    np.savez_compressed(ASSET, **body)
    print(f"{len(unique)} chart vertices, {ASSET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
