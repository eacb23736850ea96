"""Streams: frames in, people out, in order and not too far ahead."""

import threading

import numpy as np
import pytest
import torch

from densepose_ext import DensePosePredictor, People
from densepose_ext.prediction.stream import Frame, ahead, predict_frames
from projects_tests.tiny_model import CONFIG


@pytest.mark.slow
def test_frames_may_come_from_anywhere(weights):
    """The network takes frames when it needs them, and the people come in their order."""
    predictor = DensePosePredictor(CONFIG, weights, "cpu", min_score=0)
    asked = []

    def video():
        for n in range(7):
            asked.append(n)
            size = (40 + n, 50, 3)
            picture = np.random.default_rng(n).integers(0, 256, size, dtype=np.uint8)
            yield Frame(f"f{n}", None if n == 3 else picture, "lost" if n == 3 else "")

    given = predict_frames(video(), predictor.batch, batch=2)
    for n, (frame, people) in enumerate(given):
        assert frame.name == f"f{n}"
        assert (people is None) == (n == 3)
        assert people is None or people.size == (40 + n, 50)
        assert len(asked) <= n + 2


def test_lanes_work_at_the_same_time_and_share_the_threads():
    together, threads, of_others = threading.Barrier(2, timeout=60), [], []

    def find(pictures):
        together.wait()
        threads.append(torch.get_num_threads())
        other = threading.Thread(target=lambda: of_others.append(torch.get_num_threads()))
        other.start()
        other.join()
        return [People([], picture.shape[:2]) for picture in pictures]

    frames = (Frame(f"f{n}", np.zeros((n + 1, 9, 3), np.uint8)) for n in range(6))
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        found = list(predict_frames(frames, find, lanes=2))
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
    assert [(frame.name, people.size) for frame, people in found] == [
        (f"f{n}", (n + 1, 9)) for n in range(6)
    ]
    assert threads == [2] * 6
    assert of_others == [4] * 6


def test_working_ahead_is_in_order_and_bounded():
    running = threading.Semaphore(0)
    started = []

    def work(n: int) -> int:
        started.append(n)
        running.release()
        return n * n

    results = ahead(work, iter(range(50)), workers=3)
    for n, result in enumerate(results):
        assert result == n * n
        assert len(started) <= n + 5
    assert sorted(started) == list(range(50))


def test_an_error_comes_where_the_result_would():
    def work(n: int) -> int:
        if n == 2:
            raise OSError("disk full")
        return n

    results = ahead(work, range(9), workers=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="disk full"):
        next(results)
