"""Pictures of any format, as the model's input."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..files.picture_reader import as_bgr, image_as_bgr, read_picture

#: What predictors take for a picture: an array, a Pillow image, or the path of a file.
Picture = np.ndarray | Image.Image | str | os.PathLike


def to_bgr(picture: Picture) -> np.ndarray:
    """Any picture as (H, W, 3) uint8, BGR.

    Args:
        picture: an array as for :func:`as_bgr`, in the order B, G, R; a Pillow image of any mode,
            whose EXIF orientation is applied; or the path of a file.

    Raises:
        OSError: the file does not exist, or may not be read.
        ValueError: it is none of these; the message says how to convert it.
    """
    if isinstance(picture, np.ndarray):
        if picture.ndim == 4:
            raise ValueError(
                f"the picture has the shape {picture.shape}; expected (H, W, 3); several pictures"
                " go to the predictor's method batch"
            )
        return as_bgr(picture)
    if isinstance(picture, (str, os.PathLike)):
        return read_picture(picture)
    if isinstance(picture, Image.Image):
        try:
            return image_as_bgr(picture)
        except ValueError as error:
            raise ValueError(
                f"the Pillow image of mode {picture.mode} cannot be used: {error}"
            ) from error
    raise ValueError(f"the picture is {_what_to_do(picture)}")


def batch_to_bgr(pictures: Sequence[Picture]) -> list[np.ndarray]:
    """Several pictures, each as :func:`to_bgr` does.

    Raises:
        OSError, ValueError: one cannot be used, or ``pictures`` is a single one.
    """
    is_one = isinstance(pictures, np.ndarray) and pictures.ndim < 4
    if is_one or isinstance(pictures, (str, bytes, os.PathLike, Image.Image)):
        raise ValueError("batch takes a list of pictures; for one, call the predictor itself")
    return [to_bgr(picture) for picture in pictures]


def _what_to_do(picture: object) -> str:
    """Says what an object is that is not a picture, and how to make a picture of it."""
    if picture is None:
        return "None, which cv2.imread returns for a file that it cannot read"
    if isinstance(picture, (bytes, bytearray, memoryview)) or hasattr(picture, "read"):
        stream = "picture" if hasattr(picture, "read") else "io.BytesIO(picture)"
        return (
            f"a {type(picture).__name__}; expected an array, a Pillow image or a path:"
            f" PIL.Image.open({stream}) reads the content of a file"
        )
    if isinstance(picture, (list, tuple)):
        return f"a {type(picture).__name__}; several pictures go to the predictor's method batch"
    if hasattr(picture, "permute") and hasattr(picture, "cpu"):  # a tensor of torch
        code = "picture"
        if picture.is_floating_point():
            code += ".mul(255).round().byte()"
        shape = tuple(picture.shape)
        if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4):
            code += ".permute(1, 2, 0)"
        return (
            f"a tensor {shape} of {picture.dtype}; expected an array (H, W, 3) of"
            f" uint8, BGR: {code}.cpu().numpy() makes it so, with [..., ::-1] appended if it is RGB"
            + (" (for values from 0 to 1)" if picture.is_floating_point() else "")
        )
    return (
        f"a {type(picture).__name__}; expected an array (H, W, 3) of uint8, BGR, a Pillow image or"
        " a path"
    )
