"""A predictor for whatever is given for a model."""

from __future__ import annotations

from .exported import ExportedPredictor, is_exported
from .predictor import DensePosePredictor


def open_predictor(
    model: str | None = None,
    weights: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    min_score: float | None = None,
) -> DensePosePredictor | ExportedPredictor:
    """A :class:`DensePosePredictor`, or for the path of an exported model what runs that.

    Raises:
        OSError, ValueError: as those do, or a setting that is fixed in exported models.
    """
    if not is_exported(model):
        return DensePosePredictor(model, weights, device, precision, min_score)
    for name, value in (("weights", weights), ("precision", precision)):
        if value is not None:
            raise ValueError(f"{name} {value!r}: the exported model {model} has its own")
    return ExportedPredictor(str(model), device or "cpu", min_score)
