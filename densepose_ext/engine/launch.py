"""Detectron2's launcher, with an orderly end of its processes."""

import gc
import sys

import torch
import torch.distributed as dist
from detectron2.engine.launch import DEFAULT_TIMEOUT
from detectron2.engine.launch import launch as detectron2_launch
from detectron2.utils import comm

from ..processes.notices import hide_notices


def launch(
    main,
    num_processes: int,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str = "auto",
    args: tuple = (),
    timeout=DEFAULT_TIMEOUT,
) -> None:
    """Runs ``main(*args)`` in each of ``num_processes`` processes; a single one is this process.

    Detectron2's launcher leaves the process group to the exit of Python, which may kill a thread of
    gloo that is just releasing a tensor, and with it the process ("terminate called without an
    active exception", SIGABRT): a run that has completed fails. So the group is destroyed here,
    which waits for its threads.

    Args:
        main: a function at the top level of its module, so that processes can import it.
        args: its arguments. Its return value is lost.
        timeout: of each communication between processes, a ``datetime.timedelta``.

    Raises:
        ValueError: torch has no NCCL, without which it cannot use several GPUs.
        torch.multiprocessing.ProcessRaisedException, ProcessExitedException: a process failed.
    """
    check_backend(num_processes * num_machines)
    if num_processes * num_machines > 1:
        main, args = _main, (main, *args)
    detectron2_launch(main, num_processes, num_machines, machine_rank, dist_url, args, timeout)


def check_backend(num_processes: int) -> None:
    """
    Raises:
        ValueError: torch has no NCCL, as on Windows, without which it cannot use several GPUs.
    """
    if num_processes > 1 and torch.cuda.is_available() and not dist.is_nccl_available():
        raise ValueError(
            f"{num_processes} processes on GPUs need NCCL, which torch lacks on {sys.platform}: use"
            " one process, or several on the CPU with CUDA_VISIBLE_DEVICES set to -1"
        )


def _main(main, *args) -> None:
    hide_notices()
    main(*args)
    # Not after an error: the other processes may be waiting, so this one must end at once.
    dist.destroy_process_group()
    # Its threads end with the last reference to it. Detectron2 holds two; others are in models of
    # DistributedDataParallel, in reference cycles.
    comm._get_global_gloo_group.cache_clear()
    comm._LOCAL_PROCESS_GROUP = None
    gc.collect()
