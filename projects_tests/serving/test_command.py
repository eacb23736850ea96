"""densepose-ext serve: its options, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from densepose_ext.commands.main import main
from densepose_ext.serving import server
from densepose_ext.serving.limits import Limits
from projects_tests.reference import ROOT
from projects_tests.serving.stand_in import picture_file

#: A server whose predictor takes a while, and says when it has started.
PROGRAM = """
import time
from projects_tests.serving.stand_in import StandIn, models
from densepose_ext.serving.server import serve

class Slow(StandIn):
    def __call__(self, picture):
        print("started", flush=True)
        time.sleep(0.5)
        return super().__call__(picture)

serve(models(predictor=Slow), port=0, announce=lambda address: print(address, flush=True))
"""


@pytest.mark.slow
def test_a_signal_ends_it_when_requests_in_progress_are_answered():
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    answers = []
    with process:
        address = process.stdout.readline().strip()

        def post():
            request = urllib.request.Request(f"{address}predict", picture_file())
            request.add_header("Content-Type", "image/png")
            answers.append(urllib.request.urlopen(request, timeout=60).status)

        thread = threading.Thread(target=post)
        thread.start()
        assert process.stdout.readline() == "started\n"
        process.terminate()
        thread.join()
        assert process.wait(60) == 128 + signal.SIGTERM
        assert not process.stderr.read()
    assert answers == [200]


@pytest.fixture
def served(monkeypatch):
    """What the command gives to the server."""
    given = []
    monkeypatch.setattr(server, "serve", lambda *arguments: given.append(arguments))
    return given


@pytest.mark.slow
def test_what_the_options_set(served, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_TOKEN", "secret")
    command = ["serve", "--port", "99", "--host", "::1", "--min-score", "0.4", "--device", "cpu"]
    limits = ["--max-megabytes", "1", "--max-megapixels", "2", "--max-requests", "3"]
    limits += ["--max-seconds", "4", "--max-film-megabytes", "5", "--max-film-frames", "6"]
    assert main([*command, *limits]) == 0
    ((models, found, host, port, token, _),) = served
    assert found == Limits(1, 2, 3, 4, 5, 6)
    assert (host, port, token) == ("::1", 99, "secret")
    assert models.min_score == 0.4
    assert models.loaded() == {models.default}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--model", "nowhere.yaml"], "no config 'nowhere.yaml'"),
        (["--model", "nowhere/model.onnx"], "no exported model nowhere/model.onnx"),
        (["--max-requests", "0"], "the limit of requests is 0"),
        (["--min-score", "7"], "min_score = 7.0, expected 0 to 1"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(served, capsys, options, reason):
    assert main(["serve", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("densepose-ext serve: ")
    assert reason in line
    assert not served


@pytest.mark.slow
def test_a_port_that_is_taken(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"densepose-ext serve: cannot listen on 127.0.0.1, port {port}: ")
