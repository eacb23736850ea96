"""Processes that generate images.

They are started as programs: a forked process inherits the locks of OpenCV's and BLAS's threads and
may deadlock, and multiprocessing's other start methods run the user's script again.
"""

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

_DONE = "done "


def run_workers(out: Path, settings, split: str, numbers: list[int], workers: int) -> Iterator[int]:
    """Generates images in `workers` processes; yields the number of each finished image.

    Raises:
        RuntimeError: a process died; the message has the end of its output.
    """
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for number in numbers:
        waiting.put(number)
    finished: queue.SimpleQueue = queue.SimpleQueue()
    team = [_Worker(out, settings, split) for _ in range(min(workers, len(numbers)))]
    try:
        for worker in team:
            threading.Thread(target=worker.work, args=(waiting, finished), daemon=True).start()
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

    def __init__(self, out: Path, settings, split: str):
        # one thread each: the processes share the cores
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (lives as long as the worker)
        self.process = subprocess.Popen(
            command(f"from {__name__} import main\nmain()"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **single},
        )
        values = asdict(settings)
        del values["pictures"]
        self.task = json.dumps({"out": str(out), "split": split, "settings": values})

    def work(self, waiting: queue.SimpleQueue, finished: queue.SimpleQueue) -> None:
        """Sends numbers to the process, and reports finished images and its end."""
        try:
            self._say(self.task)
            while True:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                self._say(str(number))
                while (line := self.process.stdout.readline()) and not line.startswith(_DONE):
                    pass
                if not line:
                    break
                finished.put(int(line[len(_DONE) :]))
        except (OSError, ValueError):  # ValueError: the parent has closed the pipes
            pass
        finished.put(RuntimeError(self._last_words()))

    def _say(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _last_words(self) -> str:
        status = self.process.wait()
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        said = lines[-1] if lines else "nothing said; out of memory?"
        return f"a process that renders images died (status {status}): {said}; run again to resume"

    def stop(self) -> None:
        """Kills the process, even in the middle of an image."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()


def main() -> None:
    """The program of each process: reads its task, then numbers of images, from standard input."""
    import cv2

    from .example import make_files
    from .settings import Settings

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
