"""A Python that has imported Detectron2 once and forks into each script that it is told to run.

The import takes eight seconds of processor time, which dominated tests that start many processes.
densepose_ext is not imported ahead: what it reads from the environment, the script's process reads.
"""

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SERVER = """
import runpy
import torch, torchvision, cv2, timm, scipy.ndimage, matplotlib.pyplot, pycocotools.mask
import detectron2.engine, detectron2.evaluation, detectron2.modeling, detectron2.model_zoo
import detectron2.checkpoint, detectron2.export, torch.utils.tensorboard
from projects_tests.forked_python import next_script
runpy.run_path(next_script(), run_name="__main__")
"""


def next_script() -> str:
    """In the server: forks for each request; returns the script's path in the forks alone."""
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in requests:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            requests.close()
            replies.close()
            return _become(**request)
        replies.write(f"{_status(pid, request['timeout'])}\n")
        replies.flush()
    sys.exit()


def _become(arguments: list[str], cwd: str, env: dict[str, str], output: str, timeout: float):
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    printed = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(printed, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = arguments
    sys.path[0] = str(Path(arguments[0]).parent)
    return arguments[0]


def _status(pid: int, timeout: float) -> int:
    end = time.monotonic() + timeout
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


@functools.cache
def _server() -> subprocess.Popen:
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    atexit.register(server.kill)
    return server


def run(
    arguments: list[str], cwd: Path, env: dict[str, str], output: Path, timeout: float = 300
) -> int:
    """Runs a script as ``python SCRIPT ARGUMENT ...`` does.

    Args:
        arguments: path of the script, and what it is given.
        env: all of its environment. What is read by `import detectron2` is read before.
        output: file for what it prints, errors included.
        timeout: seconds after which it is killed.

    Returns:
        its exit status, or minus the number of the signal that ended it.
    """
    server = _server()
    request = {
        "arguments": [str(argument) for argument in arguments],
        "cwd": str(cwd), "env": env, "output": str(output), "timeout": timeout,
    }  # fmt: skip
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())
