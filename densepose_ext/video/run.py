"""Draws the people of a video; all stages, from reading to writing, run at the same time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice, repeat, takewhile
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ..prediction.choosing import Follower
from ..prediction.people import People
from ..prediction.resizing import resized_people, resized_picture
from ..prediction.stream import Frame, ahead, predict_frames
from ..visualization import (
    control_picture,
    draw_boxes,
    draw_contours,
    draw_masks,
    draw_parts,
    draw_u,
    draw_v,
)
from .reader import VideoFrame, VideoReader
from .smoothing import SurfaceSmoother
from .tracking import Tracker
from .writer import VideoWriter

if TYPE_CHECKING:
    from ..prediction.opening import Predictor


def _iuv(picture: np.ndarray, people: People, identities: list[int]) -> np.ndarray:
    return people.to_iuv()[..., ::-1]


def _iuv_for_opencv(picture: np.ndarray, people: People, identities: list[int]) -> np.ndarray:
    return people.to_iuv()


def _control(picture: np.ndarray, people: People, identities: list[int]) -> np.ndarray:
    return control_picture(people, people.size)


def _control_parula(picture: np.ndarray, people: People, identities: list[int]) -> np.ndarray:
    return control_picture(people, people.size, colours="parula", black=True)


def _mask(picture: np.ndarray, people: People, identities: list[int]) -> np.ndarray:
    return draw_boxes(draw_masks(picture, people, identities=identities), people, identities)


def _boxed(draw: Callable[[np.ndarray, People], np.ndarray]) -> Callable:
    def painted(picture: np.ndarray, people: People, identities: list[int]) -> np.ndarray:
        return draw_boxes(draw(picture, people), people, identities)

    return painted


#: Drawings by name: (BGR picture, people, identities) -> BGR picture.
DRAWINGS = {
    "parts": _boxed(draw_parts),
    "u": _boxed(draw_u),
    "v": _boxed(draw_v),
    "contour": _boxed(draw_contours),
    "mask": _mask,
    "iuv": _iuv,
    "iuv-bgr": _iuv_for_opencv,
    "control": _control,
    "control-parula": _control_parula,
}


@dataclass(frozen=True)
class VideoSummary:
    """The outcome of :func:`draw_video`.

    Attributes:
        frames: number of frames written.
        people: number of different people.
        milliseconds: work per frame, by stage; stages, and two frames in the network on a CPU,
            overlap in time.
        seconds: from the first frame to the last.
        interrupted: whether Ctrl-C ended it.
    """

    frames: int
    people: int
    milliseconds: dict[str, float]
    seconds: float
    interrupted: bool


def draw_video(
    video: VideoReader,
    writer: VideoWriter,
    predictor: Predictor,
    drawing: str = "parts",
    smoother: SurfaceSmoother | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    person: str = "all",
    size: tuple[int, int] | None = None,
    shows_progress: bool = True,
) -> VideoSummary:
    """Finds and tracks the people of a video, and writes it with them drawn.

    A few frames are in memory at any time. After Ctrl-C the video ends at the current frame.

    Args:
        drawing: one of DRAWINGS.
        smoother: smooths the surface over time; None does not.
        frames, seconds: limits of the video's length.
        person: who is drawn (see ``choosing.CHOICES``); one who was chosen stays so while seen.
        size: (height, width) of the new video; None: that of the old one.
        shows_progress: in a terminal.

    Raises:
        OSError: the video cannot be written.
        ValueError: the drawing is unknown, or frames differ in size.
    """
    if drawing not in DRAWINGS:
        raise ValueError(f"drawing {drawing!r}; expected one of {', '.join(DRAWINGS)}")
    clock, tracker, follower = _Clock(), Tracker(), Follower(person)
    people_seen = 0
    todo = _limited(video, frames, seconds)

    def follow(predicted: tuple[Frame, People]) -> tuple[Frame, People, list[int]]:
        nonlocal people_seen
        frame, people = predicted
        identities = tracker.update(people)
        people_seen = max([people_seen, *identities])
        if smoother is not None:
            people = People(smoother(people, identities), people.size)
        people, identities = follower(people, identities)
        return frame, people, identities

    def draw(followed: tuple[Frame, People, list[int]]) -> tuple[VideoFrame, np.ndarray]:
        frame, people, identities = followed
        picture = frame.picture
        if size is not None:
            people, picture = resized_people(people, size), resized_picture(picture, size)
        return frame, DRAWINGS[drawing](picture, people, identities)

    def write(drawn: tuple[VideoFrame, np.ndarray]) -> None:
        writer.write(drawn[1], drawn[0].time)

    counts = [count for count in (video.count, frames) if count is not None]
    started, interrupted = perf_counter(), False
    with ExitStack() as stages:

        def stage(name: str, function: Callable, items: Iterator) -> Iterator:
            """One thread per stage, so that frames stay in order."""
            return stages.enter_context(closing(ahead(clock.timed(name, function), items, 1)))

        read = stage("decode", lambda _: next(todo, None), repeat(None))
        find = clock.timed("network", predictor.batch)
        frames_read = takewhile(lambda frame: frame is not None, read)
        found = predict_frames(frames_read, find, lanes=predictor.lanes)
        written = stage("encode", write, stage("draw", draw, stage("track", follow, found)))
        disable = None if shows_progress else True  # None: outside of a terminal
        bar = tqdm(written, "video", min(counts, default=None), unit="frame", disable=disable)
        try:
            for _ in bar:
                pass
        except KeyboardInterrupt:
            interrupted = True
    number = max(writer.frames, 1)
    return VideoSummary(
        writer.frames,
        people_seen,
        {name: 1000 * spent / number for name, spent in clock.spent.items()},
        perf_counter() - started,
        interrupted,
    )


def _limited(video: VideoReader, frames: int | None, seconds: float | None) -> Iterator[VideoFrame]:
    found = islice(video, frames)
    return found if seconds is None else takewhile(lambda frame: frame.time < seconds, found)


class _Clock:
    """Sums up the time that functions take.

    Attributes:
        spent: name -> seconds, in the order of first use.
    """

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._lock = Lock()

    def timed(self, name: str, function: Callable) -> Callable:
        def measured(argument):
            start = perf_counter()
            try:
                return function(argument)
            finally:
                with self._lock:
                    self.spent[name] += perf_counter() - start

        return measured
