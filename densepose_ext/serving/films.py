"""Videos ("films" in the API), drawn frame by frame between the pictures of other requests."""

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

#: Maximum number of results; the oldest is removed for a new one.
KEPT = 4
#: Seconds that a stopped film gets to finish its frame.
PATIENCE = 5.0

logger = logging.getLogger(f"detectron2.{__name__}")


class Film:
    """A video that is drawn in its own thread, while the worker runs the network.

    Each frame is a job at the end of the worker's queue, behind the pictures that wait.

    Attributes:
        name: identifies it in URLs.
        count: number of frames according to the file; None if unknown.
        result: path of the drawn video.
        is_done: whether the result is complete.
        error: why drawing failed; else empty.
        note: what the result lacks, such as damaged frames or sound; else empty.
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
        """Number of frames drawn so far."""
        return self._writer.frames if self._writer else 0

    @property
    def seconds_left(self) -> float:
        """Estimated time until it is done; 1 if the number of frames is unknown."""
        return max((self.count or 0) - self.frames, 0) * self._worker.seconds or 1.0

    def start(self, options: FilmOptions, then: Callable[[], None]) -> None:
        """Starts drawing.

        Args:
            then: called at the end, before ``is_done`` and ``error`` are set.
        """

        def run() -> None:
            error = self._run(options)
            then()
            self.error, self.is_done = error, not error

        self._thread = threading.Thread(target=run, name="film", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops drawing, and removes the files."""
        with self._change:
            self._stopping.set()
            if self._waiting:
                self._waiting.cancel()
        if self._thread:
            self._thread.join(PATIENCE)
        for path in (self._source, self.result):
            with suppress(OSError):  # Windows keeps open files; the folder is removed at the end
                path.unlink(missing_ok=True)

    def _run(self, options: FilmOptions) -> str:
        """Draws the video; returns an error message, or an empty string."""
        error = ""
        try:
            self._draw(options)
        except (Refusal, OSError, ValueError) as problem:
            error = self._without_paths(str(problem))
        except Exception as problem:  # whatever the network raises is reported at the film's URL
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
        """The people of the next frame; waits for the worker."""
        self._asked += 1
        if self._asked > self._limits.film_frames:
            raise Refusal(413, f"the video has more than {self._limits.film_frames} frames")
        with self._change:
            if self._stopping.is_set():
                raise CancelledError
            self._waiting = self._worker.submit(
                lambda: self._models.predictor(options.model)(picture)
            )
        score = self._models.score(options.model, options.min_score)
        return above(self._waiting.result(), score)

    def _without_paths(self, words: str) -> str:
        """A message without the paths of the server's files."""
        for path in (self._source, self.result):
            words = words.replace(str(path), "the video")
        return words


class _Network:
    """A predictor for ``draw_video`` that runs on the worker, a frame at a time."""

    lanes = 1

    def __init__(self, film: Film, options: FilmOptions):
        self._film, self._options = film, options

    def batch(self, pictures: Sequence[np.ndarray]) -> list[People]:
        return [self._film.find(picture, self._options) for picture in pictures]


class Films:
    """The film in progress, at most one, and the last results, in a temporary folder."""

    def __init__(self, models: Models, worker: Worker, limits: Limits):
        self._models, self._worker, self._limits = models, worker, limits
        self._slot = threading.Lock()
        self._folder: TemporaryDirectory | None = None
        self._films: dict[str, Film] = {}

    def claim(self) -> None:
        """Reserves the slot for the film in progress.

        Raises:
            Refusal: it is taken.
        """
        if not self._slot.acquire(blocking=False):
            films = [film for film in self._films.values() if not (film.is_done or film.error)]
            later = max((film.seconds_left for film in films), default=1.0)
            raise Refusal(
                503, "another video is in progress", {"retry-after": str(max(1, round(later)))}
            )

    def release(self) -> None:
        """Frees the slot."""
        self._slot.release()

    def start(self, content: bytes, options: FilmOptions) -> Film:
        """Starts drawing a film in the claimed slot, which is freed at the end.

        Args:
            content: content of the video file.

        Raises:
            Refusal: it is not a readable video, or too large.
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
            Refusal: it does not exist, or has been removed.
        """
        if name not in self._films:
            raise Refusal(404, f"there is no video {name[:80]!r}, or it has been removed")
        return self._films[name]

    def remove(self, name: str) -> None:
        """Stops and removes a film.

        Raises:
            Refusal: it does not exist, or has been removed.
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
