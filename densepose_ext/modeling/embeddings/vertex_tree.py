"""A search tree for nearest vertices, which avoids comparing each pixel with each vertex.

Embeddings of vertices have unit length, so the nearest one has the smallest angle with the pixel.
Each leaf is a cone of vertices around its axis, and is skipped if the cone is farther from a pixel
than the best vertex so far. The result is exact up to rounding.

Letters: P pixels, n vertices, D dimensions, L leaves of m vertices, G groups of pixels.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

#: Maximum number of vertices in a leaf: its products with pixels fit into the cache of a CPU.
LEAF = 128
#: torch reduces rows three times as fast if their length is a multiple of this.
ROW_MULTIPLE = 32
#: Number of pixels, of similar embeddings, for which leaves are selected together.
GROUP = 8
#: Number of pixels whose products with a leaf are in memory at once.
PIXELS_AT_ONCE = 1024
#: Tolerance for rounding: leaves that fail the test by less than this are still searched.
TOLERANCE = 1e-5
_POWER_ITERATIONS = 6


class VertexTree:
    """Vertices, grouped in leaves of similar embeddings."""

    def __init__(self, vertices: torch.Tensor):
        """
        Args:
            vertices: (n, D), of length 1, on the CPU.
        """
        #: (L, m) vertices of each leaf, ascending; the last is repeated to fill a leaf.
        self.members = _leaves(vertices)
        points = vertices[self.members]
        self.leaves = points.transpose(1, 2).contiguous()  # (L, D, m)
        centres = F.normalize(points.mean(1), dim=1)
        self.centres = centres.T.contiguous()  # (D, L)
        # Cosine and sine of the angle between a leaf's axis and its outermost vertex.
        cosine = (points @ centres[:, :, None])[:, :, 0].amin(1).clamp(-1, 1)
        bounds = torch.cat([centres, torch.stack([cosine, _sine(cosine)], dim=1)], dim=1)
        bounds[cosine < 0] = 0  # too wide for the bound to hold: always searched
        self.bounds = bounds.T.contiguous()  # (D + 2, L)

    def nearest(self, pixels: torch.Tensor) -> torch.Tensor:
        """(P,) int64: the vertex with the smallest angle to each pixel; any of ties.

        Args:
            pixels: (P, D), of any length.
        """
        if not len(pixels):
            return torch.empty(0, dtype=torch.int64)
        pixels = F.normalize(pixels, dim=1)
        leaf = torch.cat([(p @ self.centres).argmax(1) for p in pixels.split(PIXELS_AT_ONCE)])
        leaf, order = leaf.sort()
        padding = -len(pixels) % GROUP
        leaf, order = (torch.cat([v, v[-1:].expand(padding)]) for v in (leaf, order))
        pixels = pixels[order]
        best = torch.empty(len(pixels))
        for number, chosen in _by_leaf(leaf):
            best[chosen] = self._products(pixels[chosen], number).amax(1)
        self._search_other_leaves(pixels, best, leaf)
        return self._winners(pixels, leaf, order)[: len(pixels) - padding]

    def _products(self, pixels: torch.Tensor, leaf: int) -> torch.Tensor:
        return pixels @ self.leaves[leaf]

    def _search_other_leaves(self, pixels, best, leaf) -> None:
        """Updates ``best`` (P,) and ``leaf`` (P,) where another leaf has a nearer vertex."""
        groups = pixels.view(-1, GROUP * pixels.shape[1])
        best, leaf = best.view(-1, GROUP), leaf.view(-1, GROUP)
        needed = self._needed(pixels, best.view(-1))
        searched = leaf[:, 0] == leaf[:, -1]
        needed[searched, leaf[searched, 0]] = False
        numbers, group = needed.T.contiguous().nonzero().T
        for number, chosen in _by_leaf(numbers, PIXELS_AT_ONCE // GROUP):
            own = group[chosen]
            candidates = groups.index_select(0, own).view(-1, pixels.shape[1])
            found = self._products(candidates, number).amax(1).view(-1, GROUP)
            before = best.index_select(0, own)
            best.index_copy_(0, own, torch.maximum(found, before))
            before_leaf = leaf.index_select(0, own)
            leaf.index_copy_(0, own, before_leaf.masked_fill_(found > before, number))

    def _needed(self, pixels: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
        """(G, L) bool: whether a leaf may hold a better vertex for a pixel of a group.

        With the angles a between pixel and axis, r of the leaf and b of the best vertex so far,
        this is a < r + b, or cos a > cos r cos b - sin r sin b: one matrix product.
        """
        cosine = best.clamp(max=1)[:, None]
        extended = torch.cat([pixels, -cosine, _sine(cosine)], dim=1)
        extended[best < 0] = 0  # r + b may exceed half a turn: search all leaves
        return torch.cat(
            [
                (part @ self.bounds).view(-1, GROUP, self.bounds.shape[1]).amax(1) > -TOLERANCE
                for part in extended.split(PIXELS_AT_ONCE)
            ]
        )

    def _winners(self, pixels, leaf, order) -> torch.Tensor:
        """The nearest vertex in each pixel's leaf, in the original order of pixels."""
        leaf, by_leaf = leaf.sort()
        pixels = pixels[by_leaf]
        winners = torch.empty_like(leaf)
        for number, chosen in _by_leaf(leaf):
            place = self._products(pixels[chosen], number).argmax(1)
            winners[chosen] = self.members[number][place]
        result = torch.empty_like(winners)
        result[order[by_leaf]] = winners
        return result


def _sine(cosine: torch.Tensor) -> torch.Tensor:
    return (1 - cosine**2).clamp(min=0).sqrt()


def _by_leaf(numbers: torch.Tensor, most: int = PIXELS_AT_ONCE):
    """Slices of at most ``most`` equal numbers, with the number; ``numbers`` are ascending."""
    first = 0
    for number, count in enumerate(torch.bincount(numbers).tolist()):
        last = first + count
        for start in range(first, last, most):
            yield number, slice(start, min(start + most, last))
        first = last


def _leaves(vertices: torch.Tensor) -> torch.Tensor:
    """(L, m) indices of vertices, which are bisected repeatedly across their widest direction."""
    levels = max(-(-len(vertices) // LEAF) - 1, 0).bit_length()
    padding = -len(vertices) % (1 << levels)
    order = torch.arange(len(vertices) + padding).clamp(max=len(vertices) - 1)[None]
    for _ in range(levels):
        points = vertices[order]
        points = points - points.mean(1, keepdim=True)
        scatter = points.transpose(1, 2) @ points
        direction = torch.ones(*scatter.shape[:2], 1)
        for _ in range(_POWER_ITERATIONS):
            direction = F.normalize(scatter @ direction + 1e-12, dim=1)
        along = (points @ direction)[:, :, 0]
        order = order.gather(1, along.argsort(1)).reshape(2 * len(order), -1)
    order = order.sort(1).values
    return torch.cat([order, order[:, -1:].expand(-1, -order.shape[1] % ROW_MULTIPLE)], dim=1)
