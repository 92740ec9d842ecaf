"""`freed -> used again`: the memory of large tensors, and of what stays."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# of glibc's malloc.h; what is trimmed is the top of the heap
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
NEVER = -1


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed tensors for its next ones.

    glibc maps each large block anew and gives it back when it is freed, so that
    the kernel clears every page of every tensor again: half of the time that
    an explanation of five minutes of sound takes (`benchmarks/growth.py`). From
    here on blocks are taken from the heap, which does not shrink; its peak is
    about a tenth higher. There is one for all threads: what one of them has
    freed is of use to the others. For commands and recipes, whose memory is
    given back at their end; nothing is done on import.

    Returns
    -------
    bool
        Whether the C library is one that does so: glibc, on Linux.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, Windows
        return False
    wanted = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER, M_ARENA_MAX: 1}
    return all([mallopt(name, value) for name, value in wanted.items()])


@contextmanager
def quick_imports() -> Iterator[None]:
    """Load modules without a search for garbage among what they make.

    Modules, functions and classes stay until the end, but Python goes through
    all of them again and again while they are made, and now and then later: a
    fifth of the seconds that torch and SpeechBrain take to load. Within the
    context nothing is searched, and what is there at its end never is.

    Example
    -------
    >>> import gc
    >>> with quick_imports():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
