"""Whether this process is one of the package's commands."""

import sys
from pathlib import Path


def runs_a_command() -> bool:
    """Whether Python was started as ``densepose-ext ...`` or ``python -m densepose_ext ...``.

    Processes that a command starts, its workers for instance, are started otherwise.
    """
    program = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv[1:])]
    return program[-2:] == ["-m", "densepose_ext"] or Path(program[-1]).stem == "densepose-ext"
