"""The web application: the page, its JSON API, the pictures and the views."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import resources
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..processes.priority import give_way
from ..surface.parts import NUM_COARSE_PARTS
from ..web.access import Access
from ..web.listening import listen
from .figure import NUM_TURNS, Figure
from .page_data import PageData, map_of_runs
from .pictures import PictureFiles
from .proposals import Proposals
from .store import Conflict, Store, Who
from .views import NUM_VIEWS, Views

COOKIE = "densepose_annotate"
#: Maximum size of a request's body, bytes; a person's regions take about 50 kB.
LARGEST_BODY = 1 << 20
#: Values of actions that are whole numbers.
_NUMBERS = {"image", "person", "point", "view", "layer"}
#: For responses that do not change while the server runs.
_KEPT = {"cache-control": "private, max-age=86400"}

logger = logging.getLogger(f"detectron2.{__name__}")


def make_app(
    store: Store,
    views: Views,
    proposals: Proposals | None = None,
    token: str | None = None,
) -> Starlette:
    """The application.

    Args:
        views: views of the body that the store uses.
        proposals: a model's proposals, if there is a model.
        token: required from browsers; None: only this machine has access, without a token.
    """
    data, files = PageData(store, views, proposals), PictureFiles(store.folder)
    figure = Figure(views.body)
    static = resources.files("densepose_ext.annotation") / "static"

    def picture(request: Request) -> Response:
        found = _known(store.project.pictures, "picture", request.path_params["image"])
        side = min(max(int(request.query_params.get("side", 1600)), 16), 4096)
        return Response(files.small(found, side), media_type="image/jpeg", headers=_KEPT)

    def tile(request: Request) -> Response:
        values = request.path_params
        found = _known(store.project.pictures, "picture", values["image"])
        content = files.tile(found, values["column"], values["row"])
        return Response(content, media_type="image/jpeg", headers=_KEPT)

    def view(request: Request) -> Response:
        region, number = request.path_params["region"], request.path_params["view"]
        if not (1 <= region <= NUM_COARSE_PARTS and 0 <= number < NUM_VIEWS):
            raise ValueError(f"there is no view {number} of region {region}")
        content = views.of(region)[number].picture
        return Response(content, media_type="image/png", headers=_KEPT)

    def turned_figure(request: Request) -> Response:
        content = figure.picture(request.path_params["turn"] % NUM_TURNS)
        return Response(content, media_type="image/png", headers=_KEPT)

    def read(function: Callable[..., dict], *names: str, with_who: bool = False):
        """An endpoint that returns a function's result for the numbers in the path."""

        def endpoint(request: Request) -> Response:
            values = [request.path_params[name] for name in names]
            return JSONResponse(function(*values, *([_who(request)] if with_who else [])))

        return endpoint

    app = Starlette(
        routes=[
            Route("/", lambda request: FileResponse(static / "index.html")),
            Mount("/static", StaticFiles(directory=str(static))),
            Route("/pictures/{image:int}", picture),
            Route("/pictures/{image:int}/{column:int}/{row:int}", tile),
            Route("/views/{region:int}/{view:int}", view),
            Route("/figure/{turn:int}", turned_figure),
            Route("/api/project", read(data.project)),
            Route("/api/pictures/{image:int}/boxes", read(data.boxes, "image")),
            Route("/api/people/{person:int}", read(data.person, "person", with_who=True)),
            Route("/api/people/{person:int}/proposal", read(data.proposal, "person")),
            Route("/api/people/{person:int}/review", read(data.review, "person")),
            Route(
                "/api/people/{person:int}/views/{region:int}",
                read(data.views_of, "person", "region", with_who=True),
            ),
            Route(
                "/api/people/{person:int}/marks/{point:int}",
                read(data.marks, "person", "point", with_who=True),
            ),
            Route("/api/{action}", _acting(data), methods=["POST"]),
        ],
        middleware=[Middleware(Access, token=token, cookie=COOKIE)],
        exception_handlers={
            Conflict: _failure(409),
            ValueError: _failure(400),
            KeyError: _failure(404),
            OSError: _failure(507),
            ModuleNotFoundError: _failure(501),
        },
    )
    app.state.data = data
    return app


def _known(of: dict, what: str, number: int):
    if number not in of:
        raise ValueError(f"there is no {what} {number}")
    return of[number]


def _failure(status: int):
    def answer(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": " ".join(str(error).split())}, status)

    return answer


def _who(request: Request, version: int | None = None) -> Who:
    name = unquote(request.headers.get("x-annotator", "")).strip()[:80]
    return Who(name or "somebody", request.headers.get("x-session", "")[:80], version)


def _acting(data: PageData):
    """The endpoint of all actions, which returns the person's new version and stage."""
    store = data.store
    actions: dict[str, Callable[..., object]] = {
        "add_person": lambda who, a: store.add_person(a["image"], a["box"], who),
        "boxes_done": lambda who, a: store.set_boxes_done(a["image"], a["value"], who),
        "box": lambda who, a: store.set_box(a["person"], a["box"], who),
        "remove": lambda who, a: store.remove(a["person"], who),
        "leave_out": lambda who, a: store.leave_out(a["person"], who),
        "paint": lambda who, a: store.paint(a["person"], map_of_runs(a["runs"]), who),
        "finish_regions": lambda who, a: store.finish_regions(a["person"], who),
        "place": lambda who, a: store.place(
            a["person"], a["point"], a["view"], float(a["x"]), float(a["y"]), who
        ),
        "cannot_tell": lambda who, a: store.cannot_tell(a["person"], a["point"], who),
        "clear": lambda who, a: store.clear(a["person"], a["point"], who),
        "finish_points": lambda who, a: store.finish_points(a["person"], who),
        "take": lambda who, a: store.take(a["person"], a["point"], a["layer"], who),
        "accept": lambda who, a: store.accept(a["person"], who),
        "send_back": lambda who, a: store.send_back(a["person"], a["stage"], a["note"], who),
        "lease": lambda who, a: store.lease(a["person"], who),
        "release": lambda who, a: store.release(a["person"], who),
        "next": lambda who, a: store.next_person(a["stage"], who),
    }

    def act(request: Request, given: dict) -> Response:
        action = request.path_params["action"]
        if action not in actions:
            raise ValueError(f"there is no action {action}")
        for name in _NUMBERS & given.keys():
            if type(given[name]) is not int:
                raise ValueError(f"{name} is {given[name]!r}, expected a whole number")
        who = _who(request, given.get("version"))
        if not who.session:
            raise ValueError("the header X-Session is empty")
        try:
            found = actions[action](who, given)
        except KeyError as error:
            raise ValueError(f"{action}: {error} is missing") from error
        except (TypeError, OverflowError) as error:
            raise ValueError(f"{action}: a value is of the wrong type or size: {error}") from error
        if action == "lease" and not found:
            holder = store.leases.holder(given["person"])
            raise Conflict(f"{holder} is working on person {given['person']}")
        number = getattr(found, "id", given.get("person"))
        if number not in store.project.people:
            return JSONResponse({"person": None})
        with store.lock:
            person = store.project.people[number]
            answer = {"person": number, "version": person.version, "stage": person.stage}
        if action == "place":
            answer["marks"] = data.marks(number, given["point"], who)
        return JSONResponse(answer)

    async def endpoint(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        content = b""
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_BODY:
                return JSONResponse({"error": "the request is too large"}, 413)
        try:
            given = json.loads(content or b"{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            return JSONResponse({"error": "expected a JSON object"}, 400)
        return await run_in_threadpool(act, request, given)

    return endpoint


def serve(
    store: Store,
    views: Views,
    proposals: Proposals | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    announce: Callable[[str], None] = print,
) -> None:
    """Serves a project until Ctrl-C, then closes the store.

    Args:
        host: address to listen on. Unless it is a loopback address, browsers need the token in the
            announced URL.
        port: 0 for any free port.
        announce: called with the URL.

    Raises:
        OSError: the port cannot be used.
    """
    with contextlib.closing(store), listen(host, port) as listener, _warming_up(views):
        announce(listener.address)
        listener.run(make_app(store, views, proposals, listener.token))


@contextlib.contextmanager
def _warming_up(views: Views) -> Iterator[None]:
    """Renders the views in the background, so that stage 2 does not wait for them."""
    is_over = threading.Event()

    def render() -> None:
        if sys.platform == "linux":  # elsewhere this would lower the priority of all threads
            give_way(5)
        for region in range(1, NUM_COARSE_PARTS + 1):
            if is_over.is_set():
                return
            views.of(region)

    thread = threading.Thread(target=render, name="views", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()  # a thread killed inside OpenCV at exit would crash the process
