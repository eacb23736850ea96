"""Reads uploads, and checks and decodes pictures."""

from __future__ import annotations

import asyncio
import io
from functools import cache

import numpy as np
from PIL import Image
from starlette.requests import ClientDisconnect, Request

from ..files.picture_reader import image_as_bgr
from .limits import Limits
from .multipart import file_of_form
from .refusal import Refusal

#: Accepted formats. Pillow has more, some of which start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
#: A body that is too large is read up to this multiple of the limit: clients that are still sending
#: would not read the response.
_READ_IN_VAIN = 2


async def read_upload(request: Request, limits: Limits, media: str = "image") -> bytes:
    """The uploaded file: the body of a request, or the only file of a form.

    Args:
        media: "image" or "video".

    Raises:
        Refusal: the upload is too large, too slow, empty, or of another type.
    """
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    is_form = kind == "multipart/form-data"
    is_file = kind in ("", "application/octet-stream") or kind.startswith(f"{media}/")
    if not (is_form or is_file):
        raise Refusal(
            415,
            f"Content-Type is {kind[:80]!r}; expected {media}/*, application/octet-stream"
            " or multipart/form-data",
        )
    body = await _body_in_time(request, limits)
    content = file_of_form(content_type, body) if is_form else body
    if not content:
        raise Refusal(400, "the upload is empty: the request has no content")
    return content


async def _body_in_time(request: Request, limits: Limits) -> bytes:
    try:
        return await asyncio.wait_for(_body(request, limits), limits.seconds)
    except asyncio.TimeoutError:  # not the built-in TimeoutError before Python 3.11
        raise Refusal(408, f"the upload took more than {limits.seconds:g} s") from None
    except ClientDisconnect:
        raise Refusal(408, "the upload was interrupted") from None


async def discard_body(request: Request, limits: Limits) -> None:
    """Reads the body of a refused request: a client that is still sending would not read why."""
    try:
        await asyncio.wait_for(_body(request, limits, is_kept=False), limits.seconds)
    except (Refusal, ClientDisconnect, asyncio.TimeoutError, RuntimeError):
        return  # RuntimeError: it has already been read


async def _body(request: Request, limits: Limits, is_kept: bool = True) -> bytes:
    chunks, received = [], 0
    async for chunk in request.stream():
        received += len(chunk)
        if is_kept and received <= limits.bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
        if received > _READ_IN_VAIN * limits.bytes:
            break
    if received > limits.bytes:
        raise Refusal(413, f"the upload has more than {limits.megabytes:g} MB")
    return b"".join(chunks)


def check_picture(content: bytes, limits: Limits) -> None:
    """Checks the header of a picture file.

    Raises:
        Refusal: it is not a picture (415), damaged (400), or has too many pixels (413).
    """
    with _opened(content) as image:
        width, height = image.size
    if width * height > limits.pixels:
        raise Refusal(
            413,
            f"the picture has {width} x {height} pixels; expected at most"
            f" {limits.megapixels:g} million",
        )


def decode_picture(content: bytes) -> np.ndarray:
    """Decodes a picture file: (H, W, 3) uint8 BGR, upright.

    Raises:
        Refusal: it is damaged.
    """
    with _opened(content) as image:
        try:
            return image_as_bgr(image)
        except ValueError as error:
            raise Refusal(400, f"the picture is damaged: {error}") from error


@cache
def _formats() -> tuple[str, ...]:
    """The accepted formats that this build of Pillow supports."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _opened(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=_formats())
    except Image.UnidentifiedImageError:
        names = ", ".join(_formats())
        raise Refusal(415, f"the upload is not a picture in a known format ({names})") from None
    except Image.DecompressionBombError as error:
        raise Refusal(413, f"the picture is too large: {error}") from None
    except (OSError, ValueError, SyntaxError, OverflowError, MemoryError) as error:
        raise Refusal(400, f"the header of the picture is damaged: {error}") from error
