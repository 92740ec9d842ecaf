"""Count a job's inputs; time several in turns, and print ratios."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

Job = Callable[[], None]
Times = Mapping[str, Sequence[tuple[float, float]]]  # wall and CPU time, s


def count_inputs(modules: Mapping[str, nn.Module], job: Job) -> dict[str, int]:
    """Run a job; return how many clips each module is given meanwhile."""
    seen = dict.fromkeys(modules, 0)

    def watch(name: str) -> Any:
        def add(module: nn.Module, inputs: Sequence[Any], _: Any) -> None:
            seen[name] += len(inputs[0])

        return modules[name].register_forward_hook(add)

    hooks = [watch(name) for name in modules]
    job()
    for hook in hooks:
        hook.remove()
    return seen


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def time_turn(job: Job) -> tuple[float, float]:
    """Return how long a job takes, wall and CPU time, s."""
    start, busy = time.perf_counter(), cpu_seconds()
    job()
    return time.perf_counter() - start, cpu_seconds() - busy


def take_turns(jobs: Mapping[str, Job], turns: int) -> Times:
    """Time each job once per turn; another one begins each turn."""
    names = list(jobs)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(time_turn(jobs[name]))
    return times


def faster(times: Times, names: Sequence[str]) -> str:
    """Return the job whose median turn is the shortest, in CPU seconds."""
    return min(
        names, key=lambda name: statistics.median(cpu for _, cpu in times[name])
    )


def ratio(times: Times, slow: str, fast: str) -> str:
    """Return how much longer one job takes than another, on both clocks."""
    wall, cpu = (
        spread([a / b for a, b in zip(theirs, ours, strict=True)])
        for theirs, ours in zip(
            zip(*times[slow], strict=True),
            zip(*times[fast], strict=True),
            strict=True,
        )
    )
    return f"{wall} x; CPU {cpu} x"


def spread(values: Sequence[float]) -> str:
    """Return median, lowest and highest."""
    middle = statistics.median(values)
    return f"{middle:.2f} ({min(values):.2f} to {max(values):.2f})"


def print_times(times: Times) -> None:
    """Print the seconds of each turn of each job, CPU seconds in brackets."""
    print("\nseconds of each turn (CPU seconds)")
    for name, turns in times.items():
        listed = "  ".join(f"{wall:.3f} ({cpu:.3f})" for wall, cpu in turns)
        print(f"{name:14} {listed}")
