"""Writes videos: H.264 by PyAV, with the sound of another video, or by OpenCV."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ..files.pyav import av, reason
from .sound import Sound

#: Allowed endings, and OpenCV's codec for each.
CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
#: Ticks per second: a multiple of all usual frame rates, 30000/1001 included.
TICKS = 90_000
#: H.264's constant rate factor: 0 is lossless, 51 the worst; lines and text need better than 23.
QUALITY = "20"


class VideoWriter:
    """Writes frames of one size as a video. A context manager.

    PyAV's file is playable whatever ends the run, once two seconds of film are in it: it is written
    in fragments of that length, and closing turns it into an ordinary file. OpenCV's is playable
    once it is closed, also by an exception or Ctrl-C.

    Ordinary H.264 (4:2:0) needs even sizes. Odd sizes are written with full colour resolution
    (4:4:4), which some devices do not play. OpenCV's codecs need even sizes: the last row or column
    is repeated.

    Attributes:
        path: of the file.
        codec: "H.264", "mp4v" or "MJPG".
        frames: number of frames written so far.
        silence: why the requested sound is left out; empty otherwise.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        rate: Fraction | float = 25,
        sound: str | os.PathLike | None = None,
    ):
        """
        Args:
            path: .mp4, .mov, .mkv or .avi; an existing file is replaced at the first frame. OpenCV
                writes .avi, and everything if PyAV is missing.
            rate: frames per second.
            sound: a video whose sound is copied up to the last frame. OpenCV writes none.

        Raises:
            ValueError: the ending is another one, or the rate is not above 0.
        """
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in CODECS:
            raise ValueError(f"{path}: videos are written as {', '.join(CODECS)}")
        if not rate > 0:
            raise ValueError(f"{path}: {rate} frames a second; expected more than 0")
        self.rate = Fraction(rate).limit_denominator(TICKS)
        # .avi has no time stamps, which H.264 needs
        self._by_opencv = av is None or suffix == ".avi"
        self.codec = CODECS[suffix] if self._by_opencv else "H.264"
        self.frames = 0
        self.sound = sound
        self.silence = "OpenCV writes no sound" if sound and self._by_opencv else ""
        self._size: tuple[int, int] | None = None
        self._backend: _PyAV | _OpenCV | None = None

    def write(self, picture: np.ndarray, time: float | None = None) -> None:
        """Adds a frame.

        Args:
            picture: (H, W, 3) uint8 BGR, of the same size as the first one.
            time: seconds since the first frame, for variable frame rates; only PyAV keeps it.
                Default: the frame's number divided by the rate.

        Raises:
            OSError: the file cannot be written.
            ValueError: the picture has another size.
        """
        size = picture.shape[:2]
        if self._backend is None:
            self._size = size
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._backend = (_OpenCV if self._by_opencv else _PyAV)(self, size)
        if size != self._size:
            raise ValueError(
                f"{self.path}: frame {self.frames} has {size[1]} x {size[0]} pixels; expected "
                f"{self._size[1]} x {self._size[0]}, as the frames before"
            )
        self._backend.write(picture, self.frames / self.rate if time is None else time)
        self.frames += 1

    def close(self) -> None:
        """Completes the file. Does nothing a second time, or without frames.

        Raises:
            OSError: the last frames cannot be written.
        """
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _PyAV:
    """H.264, by the x264 in PyAV."""

    def __init__(self, owner: VideoWriter, size: tuple[int, int]):
        self._owner, self._path, self._last = owner, owner.path, -1
        self._duration = max(round(TICKS / owner.rate), 1)
        self._container: av.container.OutputContainer | None = None
        self._sound = Sound(owner.sound) if owner.sound is not None else None
        if self._sound is not None and self._sound.stream is None:
            self._drop_sound()
        suffix = owner.path.suffix.lower()
        if self._sound is not None and suffix == ".mp4" and self._codec().startswith("pcm_"):
            self._refuse_sound()  # few players take it
        try:
            self._open(owner, size)
        except (av.error.FFmpegError, ValueError) as error:
            if self._container is None or self._sound is None:
                if self._sound is not None:
                    self._drop_sound()
                raise OSError(f"{owner.path} cannot be written: {reason(error)}") from error
            self._refuse_sound()
            self._container.close()
            try:
                self._open(owner, size)
            except av.error.FFmpegError as error:
                raise OSError(f"{owner.path} cannot be written: {reason(error)}") from error

    def _codec(self) -> str:
        """The name of the sound's codec."""
        return self._sound.stream.codec_context.name

    def _open(self, owner: VideoWriter, size: tuple[int, int]) -> None:
        options = {"flush_packets": "1"}
        if owner.path.suffix.lower() in (".mp4", ".mov"):
            options["movflags"] = "hybrid_fragmented"
        self._container = av.open("file:" + str(owner.path), "w", options=options)
        self._stream = self._container.add_stream("libx264", rate=owner.rate)
        self._stream.height, self._stream.width = size
        odd = size[0] % 2 or size[1] % 2
        self._stream.pix_fmt = "yuv444p" if odd else "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, TICKS)
        # fragments start at keyframes
        whole = max(round(2 * owner.rate), 1)
        self._stream.options = {"crf": QUALITY, "preset": "veryfast", "g": str(whole)}
        if self._sound is not None:
            self._sound_stream = self._container.add_stream_from_template(self._sound.stream)
        self._container.start_encoding()

    def _refuse_sound(self) -> None:
        """Leaves out a sound that the container cannot hold."""
        suffix = self._path.suffix
        self._owner.silence = f"sound as {self._codec()} has no place in {suffix}, .mkv takes most"
        self._drop_sound()

    def _drop_sound(self) -> None:
        self._sound.close()
        self._sound = None

    def write(self, picture: np.ndarray, time: float) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        self._last = max(round(time * TICKS), self._last + 1)
        frame.pts, frame.duration = self._last, self._duration
        frame.time_base = Fraction(1, TICKS)
        self._encode(frame)

    def _encode(self, frame) -> None:
        if self._sound is not None:
            self._write_sound((self._last + self._duration) / TICKS)
        try:
            self._container.mux(self._stream.encode(frame))
        except av.error.FFmpegError as error:
            raise OSError(f"{self._path} cannot be written: {reason(error)}") from error

    def _write_sound(self, time: float) -> None:
        """Writes the sound up to a time; an error in the sound does not end the video."""
        try:
            for packet in self._sound.until(time):
                packet.stream = self._sound_stream
                self._container.mux(packet)
        except av.error.FFmpegError as error:
            self._owner.silence = (
                f"from {time:.0f} s on its sound cannot be written: {reason(error)}"
            )
            self._drop_sound()

    def close(self) -> None:
        try:
            self._encode(None)
        finally:
            if self._sound is not None:
                self._sound.close()
            try:
                self._container.close()
            except av.error.FFmpegError as error:
                raise OSError(f"{self._path} cannot be written: {reason(error)}") from error


class _OpenCV:
    """MPEG-4 or Motion JPEG, by OpenCV."""

    def __init__(self, owner: VideoWriter, size: tuple[int, int]):
        self._missing = size[0] % 2, size[1] % 2
        even = size[1] + self._missing[1], size[0] + self._missing[0]
        code = cv2.VideoWriter.fourcc(*owner.codec)
        self._path, self._frames = owner.path, 0
        self._writer = cv2.VideoWriter(str(owner.path), code, float(owner.rate), even)
        if not self._writer.isOpened():
            raise OSError(f"{owner.path} cannot be written as {owner.codec} by OpenCV")

    def write(self, picture: np.ndarray, time: float) -> None:
        if any(self._missing):
            rows, columns = self._missing
            picture = cv2.copyMakeBorder(picture, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
        self._writer.write(picture)
        self._frames += 1

    def close(self) -> None:
        self._writer.release()
        # OpenCV says nothing when the disk is full.
        written = cv2.VideoCapture(str(self._path))
        written.set(cv2.CAP_PROP_POS_FRAMES, self._frames - 1)
        is_whole = written.read()[0]
        written.release()
        if not is_whole:
            raise OSError(f"{self._path} is not complete; is the disk full?")
