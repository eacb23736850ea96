"""``densepose-ext check``: counts what an annotation file holds, and reports what is unusable."""

from __future__ import annotations

import argparse
import logging
import os


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("annotations", help="COCO JSON file with dp_* keys")
    parser.add_argument("--images", help="folder of the images; counts those that are missing")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    import numpy as np
    from tabulate import tabulate

    from ..data.annotation_file import read_annotations
    from ..data.annotations import has_densepose
    from ..data.vertex_check import people_by_mesh, vertex_problems
    from ..surface.dense_target import has_dense_target
    from ..surface.parts import FINE_PART_NAMES

    if args.images and not os.path.isdir(args.images):
        raise NotADirectoryError(f"--images {args.images}: there is no such folder")
    logging.basicConfig(format="%(levelname)s %(message)s")
    file = read_annotations(args.annotations, args.images or "")
    people = file.people
    charted = [person for person in people if has_densepose(person)]
    on_meshes = people_by_mesh(file)
    dense = [one for one in people if has_densepose(one) or has_densepose(one, by_vertices=True)]
    rows = [
        ("images", len(file.images)),
        ("people", len(people)),
        ("crowds among them", sum(bool(person["iscrowd"]) for person in people)),
        ("people with a mask", sum("segmentation" in person for person in people)),
        ("people with keypoints", sum("keypoints" in person for person in people)),
        ("people with dense pose", len(dense)),
        ("people with vertices", sum(map(len, on_meshes.values()))),
        ("people with dense targets", sum(map(has_dense_target, people))),
        ("people with part masks", sum("dp_masks" in person for person in dense)),
        ("points", sum(len(person["dp_x"]) for person in dense)),
    ]
    if args.images:
        paths = [image["path"] for image in file.images.values()]
        missing = [path for path in paths if not os.path.isfile(path)]
        rows.append(("images missing", len(missing)))
        if missing:
            logging.warning(f"{args.annotations}: images are missing, the first is {missing[0]}")
    for problem in vertex_problems(file.path, on_meshes):
        logging.warning(problem)
    print(tabulate(rows, tablefmt="plain"))
    tables = []
    if charted:
        counts = np.bincount(
            np.concatenate([person["dp_I"] for person in charted]).astype(int),
            minlength=len(FINE_PART_NAMES),
        )
        tables.append(("points on", zip(FINE_PART_NAMES, counts)))
    if on_meshes:
        counts = [sum(len(person["dp_x"]) for person in found) for found in on_meshes.values()]
        tables.append(("vertices of", zip(on_meshes, counts)))
    for heading, counted in tables:
        print()
        print(tabulate(list(counted), headers=(heading, ""), tablefmt="plain"))
    return 0
