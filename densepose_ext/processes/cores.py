"""The cores that this process may use."""

import os


def number_of_cores() -> int:
    """Cores the process may run on: those of its job or container, where these have only some.

    Python 3.13 has ``os.process_cpu_count``; before, ``os.cpu_count`` counts all of the machine.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
