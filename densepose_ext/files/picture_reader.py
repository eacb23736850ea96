"""Reads picture files of any format upright, as 8-bit BGR."""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from .deep_pictures import DEEP_MODES, deep_grey, scaled_to_8_bits

#: What Pillow's and OpenCV's decoders raise on damaged files.
_DECODING_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    MemoryError,
    RuntimeError,  # AVIF; its subclass NotImplementedError for rare formats
    ArithmeticError,
    AttributeError,
    struct.error,
    zlib.error,
    cv2.error,
    Image.DecompressionBombError,
)

#: What Pillow raises on damaged EXIF data.
_EXIF_ERRORS = (SyntaxError, ValueError, LookupError, TypeError, struct.error)

#: What turns a picture upright, by the EXIF orientation that its file states.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Bytes 4 to 12 of the photographs of many telephones.
_HEIC = {b"ftyp" + brand for brand in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1")}


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """Reads a picture file upright: (H, W, 3) uint8, BGR.

    Any format and colour space that Pillow or OpenCV supports; the first frame of an animation.
    The EXIF orientation is applied, 16 bits are scaled to 8, transparency is blended with white.

    Raises:
        OSError: the file does not exist, or may not be read.
        ValueError: the file is damaged, or not a picture.
    """
    path = os.fspath(path)
    with open(path, "rb") as stream:
        try:
            return decode_picture(stream)
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as a picture: {error}") from error


def decode_picture(stream: BinaryIO) -> np.ndarray:
    """As :func:`read_picture`, from an open file.

    Raises:
        ValueError: the content is damaged, or not a picture.
    """
    try:
        try:
            image = Image.open(stream)
        except UnidentifiedImageError:
            # Formats that Pillow lacks, 16-bit colour TIFF among them.
            return _decode_by_opencv(stream)
        with image:
            return _image_as_bgr(image)
    except _DECODING_ERRORS as error:
        raise ValueError(_reason(error).replace(repr(stream), "the file")) from error


def image_as_bgr(image: Image.Image) -> np.ndarray:
    """A Pillow image of any mode as (H, W, 3) uint8, BGR, upright.

    Raises:
        ValueError: its file is damaged, or its pixels are floating-point numbers.
    """
    try:
        return _image_as_bgr(image)
    except _DECODING_ERRORS as error:
        raise ValueError(_reason(error)) from error


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation of a Pillow image, from 1 to 8; 1, upright, if it states none.

    Damaged EXIF data counts as none, since the pixels may be whole.
    """
    try:
        orientation = image.getexif().get(0x0112)
    except _EXIF_ERRORS:
        return 1
    return orientation if orientation in _TURNS else 1


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())


def _image_as_bgr(image: Image.Image) -> np.ndarray:
    image.load()  # may be what finds the EXIF data
    orientation = exif_orientation(image)
    if orientation != 1:
        image = image.transpose(_TURNS[orientation])
    if image.mode == "La":  # Pillow converts it only to LA
        image = image.convert("LA")
    if image.mode in DEEP_MODES:
        return as_bgr(deep_grey(image))
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        rgb = as_bgr(np.asarray(image.convert("RGBA")))
    else:
        rgb = np.asarray(image.convert("RGB"))
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)


def _decode_by_opencv(stream: BinaryIO) -> np.ndarray:
    stream.seek(0)
    content = np.frombuffer(stream.read(), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None
    if picture is None:
        if bytes(content[4:12]) in _HEIC:
            raise ValueError("it is HEIC, which neither Pillow nor OpenCV reads; save it as JPEG")
        raise ValueError("neither Pillow nor OpenCV knows its format")
    return as_bgr(picture)


def as_bgr(picture: np.ndarray) -> np.ndarray:
    """An array as (H, W, 3) uint8.

    Grey becomes three equal channels; a fourth channel is taken as opacity, and the picture is
    blended with white; 16 bits are scaled to 8. The order of the colours is kept.

    Args:
        picture: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or uint16.

    Raises:
        ValueError: it is none of these; the message says how to convert it.
    """
    if picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"the picture has dtype {picture.dtype}; expected uint8 (0 to 255) or uint16:"
            f" {_conversion_to_uint8(picture)}"
        )
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in picture.shape:
        hint = ""
        if picture.ndim == 3 and picture.shape[0] in (1, 3, 4):
            hint = ": picture.transpose(1, 2, 0) makes it so"
        raise ValueError(f"the picture has the shape {picture.shape}; expected (H, W, 3){hint}")
    if picture.dtype == np.uint16:
        picture = scaled_to_8_bits(picture)
    if channels == 1:
        return np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
    if channels == 4:
        opacity = picture[..., 3:].astype(np.uint16)
        mixed = picture[..., :3] * opacity + 255 * (255 - opacity)
        picture = ((mixed + 127) // 255).astype(np.uint8)
    return picture


def _conversion_to_uint8(picture: np.ndarray) -> str:
    """Code that converts an array of another dtype, guessed from its values."""
    if picture.dtype == bool:
        return "picture.astype('uint8') * 255 converts it"
    if picture.dtype.kind not in "fiu":
        return "its values are not numbers"
    if not np.isfinite(picture).all():
        return "it has values that are not finite"
    low, high = picture.min(initial=0), picture.max(initial=0)
    if picture.dtype.kind == "f" and low >= 0 and high <= 1:
        return "(picture * 255).round().astype('uint8') converts values from 0 to 1"
    if low >= 0 and high <= 255:
        return "picture.round().astype('uint8') converts values from 0 to 255"
    return f"its values, from {low:g} to {high:g}, have to be brought to 0 to 255"
