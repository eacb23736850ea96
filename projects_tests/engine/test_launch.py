"""densepose_ext.engine.launch: processes that end in order."""

import atexit
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from detectron2.utils import comm
from torch.multiprocessing import ProcessRaisedException

from densepose_ext.engine.launch import launch

pytestmark = pytest.mark.slow


def _gloo_threads() -> list[str]:
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


def _work(folder):
    found = comm.all_gather(torch.tensor(comm.get_rank()))
    last_words = folder / f"process_{comm.get_rank()}"
    (folder / f"threads_{comm.get_rank()}").write_text(" ".join(_gloo_threads()))
    atexit.register(lambda: last_words.write_text(f"{found} {_gloo_threads()}"))


def _fail(folder):
    if comm.get_rank() == 1:
        raise ValueError("nothing to see")
    comm.synchronize()


def test_processes_meet_and_their_threads_end_before_python_does(tmp_path):
    launch(_work, 2, args=(tmp_path,))
    for rank in range(2):
        assert (tmp_path / f"threads_{rank}").read_text()
        assert (tmp_path / f"process_{rank}").read_text() == "[tensor(0), tensor(1)] []"


def test_a_process_that_fails_ends_the_others(tmp_path):
    with pytest.raises(ProcessRaisedException, match="nothing to see"):
        launch(_fail, 2, args=(tmp_path,))


def test_one_process_is_this_one():
    seen = []
    launch(lambda *args: seen.append((os.getpid(), args)), 1, args=(3, "x"))
    assert seen == [(os.getpid(), (3, "x"))]
    assert not dist.is_initialized()


def test_several_gpus_without_nccl_are_refused(monkeypatch):
    """As on Windows."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.distributed.is_nccl_available", lambda: False)
    with pytest.raises(ValueError, match="2 processes on GPUs need NCCL, which torch lacks on"):
        launch(print, 2)
    launch(print, 1)
