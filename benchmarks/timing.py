"""Measuring for the scripts of this folder: interleaved, in one process, as ratios.

Times depend on the machine and on what else it does; the ratio of two times measured side by side
depends on both much less.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from tabulate import tabulate

THREADS = 2


def measure(
    functions: dict[str, Callable[[], object]], repeats: int = 7, warm_up: int = 1
) -> dict[str, float]:
    """Best time, seconds, of each function; their runs are interleaved."""
    torch.set_num_threads(THREADS)
    for _ in range(warm_up):
        for function in functions.values():
            function()
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def report(
    title: str, times: dict[str, float], baseline: str, per: int = 1, unit: str = ""
) -> None:
    """Prints milliseconds (divided by ``per``) and ratios to the baseline as a table."""
    rows = [
        (name, f"{seconds / per * 1e3:.2f}", f"{seconds / times[baseline]:.3f}")
        for name, seconds in times.items()
    ]
    print(f"\n{title} ({THREADS} threads)")
    print(tabulate(rows, headers=("", f"ms{unit}", f"of {baseline!r}"), tablefmt="plain"))
