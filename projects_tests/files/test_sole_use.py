import os
import subprocess
import sys

import pytest

from densepose_ext.files import sole_use as module
from densepose_ext.files.sole_use import sole_use

HOLDER = """
import sys
from densepose_ext.files.sole_use import sole_use
with sole_use(sys.argv[1]):
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that uses a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_another_program_is_kept_out_until_the_first_has_ended(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0)
    with pytest.raises(ValueError, match=r"is in use by process") as error, sole_use(tmp_path):
        pass
    assert str(error.value).startswith(f"{tmp_path} is in use by process {holder.pid} on ")
    holder.communicate()
    with sole_use(tmp_path):
        assert os.listdir(tmp_path) == [".lock"]
    assert not os.listdir(tmp_path)


def test_a_killed_program_leaves_the_folder_to_the_next(holder, tmp_path):
    holder.kill()
    holder.wait()
    with sole_use(tmp_path), open(tmp_path / ".lock") as lock:
        assert lock.read().startswith(f"process {os.getpid()} on ")


def test_without_locks_nobody_is_kept_out(holder, tmp_path, monkeypatch):
    def no_locks(file: int, wait: bool) -> None:
        raise OSError("no locks")

    monkeypatch.setattr(module, "acquire", no_locks)
    with sole_use(tmp_path):
        assert holder.poll() is None
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
