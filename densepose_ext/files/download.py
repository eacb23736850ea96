"""Resumable downloads into Detectron2's cache.

Detectron2's own downloads start over after an interruption. These are resumed, and the file is put
where Detectron2 looks for its URL.
"""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse

from iopath.common.file_io import file_lock, get_cache_dir
from tqdm import tqdm

#: Seconds without data after which a connection is given up.
_TIMEOUT = 30
#: Number of successive connections without data before giving up.
_PATIENCE = 3
#: Seconds before the next attempt, times the attempts that have brought nothing.
_PAUSE = 2.0
_BLOCK = 1 << 18


def cached_path(url: str) -> Path:
    """Path of the file of a URL in Detectron2's cache (iopath), which may not exist."""
    return Path(get_cache_dir(), urlparse(url).path.lstrip("/"))


def fetch(url: str, check: Callable[[Path], None]) -> Path:
    """Path of the file of a URL in the cache, downloaded if it is missing.

    An interrupted download is resumed: a few times at once, then by the next call. If several
    processes ask for the same file, one downloads it and the others wait.

    Args:
        check: called with the complete file before it is moved to its path; if it raises, the file
            is removed.

    Raises:
        OSError: the file cannot be downloaded; the message says why, and where to put it by hand.
    """
    path = cached_path(url)
    with file_lock(str(path)):
        if not path.is_file():
            part = path.with_name(path.name + ".part")
            try:
                _Download(url, part).run()
            except OSError as error:
                raise OSError(
                    f"cannot fetch {url}: {error}; a copy of the file may be put at {path}"
                ) from error
            try:
                check(part)
            except BaseException:
                part.unlink()
                raise
            os.replace(part, path)
    return path


class _Download:
    """The download of a file to ``part``.

    A file beside it stores the server's identifier of this version: the rest must not come from
    another one.
    """

    def __init__(self, url: str, part: Path):
        self._url, self._part = url, part
        self._version_file = part.with_name(part.name + ".version")
        self._total: int | None = None

    def run(self) -> None:
        failures = 0
        with tqdm(
            desc=self._part.stem, unit="B", unit_scale=True, unit_divisor=1024, disable=None
        ) as bar:
            while True:
                before = self._size
                try:
                    self._connect(bar)
                    problem = f"the connection ended after {self._size:,} of {self._total:,} bytes"
                except urllib.error.HTTPError as error:
                    if error.code != 416 or not before:  # 416: the part is no part of the file
                        raise OSError(f"HTTP {error.code} {error.reason}") from error
                    self._part.unlink()
                    problem = f"HTTP 416 {error.reason}"
                except (OSError, http.client.HTTPException) as error:
                    reason = getattr(error, "reason", None) or error
                    problem = str(reason) or type(reason).__name__
                if self._total is not None and self._size == self._total:
                    break
                failures = 0 if self._size > before else failures + 1
                if failures == _PATIENCE:
                    raise OSError(f"{problem} (tried {_PATIENCE} times; the next call goes on)")
                time.sleep(_PAUSE * failures)
        self._version_file.unlink(missing_ok=True)

    @property
    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _connect(self, bar: tqdm) -> None:
        """Appends the data of one connection to the part."""
        request = urllib.request.Request(self._url)
        start = self._size
        if start:
            version = self._version_file.read_text() if self._version_file.exists() else ""
            if version:
                request.add_header("Range", f"bytes={start}-")
                request.add_header("If-Range", version)
            else:
                start = 0
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            if response.status != 206:
                start = 0  # the server sends the whole file
            length = response.headers.get("Content-Length")
            if length is None:
                raise OSError("the server does not say how long the file is")
            self._total = start + int(length)
            self._version_file.write_text(_version(response.headers))
            bar.total = self._total
            bar.n = start
            bar.refresh()
            with open(self._part, "ab" if start else "wb") as stream:
                while block := response.read(_BLOCK):
                    stream.write(block)
                    bar.update(len(block))


def _version(headers) -> str:
    """The value for If-Range: a strong ETag, or else the modification time, or else nothing."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")
