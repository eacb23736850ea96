#!/usr/bin/env python3
"""Processor time of synthetic images, by stage, and memory.

    OMP_NUM_THREADS=1 python benchmarks/bench_synthetic.py [--images 40] [--size 512]

Bar: 150 ms an image of 512 x 512 on one core; under 1 GB.
"""

import argparse
import resource
import time
from collections import defaultdict

import cv2
import numpy as np

from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic.annotations import annotate
from densepose_ext.synthetic.backdrop import backdrop
from densepose_ext.synthetic.render import develop, render
from densepose_ext.synthetic.scene import sample_scene
from densepose_ext.synthetic.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--size", type=int, default=512)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    surface, spent, people = BodySurface.load(), defaultdict(float), 0

    def timed(stage, function, *arguments):
        start = time.process_time()
        result = function(*arguments)
        spent[stage] += time.process_time() - start
        return result

    for number in range(args.images + 1):
        rng = np.random.default_rng(number)
        scene = timed("people and camera", sample_scene, rng, surface.body, args.size, 5)
        background = timed("background", backdrop, rng, scene.camera)
        image, seen = timed("rendering", render, rng, scene, background, surface.body.faces)
        timed("annotations", annotate, rng, scene, seen, surface, Settings().points)
        image = timed("lens and sensor", develop, rng, image)
        timed("JPEG", cv2.imencode, ".jpg", image)
        people += len(scene.people)
        if number == 0:  # the first image loads the body
            spent.clear()
            people = 0

    print(f"{args.images} images of {args.size} x {args.size}, {people} people, one process")
    for stage, seconds in spent.items():
        print(f"  {stage:18s} {1e3 * seconds / args.images:6.0f} ms an image")
    total = sum(spent.values()) / args.images
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {'all':18s} {1e3 * total:6.0f} ms an image, {total / 0.15:.2f} of the bar (150 ms)")
    print(f"  {'memory':18s} {memory:6.2f} GB, {memory / 1:.2f} of the bar (1 GB)")


if __name__ == "__main__":
    main()
