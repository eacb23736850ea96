"""Reads, predicts and writes concurrently, in order, with few pictures in memory.

The network runs in the calling thread, reading and writing in other threads. Everything takes and
returns iterators, so the frames can also come from a video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from ..files.picture_reader import read_picture
from .inputs import Source
from .people import People

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Frame:
    """A picture with a name.

    Attributes:
        name: of the picture, unique in a run.
        picture: (H, W, 3) uint8, BGR; None if it could not be read.
        error: why it could not be read; empty if it was.
    """

    name: str
    picture: np.ndarray | None
    error: str = ""


def read_frame(source: Source) -> Frame:
    """A picture file as a frame, whose ``error`` takes the place of an exception."""
    try:
        return Frame(source.name, read_picture(source.path))
    except OSError as error:
        return Frame(source.name, None, error.strerror or str(error))
    except ValueError as error:  # its cause says why, without the path
        return Frame(source.name, None, str(error.__cause__ or error))


def ahead(
    function: Callable[[Given], Made], items: Iterable[Given], workers: int
) -> Iterator[Made]:
    """An ordered ``map`` in threads that work ahead of the consumer.

    At most ``workers + 1`` results are pending or in progress, so memory does not grow with the
    number of items. An exception is raised in place of its result.
    """
    pending: deque = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def predict_frames(
    frames: Iterable[Frame], find: Callable[[list[np.ndarray]], list[People]], batch: int = 1
) -> Iterator[tuple[Frame, People | None]]:
    """The people of each frame, in order, None for a frame without a picture.

    Args:
        find: the method ``batch`` of a predictor.
        batch: frames per batch of the network.
    """
    frames = iter(frames)
    while group := list(islice(frames, batch)):
        found = iter(find([f.picture for f in group if f.picture is not None]))
        for frame in group:
            yield frame, next(found) if frame.picture is not None else None
