"""The priority of this process."""

import os


def give_way(by: int = 19) -> None:
    """Lowers the priority of this process, on Linux of this thread alone; not on Windows."""
    if hasattr(os, "nice"):
        os.nice(by)
