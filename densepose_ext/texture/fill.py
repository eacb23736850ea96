"""Filling what an extracted atlas lacks: from the other side, over the surface, and inward.

The mirror image of a place is the best guess. What no side shows takes the colours that spread over
the body from where it was seen, so that a back gets the colour of the shirt; within tiles, near
what was seen, holes close by push-pull (Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4).
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from ..surface.parts import COARSE_PART_NAMES, FINE_TO_COARSE
from ..surface.surface import BodySurface
from .atlas import COLUMNS, ROWS, Atlas, charts_in_atlas, positions, texel_iuv, tiles, untiled
from .extract import Extraction

#: Weight, as a share of the median one, at which a texel is half trusted.
TRUST = 0.05
#: Trust in a mirror image, as a share of that in the place itself.
MIRRORED = 0.5
#: Trust below which a texel takes colours that spread over the body; and how far from trusted
#: texels, as a share of a tile, those colours count fully. Nearer ones close inward.
LACKING, REACH = 0.1, 0.2
#: How easily colours spread along limbs, where around them is 1: sleeves and waistbands go around.
ALONG = 0.003
#: How strongly a seen vertex holds its colour against its neighbours'.
HOLD = 20.0
#: How strongly any vertex holds the mean colour.
FAINT = 1e-6


def fill_atlas(extraction: Extraction, symmetric: bool = True) -> Atlas:
    """An atlas that is known everywhere.

    Args:
        extraction: of at least one texel.
        symmetric: first take over what is seen on the body's other side.

    Raises:
        ValueError: if nothing was seen.
    """
    seen = extraction.weight > 0
    if not seen.any():
        raise ValueError("no texture to fill from: nothing of the person was seen")
    middle = np.median(extraction.weight[seen])
    trust = extraction.weight / (extraction.weight + TRUST * middle)
    colour = extraction.picture.astype(np.float32)
    tile = len(seen) // ROWS
    if symmetric:
        colour, trust = _mirrored(colour, trust, tile)
    spread, on_chart = _spread_over_body(colour, trust, tile)
    lacking = trust < LACKING
    colour = np.where((lacking & on_chart)[..., None], spread, colour)
    trust = np.where(lacking, on_chart * _remoteness(lacking, tile), trust)
    filled = untiled(_push_pull(tiles(colour), tiles(trust.astype(np.float32))))
    return Atlas(np.clip(np.rint(filled), 0, 255).astype(np.uint8))


def fill_black(atlas: Atlas) -> Atlas:
    """An atlas with its black filled: in published ones what lies beside the charts is black.

    Raises:
        ValueError: if all of it is black.
    """
    known = (atlas.picture > 0).any(2)
    if atlas.alpha is not None:
        known &= atlas.alpha > 0
    known = tiles(known.astype(np.uint8))
    # the texels next to black ones are half black
    kernel = np.ones((5, 5), np.uint8)
    known = untiled(np.stack([cv2.erode(own, kernel, borderValue=1) for own in known]))
    return fill_atlas(Extraction(atlas.picture, known.astype(np.float32)))


def fill_transparent(atlas: Atlas) -> Atlas:
    """An atlas that is known everywhere; one without transparency as it is.

    Raises:
        ValueError: if nothing of it is known.
    """
    if atlas.alpha is None:
        return atlas
    return fill_atlas(Extraction(atlas.picture, (atlas.alpha > 0).astype(np.float32)))


@lru_cache(maxsize=2)
def _mirror_texels(tile: int) -> np.ndarray:
    """Flat index (6T, 4T) of the texel at the mirror image of each texel."""
    i, u, v = BodySurface.load().mirror(*texel_iuv(tile))
    x, y = positions(i, u, v, tile)
    return np.rint(y).astype(np.int64) * (COLUMNS * tile) + np.rint(x).astype(np.int64)


def _mirrored(colour: np.ndarray, trust: np.ndarray, tile: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours and trust with those of the other side where they deserve more."""
    other = _mirror_texels(tile)
    trust_there = MIRRORED * trust.ravel()[other]
    better = trust_there > trust
    return (
        np.where(better[..., None], colour.reshape(-1, 3)[other], colour),
        np.where(better, trust_there, trust),
    )


def _remoteness(lacking: np.ndarray, tile: int) -> np.ndarray:
    """Trust (6T, 4T) in spread colours: 1 far from what is known in the tile, little near it."""
    distance = [
        cv2.distanceTransform(own, cv2.DIST_L2, 5) if not own.all() else own * (2.0 * tile)
        for own in tiles(lacking.astype(np.uint8))
    ]
    near = untiled(np.stack(distance)) / (REACH * tile)
    return np.clip(near, 0.1, 1).astype(np.float32) ** 3


def _spread_over_body(
    colour: np.ndarray, trust: np.ndarray, tile: int
) -> tuple[np.ndarray, np.ndarray]:
    """Colours (6T, 4T, 3) that spread over the open body from what is trusted, as heat would.

    Also returns where the charts are, (6T, 4T) bool; the colours are 0 beside them.
    """
    charts = BodySurface.load().charts
    x, y = positions(charts.part, charts.uv[:, 0], charts.uv[:, 1], tile)
    x, y = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
    laplacian = _body_laplacian()
    number = laplacian.shape[0]
    hold = HOLD * np.bincount(charts.vertex, trust[y, x], number)
    held = np.stack(
        [HOLD * np.bincount(charts.vertex, trust[y, x] * c, number) for c in colour[y, x].T], 1
    )
    # where no vertex was seen, and nothing holds, all is of the mean colour
    mean = (colour * trust[..., None]).sum((0, 1)) / trust.sum()
    held += FAINT * mean
    vertices = splu((laplacian + sp.diags_array(hold + FAINT)).tocsc()).solve(held)
    buffers = charts_in_atlas(tile)
    on_chart = buffers.hit
    corner = charts.vertex[charts.faces[buffers.face[on_chart]]]
    spread = np.zeros_like(colour)
    spread[on_chart] = (vertices[corner] * buffers.barycentric[on_chart][..., None]).sum(1)
    return spread, on_chart


@lru_cache(maxsize=1)
def _body_laplacian() -> sp.csr_array:
    """Graph Laplacian (V, V) of the open body's edges, weak along limbs and along the torso."""
    surface = BodySurface.load()
    vertices, faces = surface.body.vertices, surface.body.faces
    number = len(vertices)
    part = np.zeros(number, np.int64)
    part[surface.charts.vertex] = FINE_TO_COARSE[surface.charts.part]
    axis = np.zeros((len(COARSE_PART_NAMES), 3))
    for p, name in enumerate(COARSE_PART_NAMES):
        if name == "torso":
            axis[p] = 0, 0, 1
        elif "leg" in name or "arm" in name:
            own = vertices[part == p]
            axis[p] = np.linalg.svd(own - own.mean(0), full_matrices=False)[2][0]
    a, b = faces.ravel(), np.roll(faces, -1, 1).ravel()
    step = vertices[b] - vertices[a]
    along = np.einsum("ek,ek->e", step, axis[part[a]]) / np.linalg.norm(step, axis=1)
    edges = sp.csr_array((np.maximum(1 - along**2, ALONG), (a, b)), shape=(number, number))
    edges = edges.maximum(edges.T)
    return sp.csr_array(sp.diags_array(edges.sum(1)) - edges)


def _push_pull(colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Tiles (N, T, T, 3) whose texels of little weight (N, T, T) are filled from those around."""
    side = colour.shape[1]
    if side == 1:
        return colour
    pad = side % 2
    if pad:
        colour = np.pad(colour, ((0, 0), (0, 1), (0, 1), (0, 0)))
        weight = np.pad(weight, ((0, 0), (0, 1), (0, 1)))
    half = (side + pad) // 2
    blocks = (len(colour), half, 2, half, 2)
    total = weight.reshape(blocks).sum((2, 4))
    mean = (colour * weight[..., None]).reshape(*blocks, 3).sum((2, 4))
    mean /= np.maximum(total, 1e-12)[..., None]
    coarse = _push_pull(mean, np.minimum(total, 1))
    fine = np.stack(
        [cv2.resize(c, (2 * half, 2 * half), interpolation=cv2.INTER_LINEAR) for c in coarse]
    )
    result = fine + weight[..., None] * (colour - fine)
    return result[:, :side, :side]
