"""`items -> results`, several at once, each on a thread of its own.

Small tensors gain little when torch splits each operation between threads,
which wait for each other after every one. Whole batches side by side wait for
nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_at_once(
    function: Callable[[Item], Result], items: Iterable[Item], n_threads: int
) -> Iterator[Result]:
    """Do what `map` does, for some items at once; results keep their order.

    An item is taken when there is a thread for it, so that no more than
    `n_threads` + 1 of them and of their results are in memory. Until the
    iterator is at its end, or closed, torch works with one thread in each.

    Arguments
    ---------
    function : callable
        From an item to its result. Threads call it at once; what a thread
        inherits of its creator, such as autocast, it has to set itself.
    items : iterable
        Gone through by the caller's thread.
    n_threads : int
        At least 1, which is `map` itself.

    Yields
    ------
    object
        One result for each item. What an item raises is raised in its place,
        and what waits is given up.

    Example
    -------
    >>> list(map_at_once(abs, [-2, -1, 3], 2))
    [2, 1, 3]
    """
    if n_threads == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with _one_thread_each(), ThreadPoolExecutor(n_threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let torch not split operations, here and in threads that are new."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
