"""Opens a predictor for any kind of model."""

from __future__ import annotations

from dataclasses import dataclass

from .exported import ExportedPredictor, is_exported
from .predictor import DensePosePredictor

#: What finds people in pictures.
Predictor = DensePosePredictor | ExportedPredictor


@dataclass(frozen=True)
class ModelSettings:
    """A model, and how it is used.

    Attributes:
        model, weights, device, precision, min_score, augment, min_confidence, compile: as for
            :func:`open_predictor`.
    """

    model: str | None = None
    weights: str | None = None
    device: str | None = None
    precision: str | None = None
    min_score: float | None = None
    augment: bool | None = None
    min_confidence: float = 0.0
    compile: bool = False

    def predictor(self) -> Predictor:
        """The predictor of these settings."""
        return open_predictor(**vars(self))


def open_predictor(
    model: str | None = None,
    weights: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    min_score: float | None = None,
    augment: bool | None = None,
    min_confidence: float = 0.0,
    compile: bool = False,
) -> Predictor:
    """A :class:`DensePosePredictor`, or an :class:`ExportedPredictor` if ``model`` is exported.

    Args:
        model: as DensePosePredictor's ``config``, or the path of an exported model.
        weights, device, precision, min_score, augment, min_confidence, compile: as for
            DensePosePredictor; exported models have their own weights, precision and augmentation,
            and are not compiled.

    Raises:
        OSError: a file is missing, or cannot be fetched.
        ValueError: the model or a setting cannot be used, or an exported model does not have it.
    """
    if not is_exported(model):
        return DensePosePredictor(
            model, weights, device, precision, min_score, augment, min_confidence, compile
        )
    for name, value in (("weights", weights), ("precision", precision), ("augment", augment)):
        if value:
            raise ValueError(f"{name} {value!r}: the exported model {model} has its own")
    if compile:
        raise ValueError(f"compile: the exported model {model} cannot be compiled")
    return ExportedPredictor(str(model), device or "cpu", min_score, min_confidence=min_confidence)
