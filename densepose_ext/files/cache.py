"""The cache of derived files.

What takes long to compute (geodesics) or to read (the official files) is cached under
``$DENSEPOSE_EXT_CACHE``, by default ``~/.cache/densepose_ext``: never beside the data, whose folder
may be read-only. The name of a cache file contains a format version and a hash of the content it
was made from, so it is never stale and never mistaken for that of another file of the same name.
"""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .atomic import replacing
from .locks import acquire

logger = logging.getLogger(f"detectron2.{__name__}")

CACHE_VARIABLE = "DENSEPOSE_EXT_CACHE"

_KNOWN_KEYS = "content-keys-v1.json"


def cache_folder() -> Path:
    """The folder to write cache files to, made if it is missing.

    If it cannot be written to, there is one warning, and a temporary folder of this process takes
    its place.
    """
    folder = _configured_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        return _folder_instead_of(folder, error.strerror)


def _configured_folder() -> Path:
    folder = os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "densepose_ext"
    return Path(folder).expanduser()


#: The temporary folders of this process, by the cache folder that each stands in for.
_temporary: dict[Path, tempfile.TemporaryDirectory] = {}


def _folder_instead_of(folder: Path, reason: str | None) -> Path:
    if folder not in _temporary:
        _temporary[folder] = tempfile.TemporaryDirectory(
            prefix="densepose_ext-",
            ignore_cleanup_errors=True,  # Windows removes no file that is mapped to memory
        )
        logger.warning(
            f"the cache folder {folder} cannot be written to ({reason}): results are computed anew"
            f" in every process; set ${CACHE_VARIABLE} to a folder that can be written to"
        )
    return Path(_temporary[folder].name)


def content_key(path: str | os.PathLike) -> str:
    """Hash of a file's content: the first 16 hexadecimal digits of its SHA-256.

    Reading 1.5 GB takes seconds, so hashes are cached with the file's size and modification time,
    and computed again only when one of these has changed.

    Raises:
        OSError: the file cannot be read.
    """
    path = Path(path).resolve()
    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    for folder in (_configured_folder, cache_folder):
        memory = folder() / _KNOWN_KEYS
        known = _read_known(memory).get(str(path))
        if known is not None and known[:2] == stamp:
            return known[2]
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
    key = digest.hexdigest()[:16]
    with _locked(memory):
        entries = _read_known(memory)
        entries[str(path)] = [*stamp, key]
        with replacing(memory) as temporary:
            temporary.write_text(json.dumps(entries))
    return key


def _read_known(memory: Path) -> dict[str, list]:
    """Cached hashes by path; empty if the file cannot be read (it is only a shortcut)."""
    try:
        entries = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock for ``path``, which the system releases if the process dies."""
    with open(path.with_name(path.name + ".lock"), "wb") as lock:
        acquire(lock.fileno())
        yield


def build_once(name: str, build: Callable[[Path], None]) -> Path:
    """Path of the cache file ``name``, which ``build(temporary path)`` makes if it is missing.

    If several processes ask for the file at once, one builds it and the others wait.
    """
    for folder in (_configured_folder, cache_folder):
        path = folder() / name
        if path.exists():
            return path
    with _locked(path):
        if not path.exists():
            with replacing(path) as temporary:
                build(temporary)
    return path
