"""The web application: the API and its page."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import resources

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import densepose_ext

from ..web.access import Access
from ..web.listening import listen
from .figure import body_file, colours
from .film_requests import FilmService
from .finder import Finder
from .formats import ANSWERS
from .limits import Limits
from .models import Models
from .openapi import describe
from .options import MIN_SCORE, read_options
from .refusal import Refusal
from .uploads import check_picture, discard_body, read_upload
from .worker import Worker

COOKIE = "densepose_serve"
#: Number of results drawn in parallel; each holds a picture in memory.
DRAWN_AT_A_TIME = 2

logger = logging.getLogger(f"detectron2.{__name__}")


class Service:
    """The endpoints.

    Attributes:
        progress: number of /predict requests in progress.
    """

    def __init__(self, models: Models, limits: Limits):
        self.models, self.limits = models, limits
        self.worker, self.finder = Worker(), Finder(models)
        self.films = FilmService(models, self.worker, limits)
        self.progress = 0
        self._drawing: CapacityLimiter | None = None

    async def predict(self, request: Request) -> Response:
        """POST /predict."""
        try:
            with self._admitted():
                options = read_options(request.query_params.multi_items())
                model = options.model or self.models.default
                self.models.check(model)
                content = await read_upload(request, self.limits)
                await run_in_threadpool(check_picture, content, self.limits)
                picture, people = await self._result(
                    lambda: self.finder.find(content, model, options.min_score)
                )
                answer = ANSWERS[options.format]
                try:
                    made = await to_thread.run_sync(
                        answer.content, picture, people, model, limiter=self._drawers()
                    )
                except (OSError, ValueError) as error:  # a mesh has no charts, or is missing
                    raise Refusal(422, str(error)) from error
        except Refusal as refusal:
            if refusal.status not in (408, 413):
                await discard_body(request, self.limits)
            raise
        headers = {"content-disposition": f'inline; filename="densepose{answer.ending}"'}
        return Response(made, media_type=answer.media, headers=headers)

    async def health(self, request: Request) -> Response:
        """GET /health."""
        return JSONResponse(
            {
                "status": "ok",
                "version": densepose_ext.__version__,
                "requests": self.progress,
                "most_requests": self.limits.requests,
                "seconds": round(self.worker.seconds, 3),
            }
        )

    async def list_models(self, request: Request) -> Response:
        """GET /models."""
        loaded = self.models.loaded()
        models = [
            {
                "name": choice.name,
                "kind": choice.kind,
                "loaded": choice.name in loaded,
                "min_score": self.models.lowest(choice.name),
            }
            for choice in self.models.choices.values()
        ]
        formats = {
            name: {"purpose": answer.purpose, "ending": answer.ending, "media": answer.media}
            for name, answer in ANSWERS.items()
        }
        return JSONResponse(
            {
                "models": models,
                "default": self.models.default,
                "min_score": MIN_SCORE,
                "formats": formats,
            }
        )

    def close(self) -> None:
        """Stops all work, and removes all videos."""
        self.films.close()
        self.worker.close()

    async def _result(self, job: Callable):
        """Runs a job on the worker, within the time limit."""
        future = self.worker.submit(job)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.limits.seconds)
        except asyncio.TimeoutError:
            raise Refusal(
                504, f"the result took more than {self.limits.seconds:g} s", self._later()
            ) from None
        except asyncio.CancelledError:
            if future.cancelled():
                raise Refusal(503, "the server is shutting down") from None
            raise

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self.progress >= self.limits.requests:
            raise Refusal(503, f"{self.progress} requests are in progress", self._later())
        self.progress += 1
        try:
            yield
        finally:
            self.progress -= 1

    def _later(self) -> dict[str, str]:
        return {"retry-after": str(max(1, math.ceil(self.worker.seconds * self.worker.waiting)))}

    def _drawers(self) -> CapacityLimiter:
        if self._drawing is None:  # can only be created inside the event loop
            self._drawing = CapacityLimiter(DRAWN_AT_A_TIME)
        return self._drawing


def make_app(models: Models, limits: Limits | None = None, token: str | None = None) -> Starlette:
    """The application.

    Args:
        token: required from all requests; None: only this machine has access, without a token.
    """
    service = Service(models, limits or Limits())
    static = resources.files("densepose_ext.serving") / "static"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.close)

    async def openapi(request: Request) -> Response:
        return JSONResponse(describe(models, service.limits))

    def body(request: Request) -> Response:
        return Response(body_file(), media_type="application/octet-stream")

    app = Starlette(
        routes=[
            Route("/", lambda request: FileResponse(static / "index.html")),
            Mount("/static", StaticFiles(directory=str(static))),
            Route("/predict", service.predict, methods=["POST"]),
            *service.films.routes(),
            Route("/health", service.health),
            Route("/models", service.list_models),
            Route("/openapi.json", openapi),
            Route("/body", body),
            Route("/colours", lambda request: JSONResponse(colours())),
        ],
        middleware=[Middleware(Access, token=token, cookie=COOKIE)],
        exception_handlers={Refusal: _refused, HTTPException: _no_such_thing, Exception: _failed},
        lifespan=lifespan,
    )
    app.state.service = service
    return app


def _refused(request: Request, error: Refusal) -> Response:
    return JSONResponse({"error": str(error)}, error.status, error.headers)


def _no_such_thing(request: Request, error: HTTPException) -> Response:
    path = request.url.path[:80]
    reason = {404: f"there is no {path}", 405: f"{path} does not accept {request.method}"}
    answer = {"error": reason.get(error.status_code, error.detail)}
    return JSONResponse(answer, error.status_code, error.headers)


def _failed(request: Request, error: Exception) -> Response:
    logger.error(f"{request.url.path}: {error!r}")
    return JSONResponse({"error": f"the server has failed: {type(error).__name__}"}, 500)


def serve(
    models: Models,
    limits: Limits | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    announce: Callable[[str], None] = print,
) -> None:
    """Serves until Ctrl-C or SIGTERM; requests in progress are answered first.

    Args:
        host, port, token: see :func:`listen`.
        announce: called with the URL.

    Raises:
        OSError: the port cannot be used.
    """
    limits = limits or Limits()
    with listen(host, port, token) as listener:
        app = make_app(models, limits, listener.token)
        announce(listener.address)
        listener.run(app, grace=min(limits.seconds, 10))
