"""The configs shipped with the package, by name."""

from __future__ import annotations

from pathlib import Path


def get_config_file(name: str) -> str:
    """Path of a shipped config.

    Args:
        name: path below ``configs/``, such as ``"densepose_rcnn_R_50_FPN_s1x.yaml"``.

    Raises:
        FileNotFoundError: there is no such config; the message lists all names.
    """
    path = _folder() / name
    if not path.is_file():
        raise FileNotFoundError(f"no config {name!r}; there are: {', '.join(list_configs())}")
    return str(path)


def list_configs() -> list[str]:
    """Names of the shipped configs, for :func:`get_config_file`."""
    folder = _folder()
    names = (path.relative_to(folder) for path in sorted(folder.rglob("*.*")))
    return [
        name.as_posix()
        for name in names
        if name.suffix in (".yaml", ".py") and "common" not in name.parts
    ]


def _folder() -> Path:
    package = Path(__file__).parents[1]
    # configs/ is inside the package in a wheel, and beside it in a checkout.
    inside, beside = package / "configs", package.parent / "configs"
    return inside if inside.is_dir() else beside
