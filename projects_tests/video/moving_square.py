"""Frames that can be told apart after lossy coding, and videos of them."""

from pathlib import Path

import numpy as np

from densepose_ext.video.writer import VideoWriter


def frame(number: int, size=(48, 64)) -> np.ndarray:
    """A dark picture whose brightness is the number, with a red square at its upper left."""
    picture = np.full((*size, 3), 40 + 3 * number, np.uint8)
    picture[:16, :16] = (0, 0, 230)
    return picture


def number_of(picture: np.ndarray) -> int:
    """The number of a frame, read off its lower right quarter."""
    height, width = picture.shape[:2]
    return round((float(picture[height // 2 + 4 :, width // 2 + 4 :].mean()) - 40) / 3)


def write_video(path: Path, frames=20, size=(48, 64), rate=25) -> Path:
    with VideoWriter(path, rate) as writer:
        for number in range(frames):
            writer.write(frame(number, size))
    return path
