"""Memory of a job, in a process of its own (Linux)."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

GB, MB = 1e9, 1e6  # bytes
# of this process only: getrusage's also counts what its parent had
STATUS = Path("/proc/self/status")


def peak_memory() -> int:
    """Return the most memory that this process has had, bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    if found is None:
        raise SystemExit(f"{STATUS} does not tell the peak of memory.")
    return 1024 * int(found[1])


def run_alone(
    function: Callable[..., Any], *arguments: Any, start: str = "spawn"
) -> Any:
    """Call a function in a new process and return what it returns.

    `fork` spares the imports, for a caller that has not computed yet.
    """
    context = multiprocessing.get_context(start)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def grow(function: Callable[..., Any], *arguments: Any) -> int:
    """Return by how much a call raises the peak of memory, bytes."""
    before = peak_memory()
    function(*arguments)
    return peak_memory() - before
