"""Several clients at once, and the limits of a server."""

import asyncio
import gc
import io
import threading
import time
import tracemalloc

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
import httpx2
from starlette.testclient import TestClient

from densepose_ext.serving.limits import Limits
from densepose_ext.serving.worker import Worker
from projects_tests.serving.stand_in import HERE, StandIn, app, picture_file


class Slow(StandIn):
    """Waits until it may go on."""

    def __init__(self):
        super().__init__()
        self.started, self.may_go_on = threading.Event(), threading.Event()
        self.seen = []

    def __call__(self, picture):
        self.seen.append(int(picture[0, 0, 0]))
        self.started.set()
        assert self.may_go_on.wait(20)
        return super().__call__(picture)

    def client(self, limits: Limits) -> TestClient:
        return TestClient(app(limits, predictor=lambda *_, **__: self), base_url=HERE)


def test_too_many_requests():
    slow, answers = Slow(), []
    with slow.client(Limits(requests=2)) as service:

        def post(blue):
            answers.append(service.post("/predict", content=picture_file(blue)))

        threads = [threading.Thread(target=post, args=(blue,)) for blue in (1, 2)]
        for thread in threads:
            thread.start()
        assert slow.started.wait(20)
        while service.get("/health").json()["requests"] < 2:
            time.sleep(0.01)
        answer = service.post("/predict", content=picture_file())
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"] == "2 requests are in progress"
        slow.may_go_on.set()
        for thread in threads:
            thread.join()
        assert [one.status_code for one in answers] == [200, 200]
        assert service.get("/health").json()["requests"] == 0
        assert service.post("/predict", content=picture_file()).status_code == 200


def test_too_little_time():
    slow = Slow()
    with slow.client(Limits(seconds=0.05)) as service:
        for blue in (1, 2):  # the second one waits in vain, and is never looked at
            answer = service.post("/predict", content=picture_file(blue))
            assert answer.status_code == 504
            assert answer.json()["error"] == "the result took more than 0.05 s"
            assert "retry-after" in answer.headers
        slow.may_go_on.set()
        while service.post("/predict", content=picture_file(3)).status_code != 200:
            pass  # a slow machine takes several
        assert set(slow.seen) == {1, 3}


def send_by_hand(application, messages) -> list[dict]:
    """What an application sends for a request to /predict whose body comes in these messages."""
    sent = []

    async def receive():
        for message in messages:
            return message
        await asyncio.sleep(20)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/predict",
        "query_string": b"", "headers": [(b"host", b"127.0.0.1")], "scheme": "http",
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 9), "root_path": "",
    }  # fmt: skip
    asyncio.run(application(scope, receive, send))
    return sent


def test_an_upload_that_does_not_arrive():
    part = {"type": "http.request", "body": b"\x89PNG", "more_body": True}
    start, end = send_by_hand(app(Limits(seconds=0.05)), iter([part]))
    assert start["status"] == 408
    assert b"the upload took more than 0.05 s" in end["body"]


def test_an_upload_that_is_broken_off():
    start, end = send_by_hand(app(), iter([{"type": "http.disconnect"}]))
    assert start["status"] == 408
    assert b"interrupted" in end["body"]


def test_an_upload_without_end_is_not_kept():
    def endless():
        while True:
            yield {"type": "http.request", "body": bytes(1 << 16), "more_body": True}

    start, end = send_by_hand(app(Limits(megabytes=1)), endless())
    assert start["status"] == 413
    assert b"more than 1 MB" in end["body"]


@pytest.mark.parametrize("name", ["megabytes", "megapixels", "requests", "seconds"])
def test_limits_are_positive(name):
    with pytest.raises(ValueError, match=f"the limit of {name} is 0; expected more than 0"):
        Limits(**{name: 0})


def test_a_worker_that_is_closed_cancels_what_waits():
    started, may_go_on = threading.Event(), threading.Event()

    def job():
        started.set()
        return may_go_on.wait(20)

    worker = Worker()
    first, second = worker.submit(job), worker.submit(job)
    assert started.wait(20)
    assert worker.waiting == 1
    may_go_on.set()
    worker.close()
    assert first.result(20) is True
    assert second.cancelled() or second.result(20) is True
    with pytest.raises(RuntimeError, match="closed"):
        worker.submit(job)


def load(requests: int, clients: int) -> None:
    """Sends requests from several clients at once, and checks that each gets its own answer."""
    application = app(Limits(requests=clients))
    answered = []

    async def one_client(service, number):
        for blue in range(number, requests, clients):
            form = ("iuv", "npz")[blue % 2]
            answer = await service.post(f"/predict?format={form}", content=picture_file(blue))
            assert answer.status_code == 200, answer.text
            if form == "iuv":
                iuv = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
                found = iuv[3, 3, 1]
            else:
                found = np.load(io.BytesIO(answer.content))["uv_0"][0, 0, 0] * 255
            assert round(float(found)) == blue
            answered.append(blue)

    async def all_clients():
        transport = httpx2.ASGITransport(app=application)
        async with httpx2.AsyncClient(transport=transport, base_url=HERE) as service:
            await asyncio.gather(*(one_client(service, number) for number in range(clients)))

    asyncio.run(all_clients())
    application.state.service.worker.close()
    assert sorted(answered) == list(range(requests))


@pytest.mark.slow
def test_200_requests_of_8_clients():
    """None is lost or mixed up, and memory stays as it is."""
    load(40, 8)  # what is loaded once
    gc.collect()
    tracemalloc.start()
    try:
        load(200, 8)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
