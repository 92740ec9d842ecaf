#!/usr/bin/env python3
"""Do two processes interpret a fold in half the time of one?

    python benchmarks/ranks.py --data_folder DIR [--quick] [--turns 3]

`recipes/ESC50/interpret.py` with the model that comes with the package on
fold 5 of a data set (ESC-50's layout), as one process of two threads, as one
of one thread, and under torchrun as two of one thread each. Timed is the
evaluation within (the slower rank's seconds; the CPU seconds of all), not the
start of Python, and neither sounds nor pictures are written. Rows per clip
must be the same at one thread (two may add in another order) before anything
is said; how many clips each rank interpreted stands in the row. Linear is 1.
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
from functools import partial
from pathlib import Path
from typing import Any

from answers import Answer, print_answers
from turns import time_turn

from focalaudio.brains import InterpreterBrain
from focalaudio.metrics.table import METRICS
from focalaudio.models.shipped import default_model

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "ESC50" / "interpret.py"
SETTINGS = ROOT / "hparams" / "interpret.yaml"
TORCHRUN = ["-m", "torch.distributed.run", "--nproc_per_node", "2"]
WAYS = {  # processes, threads of each
    "one": (1, 2),
    "alone": (1, 1),
    "two": (2, 1),
}
TOLERANCE = 1e-5  # of a value of a row; of what is in percent, of a hundred
GOAL = "at least 0.9 of linear, each rank its share, results equal"


class TimedBrain(InterpreterBrain):
    """Tells beside the results how long this rank's share took."""

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, and write seconds, CPU seconds and clips."""
        evaluate = partial(super().evaluate, *args, **kwargs)
        self.n_clips = 0
        times = time_turn(evaluate)
        rank = os.environ.get("RANK", "0")
        path = Path(os.environ["TIMES_FOLDER"]) / f"{rank}.json"
        path.write_text(json.dumps([*times, self.n_clips]))

    def evaluate_batch(self, batch: Any, stage: Any) -> Any:
        """Count the clips of a batch."""
        self.n_clips += len(batch.id)
        return super().evaluate_batch(batch, stage)


def work(argv: list[str]) -> None:
    """Run the recipe with the timed brain, in this process."""
    recipe = runpy.run_path(str(RECIPE))
    main = recipe["main"]
    main.__globals__["InterpreterBrain"] = TimedBrain
    main(argv)


def start(
    way: str, out: Path, data_folder: Path, batch_size: int
) -> list[list[float]]:
    """Run one way; return each rank's seconds, CPU seconds and clips."""
    n_processes, n_threads = WAYS[way]
    launcher = TORCHRUN + ["--standalone"] if n_processes > 1 else []
    options = {
        "data_folder": data_folder,
        "classifier": default_model(),
        "output_folder": out,
        "batch_size": batch_size,
        "device": "cpu",
        "max_clips": 0,
        "report": False,
    }
    command = [sys.executable, *launcher, __file__, "--worker", SETTINGS]
    if n_processes > 1:
        options["distributed_backend"] = "gloo"
    for name, value in options.items():
        command += [f"--{name}", value]
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


def compare(folder: Path, data_folder: Path, turns: int, batch: int) -> Answer:
    """Run all ways in turns."""
    walls: list[float] = []
    busy: list[float] = []
    print("way, then each rank's seconds, CPU seconds, clips")
    for turn in range(turns):
        found = {
            way: start(way, folder / f"{way}-{turn}", data_folder, batch)
            for way in WAYS
        }
        for way, ranks in found.items():
            listed = "  ".join(
                f"{wall:.2f} ({cpu:.2f}) {clips}" for wall, cpu, clips in ranks
            )
            print(f"{way:4} {listed}", flush=True)
        (one,), (alone,), both = found.values()
        walls.append(one[0] / max(rank[0] for rank in both))
        busy.append(alone[1] / sum(rank[1] for rank in both))
    check(folder)
    shares = " + ".join(str(rank[2]) for rank in both)
    twice = sum(rank[2] for rank in both) - alone[2]
    return Answer(
        "interpretation by two ranks of one thread",
        "one process of two threads",
        f"{statistics.median(walls):.2f} x the speed; CPU, beside one thread, "
        f"{statistics.median(busy):.2f} x; clips {shares} of {alone[2]}, rows "
        "the same",
        GOAL,
        f"{twice} clips are interpreted twice" if twice else "",
    )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data_folder", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="1 turn")
    arguments = parser.parse_args()
    turns = 1 if arguments.quick else arguments.turns
    with tempfile.TemporaryDirectory() as folder:
        answer = compare(
            Path(folder), arguments.data_folder, turns, arguments.batch_size
        )
    print_answers([answer])


if __name__ == "__main__":
    if "--worker" in sys.argv:
        work(sys.argv[sys.argv.index("--worker") + 1 :])
    else:
        main()
