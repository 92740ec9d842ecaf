#!/usr/bin/env python3
"""Does anything grow faster than a straight line?

    python benchmarks/growth.py [--quick] [--parts length batch ...]

Seconds and peak memory of an explanation by a small FocalNet of random
weights, against the length of a clip, the batch, the number of classes and of
quantiles; and of listing a folder, against the number of its clips. Each size
runs in a process of its own. The slope is that of log seconds (or log memory
above that of the smallest) against log size, by least squares over the larger
half of the sizes, where what is constant weighs less: 1 is a straight line.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
from collections.abc import Callable, Sequence
from math import log
from pathlib import Path

import torch
from answers import Answer, print_answers
from memory import MB, peak_memory, run_alone

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.inference.sources import find_sounds
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.memory import keep_freed_memory
from focalaudio.spectrogram import Spectrogram

RATE = 16000
GOAL = "slope stated, at most 1"
SIZES = {
    "length": (1, 10, 60, 300, 1200, 3600),  # s, in one piece
    "batch": (1, 2, 4, 8, 16, 32, 64),
    "classes": (10, 30, 100, 300, 1000),
    "quantiles": (1, 2, 5, 10, 20),
    "folder": (10, 100, 1000, 10_000, 100_000),
}
QUICK = {name: sizes[:4] for name, sizes in SIZES.items()}
TOLERANCE = 1.05  # of a slope: rounding of clocks


def build_interpreter(n_classes: int = 10) -> ThresholdInterpreter:
    """Return a small one, by design."""
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_nano", in_channels=1)
    classifier = SoundClassifier(encoder, n_classes).eval()
    return ThresholdInterpreter(classifier, Spectrogram())


def explain(
    seconds: float = 5.0,
    batch: int = 1,
    n_classes: int = 10,
    n_quantiles: int = 1,
) -> Callable[[], None]:
    """Return a job that explains clips and makes their sounds."""
    interpreter = build_interpreter(n_classes)
    wavs = torch.randn(batch, round(seconds * RATE)) / 10
    ways = [
        interpreter.at_quantile((index + 1) / (n_quantiles + 1))
        for index in range(n_quantiles)
    ]

    @torch.inference_mode()
    def job() -> None:
        seen = interpreter.look(wavs)
        for way in ways:
            way.interpret(*seen).wavs.sum()

    return job


def list_folder(n_files: int) -> Callable[[], None]:
    """Return a job that finds the sounds of a folder of empty files."""
    folder = Path(tempfile.mkdtemp())
    for index in range(n_files):
        (folder / f"{index}.wav").touch()
    return lambda: find_sounds([folder])


PARTS: dict[str, Callable[[int], Callable[[], None]]] = {
    "length": lambda size: explain(seconds=size),
    "batch": lambda size: explain(batch=size),
    "classes": lambda size: explain(n_classes=size),
    "quantiles": lambda size: explain(n_quantiles=size),
    "folder": list_folder,
}


def measure(part: str, size: int) -> tuple[float, float, int]:
    """Return CPU seconds, the kernel's of them, the peak of memory in bytes.

    Seconds are those of the better of two.
    """
    keep_freed_memory()  # as commands and recipes do
    job, found = PARTS[part](size), []
    for _ in range(2):
        start = resource.getrusage(resource.RUSAGE_SELF)
        job()
        end = resource.getrusage(resource.RUSAGE_SELF)
        kernel = end.ru_stime - start.ru_stime
        found.append((end.ru_utime - start.ru_utime + kernel, kernel))
    return *min(found), peak_memory()


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of the logarithms, by least squares."""
    found = statistics.linear_regression(
        [log(size) for size in sizes], [log(value) for value in values]
    )
    return found.slope


def grow(part: str, sizes: Sequence[int]) -> Answer:
    """Measure all sizes of a part."""
    print(f"\n{part}: size, CPU seconds, of them kernel, peak memory (MB)")
    rows = []
    for size in sizes:
        found = run_alone(measure, part, size, start="fork")
        seconds, kernel, memory = found
        print(f"{size:7} {seconds:9.3f} {kernel:9.3f} {memory / MB:9.0f}")
        rows.append(found)
    larger = len(sizes) // 2
    of_time = slope(sizes[larger:], [row[0] for row in rows[larger:]])
    per_size = (memory - rows[0][2]) / (sizes[-1] - sizes[0])
    before = (rows[-2][2] - rows[0][2]) / (sizes[-2] - sizes[0])
    verdict = "no more" if of_time <= TOLERANCE else "more"
    return Answer(
        f"growth with {part}, {sizes[0]} to {sizes[-1]}",
        "a straight line",
        f"CPU seconds: slope {of_time:.2f}, {verdict} than linear; memory "
        f"{per_size / MB:.3g} MB each to the last, {before / MB:.3g} before",
        GOAL,
        f"kernel {100 * kernel / seconds:.0f} % of the largest's seconds",
    )


def main() -> None:
    """Read the options, measure the parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--parts", nargs="+", choices=[*SIZES], default=[*SIZES]
    )
    parser.add_argument("--quick", action="store_true", help="four sizes")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else SIZES
    print_answers([grow(part, sizes[part]) for part in arguments.parts])


if __name__ == "__main__":
    main()
