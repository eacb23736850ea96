"""Runs the demo's work in several processes: on the CPU, one per core."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils import comm

from ..engine.launch import launch

#: With fewer images per process, their times differ more, and all wait for the slowest.
IMAGES_A_PROCESS = 2


def in_processes(
    work: Callable[..., None], cfg: CfgNode, images: dict[str, list[dict]], *args
) -> None:
    """Runs ``work(cfg, *args)`` in as many processes as share a training step.

    Threads wait for one another in each of a step's thousands of operations, and for long if
    another program uses their core. Processes, each with its share of the images, do so once per
    step.

    Args:
        work: a function at the top level of its module.
        images: of each dataset of ``cfg``, by name, passed to the processes, since reading them
            would take each process nine seconds.
    """
    threads = torch.get_num_threads()
    on_cpu = cfg.MODEL.DEVICE == "cpu"
    processes = number_of_processes(cfg.SOLVER.IMS_PER_BATCH, threads) if on_cpu else 1
    sets = {name: (found, MetadataCatalog.get(name).as_dict()) for name, found in images.items()}
    threads_each = max(threads // processes, 1)
    # Detectron2's launcher requires a GPU per process if it sees any.
    with _no_gpu_seen() if on_cpu else contextlib.nullcontext():
        launch(_main, processes, dist_url="auto", args=(work, sets, threads_each, cfg, *args))


@contextlib.contextmanager
def _no_gpu_seen() -> Iterator[None]:
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # Windows has no empty variables
    try:
        yield
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def number_of_processes(images: int, cores: int) -> int:
    """Number of processes that share a step on the CPU: one per core if that divides the images."""
    most = min(cores, images // IMAGES_A_PROCESS)
    return max((n for n in range(1, most + 1) if images % n == 0), default=1)


def _main(work: Callable[..., None], sets: dict, threads: int, cfg: CfgNode, *args) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    if comm.get_world_size() > 1:  # else this process has registered them
        for name, (images, metadata) in sets.items():
            DatasetCatalog.pop(name, None)
            MetadataCatalog.pop(name, None)
            DatasetCatalog.register(name, lambda images=images: images)
            MetadataCatalog.get(name).set(**metadata)
    try:
        work(cfg, *args)
    finally:
        torch.set_num_threads(before)
