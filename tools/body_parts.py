"""Which part of DensePose each quad of the open body belongs to (for build_charts.py).

Each quad belongs to the body segment whose bones have the largest skinning weights; hands and feet
are MakeHuman's UV islands, which are already cut open along the fingers. Limbs and torso are split
in two along their middle. Borders are minimum cuts (border length against the uncertainty of each
quad), so that they follow the mesh without jagged edges. Directions follow the official charts:
legs front / back; upper arms inner-front / outer-back; lower arms palm side / back side; the head
at the middle plane. All is computed on the right half and mirrored.
"""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow

from densepose_ext.surface.parts import FINE_MIRROR

SEGMENTS = ("torso", "head", "upper_arm", "lower_arm", "upper_leg", "lower_leg")
LEFT, FRONT, UP = np.array([1.0, 0, 0]), np.array([0, -1.0, 0]), np.array([0, 0, 1.0])


def segment_of(name: str) -> str:
    """Body segment that a bone moves."""
    stem = name.split(".")[0].rstrip("0123456789-")
    for prefixes, segment in (
        (("head", "neck", "eye"), "head"),
        (("upperarm",), "upper_arm"),
        (("lowerarm", "wrist", "metacarpal", "finger"), "lower_arm"),
        (("upperleg",), "upper_leg"),
        (("lowerleg", "foot", "toe"), "lower_leg"),
    ):
        if stem.startswith(prefixes):
            return segment
    return "torso"


class QuadMesh:
    """Quads (Q, 4) with their neighbours, for cutting into regions."""

    def __init__(self, vertices, quads):
        self.quads, self.centre = quads, vertices[quads].mean(1)
        a, b, c, d = (vertices[quads[:, k]] for k in range(4))
        self.area = np.linalg.norm(np.cross(c - a, d - b), axis=1) / 2
        edge = np.sort(np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)]), axis=1)
        owner = np.tile(np.arange(len(quads)), 4)
        order = np.lexsort((edge[:, 1], edge[:, 0]))
        edge, owner = edge[order], owner[order]
        same = np.flatnonzero((edge[1:] == edge[:-1]).all(1))
        self.pairs = np.stack([owner[same], owner[same + 1]], 1)
        self.length = np.linalg.norm(vertices[edge[same, 0]] - vertices[edge[same, 1]], axis=1)

    def cut(self, inside, score, smooth):
        """Splits `inside` in two: minimises the border's length * smooth + area of wrong sign.

        score: (Q,) signed, positive wants to be in; returns the mask that is in.
        """
        nodes = np.flatnonzero(inside)
        index = np.full(len(self.quads), -1)
        index[nodes] = np.arange(len(nodes))
        keep = inside[self.pairs].all(1)
        a, b = index[self.pairs[keep]].T
        n = len(nodes)
        weight = self.length[keep] * smooth
        gain = (score * self.area)[nodes]
        rows = np.concatenate([a, b, np.full(n, n), np.arange(n)])
        cols = np.concatenate([b, a, np.arange(n), np.full(n, n + 1)])
        caps = np.concatenate([weight, weight, np.maximum(gain, 0), np.maximum(-gain, 0)])
        caps = np.rint(caps / caps.max() * 1e8).astype(np.int32)
        graph = sp.csr_array((caps, (rows, cols)), shape=(n + 2, n + 2))
        residual = graph - maximum_flow(graph, n, n + 1).flow
        residual.data[residual.data < 0] = 0
        residual.eliminate_zeros()
        reached = breadth_first_order(residual, n, return_predecessors=False)
        result = np.zeros(len(self.quads), bool)
        result[nodes[reached[reached < n]]] = True
        return result

    def largest_pieces(self, label):
        """Relabels all but the largest piece of each label, by the majority of neighbours."""
        label = label.copy()
        for _ in range(50):
            same = label[self.pairs[:, 0]] == label[self.pairs[:, 1]]
            a, b = self.pairs[same].T
            n = len(label)
            _, piece = connected_components(sp.coo_matrix((np.ones(len(a)), (a, b)), (n, n)), False)
            size = np.bincount(piece)
            best = {}
            for k, lab in zip(*np.unique(np.stack([piece, label], 1), axis=0).T):
                if lab not in best or size[k] > size[best[lab]]:
                    best[lab] = k
            wrong = ~np.isin(piece, list(best.values()))
            if not wrong.any():
                break
            vote = np.zeros((n, label.max() + 1))
            for x, y in ((0, 1), (1, 0)):
                use = wrong[self.pairs[:, x]] & ~wrong[self.pairs[:, y]]
                np.add.at(vote, (self.pairs[use, x], label[self.pairs[use, y]]), self.length[use])
            change = vote.any(1)
            label[change] = vote[change].argmax(1)
        return label


def perpendicular(direction, axis):
    axis = axis / np.linalg.norm(axis)
    direction = direction - axis * (direction @ axis)
    return direction / np.linalg.norm(direction)


def limb_axis(offset, axis, slices=12):
    """Middle of the limb's cross-section at each point (n, 3): bones do not run in the middle."""
    along = offset @ axis / (axis @ axis)
    bounds = np.linspace(along.min(), along.max(), slices + 1)
    at = np.clip(np.digitize(along, bounds) - 1, 0, slices - 1)
    middle = np.stack(
        [
            (offset[at == k].min(0) + offset[at == k].max(0)) / 2
            if (at == k).sum() > 5
            else np.full(3, np.nan)
            for k in range(slices)
        ]
    )
    good = ~np.isnan(middle[:, 0])
    place = (bounds[:-1] + bounds[1:]) / 2
    return np.stack([np.interp(along, place[good], middle[good, k]) for k in range(3)], 1)


def label_parts(body, build, mesh):
    """Part of each quad (Q,), right half decided, left half mirrored."""
    names = [str(n) for n in body["joint_names"]]
    joint = {n: body["joints"][k].astype(float) for k, n in enumerate(names)}
    segment = np.zeros((len(mesh.quads), len(SEGMENTS)))
    weight = build["weights"][mesh.quads].mean(1)
    for k, name in enumerate(names):
        segment[:, SEGMENTS.index(segment_of(name))] += weight[:, k]

    centre, right = mesh.centre, mesh.centre[:, 0] < 0
    extremity = np.zeros(len(mesh.quads), int)
    for k in np.unique(build["quad_island"]):
        member = build["quad_island"] == k
        middle = centre[member].mean(0)
        if member.sum() > 500 and abs(middle[0]) > 0.1:
            hand = middle[2] > -0.4
            extremity[member] = (3 if hand else 6) if middle[0] < 0 else (4 if hand else 5)

    # Segments: each against the rest, from the ends of the body to the torso.
    current = np.zeros(len(mesh.quads), int)
    free = extremity == 0
    for k in (5, 4, 3, 2, 1):
        other = np.delete(segment, k, 1).max(1)
        mask = mesh.cut(free, segment[:, k] - other, smooth=0.015)
        current[mask] = k
        free &= ~mask
    part = np.zeros(len(mesh.quads), int)

    # The two sides of torso, leg and arm. Positive score: front, or inner.
    depth = np.array(
        [
            [joint["upperleg01.R"][2] - 0.1, joint["upperleg01.R"][1] + 0.005],
            [joint["upperleg01.R"][2], joint["upperleg01.R"][1] + 0.005],
            [joint["spine03"][2], joint["spine03"][1] - 0.045],
            [joint["upperarm01.R"][2] - 0.08, joint["upperarm01.R"][1] + 0.02],
            [joint["upperarm01.R"][2] + 0.02, joint["upperarm01.R"][1] + 0.005],
            [joint["neck01"][2], joint["neck01"][1]],
        ]
    )
    score = np.zeros(len(mesh.quads))
    torso = current == 0
    border = np.interp(centre[:, 2], depth[:, 0], depth[:, 1])
    score[torso] = (border - centre[:, 1])[torso] * 40

    palm = np.cross(
        joint["finger5-1.R"] - joint["wrist.R"], joint["finger2-1.R"] - joint["wrist.R"]
    )
    palm *= np.sign(palm @ (LEFT - 1.0 * UP))  # the palm of the lowered arm faces the thigh
    print("palm direction", palm / np.linalg.norm(palm))
    ends = {
        "upper_leg": ("upperleg01.R", "lowerleg01.R"),
        "lower_leg": ("lowerleg01.R", "foot.R"),
        "upper_arm": ("upperarm01.R", "lowerarm01.R"),
        "lower_arm": ("lowerarm01.R", "wrist.R"),
    }
    for name, (start, end) in ends.items():
        axis = joint[end] - joint[start]
        front = perpendicular(FRONT, axis)
        if name == "upper_arm":
            inner = perpendicular(LEFT, axis)
            front = perpendicular(np.cos(1.1) * front + np.sin(1.1) * inner, axis)
        if name == "lower_arm":
            front = perpendicular(palm, axis)
        member = (current == SEGMENTS.index(name)) & right
        offset = centre[member] - joint[start]
        score[member] = (offset - limb_axis(offset, axis)) @ front * 40

    for segments, parts in (
        ((0,), (1, 2)),
        ((4, 5), (7, 9)),
        ((2, 3), (18, 16)),
    ):
        inside = np.isin(current, segments) & (extremity == 0)
        if segments != (0,):
            inside &= right
        front_mask = mesh.cut(inside, np.clip(score, -1, 1), smooth=0.008)
        part[inside] = np.where(front_mask, parts[1], parts[0])[inside]
    low = (current == 5) & right
    part[low] = np.where(part[low] == 9, 13, 11)
    low = (current == 3) & right
    part[low] = np.where(part[low] == 16, 20, 22)
    part[current == 1] = 23
    part[extremity > 0] = extremity[extremity > 0]

    # Right half decides; quads of the left half take the mirrored part of their twin.
    part[~right] = -1
    part[~right] = FINE_MIRROR[part[build["quad_twin"][~right]]]
    return mesh.largest_pieces(part)
