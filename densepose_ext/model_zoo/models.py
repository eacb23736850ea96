"""Trained models that come with the package: weights in half precision, and a card."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..files.atomic import replacing
from ..files.configs import get_config_file

#: The default model of DensePosePredictor.
DEFAULT = "densepose_rcnn_EffLite0_FPN_synth"

_FOLDER = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Model:
    """A trained model.

    Attributes:
        name: of its config, without ``.yaml``.
        config: path of the YAML file that it is tested with.
        weights: path of its weights.
        card: path of its card: data, recipe, figures, limits, licence.
    """

    name: str
    config: str
    weights: str
    card: str


def names() -> list[str]:
    """Names of all models, for :func:`get`."""
    return sorted(path.stem for path in _FOLDER.glob("*.pth"))


def get(name: str = DEFAULT) -> Model:
    """The model of a name.

    Raises:
        ValueError: there is none; the message lists all names.
    """
    if name not in names():
        raise ValueError(f"no trained model {name!r}; there are: {', '.join(names())}")
    return Model(
        name,
        get_config_file(f"{name}.yaml"),
        str(_FOLDER / f"{name}.pth"),
        str(_FOLDER / f"{name}.md"),
    )


def pack(checkpoint: str | os.PathLike, path: str | os.PathLike) -> int:
    """Writes the weights of a training checkpoint in half precision, without optimizer state.

    Weights are about 1e-3 to 1: the rounding error is below the noise of training.

    Args:
        checkpoint: of Detectron2's trainer, such as ``model_final.pth``.
        path: of the file to write; it appears when complete.

    Returns:
        its size in bytes.

    Raises:
        ValueError: the file is not a checkpoint, or has no model, or a value that half precision
            cannot represent.
    """
    import torch  # here, so that the names of the models are available at once

    from ..files.weights import check_weights_file

    check_weights_file(checkpoint)
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise ValueError(f"{checkpoint}: expected a checkpoint with the entry 'model'")
    weights = {}
    for name, tensor in content["model"].items():
        if tensor.is_floating_point():
            half = tensor.half()
            if not torch.isfinite(half).all():
                raise ValueError(f"{checkpoint}: {name} has values that half precision lacks")
            tensor = half
        # a contiguous copy: strides and the storage behind a view would be saved, too
        weights[name] = tensor.contiguous().clone()
    with replacing(Path(path)) as temporary:
        torch.save({"model": weights}, temporary)
    return os.path.getsize(path)
