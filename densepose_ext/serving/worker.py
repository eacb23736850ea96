"""One thread that runs jobs one after another."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Worker:
    """Runs jobs in a thread of its own, in the order in which they come.

    Networks are not made for several threads, and each uses all cores.

    Attributes:
        seconds: that jobs take, a running mean.
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
        """Jobs that wait."""
        return len(self._jobs)

    def submit(self, job: Callable[[], Any]) -> Future:
        """The future result of a job. It can be cancelled as long as it has not started.

        Raises:
            RuntimeError: the worker is closed.
        """
        future: Future = Future()
        with self._change:
            if self._is_closed:
                raise RuntimeError("the worker is closed")
            # what cancelled jobs hold on to is let go here, not when their turn has come
            kept = [(other, work) for other, work in self._jobs if not other.cancelled()]
            self._jobs = deque([*kept, (future, job)])
            self._change.notify()
        return future

    def close(self, patience: float = 5.0) -> None:
        """Cancels jobs that wait, and waits for the one that runs.

        Args:
            patience: seconds.
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
            # while the thread waits it holds on to nothing of the last job
            del future, job

    def _run(self, future: Future, job: Callable[[], Any]) -> None:
        start = time.monotonic()
        try:
            result = job()
        except Exception as error:  # whatever it is, it is the answer to this job
            future.set_exception(error)
        else:
            future.set_result(result)
        taken = time.monotonic() - start
        self.seconds += (taken - self.seconds) * (0.2 if self.seconds else 1)
