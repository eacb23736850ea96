"""Checks uploaded videos."""

from __future__ import annotations

from pathlib import Path

from ..video import VideoReader
from .limits import Limits
from .refusal import Refusal

_MOV = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def check_film(path: Path, limits: Limits) -> int | None:
    """Opens a video and reads its first frame; returns the number of frames, if the file states it.

    Raises:
        Refusal: it is not a video (415), damaged (400), or too large (413).
    """
    with path.open("rb") as file:
        if not _is_container(file.read(12)):
            raise Refusal(
                415, "the upload is not a video in a known format (MP4, MOV, WebM, Matroska, AVI)"
            )
    try:
        with VideoReader(path) as video:
            if video.count is not None and video.count > limits.film_frames:
                raise Refusal(
                    413,
                    f"the video has {video.count} frames; expected at most {limits.film_frames}",
                )
            if video.pixels > limits.pixels:
                raise Refusal(
                    413,
                    f"the video's frames have {video.pixels / 1e6:.3g} million pixels; expected at"
                    f" most {limits.megapixels:g} million",
                )
            if next(iter(video), None) is None:
                raise Refusal(400, "the video is damaged: no frame can be read")
            return video.count
    except (OSError, ValueError) as error:
        reason = str(error).replace(str(path), "it")
        raise Refusal(400, f"the video is damaged: {reason}") from error


def _is_container(head: bytes) -> bool:
    """Whether a file starts like a video. FFmpeg also opens playlists, which name other files."""
    is_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    return head[4:8] in _MOV or head[:4] == b"\x1a\x45\xdf\xa3" or is_avi
