#!/usr/bin/env python3
"""Time of operations on a million points of the open surface, and of its table of geodesics.

    python benchmarks/bench_surface.py [--geodesics]

Bars, on 2 cores: 2 s for each operation on a million points; 15 s for the table, 400 MB.
"""

import argparse
import os
import tempfile
import time

import numpy as np

from densepose_ext.surface.surface import BodySurface

POINTS = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--geodesics", action="store_true", help="build the table of distances too")
    args = parser.parse_args()
    surface = BodySurface.load()
    rng = np.random.default_rng(0)
    face = rng.integers(0, len(surface.body.faces), POINTS)
    weight = rng.dirichlet([1, 1, 1], POINTS)

    def timed(name, function, *arguments):
        start = time.perf_counter()
        result = function(*arguments)
        seconds = time.perf_counter() - start
        print(f"  {name:16s} {seconds:6.2f} s, {seconds / 2:.2f} of the bar (2 s)")
        return result

    print(f"{POINTS} points")
    i, u, v = timed("iuv", surface.iuv, face, weight)
    timed("points", surface.points, i, u, v)
    timed("closest_vertex", surface.closest_vertex, i, u, v)
    timed("mirror", surface.mirror, i, u, v)
    if args.geodesics:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DENSEPOSE_EXT_CACHE"] = folder
            start = time.perf_counter()
            surface.geodesic(np.array([0]), np.array([1]))
            seconds = time.perf_counter() - start
            size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)) / 1e6
            print(
                f"  {'geodesic table':16s} {seconds:6.1f} s, {seconds / 15:.2f} of the bar (15 s)"
            )
            print(f"  {'':16s} {size:6.0f} MB, {size / 400:.2f} of the bar (400 MB)")
            a, b = rng.integers(0, len(surface.body.vertices), (2, POINTS))
            timed("geodesic", surface.geodesic, a, b)


if __name__ == "__main__":
    main()
