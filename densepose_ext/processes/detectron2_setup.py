"""Installs Detectron2 from the package index, into the environment of the running Python.

Detectron2 has no wheels for current Pythons, and building it needs a compiler. The wheel used here
contains its main branch. It is tagged CPython 3.10, but works as pure Python: compiled parts fall
back by themselves, and RoIAlign and NMS are torchvision's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

REQUIREMENT = "sal-detectron2==0.7.2"
WHEEL = "sal_detectron2-0.7.2-cp310-none-any.whl"
SHA256 = "491af0c7f79bdb2d178e46f6cb16a97c4ac968d45c41ea3f6b6435d59bbee561"

#: Dependencies of Detectron2. The wheel is installed without those of its metadata, which require
#: an older numpy than necessary.
NEEDS = (
    "torch",
    "torchvision",
    "setuptools<81",  # for pkg_resources
    "wheel",
    "numpy",
    "pillow",
    "pycocotools",
    "fvcore",
    "iopath",
    "omegaconf",
    "hydra-core",
    "matplotlib",
    "termcolor",
    "yacs",
    "tabulate",
    "cloudpickle",
    "tqdm",
    "tensorboard",
    "packaging",
    "black",
    "scipy",
)
#: Installed unless there is a build of OpenCV already: two builds overwrite each other.
OPENCV = "opencv-python-headless"

PYTHONS = (3, 10), (3, 14)


def is_installed(module: str) -> bool:
    """Whether a module can be found, without importing it."""
    return importlib.util.find_spec(module) is not None


def install_detectron2(constraints: str | None = None) -> None:
    """Installs Detectron2 and its dependencies; packages already installed are not changed.

    Args:
        constraints: a file of versions, as pip takes it.

    Raises:
        ValueError: this Python is not supported or has no pip, pip fails, or the wheel is another.
    """
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        found = ".".join(map(str, sys.version_info[:2]))
        raise ValueError(f"this is Python {found}, expected 3.10 to 3.14")
    if not is_installed("pip"):
        raise ValueError(f"{sys.executable} has no pip: {sys.executable} -m ensurepip makes it")
    limits = ["-c", constraints] if constraints else []
    opencv = [] if is_installed("cv2") else [OPENCV]
    _pip("install", *limits, *NEEDS, *opencv)
    with tempfile.TemporaryDirectory() as folder:
        _pip(
            *("download", "--no-deps", "--only-binary=:all:", "--python-version", "3.10"),
            *("--implementation", "cp", "--platform", "any", "--platform", "linux_x86_64"),
            *("-d", folder, REQUIREMENT),
        )
        wheel = Path(folder) / WHEEL
        check_wheel(wheel)
        pure = wheel.rename(wheel.with_name(WHEEL.replace("cp310-none", "py3-none")))
        _pip("install", "--no-deps", str(pure))


def check_wheel(path: Path) -> None:
    """
    Raises:
        ValueError: a file is not the wheel that was tested.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{path.name} has sha256 {found}, expected {SHA256}: not installed")


def _pip(*arguments: str) -> None:
    command: Sequence[str] = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check"),
        *(arguments[0], "-q", *arguments[1:]),
    ]
    if subprocess.run(command, check=False).returncode:
        raise ValueError(f"pip failed: {' '.join(command)}")
