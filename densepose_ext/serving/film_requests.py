"""The endpoints for videos."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ..processes.messages import counted
from .films import Film, Films
from .limits import Limits
from .models import Models
from .options import read_film_options
from .refusal import Refusal
from .uploads import discard_body, read_upload
from .worker import Worker


class FilmService:
    """POST /video starts drawing a video; progress and result are at the URL that it returns."""

    def __init__(self, models: Models, worker: Worker, limits: Limits):
        self._models = models
        self._limits = replace(limits, megabytes=limits.film_megabytes)
        self._films = Films(models, worker, limits)

    def routes(self) -> list[Route]:
        """The routes of the endpoints."""
        return [
            Route("/video", self.begin, methods=["POST"]),
            Route("/video/{name}", self.progress, methods=["GET"]),
            Route("/video/{name}", self.remove, methods=["DELETE"]),
            Route("/video/{name}/film", self.result, methods=["GET"]),
        ]

    def close(self) -> None:
        """Stops the video in progress, and removes all files."""
        self._films.close()

    async def begin(self, request: Request) -> Response:
        """POST /video."""
        try:
            options = read_film_options(request.query_params.multi_items())
            options = replace(options, model=options.model or self._models.default)
            self._models.check(options.model)
            self._models.score(options.model, options.min_score)
            self._films.claim()
            with ExitStack() as slot:
                slot.callback(self._films.release)
                content = await read_upload(request, self._limits, "video")
                slot.pop_all()
            film = await run_in_threadpool(self._films.start, content, options)
        except Refusal as refusal:
            if refusal.status not in (408, 413):
                await discard_body(request, self._limits)
            raise
        return JSONResponse(_described(film), 202, {"location": f"/video/{film.name}"})

    async def progress(self, request: Request) -> Response:
        """GET /video/NAME."""
        return JSONResponse(_described(self._film(request)))

    async def result(self, request: Request) -> Response:
        """GET /video/NAME/film."""
        film = self._film(request)
        if film.error:
            raise Refusal(409, f"the video could not be drawn: {film.error}")
        if not film.is_done:
            raise Refusal(409, f"the video is not finished: {counted(film.frames, 'frame')} so far")
        # No file name here: the page names downloads after the upload.
        return FileResponse(film.result, media_type="video/mp4")

    async def remove(self, request: Request) -> Response:
        """DELETE /video/NAME."""
        await run_in_threadpool(self._films.remove, request.path_params["name"])
        return Response(status_code=204)

    def _film(self, request: Request) -> Film:
        return self._films.film(request.path_params["name"])


def _described(film: Film) -> dict:
    """The state of a video as JSON."""
    status = "failed" if film.error else "done" if film.is_done else "running"
    answer = {"id": film.name, "status": status, "frames": film.frames, "of": film.count}
    if film.error:
        answer["error"] = film.error
    if film.is_done:
        answer["film"] = f"/video/{film.name}/film"
    if film.note:
        answer["note"] = film.note
    return answer
