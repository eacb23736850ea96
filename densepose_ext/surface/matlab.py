"""Reads the official MATLAB files, with clear errors for damaged ones."""

from __future__ import annotations

import os
import zlib

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError


def read_matlab(
    path: str | os.PathLike, names: tuple[str, ...] | None = None
) -> dict[str, np.ndarray]:
    """Variables of a MATLAB file, by name.

    Args:
        names: which to read; None for all.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a MATLAB file, is damaged, or of a version that scipy does not read.
    """
    try:
        with open(path, "rb") as stream:
            return loadmat(stream, variable_names=names)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (
        *(MatReadError, NotImplementedError, zlib.error),
        *(OSError, ValueError, TypeError, IndexError),
    ) as error:
        raise ValueError(f"{path} is not a readable MATLAB file: {error}") from error
