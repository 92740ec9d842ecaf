#!/usr/bin/env python3
"""Do two processes interpret, and train, in half the time of one?

    python benchmarks/ranks.py --data_folder DIR [--quick] [--turns 3]

Three ways, in turns: one process of two threads, one of one thread, and under
torchrun two of one thread each. Linear is 1.

`recipes/ESC50/interpret.py` with the model that comes with the package on
fold 5 of a data set (ESC-50's layout). Timed is the evaluation within (the
slower rank's seconds; the CPU seconds of all), not the start of Python, and
neither sounds nor pictures are written. Rows per clip must be the same at one
thread (two may add in another order) before anything is said; how many clips
each rank interpreted stands in the row.

`recipes/ESC50/train_classifier.py`, the default recipe on folds 1 to 3; of two
ranks each has half of a batch. Timed are epochs, from the second on. All must
take as many steps, and the ranks must end with the same weights. (That these
are what one process learns is a test, where nothing is drawn by chance.)

Where other work takes the cores the seconds say little; CPU seconds say what
is done twice: 0.5 would be a rank that does all that the other does.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from answers import Answer, print_answers
from turns import time_turn

from focalaudio.brains import ClassifierBrain, InterpreterBrain
from focalaudio.metrics.table import METRICS
from focalaudio.models.shipped import default_model

ROOT = Path(__file__).parents[1]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc_per_node", "2"]
WAYS = {  # processes, threads of each
    "one": (1, 2),
    "alone": (1, 1),
    "two": (2, 1),
}
TOLERANCE = 1e-5  # of a value of a row; of what is in percent, of a hundred
EPOCHS = 3  # that are trained; the first one reads the clips
GOAL = "at least 0.9 of linear"

# way -> of each rank: seconds, CPU seconds, clips or steps; of one that trains
# the size of its weights, too
Times = Mapping[str, Sequence[Sequence[float]]]
Worker = Callable[[str, Path, int], Sequence[Sequence[float]]]


def tell(values: Sequence[float]) -> None:
    """Write what a rank measured where its starter reads it."""
    rank = os.environ.get("RANK", "0")
    path = Path(os.environ["TIMES_FOLDER"]) / f"{rank}.json"
    path.write_text(json.dumps(list(values)))


class TimedInterpreter(InterpreterBrain):
    """Tells beside the results how long this rank's share took."""

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, and write seconds, CPU seconds and clips."""
        evaluate = partial(super().evaluate, *args, **kwargs)
        self.n_clips = 0
        tell([*time_turn(evaluate), self.n_clips])

    def evaluate_batch(self, batch: Any, stage: Any) -> Any:
        """Count the clips of a batch."""
        self.n_clips += len(batch.id)
        return super().evaluate_batch(batch, stage)


class TimedClassifier(ClassifierBrain):
    """Tells beside the results how long its epochs took."""

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Train; write seconds, CPU seconds and steps of an epoch, weights."""
        self.epochs: list[tuple[float, float]] = []
        super().fit(*args, **kwargs)
        seconds, cpu = map(
            statistics.median, zip(*self.epochs[1:], strict=True)
        )
        steps = self.optimizer_step / EPOCHS
        size = sum(
            value.double().abs().sum().item()
            for value in self.classifier.parameters()
        )
        tell([seconds, cpu, steps, size])

    def _fit_train(self, *args: Any, **kwargs: Any) -> None:
        """Time an epoch."""
        epoch = partial(super()._fit_train, *args, **kwargs)
        self.epochs.append(time_turn(epoch))


TIMED = {
    "interpret": ("InterpreterBrain", TimedInterpreter),
    "train_classifier": ("ClassifierBrain", TimedClassifier),
}


def work(name: str, argv: list[str]) -> None:
    """Run a recipe with its timed brain, in this process."""
    recipe = runpy.run_path(str(ROOT / "recipes" / "ESC50" / f"{name}.py"))
    main = recipe["main"]
    brain, timed = TIMED[name]
    main.__globals__[brain] = timed
    main(argv)


def start(
    name: str, way: str, out: Path, options: dict[str, Any]
) -> list[list[float]]:
    """Run a recipe one way; return what each rank measured."""
    n_processes, n_threads = WAYS[way]
    launcher = TORCHRUN + ["--standalone"] if n_processes > 1 else []
    settings = ROOT / "hparams" / f"{name}.yaml"
    command = [sys.executable, *launcher, __file__, "--worker", name, settings]
    options = options | {"output_folder": out, "device": "cpu"}
    if n_processes > 1:
        options["distributed_backend"] = "gloo"
    for key, value in options.items():
        command += [f"--{key}", value]
    out.mkdir()
    environment = os.environ | {
        "OMP_NUM_THREADS": str(n_threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # a thread that spins seems to compute
        "TIMES_FOLDER": str(out),
    }
    done = subprocess.run(
        [*map(str, command), "--noprogressbar"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-2000:]}")
    return [
        json.loads((out / f"{rank}.json").read_text())
        for rank in range(n_processes)
    ]


def read_rows(out: Path) -> dict[str, dict[str, str]]:
    """Return the rows that a run wrote, by clip."""
    with open(out / "clips.csv", encoding="utf-8", newline="") as stream:
        return {row["clip_id"]: row for row in csv.DictReader(stream)}


def is_same(name: str, one: str, other: str) -> bool:
    """Return whether two values of a column agree."""
    whole = 100.0 if name in METRICS and METRICS[name].unit == "%" else 1.0
    try:
        size = max(whole, abs(float(one)))
        return abs(float(one) - float(other)) <= TOLERANCE * size
    except ValueError:
        return one == other


def check(folder: Path) -> None:
    """Stop unless both ways of one thread found the same of every clip."""
    one, two = (read_rows(folder / f"{way}-0") for way in ("alone", "two"))
    differing = [
        f"{clip} {name}: {value} and {two[clip][name]}"
        for clip, row in one.items()
        for name, value in row.items()
        if clip in two and not is_same(name, value, two[clip][name])
    ]
    print(f"{len(one)} and {len(two)} clips, {len(differing)} values differ")
    if one.keys() != two.keys() or differing:
        raise SystemExit(f"nothing is said: {differing[:3]}")


def take_turns(worker: Worker, turns: int) -> tuple[str, Times]:
    """Run all ways in turns; return how fast two ranks are, and the last."""
    walls: list[float] = []
    busy: list[float] = []
    for turn in range(turns):
        found = {
            way: worker(way, Path(f"{way}-{turn}"), n_processes)
            for way, (n_processes, _) in WAYS.items()
        }
        for way, ranks in found.items():
            listed = "  ".join(
                f"{wall:.2f} ({cpu:.2f}) {count:g}"
                for wall, cpu, count, *_ in ranks
            )
            print(f"{way:4} {listed}", flush=True)
        (one,), (alone,), both = found.values()
        walls.append(one[0] / max(rank[0] for rank in both))
        busy.append(alone[1] / sum(rank[1] for rank in both))
    speed = (
        f"{statistics.median(walls):.2f} x the speed; CPU, beside one thread, "
        f"{statistics.median(busy):.2f} x"
    )
    return speed, found


def compare_interpretation(
    folder: Path, data_folder: Path, turns: int, batch_size: int
) -> Answer:
    """Interpret in all ways."""
    print("interpretation: way, then each rank's seconds, CPU seconds, clips")
    options = {
        "data_folder": data_folder,
        "classifier": default_model(),
        "batch_size": batch_size,
        "max_clips": 0,
        "report": False,
    }
    speed, found = take_turns(
        lambda way, out, _: start("interpret", way, folder / out, options),
        turns,
    )
    check(folder)
    (alone,), both = found["alone"], found["two"]
    shares = " + ".join(str(rank[2]) for rank in both)
    twice = sum(rank[2] for rank in both) - alone[2]
    return Answer(
        "interpretation by two ranks of one thread",
        "one process of two threads",
        f"{speed}; clips {shares} of {alone[2]}, rows the same",
        f"{GOAL}, each rank its share, results equal",
        f"{twice} clips are interpreted twice" if twice else "",
    )


def compare_training(
    folder: Path, data_folder: Path, turns: int, batch_size: int
) -> Answer:
    """Train in all ways."""
    print("training: way, then each rank's seconds, CPU seconds, steps, of one")
    print("epoch")
    options = {
        "data_folder": data_folder,
        "valid_folds": [],
        "test_folds": [],
        "select_by": "epoch",
        "number_of_epochs": EPOCHS,
        "warmup_epochs": 1,
    }
    speed, found = take_turns(
        lambda way, out, n_processes: start(
            "train_classifier",
            way,
            folder / f"train-{out}",
            options | {"batch_size": batch_size // n_processes},
        ),
        turns,
    )
    ranks = [rank for way in found.values() for rank in way]
    first, second = (rank[3] for rank in found["two"])
    if len({rank[2] for rank in ranks}) > 1 or first != second:
        raise SystemExit(f"nothing is said: {found}")
    return Answer(
        "training by two ranks of one thread, half a batch each",
        "one process of two threads",
        f"{speed}; {ranks[0][2]:g} steps each, weights the same",
        GOAL,
    )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data_folder", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=8, help="interpreted")
    parser.add_argument("--train_batch_size", type=int, default=32)
    parser.add_argument("--quick", action="store_true", help="1 turn")
    arguments = parser.parse_args()
    turns = 1 if arguments.quick else arguments.turns
    data = arguments.data_folder
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        answers = [
            compare_interpretation(folder, data, turns, arguments.batch_size),
            compare_training(folder, data, turns, arguments.train_batch_size),
        ]
    print_answers(answers)


if __name__ == "__main__":
    if "--worker" in sys.argv:
        name, *argv = sys.argv[sys.argv.index("--worker") + 1 :]
        work(name, argv)
    else:
        main()
