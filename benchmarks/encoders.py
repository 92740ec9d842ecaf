#!/usr/bin/env python3
"""What does one forward pass of each encoder cost?

    python benchmarks/encoders.py [--names focalnet_nano focalnet_nano_pyramid]

Classifiers with random weights take turns with the same batch of clips of 5 s
in one process, on one thread. Prints parameters, floating-point operations of
one clip (as torch counts them), CPU time per clip, and last the ratios to the
first.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from answers import Answer, print_answers
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder

NAMES = ("focalnet_nano", "focalnet_nano_pyramid", "vit_nano_patch16")
N_CLASSES = 10
BATCH, FRAMES, FREQUENCIES = 4, 431, 513


def count_operations(classifier: SoundClassifier, clips: Tensor) -> float:
    """Return how many GFLOP one clip takes."""
    with FlopCounterMode(display=False) as counter:
        classifier(clips[:1])
    return counter.get_total_flops() / 1e9


def time_turns(
    classifiers: dict[str, SoundClassifier], clips: Tensor, turns: int
) -> dict[str, float]:
    """Return the median CPU milliseconds per clip of each."""
    times: dict[str, list[float]] = {name: [] for name in classifiers}
    for _ in range(turns):
        for name, classifier in classifiers.items():
            start = time.process_time()
            classifier(clips)
            times[name].append(time.process_time() - start)
    return {
        name: 1000 * statistics.median(each) / len(clips)
        for name, each in times.items()
    }


@torch.no_grad()
def main() -> None:
    """Read the options, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", nargs="+", default=list(NAMES))
    parser.add_argument("--turns", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    classifiers = {
        name: SoundClassifier(
            build_encoder(name, in_channels=1), N_CLASSES, "linear"
        ).eval()
        for name in arguments.names
    }
    clips = torch.rand(BATCH, FRAMES, FREQUENCIES)
    times = time_turns(classifiers, clips, arguments.turns)
    first, *_ = times.values()
    answers = []
    for name, classifier in classifiers.items():
        size = sum(each.numel() for each in classifier.parameters()) / 1e6
        print(
            f"{name}: {size:.2f} M parameters, "
            f"{count_operations(classifier, clips):.3f} GFLOP, "
            f"{times[name]:.1f} CPU ms per clip, {times[name] / first:.2f} x"
        )
        answers.append(
            Answer(
                f"`{name}` forward, a clip of 5 s, one thread",
                f"`{arguments.names[0]}`",
                f"CPU {times[name]:.1f} ms, {times[name] / first:.2f} of it",
                "stated",
            )
        )
    print_answers(answers)


if __name__ == "__main__":
    main()
