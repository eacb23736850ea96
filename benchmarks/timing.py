"""Measuring for the scripts of this folder: interleaved, in one process, as ratios.

Times depend on the machine and on what else it does; the ratio of two times measured side by side
depends on both much less.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import torch
from tabulate import tabulate

THREADS = 2
#: Environment variable: a file to which report appends its rows, a JSON object a line.
RECORD_VARIABLE = "DENSEPOSE_BENCH_RECORD"


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
    """Prints and records milliseconds (divided by ``per``) and their ratios to the baseline."""
    rows = [
        (name, f"{seconds / per * 1e3:.2f}", f"{seconds / times[baseline]:.3f}")
        for name, seconds in times.items()
    ]
    if record := os.environ.get(RECORD_VARIABLE):
        with open(record, "a", encoding="utf-8") as stream:
            for name, seconds in times.items():
                ms, ratio = seconds / per * 1e3, seconds / times[baseline]
                row = {"title": title, "name": name, "ms": ms, "ratio": ratio}
                stream.write(json.dumps({**row, "baseline": baseline}) + "\n")
    print(f"\n{title} ({THREADS} threads)")
    print(tabulate(rows, headers=("", f"ms{unit}", f"of {baseline!r}"), tablefmt="plain"))
