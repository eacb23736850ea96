"""The mirror map of the official charts: I, U, V of a person after a horizontal flip.

The official file has, for each part before the flip, tables of 256 x 256 with the new U and V.
"""

from __future__ import annotations

import os

import numpy as np

from .matlab import read_matlab
from .parts import FINE_MIRROR, NUM_FINE_PARTS

SYMMETRY_FILE = "UV_symmetry_transforms.mat"
_GRID = 256


class MirrorTables:
    """The mirror map of the tables in ``UV_symmetry_transforms.mat``."""

    def __init__(self, path: str | os.PathLike):
        """
        Raises:
            ValueError: the file is not a MATLAB file, or a table is missing, not numeric or of
                another shape.
        """
        contents = read_matlab(path)
        tables = []
        for key in ("U_transforms", "V_transforms"):
            found = contents.get(key, np.zeros(0)).ravel()
            shapes = {np.shape(table) for table in found}
            kinds = {np.asarray(table).dtype.kind for table in found}
            if len(found) != NUM_FINE_PARTS or shapes != {(_GRID, _GRID)} or not kinds <= {*"iuf"}:
                raise ValueError(
                    f"{path}: expected {key} with {NUM_FINE_PARTS} tables of {_GRID} x {_GRID}"
                    f" numbers, found {len(found)} of shapes {sorted(shapes)}"
                )
            tables.append(np.stack([np.asarray(table, dtype=np.float32) for table in found]))
            if not np.isfinite(tables[-1]).all():
                raise ValueError(f"{path}: {key} has values that are not finite")
        #: (2, 24, 256, 256) float32: U and V after the flip at [V * 255, U * 255] of each part.
        self.tables = np.stack(tables)

    def mirror(
        self, i: np.ndarray, u: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Part, U and V of surface points after a flip, by table look-up (truncated indices).

        Args:
            i: parts, 1..24. Any shape.
            u, v: chart coordinates, clamped to [0, 1]. Of the same shape.
        """
        i = np.asarray(i, dtype=np.int64)
        row, column = ((np.clip(value, 0, 1) * (_GRID - 1)).astype(np.int64) for value in (v, u))
        mirrored_u, mirrored_v = self.tables[:, i - 1, row, column]
        return FINE_MIRROR[i], mirrored_u, mirrored_v
