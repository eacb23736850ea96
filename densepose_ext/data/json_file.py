"""Reads JSON files, plain or gzip, in any UTF, with or without a byte order mark."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path

#: The first bytes of a gzip file.
GZIP = b"\x1f\x8b"


def local_path(path: str | os.PathLike) -> Path:
    """The local path of a file: ``~`` is expanded, URLs that Detectron2 supports are downloaded."""
    path = os.fspath(path)
    if "://" in path:
        from detectron2.utils.file_io import PathManager  # imports torch

        return Path(PathManager.get_local_path(path))
    return Path(path).expanduser()


def read_json(path: Path) -> object:
    """Reads a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON.
    """
    content = path.read_bytes()
    try:
        if content.startswith(GZIP):
            content = gzip.decompress(content)
        return json.loads(content)
    except (ValueError, RecursionError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is not JSON: {error or type(error).__name__}") from None
