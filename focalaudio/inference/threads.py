"""`items -> results`, several at once, each on a thread of its own.

Small tensors gain little when torch splits each operation between threads,
which wait for each other after every one. Whole batches side by side wait for
nothing.
"""

from __future__ import annotations

import threading
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
    iterator is at its end, or closed, torch works with one thread in each; so
    does, for good, a thread of others' that uses torch for the first time then.

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
        One result for each item. What an item raises, or `items` do, is raised
        in its place, and what waits is given up.

    Example
    -------
    >>> list(map_at_once(abs, [-2, -1, 3], 2))
    [2, 1, 3]
    """
    if n_threads == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with _ONE_EACH.used(), ThreadPoolExecutor(n_threads) as pool:
        try:
            source = iter(items)
            while True:
                try:
                    item = next(source)
                except Exception as error:
                    end = error  # in its place: after what was taken before
                    break
                waiting.append(pool.submit(function, item))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            if not isinstance(end, StopIteration):
                raise end
        finally:
            pool.shutdown(cancel_futures=True)


class _OneThreadEach:
    """Lets torch not split operations while anybody uses this."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_users = 0
        self._before = 1

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let torch have one thread, here and in threads that are new.

        What it had before is set again by the last one who leaves.
        """
        with self._lock:
            if self._n_users == 0:
                self._before = torch.get_num_threads()
            self._n_users += 1
            torch.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._n_users -= 1
                if self._n_users == 0:
                    torch.set_num_threads(self._before)


_ONE_EACH = _OneThreadEach()
