"""Detectron2's launcher of processes, whose processes end in order."""

import gc

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
    """``main(*args)`` in each of ``num_processes`` processes; in this one if it is the only one.

    Detectron2's launcher leaves the process group to the end of Python. A thread of gloo that lets
    go of a tensor just then is killed by Python, and the whole process with it ("terminate called
    without an active exception", SIGABRT): a run that has done all its work fails. So the group is
    taken down here, where its threads are waited for.

    Args:
        main: a function that processes can be started with: at the top of its module.
        args: what it gets; what it returns is lost with several processes.
        timeout: for each communication between the processes, a ``datetime.timedelta``.

    Raises:
        torch.multiprocessing.ProcessRaisedException, ProcessExitedException: a process failed.
    """
    if num_processes * num_machines > 1:
        main, args = _main, (main, *args)
    detectron2_launch(main, num_processes, num_machines, machine_rank, dist_url, args, timeout)


def _main(main, *args) -> None:
    hide_notices()
    main(*args)
    # Not after an error: the other processes may wait for this one, which has to end at once.
    dist.destroy_process_group()
    # Its threads end with the last of those who hold it: Detectron2's two references, and models
    # of DistributedDataParallel in cycles of objects.
    comm._get_global_gloo_group.cache_clear()
    comm._LOCAL_PROCESS_GROUP = None
    gc.collect()
