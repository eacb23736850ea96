"""Pictures as the model takes them, whatever they are stored as."""

from __future__ import annotations

import os
import struct
import zlib

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: What Pillow's and OpenCV's decoders raise on damaged files.
_DECODING_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    MemoryError,
    RuntimeError,  # of AVIF; NotImplementedError of rare kinds
    ArithmeticError,
    AttributeError,
    struct.error,
    zlib.error,
    cv2.error,
    Image.DecompressionBombError,
)

#: Modes of one channel with more than 8 bits; Pillow's own conversion to 8 would cut them off.
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


def as_bgr(picture: np.ndarray) -> np.ndarray:
    """A picture as (H, W, 3) uint8.

    Grey becomes three equal channels; the fourth channel is taken for opacity, and the picture is
    laid on white; 16 bits are scaled down to 8. The order of the colours is kept.

    Args:
        picture: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or uint16.

    Raises:
        ValueError: for anything else; the message says what was given and what is expected.
    """
    if not isinstance(picture, np.ndarray):
        raise ValueError(
            f"the picture is a {type(picture).__name__}; expected an array (H, W, 3) of uint8, BGR"
        )
    if picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"the picture is of {picture.dtype}; expected uint8 (0 to 255) or uint16")
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in picture.shape:
        raise ValueError(f"the picture has the shape {picture.shape}; expected (H, W, 3)")
    if picture.dtype == np.uint16:
        picture = np.round(picture / np.float32(257)).astype(np.uint8)
    if channels == 1:
        return np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
    if channels == 4:
        opacity = picture[..., 3:].astype(np.uint16)
        mixed = picture[..., :3] * opacity + 255 * (255 - opacity)
        picture = ((mixed + 127) // 255).astype(np.uint8)
    return picture


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """Reads a picture file upright: (H, W, 3) uint8, BGR.

    Whatever Pillow or OpenCV reads, in any colour space; of an animation the first frame. The
    EXIF orientation is applied.

    Raises:
        OSError: there is no such file, or it may not be read.
        ValueError: the file is damaged, or no picture.
    """
    path = os.fspath(path)
    with open(path, "rb") as stream:
        try:
            return _read(stream)
        except _DECODING_ERRORS as error:
            reason = " ".join(str(error).split()).replace(repr(stream), "the file")
            raise ValueError(f"{path} cannot be read as a picture: {reason}") from error


def _read(stream) -> np.ndarray:
    try:
        image = Image.open(stream)
    except UnidentifiedImageError:
        # Formats that Pillow lacks, 16-bit colour TIFF among them.
        return _read_by_opencv(stream)
    with image:
        image = ImageOps.exif_transpose(image)
        if image.mode in _DEEP_MODES:
            return as_bgr(_to_16_bits(np.asarray(image)))
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            rgb = as_bgr(np.asarray(image.convert("RGBA")))
        else:
            rgb = np.asarray(image.convert("RGB"))
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)


def _to_16_bits(grey: np.ndarray) -> np.ndarray:
    if not np.issubdtype(grey.dtype, np.integer):
        raise ValueError(f"its pixels are of {grey.dtype}; expected 8 or 16 bits")
    return grey.clip(0, 65535).astype(np.uint16)


def _read_by_opencv(stream) -> np.ndarray:
    stream.seek(0)
    content = np.frombuffer(stream.read(), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None
    if picture is None:
        raise ValueError("it is of no format that Pillow or OpenCV knows")
    return as_bgr(picture)
