"""Commands on a simulation of Windows and macOS (see other_systems)."""

import os
import socket
import subprocess
import sys

import pytest

from densepose_ext import get_config_file
from projects_tests.launching import Workplace
from projects_tests.reference import ROOT
from projects_tests.tiny_model import CONFIG

systems = pytest.mark.parametrize("system", ["windows", "macos"])

LIGHT = """
import asyncio.subprocess, json, os, sys, threading, time
import cv2, iopath.common.file_io, numpy, scipy.sparse.csgraph, tqdm, uvicorn, starlette.staticfiles
from importlib import resources
from pathlib import Path
from urllib.request import urlopen
from projects_tests.other_systems import become_macos, become_windows
become_{system}()
sys.orig_argv = [sys.executable, "-m", "densepose_ext"]  # a command, which imports no torch
from densepose_ext.commands.main import main
"""


def run(system: str, program: str, folder) -> str:
    """What a program prints; it must succeed."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIGHT.format(system=system) + program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DENSEPOSE_EXT_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
@systems
def test_light_commands(tmp_path, system):
    """Twice, since then synth finds its folder locked before, and made."""
    program = """
synth = ["synth", "--out", "people", "--train", "1", "--val", "1", "--size", "64"]
for _ in range(2):
    assert main([*synth, "--workers", "1"]) == 0
assert main(["check", "people/densepose_val.json"]) == 0
assert main(["configs"]) == main(["models"]) == 0
"""
    assert "densepose_rcnn_R_50_FPN_s1x" in run(system, program, tmp_path)
    assert (tmp_path / "people" / "train" / "000000.jpg").exists()


@pytest.mark.slow
@systems
def test_annotate_serves_its_page_until_it_is_told_to_stop(tmp_path, system):
    program = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
Path("pictures").mkdir()
cv2.imwrite("pictures/a.png", numpy.zeros((64, 64, 3), numpy.uint8))

def visit():
    while True:
        try:
            print("<title>" in urlopen("http://127.0.0.1:PORT/").read().decode())
            break
        except OSError:
            time.sleep(0.05)
    signal.raise_signal(signal.SIGINT)

threading.Thread(target=visit, daemon=True).start()
status = main(["annotate", "pictures", "--out", "out.json", "--port", "PORT"])
assert status == 130, status
""".replace("PORT", str(_free_port()))
    assert "True" in run(system, program, tmp_path)
    assert (tmp_path / "out.json").exists()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.slow
def test_files_on_windows(tmp_path):
    program = """
from densepose_ext.annotation.event_log import EventLog
from densepose_ext.files.atomic import replacing
from densepose_ext.files.cache import build_once
from densepose_ext.surface.geodesic_matrix import cached_matrix

log = EventLog("log")
for n in range(3):
    log.append({"text": "a"})
try:
    EventLog("log")
except ValueError as error:
    print(error)
log.close()
log = EventLog("log")
print(len(log.events), Path("log").read_bytes().count(b"\\r"))

# Renamed over a file as soon as its reader has closed it.
path = Path("read.txt")
path.write_bytes(b"old")
reader = open(path)
threading.Timer(0.2, reader.close).start()
with replacing(path) as temporary:
    temporary.write_bytes(b"new")
print(path.read_text(), len(list(Path().iterdir())))

# The second waits for the first.
def build(path):
    print("built")
    time.sleep(0.2)
    path.write_bytes(b"")
both = [threading.Thread(target=build_once, args=("name", build)) for _ in range(2)]
for thread in both:
    thread.start()
for thread in both:
    thread.join()

matrix = cached_matrix("good", "key", 3, lambda: numpy.arange(9.0).reshape(3, 3))
print(matrix.rows([1])[0].tolist())
try:
    cached_matrix("bad", "key", 3, lambda: iter([numpy.ones(4)]))
except ValueError as error:
    print(error)
print([name for name in os.listdir("cache") if "bad" in name and not name.endswith(".lock")])
"""
    assert run("windows", program, tmp_path).splitlines() == [
        "log is in use: the same annotations are open in another program",
        "3 0",
        "new 2",  # the log and itself
        "built",
        "[3.0, 4.0, 5.0]",
        "geodesics of bad: 4 distances, expected 3 x 3",
        "[]",
    ]


WITH_DETECTRON2 = """
import pkgutil, runpy, sys, timm, torch, torchvision, torch.utils.tensorboard
import cv2, matplotlib.pyplot, numpy, scipy.optimize, scipy.ndimage
import av, onnx, uvicorn, starlette.applications, starlette.staticfiles
from projects_tests.other_systems import become_windows
become_windows()
import densepose_ext
for module in pkgutil.walk_packages(densepose_ext.__path__, "densepose_ext."):
    if "compat" not in module.name and not module.name.endswith("__main__"):
        __import__(module.name)
runpy.run_path({train!r}, run_name="__main__")

from densepose_ext.commands.main import main
cv2.imwrite("a.png", numpy.zeros((64, 64, 3), numpy.uint8))
with av.open("a.mp4", "w") as film:
    stream = film.add_stream("mpeg4", 5, width=64, height=64)
    for frame in (*[av.VideoFrame(64, 64, "rgb24")] * 2, None):
        film.mux(stream.encode(frame))
model = ["--model", {config!r}, "--weights", "output/model_final.pth", "--device", "cpu"]
for _ in range(2):  # the second run finds the first one's files
    assert main(["predict", "a.png", "--out", "found", "--format", "iuv,json", *model]) == 0
assert main(["video", "a.mp4", "--out", "b.mp4", *model]) == 0
"""


@pytest.mark.slow
def test_training_on_one_process_pictures_and_a_film_on_windows(tmp_path):
    """And all modules can be imported."""
    workplace = Workplace.make(tmp_path)
    script = tmp_path / "script.py"
    train, config = str(ROOT / "train_net.py"), str(get_config_file(CONFIG))
    script.write_text(WITH_DETECTRON2.format(train=train, config=config))
    own = ("SOLVER.MAX_ITER", "2", "SOLVER.CHECKPOINT_SECONDS", "0.001")
    workplace.train(*own, launcher=script)
    assert (tmp_path / "found" / "results.json").exists()
    assert (tmp_path / "b.mp4").exists()
