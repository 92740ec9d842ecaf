"""`what each process has -> what all have`, and the share that each does.

Of a run by torchrun or Slurm; a process that is alone has everything.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist

from focalaudio.errors import FocalAudioError

# until one that is done gives up on the others; of one that dies torchrun knows
PATIENCE = timedelta(days=7)
_line: list[dist.ProcessGroup] = []  # on which they talk, once they do
Result = TypeVar("Result")
Items = TypeVar("Items", bound=Sequence[Any])


def count_processes() -> tuple[int, int]:
    """Return this process's number, from 0, and how many there are.

    Example
    -------
    >>> count_processes()
    (0, 1)
    """
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def join_processes() -> int:
    """Join those that torchrun started; return one's number on its machine.

    They talk about what they did, not about tensors: by gloo, on any device.

    Raises
    ------
    RuntimeError
        If the others cannot be found.

    Example
    -------
    >>> join_processes()
    0
    """
    started = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if started and not dist.is_initialized():
        dist.init_process_group("gloo", timeout=PATIENCE)
        leave_at_exit()
    return int(os.environ.get("LOCAL_RANK", "0"))


def leave_at_exit() -> None:
    """Let this process leave the others in order, however it ends.

    A thread of gloo's that still drops what it sent when Python is gone aborts
    a process that has done all its work. Leaving joins these threads, but not
    those of a group that trained by `DistributedDataParallel`, which torch
    keeps (2.11). So what processes say to each other last, they say by
    `gather` or `meet`, which have a group of their own.
    """
    atexit.register(_leave)


def _leave() -> None:
    _line.clear()
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def on_first(work: Callable[[], Result]) -> Result | None:
    """Let the first process work; what it refuses, all processes refuse.

    The others get None, when it is done.

    Raises
    ------
    FocalAudioError, OSError
        If `work` does, in every process.

    Example
    -------
    >>> on_first(lambda: "done")
    'done'
    """
    result, problem = None, None
    if count_processes()[0] == 0:
        try:
            result = work()
        except (FocalAudioError, OSError) as error:
            problem = error
    refused = gather(problem)[0]
    if refused is not None:
        raise refused
    return result


def gather(value: Any) -> list[Any]:
    """Return the values of all processes, in the order of their numbers.

    All of them must ask, as often as each other.

    Example
    -------
    >>> gather("a")
    ['a']
    """
    _, n_processes = count_processes()
    if n_processes == 1:
        return [value]
    if not _line:
        _line.append(dist.new_group(backend="gloo", timeout=PATIENCE))
    values: list[Any] = [None] * n_processes
    dist.all_gather_object(values, value, group=_line[0])
    return values


def meet() -> None:
    """Wait until all processes are here.

    Example
    -------
    >>> meet()
    """
    gather(None)


def share(items: Items) -> Items:
    """Return this process's share: of two processes, every second item.

    Example
    -------
    >>> share(["a", "b"])
    ['a', 'b']
    """
    number, n_processes = count_processes()
    return items[number::n_processes]  # type: ignore[return-value]
