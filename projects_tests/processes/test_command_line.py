"""densepose_ext.processes.command_line: which processes are commands."""

import sys

import pytest

from densepose_ext.processes.command_line import runs_a_command


@pytest.mark.parametrize(
    ("started", "arguments", "expected"),
    [
        (
            ["python", "/bin/densepose-ext", "configs"],
            ["/bin/densepose-ext", "configs"],
            True,
        ),
        (["python.exe", "densepose-ext.exe"], ["densepose-ext.exe"], True),
        # While Python looks for the module, it is "-m" that stands for its path.
        (["python", "-W", "ignore", "-m", "densepose_ext", "-h"], ["-m", "-h"], True),
        (["python", "-m", "densepose_ext"], ["/x/densepose_ext/__main__.py"], True),
        (["python", "-m", "pytest", "-m", "densepose_ext"], ["-m", "-m", "densepose_ext"], False),
        (["python", "train_net.py", "densepose-ext"], ["train_net.py", "densepose-ext"], False),
        (["python", "-c", "from multiprocessing.spawn import spawn_main"], ["-c"], False),
        (["python"], [""], False),
        (["python", "-c"], ["train_net.py", "--config-file", "x.yaml"], False),
        # A process that multiprocessing starts has the arguments of its parent.
        (["python", "-c", "...", "--multiprocessing-fork"], ["/bin/densepose-ext", *"abcd"], False),
        (  # from Python 3.14
            ["python", "-c", "from multiprocessing.forkserver import main", "densepose-ext", "a"],
            ["densepose-ext", "a"],
            False,
        ),
    ],
)
def test_a_command_is_known_by_how_python_was_started(monkeypatch, started, arguments, expected):
    monkeypatch.setattr(sys, "orig_argv", started)
    monkeypatch.setattr(sys, "argv", arguments)
    assert runs_a_command() is expected
