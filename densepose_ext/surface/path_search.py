"""Dijkstra's algorithm on the graph of ``shortest_paths``, here or in several processes.

Threads would not do: scipy's search holds the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import dijkstra

from ..processes.bare import command

#: Mean ratio of path length on the graph to the exact geodesic distance.
EXCESS = 1.01


def distances_from(graph: sp.csr_array, sources: np.ndarray) -> np.ndarray:
    """Distances (S, V) in metres from source vertices (S,) on the graph of ``path_graph``."""
    return dijkstra(graph, directed=True, indices=sources) / EXCESS


def searched_in_processes(
    graph: sp.csr_array, blocks: list[np.ndarray], processes: int
) -> Iterator[np.ndarray]:
    """Distances float32 (S, V), metres, from each block of sources (S,), in order.

    Args:
        graph: (V, V), as of ``path_graph``.
        blocks: the k-th process takes every ``processes``-th block from the k-th on.

    Raises:
        RuntimeError: a process died.
    """
    team: list[subprocess.Popen] = []
    try:
        for _ in range(processes):
            program = command(f"from {__name__} import main\nmain()")
            team.append(subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for k, process in enumerate(team):
            with contextlib.suppress(OSError), process.stdin:  # if dead, it sends nothing
                pickle.dump((graph, blocks[k::processes]), process.stdin)
        for number, sources in enumerate(blocks):
            process = team[number % processes]
            size = 4 * len(sources) * graph.shape[0]
            content = process.stdout.read(size)
            if len(content) < size:
                raise RuntimeError(
                    f"a process that computes geodesics died (status {process.wait()})"
                )
            yield np.frombuffer(content, np.float32).reshape(len(sources), graph.shape[0])
    finally:
        for process in team:
            process.kill()
            process.wait()
            process.stdout.close()


def main() -> None:
    """The program of each process: reads graph and blocks, writes distances."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles interrupts
    graph, blocks = pickle.load(sys.stdin.buffer)
    with contextlib.suppress(BrokenPipeError):  # the parent has gone
        for sources in blocks:
            sys.stdout.buffer.write(distances_from(graph, sources).astype(np.float32))
            sys.stdout.buffer.flush()
