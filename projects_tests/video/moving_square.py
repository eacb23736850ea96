"""Frames that can be told apart after lossy coding, and videos of them."""

from pathlib import Path

import numpy as np

from densepose_ext.video.writer import VideoWriter


def frame(number: int, size=(48, 64)) -> np.ndarray:
    """A grey picture with a red square; two quarters tell the tens and the ones of the number."""
    height, width = (side // 2 for side in size)
    picture = np.full((*size, 3), 40, np.uint8)
    picture[:height, width:] = 20 + 20 * (number // 10)
    picture[height:, width:] = 20 + 20 * (number % 10)
    picture[:16, :16] = (0, 0, 230)
    return picture


def number_of(picture: np.ndarray) -> int:
    """The number of a frame from 0 to 99, read off its right half."""
    height, width = (side // 2 for side in picture.shape[:2])
    halves = picture[4 : height - 4, width + 4 :], picture[height + 4 : -4, width + 4 :]
    tens, ones = (round((float(half.mean()) - 20) / 20) for half in halves)
    return 10 * tens + ones


def write_video(path: Path, frames=20, size=(48, 64), rate=25) -> Path:
    with VideoWriter(path, rate) as writer:
        for number in range(frames):
            writer.write(frame(number, size))
    return path
