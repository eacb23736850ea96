"""Presets: pictures in the formats of systems that take dense pose, such as try-on models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..visualization import control_picture
from .people import People
from .writers import Format, Options, encoded


@dataclass(frozen=True)
class Preset:
    """The input format of a system.

    Attributes:
        format: of the files.
        person: the people to draw, one of ``choosing.CHOICES``.
        drawing: for videos, one of ``video.run.DRAWINGS``.
    """

    format: Format
    person: str
    drawing: str


def _control(purpose: str, ending: str, colours: str, black: bool) -> Format:
    def contents(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
        drawn = control_picture(people, people.size, "parts", colours, black)
        return (encoded(ending, drawn),)

    return Format(purpose, (ending,), contents)


def _texture(picture: np.ndarray, people: People, options: Options) -> tuple[bytes, ...]:
    # The first DensePose release wrote I, U, V as B, G, R, and readers of such files expect that.
    return encoded(".png", people.to_iuv()), encoded(".png", people.to_index())


_VIRIDIS = _control("parts in viridis on its violet", ".png", "viridis", black=False)

#: Presets by their names on the command line.
PRESETS = {
    "viton": Preset(
        _control("parts in parula on black, a JPEG named as the picture", ".jpg", "parula", True),
        "largest",
        "control-parula",
    ),
    "magicanimate": Preset(_VIRIDIS, "all", "control"),
    "controlnet-parula": Preset(
        _control("parts in parula on black", ".png", "parula", black=True), "all", "control-parula"
    ),
    "controlnet-viridis": Preset(_VIRIDIS, "all", "control"),
    "smpl-texture": Preset(
        Format(
            "I, U, V in B, G, R, and whom each pixel is of", ("_IUV.png", "_INDS.png"), _texture
        ),
        "largest",
        "iuv-bgr",
    ),
}
