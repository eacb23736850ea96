"""A thread that runs jobs one by one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Worker:
    """Runs jobs in one background thread, in order of arrival.

    More threads would be of no use: networks are not thread-safe, and use all cores anyway.

    Attributes:
        seconds: running mean of the duration of jobs.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._jobs: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._change = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of waiting jobs."""
        return len(self._jobs)

    def submit(self, job: Callable[[], Any]) -> Future:
        """Queues a job; its future can be cancelled until the job starts.

        Raises:
            RuntimeError: the worker is closed.
        """
        future: Future = Future()
        with self._change:
            if self._is_closed:
                raise RuntimeError("the worker is closed")
            # Drops cancelled jobs at once, to free what they refer to.
            kept = [(other, work) for other, work in self._jobs if not other.cancelled()]
            self._jobs = deque([*kept, (future, job)])
            self._change.notify()
        return future

    def close(self, patience: float = 5.0) -> None:
        """Cancels waiting jobs, and waits for the running one.

        Args:
            patience: maximum time to wait, seconds.
        """
        with self._change:
            self._is_closed = True
            for future, _ in self._jobs:
                future.cancel()
            self._jobs.clear()
            self._change.notify()
        self._thread.join(patience)

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._jobs or self._is_closed)
                if not self._jobs:
                    return
                future, job = self._jobs.popleft()
            if future.set_running_or_notify_cancel():
                self._run(future, job)
            # Keeps no references to the last job while waiting.
            del future, job

    def _run(self, future: Future, job: Callable[[], Any]) -> None:
        start = time.monotonic()
        try:
            result = job()
        except Exception as error:  # any error is the result of the job
            future.set_exception(error)
        else:
            future.set_result(result)
        taken = time.monotonic() - start
        self.seconds += (taken - self.seconds) * (0.2 if self.seconds else 1)
