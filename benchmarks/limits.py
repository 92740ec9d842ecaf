"""How fast the machine could be: its matrix products, and a job's own.

A job's share of the limit is its floating-point operations per second over
those of a large square product, measured in the same turns.
"""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from turns import Job

SIDE = 2048  # of the square product
PRODUCTS = {torch.ops.aten.addmm.default: 1, torch.ops.aten.mm.default: 0}


def count_flops(job: Job) -> int:
    """Return the floating-point operations of a job, as torch counts."""
    with FlopCounterMode(display=False) as counter:
        job()
    return counter.get_total_flops()


def multiply_squares(side: int = SIDE) -> tuple[Job, int]:
    """Return a job that multiplies two square matrices, and its operations."""
    left, right, out = torch.randn(3, side, side).unbind()
    return lambda: torch.mm(left, right, out=out), 2 * side**3


class _Recorder(TorchDispatchMode):
    """Keeps what is multiplied with what, on the way to torch."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if function in PRODUCTS:
            first = PRODUCTS[function]
            left, right = args[first : first + 2]
            self.pairs.append((left.detach(), right.detach()))
        return function(*args, **kwargs or {})


def repeat_products(job: Callable[[], Any]) -> tuple[Job, int]:
    """Return a job of another's matrix products alone, and its operations."""
    with _Recorder() as recorder:
        job()
    pairs = recorder.pairs

    def multiply() -> None:
        for left, right in pairs:
            torch.mm(left, right)

    return multiply, sum(
        2 * left.numel() * right.shape[1] for left, right in pairs
    )


def largest_shares(job: Callable[[], Any], n_largest: int = 3) -> str:
    """Return the operations that take most of a job's CPU time."""
    cpu = [ProfilerActivity.CPU]
    with profile(activities=cpu, acc_events=True) as profiler:
        job()
    rows = profiler.key_averages()
    total = sum(row.self_cpu_time_total for row in rows)
    rows = sorted(rows, key=lambda row: -row.self_cpu_time_total)
    return ", ".join(
        f"`{row.key.removeprefix('aten::')}` "
        f"{100 * row.self_cpu_time_total / total:.0f} %"
        for row in rows[:n_largest]
    )


def largest_functions(job: Callable[[], Any], n_largest: int = 3) -> str:
    """Return the functions that take most of a job's time, for themselves."""
    profiler = cProfile.Profile()
    profiler.runcall(job)
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    own = {key: row[2] for key, row in stats.items()}
    total = sum(own.values())
    largest = sorted(own, key=lambda key: -own[key])[:n_largest]
    return ", ".join(
        f"`{_short(name)}` {100 * own[path, line, name] / total:.0f} %"
        for path, line, name in largest
    )


def _short(name: str) -> str:
    """Return a function's name without where it is from."""
    return name.strip("<>").removeprefix("built-in method ").split(" of ")[0]
