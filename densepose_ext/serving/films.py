"""Films that are drawn frame by frame, between the pictures of other requests."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..prediction.people import People
from ..video import SurfaceSmoother, VideoReader, VideoWriter
from ..video.run import draw_video
from .film_files import check_film
from .limits import Limits
from .models import Models, above
from .options import FilmOptions
from .refusal import Refusal
from .worker import Worker

#: Results that are kept; the oldest makes room for the next.
KEPT = 4
#: Seconds that a film which is stopped has for ending its frame.
PATIENCE = 5.0

logger = logging.getLogger(f"detectron2.{__name__}")


class Film:
    """One film, drawn in a thread of its own; the network's part is done by the worker.

    Each frame is a job at the end of the worker's queue, so that pictures which wait go first.

    Attributes:
        name: in its address.
        count: number of frames that the file states; None if it does not.
        result: the file that is drawn.
        is_done: whether the result is complete.
        error: why there is none; empty otherwise.
        note: what the result lacks, such as damaged frames or sound; empty otherwise.
    """

    def __init__(
        self, source: Path, count: int | None, models: Models, worker: Worker, limits: Limits
    ):
        self.name = secrets.token_hex(8)
        self.count = count
        self.result = source.with_name(f"{self.name}.mp4")
        self.is_done, self.error, self.note = False, "", ""
        self._source, self._models, self._worker, self._limits = source, models, worker, limits
        self._writer: VideoWriter | None = None
        self._asked = 0
        self._stopping = threading.Event()
        self._change = threading.Lock()
        self._waiting: Future | None = None
        self._thread: threading.Thread | None = None

    @property
    def frames(self) -> int:
        """Number of frames that are drawn."""
        return self._writer.frames if self._writer else 0

    @property
    def seconds_left(self) -> float:
        """Estimate of the time until it is done; 1 if the number of frames is not known."""
        return max((self.count or 0) - self.frames, 0) * self._worker.seconds or 1.0

    def start(self, options: FilmOptions, then: Callable[[], None]) -> None:
        """Begins to draw.

        Args:
            then: is called when the work has ended, before the attributes say so.
        """

        def run() -> None:
            error = self._run(options)
            then()
            self.error, self.is_done = error, not error

        self._thread = threading.Thread(target=run, name="film", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends drawing if it goes on, and removes the files."""
        with self._change:
            self._stopping.set()
            if self._waiting:
                self._waiting.cancel()
        if self._thread:
            self._thread.join(PATIENCE)
        for path in (self._source, self.result):
            with suppress(OSError):  # Windows keeps files that are open; the folder goes at the end
                path.unlink(missing_ok=True)

    def _run(self, options: FilmOptions) -> str:
        """Draws; returns why it has failed."""
        error = ""
        try:
            self._draw(options)
        except (Refusal, OSError, ValueError) as problem:
            error = self._without_paths(str(problem))
        except Exception as problem:  # whatever the network raises: the film's address says it
            if not self._stopping.is_set():
                logger.error(f"a film: {problem!r}", exc_info=True)
            error = f"the server has failed: {type(problem).__name__}"
        self._waiting = None
        self._source.unlink(missing_ok=True)
        if error:
            self.result.unlink(missing_ok=True)
        return error

    def _draw(self, options: FilmOptions) -> None:
        smoother = SurfaceSmoother(options.smooth) if options.smooth else None
        with (
            VideoReader(self._source) as video,
            VideoWriter(self.result, video.rate, self._source) as writer,
        ):
            self._writer = writer
            network = _Network(self, options)
            draw_video(video, writer, network, options.draw, smoother, shows_progress=False)
        notes = [video.problem, f"silent: {writer.silence}" if writer.silence else ""]
        self.note = self._without_paths("; ".join(filter(None, notes)))

    def find(self, picture: np.ndarray, options: FilmOptions) -> People:
        """The people of the next frame; waits until it has had its turn."""
        self._asked += 1
        if self._asked > self._limits.film_frames:
            raise Refusal(413, f"the film has more than {self._limits.film_frames} frames")
        with self._change:
            if self._stopping.is_set():
                raise CancelledError
            self._waiting = self._worker.submit(
                lambda: self._models.predictor(options.model)(picture)
            )
        score = self._models.score(options.model, options.min_score)
        return above(self._waiting.result(), score)

    def _without_paths(self, words: str) -> str:
        """Words about the files, whose places are nobody's business."""
        for path in (self._source, self.result):
            words = words.replace(str(path), "the film")
        return words


class _Network:
    """What ``draw_video`` takes for a predictor."""

    def __init__(self, film: Film, options: FilmOptions):
        self._film, self._options = film, options

    def batch(self, pictures: Sequence[np.ndarray]) -> list[People]:
        return [self._film.find(picture, self._options) for picture in pictures]


class Films:
    """One film at a time, and the last results, in a temporary folder."""

    def __init__(self, models: Models, worker: Worker, limits: Limits):
        self._models, self._worker, self._limits = models, worker, limits
        self._slot = threading.Lock()
        self._folder: TemporaryDirectory | None = None
        self._films: dict[str, Film] = {}

    def claim(self) -> None:
        """Takes the place of the film in progress.

        Raises:
            Refusal: it is taken.
        """
        if not self._slot.acquire(blocking=False):
            films = [film for film in self._films.values() if not (film.is_done or film.error)]
            later = max((film.seconds_left for film in films), default=1.0)
            raise Refusal(
                503, "another film is in progress", {"retry-after": str(max(1, round(later)))}
            )

    def release(self) -> None:
        """Gives the place back."""
        self._slot.release()

    def start(self, content: bytes, options: FilmOptions) -> Film:
        """Begins to draw a film in the place that was claimed, which is released at the end.

        Args:
            content: of its file.

        Raises:
            Refusal: it is no film that can be read, or too large.
        """
        with ExitStack() as undo:
            undo.callback(self.release)
            source = self._new_file()
            undo.callback(source.unlink, missing_ok=True)
            source.write_bytes(content)
            count = check_film(source, self._limits)
            film = Film(source, count, self._models, self._worker, self._limits)
            self._keep(film)
            undo.pop_all()
        film.start(options, self.release)
        return film

    def film(self, name: str) -> Film:
        """The film of a name.

        Raises:
            Refusal: there is none, or no longer.
        """
        if name not in self._films:
            raise Refusal(404, f"there is no film {name[:80]!r}, or no longer")
        return self._films[name]

    def remove(self, name: str) -> None:
        """Stops a film, and forgets it.

        Raises:
            Refusal: there is none, or no longer.
        """
        film = self.film(name)
        self._films.pop(name, None)
        film.stop()

    def close(self) -> None:
        """Stops the film in progress, and removes all files."""
        for name in list(self._films):
            self.remove(name)
        if self._folder:
            self._folder.cleanup()

    def _new_file(self) -> Path:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="densepose-films-", ignore_cleanup_errors=True)
        return Path(self._folder.name) / f"{secrets.token_hex(8)}.upload"

    def _keep(self, film: Film) -> None:
        while len(self._films) >= KEPT:
            self.remove(next(iter(self._films)))
        self._films[film.name] = film
