"""``densepose://NAME``: the official checkpoint of a name, fetched when it is first read."""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path
from typing import Any

from detectron2.utils.file_io import PathHandler, PathManager

from ..files.download import cached_path, fetch
from ..files.weights import check_weights_file
from .official_models import LICENCE, PREFIX, OfficialModel, official

logger = logging.getLogger(f"detectron2.{__name__}")


def official_weights(name: str) -> str:
    """Path of the file of an official checkpoint in Detectron2's cache, fetched if needed.

    Its licence is printed on standard error when it is fetched.

    Raises:
        OSError: it cannot be fetched.
        ValueError: there is none of that name, or what came is no checkpoint.
    """
    model = official(name)
    if not cached_path(model.url).is_file():
        print(
            f"fetching {model.name}, about {model.megabytes:.0f} MB; licence: {LICENCE}",
            file=sys.stderr,
        )
    return str(fetch(model.url, lambda path: _check(model, path)))


def _check(model: OfficialModel, path: Path) -> None:
    check_weights_file(path)
    # The table does not say of which kind the digits in the name are: a file that fits none may
    # still be right, and its length has been compared with the server's.
    with open(path, "rb") as stream:
        kinds = [hashlib.new(kind, usedforsecurity=False) for kind in ("md5", "sha1", "sha256")]
        while block := stream.read(1 << 20):
            for kind in kinds:
                kind.update(block)
    if not any(kind.hexdigest().startswith(model.file_hash) for kind in kinds):
        logger.warning(
            f"{model.url}: neither MD5, SHA-1 nor SHA-256 of the file begins with"
            f" {model.file_hash}, as its name lets one expect"
        )


class _OfficialHandler(PathHandler):
    def _get_supported_prefixes(self) -> list[str]:
        return [PREFIX]

    def _get_local_path(self, path: str, force: bool = False, **kwargs: Any) -> str:
        return official_weights(path.removeprefix(PREFIX))

    def _open(self, path: str, mode: str = "r", buffering: int = -1, **kwargs: Any):
        return open(self._get_local_path(path), mode, buffering)


def register_official_weights() -> None:
    """Teaches Detectron2 to read ``densepose://NAME``. A second call changes nothing."""
    PathManager.register_handler(_OfficialHandler(), allow_override=True)
