"""Opens a predictor for any kind of model."""

from __future__ import annotations

from .exported import ExportedPredictor, is_exported
from .predictor import DensePosePredictor


def open_predictor(
    model: str | None = None,
    weights: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    min_score: float | None = None,
    augment: bool | None = None,
) -> DensePosePredictor | ExportedPredictor:
    """A :class:`DensePosePredictor`, or an :class:`ExportedPredictor` if ``model`` is exported.

    Raises:
        OSError, ValueError: as by these, or for a setting that an exported model does not have.
    """
    if not is_exported(model):
        return DensePosePredictor(model, weights, device, precision, min_score, augment)
    for name, value in (("weights", weights), ("precision", precision), ("augment", augment)):
        if value:
            raise ValueError(f"{name} {value!r}: the exported model {model} has its own")
    return ExportedPredictor(str(model), device or "cpu", min_score)
