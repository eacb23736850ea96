"""Whether this process is one of the package's commands."""

import sys
from pathlib import Path


def runs_a_command() -> bool:
    """Whether Python was started as ``densepose-ext ...`` or ``python -m densepose_ext ...``.

    False in processes that a command starts, such as its workers.
    """
    marks = "--multiprocessing-fork", "from multiprocessing."
    if any(mark in argument for argument in sys.orig_argv for mark in marks):
        return False  # started by multiprocessing, with the sys.argv of its parent
    # A program may have put other arguments into sys.argv, even more than it was started with.
    program = sys.orig_argv[: max(len(sys.orig_argv) - len(sys.argv[1:]), 1)]
    return program[-2:] == ["-m", "densepose_ext"] or Path(program[-1]).stem == "densepose-ext"
