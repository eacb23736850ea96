"""The cores that this process may use."""

import os


def number_of_cores() -> int:
    """Number of cores that this process may use: in a job or container, often not all.

    Like ``os.process_cpu_count`` of Python 3.13; ``os.cpu_count`` counts those of the machine.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
