"""Processes that generate images.

They are started as programs: a forked process inherits the locks of OpenCV's and BLAS's threads and
may deadlock, and multiprocessing's other start methods run the user's script again.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ..processes.bare import command
from ..processes.priority import give_way
from .settings import Settings

_DONE = "done "


def run_workers(
    out: Path, settings: Settings, split: str, numbers: list[int], workers: int
) -> Iterator[int]:
    """Generates images in ``workers`` processes; yields the number of each finished image.

    Raises:
        RuntimeError: a process died; the message has the end of its output.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in numbers:
        waiting.put(number)
    finished: queue.SimpleQueue[int | RuntimeError] = queue.SimpleQueue()
    team: list[_Worker] = []
    try:
        for _ in range(min(workers, len(numbers))):
            team.append(_Worker(out, settings, split, waiting, finished))
        for _ in numbers:
            result = finished.get()
            if isinstance(result, RuntimeError):
                raise result
            yield result
    finally:
        for worker in team:
            worker.stop()


class _Worker:
    """One process, which reads numbers of images and reports each when it is finished."""

    def __init__(
        self,
        out: Path,
        settings: Settings,
        split: str,
        waiting: queue.SimpleQueue[int],
        finished: queue.SimpleQueue[int | RuntimeError],
    ):
        # one thread each: the processes share the cores
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (lives as long as the worker)
        self._process = subprocess.Popen(
            command(f"from {__name__} import main\nmain()"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **single},
        )
        values = asdict(settings)
        del values["pictures"]
        self._task = json.dumps({"out": str(out), "split": split, "settings": values})
        self._thread = threading.Thread(target=self._work, args=(waiting, finished), daemon=True)
        self._thread.start()

    def _work(
        self,
        waiting: queue.SimpleQueue[int],
        finished: queue.SimpleQueue[int | RuntimeError],
    ) -> None:
        """Sends numbers to the process, and reports finished images and its end."""
        try:
            self._say(self._task)
            while True:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                self._say(str(number))
                while (line := self._process.stdout.readline()) and not line.startswith(_DONE):
                    pass  # what a library prints
                if not line:
                    break
                finished.put(int(line[len(_DONE) :]))
        except (OSError, ValueError):
            pass  # it died before it read what was sent, or in the middle of a line
        finished.put(RuntimeError(self._last_words()))

    def _say(self, line: str) -> None:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _last_words(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        said = lines[-1] if lines else "nothing said; out of memory?"
        return f"a process that renders images died (status {status}): {said}; run again to resume"

    def stop(self) -> None:
        """Kills the process, even in the middle of an image."""
        self._process.kill()
        self._process.wait()
        self._thread.join()  # it ends with the process's pipes
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            # Closing flushes, and a dead process reads nothing.
            with contextlib.suppress(OSError):
                stream.close()


def main() -> None:
    """The program of each process: reads its task, then numbers of images, from standard input."""
    import cv2

    from .example import make_files

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles interrupts
    # Lower priority than other work. Linux compares priorities only within a session
    # (sched(7), autogroups), so the processes stay in their parent's.
    give_way()
    cv2.setNumThreads(1)
    task = json.loads(sys.stdin.readline())
    settings = Settings(**task["settings"])
    for line in sys.stdin:
        number = make_files(Path(task["out"]), settings, task["split"], int(line))
        print(f"{_DONE}{number}", flush=True)
