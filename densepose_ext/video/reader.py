"""Reads frames from a video file or a camera, one at a time.

Files are read by PyAV where it is installed, else by OpenCV; cameras by OpenCV.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from time import perf_counter

import cv2
import numpy as np

from ..files.pyav import av, reason, upright
from ..prediction.stream import Frame
from ..processes.messages import counted

#: Frame rate of sources that do not state theirs.
USUAL_RATE = 25


@dataclass(frozen=True)
class VideoFrame(Frame):
    """A frame of a video; its name is its number, from 0, in at least six digits.

    Attributes:
        time: seconds since the first frame.
    """

    time: float = 0.0


class VideoReader:
    """The frames of a video, upright, in display order. A context manager.

    Iterating yields each :class:`VideoFrame` once. A damaged file yields the frames that can be
    decoded; :attr:`problem` then says what is wrong with it.

    Attributes:
        name: the file, or "camera 0".
        rate: mean frames per second, a Fraction.
        count: number of frames that the file states; None if it does not.
        pixels: of a frame, as the source states.
        problem: what could not be read so far, in words; empty if nothing.
    """

    def __init__(self, source: str | os.PathLike):
        """
        Args:
            source: a file, or the number of a camera if there is no file of that name.

        Raises:
            OSError: there is no such file or camera, or it cannot be opened.
            ValueError: the file is not a video.
        """
        source = os.fspath(source)
        self.problem = ""
        camera = source.isdigit() and not os.path.exists(source)
        self.name = f"camera {source}" if camera else source
        if not camera:
            with open(source, "rb") as file:  # clearer errors than those of the libraries
                if not file.read(1):
                    raise ValueError(f"{source} is empty; expected a video")
        opened = _OpenCV if camera or av is None else _PyAV
        self._backend = opened(int(source) if camera else source, self.name)
        self.rate, self.count = self._backend.rate, self._backend.count
        self.pixels = self._backend.pixels

    def __iter__(self) -> Iterator[VideoFrame]:
        number = 0
        for picture, time in self._backend.pictures():
            yield VideoFrame(f"{number:06d}", picture, time=time)
            number += 1
        problems = list(self._backend.damage)
        # An edit list may hide a few frames at either end: that is not damage.
        if self.count is not None and number < 0.98 * self.count - 2:
            problems.append(f"ends after {number} of {self.count} frames")
        if problems:
            self.problem = f"{self.name}: {'; '.join(problems)}"

    def close(self) -> None:
        """Closes the file or camera."""
        self._backend.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _PyAV:
    """A file, read by PyAV (FFmpeg)."""

    def __init__(self, source: str, name: str):
        self.damage: list[str] = []
        try:
            # without the prefix, a name with a colon would be taken for a URL
            self._container = av.open("file:" + source)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise ValueError(f"{name} cannot be read as a video: {reason(error)}") from error
        if not self._container.streams.video:
            self._container.close()
            raise ValueError(f"{name} has no pictures; expected a video")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(USUAL_RATE)
        self.count = self._stream.frames or None
        self.pixels = self._stream.width * self._stream.height

    def pictures(self) -> Iterator[tuple[np.ndarray, float]]:
        first, last, number, bad = None, None, 0, 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self.damage.append(f"cannot be read further ({reason(error)})")
                break
            if packet is None:
                break
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                bad += 1
                continue
            for frame in frames:
                time = number / self.rate if frame.time is None else frame.time
                first = time if first is None else first
                if last is not None and time - first <= last:  # concatenated files start again at 0
                    first = time - last - float(1 / self.rate)
                last = float(time - first)
                number += 1
                yield upright(frame), last
        if bad:
            self.damage.insert(0, f"{counted(bad, 'damaged packet')} left out")

    def close(self) -> None:
        self._container.close()


class _OpenCV:
    """A file or a camera, read by OpenCV, which rotates frames itself."""

    def __init__(self, source: str | int, name: str):
        self.damage: list[str] = []
        self._camera = isinstance(source, int)
        backend = cv2.CAP_ANY if self._camera else cv2.CAP_FFMPEG
        self._capture = cv2.VideoCapture(source, backend)
        if not self._capture.isOpened():
            if self._camera:
                raise OSError(f"{name} cannot be opened: there is none, or it is in use")
            raise ValueError(f"{name} cannot be read as a video")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        stated = Fraction(rate).limit_denominator(1001) if 0 < rate < 1000 else None
        self.rate = stated or Fraction(USUAL_RATE)
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 and not self._camera else None
        sides = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
        self.pixels = round(self._capture.get(sides[0]) * self._capture.get(sides[1]))

    def pictures(self) -> Iterator[tuple[np.ndarray, float]]:
        number, started = 0, None
        while True:
            there, picture = self._capture.read()
            if not there:
                break
            now = perf_counter()
            started = now if started is None else started
            # A camera drops frames while nobody reads.
            yield picture, now - started if self._camera else float(number / self.rate)
            number += 1
        if self._camera:
            self.damage.append("gives no more pictures")

    def close(self) -> None:
        self._capture.release()
