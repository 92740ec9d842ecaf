"""`what each process has -> what all have`, and the share that each does.

Of a run by torchrun or Slurm; a process that is alone has everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch.distributed as dist

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
    values: list[Any] = [None] * n_processes
    dist.all_gather_object(values, value)
    return values


def share(items: Items) -> Items:
    """Return this process's share: of two processes, every second item.

    Example
    -------
    >>> share(["a", "b"])
    ['a', 'b']
    """
    number, n_processes = count_processes()
    return items[number::n_processes]  # type: ignore[return-value]
