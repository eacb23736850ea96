"""The vertex whose embedding is nearest to that of a pixel.

Letters: P pixels, n vertices, D dimensions.
"""

from __future__ import annotations

import torch

#: Entries of a P x n matrix that are held at once: 32 MB in single precision.
ENTRIES_AT_ONCE = 8 << 20


@torch.no_grad()
def nearest_vertices(pixels: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
    """(P,) int64: the nearest vertex by Euclidean distance, the first on ties.

    |x - e|^2 is smallest where x . e - |e|^2 / 2 is largest: one matrix product, in blocks.

    Args:
        pixels: (P, D). vertices: (n, D).
    """
    nearest = torch.empty(len(pixels), dtype=torch.int64, device=pixels.device)
    offset = (vertices**2).sum(1) / -2
    transposed = vertices.T.contiguous()
    step = max(ENTRIES_AT_ONCE // max(len(vertices), 1), 1)
    for first in range(0, len(pixels), step):
        block = torch.addmm(offset, pixels[first : first + step], transposed)
        torch.argmax(block, dim=1, out=nearest[first : first + step])
    return nearest
