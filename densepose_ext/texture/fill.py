"""Filling the unseen texels of an extracted atlas.

The best guess is the mirror image on the body. Where neither side was seen, colours diffuse over
the body, so that a back gets the colour of the shirt; within tiles, holes near seen texels are
closed by push-pull (Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4).
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

#: Weight, relative to the median, at which a texel's trust is 1/2.
TRUST = 0.05
#: Factor for the trust in a mirror image.
MIRRORED = 0.5
#: Below this trust, texels take diffused colours; these count fully from this distance to trusted
#: texels on, as a share of a tile. Nearer texels are filled by push-pull.
LACKING, REACH = 0.1, 0.2
#: Conductance along limbs, relative to around them: sleeves and waistbands go around.
ALONG = 0.003
#: Strength with which seen vertices hold their colour.
HOLD = 20.0
#: Strength with which all vertices hold the mean colour.
FAINT = 1e-6


def fill_atlas(extraction: Extraction, symmetric: bool = True) -> Atlas:
    """A complete atlas.

    Args:
        extraction: with at least one seen texel.
        symmetric: first copy what was seen on the other side of the body.

    Raises:
        ValueError: nothing was seen.
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
    """An atlas with its black texels filled; published atlases are black beside the charts.

    Raises:
        ValueError: all of it is black.
    """
    known = (atlas.picture > 0).any(2)
    if atlas.alpha is not None:
        known &= atlas.alpha > 0
    known = tiles(known.astype(np.uint8))
    # texels next to black ones are blended with black
    kernel = np.ones((5, 5), np.uint8)
    known = untiled(np.stack([cv2.erode(own, kernel, borderValue=1) for own in known]))
    return fill_atlas(Extraction(atlas.picture, known.astype(np.float32)))


def fill_transparent(atlas: Atlas) -> Atlas:
    """An atlas with its transparent texels filled.

    Raises:
        ValueError: all of it is transparent.
    """
    if atlas.alpha is None:
        return atlas
    return fill_atlas(Extraction(atlas.picture, (atlas.alpha > 0).astype(np.float32)))


@lru_cache(maxsize=2)
def _mirror_texels(tile: int) -> np.ndarray:
    """Flat index (6T, 4T) of each texel's mirror image on the body."""
    i, u, v = BodySurface.load().mirror(*texel_iuv(tile))
    x, y = positions(i, u, v, tile)
    return np.rint(y).astype(np.int64) * (COLUMNS * tile) + np.rint(x).astype(np.int64)


def _mirrored(colour: np.ndarray, trust: np.ndarray, tile: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours and trust, from the mirror image where that is trusted more."""
    other = _mirror_texels(tile)
    trust_there = MIRRORED * trust.ravel()[other]
    better = trust_there > trust
    return (
        np.where(better[..., None], colour.reshape(-1, 3)[other], colour),
        np.where(better, trust_there, trust),
    )


def _remoteness(lacking: np.ndarray, tile: int) -> np.ndarray:
    """Weight (6T, 4T) of diffused colours: 1 far from known texels of the tile, small near them."""
    distance = [
        cv2.distanceTransform(own, cv2.DIST_L2, 5) if not own.all() else own * (2.0 * tile)
        for own in tiles(lacking.astype(np.uint8))
    ]
    near = untiled(np.stack(distance)) / (REACH * tile)
    return np.clip(near, 0.1, 1).astype(np.float32) ** 3


def _spread_over_body(
    colour: np.ndarray, trust: np.ndarray, tile: int
) -> tuple[np.ndarray, np.ndarray]:
    """Colours (6T, 4T, 3), diffused over the open body from trusted texels.

    Also returns where the charts are, (6T, 4T) bool; the colours are 0 elsewhere.
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
    # vertices that no seen vertex reaches get the mean colour
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
    """Graph Laplacian (V, V) of the open body's edges, with weak edges along limbs and torso."""
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
    """Push-pull: tiles (N, T, T, 3) whose texels of low weight (N, T, T) are filled from around."""
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
