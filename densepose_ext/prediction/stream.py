"""Reads, predicts and writes concurrently, in order, with few pictures in memory.

Reading, the network and writing run in threads. Everything takes and returns iterators, so the
frames can also come from a video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from threading import Thread
from typing import TypeVar

import numpy as np
import torch

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
    function: Callable[[Given], Made],
    items: Iterable[Given],
    workers: int,
    threads: int = 1,
) -> Iterator[Made]:
    """An ordered ``map`` in threads that work ahead of the consumer.

    At most ``workers + 1`` results are pending or in progress, so memory does not grow with the
    number of items. An exception is raised in place of its result.

    Args:
        threads: of torch, in each worker.
    """
    pending: deque = deque()
    settings = threads, torch.get_num_threads()
    with ThreadPoolExecutor(workers, "", _use_threads, settings) as pool:
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


def _use_threads(number: int, default: int) -> None:
    """Sets torch's number of threads for operations of the calling thread alone."""
    torch.get_num_threads()  # a thread's first use of torch takes the default
    torch.set_num_threads(number)
    # It is now the default, too; another thread puts that back.
    other = Thread(target=torch.set_num_threads, args=(default,))
    other.start()
    other.join()


def predict_frames(
    frames: Iterable[Frame],
    find: Callable[[list[np.ndarray]], list[People]],
    batch: int = 1,
    lanes: int = 1,
) -> Iterator[tuple[Frame, People | None]]:
    """The people of each frame, in order, None for a frame without a picture.

    Args:
        find: the method ``batch`` of a predictor.
        batch: frames per batch of the network.
        lanes: batches computed at the same time. More than one share torch's threads, and have
            threads of their own; else the network runs in the calling thread.
    """
    frames = iter(frames)
    groups = iter(lambda: list(islice(frames, batch)), [])

    def found(group: list[Frame]) -> list[tuple[Frame, People | None]]:
        people = iter(find([f.picture for f in group if f.picture is not None]))
        return [(f, next(people) if f.picture is not None else None) for f in group]

    if lanes == 1:
        yield from chain.from_iterable(map(found, groups))
        return
    threads = max(torch.get_num_threads() // lanes, 1)
    with closing(ahead(found, groups, lanes, threads)) as results:
        for people in results:
            yield from people
