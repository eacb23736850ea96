"""Reads the key frames of a video, which can be decoded without other frames."""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np

from ..files.pyav import av, reason, upright


def require_pyav(video: str) -> None:
    """
    Raises:
        ModuleNotFoundError: PyAV, which reads key frames, is not installed.
    """
    if av is None:
        raise ModuleNotFoundError(f"reading key frames of {video} needs PyAV: pip install 'av>=15'")


def key_frame_times(video: str) -> tuple[int, ...]:
    """Times of the key frames of a video, in its stream's time base. Decodes nothing.

    Raises:
        OSError, ValueError: the file does not exist, or is not a video.
    """
    require_pyav(video)
    stamp = os.stat(video)
    return _times(video, stamp.st_size, stamp.st_mtime_ns)


@lru_cache(maxsize=4096)
def _times(video: str, size: int, changed: int) -> tuple[int, ...]:
    with _opened(video) as container:
        stream = container.streams.video[0]
        try:
            packets = [
                packet.pts
                for packet in container.demux(stream)
                if packet.is_keyframe and packet.pts is not None
            ]
        except av.error.FFmpegError as error:
            raise ValueError(f"{video} cannot be read: {reason(error)}") from error
    if not packets:
        raise ValueError(f"{video} has no key frames; expected a video")
    return tuple(sorted(packets))


def read_key_frame(video: str, time: int) -> np.ndarray:
    """BGR (H, W, 3) uint8 of a key frame, upright.

    Args:
        time: one of :func:`key_frame_times`.

    Raises:
        OSError, ValueError: the file or the frame cannot be read.
    """
    require_pyav(video)
    with _opened(video) as container:
        stream = container.streams.video[0]
        try:
            container.seek(time, stream=stream)
            return upright(next(container.decode(stream)))
        except (av.error.FFmpegError, StopIteration) as error:
            raise ValueError(
                f"{video}: the key frame at {time} cannot be read: {reason(error)}"
            ) from error


def _opened(video: str):
    try:
        container = av.open("file:" + video)
    except (av.error.FFmpegError, ValueError) as error:
        raise ValueError(f"{video} cannot be read as a video: {reason(error)}") from error
    if not container.streams.video:
        container.close()
        raise ValueError(f"{video} has no video stream; expected a video")
    return container
