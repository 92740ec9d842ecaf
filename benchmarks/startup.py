#!/usr/bin/env python3
"""How long until the package is imported, helps, and gives a first answer?

    python benchmarks/startup.py [--quick]

Each command is a new process; they take turns. `explain` is the command
`focalaudio explain` of a clip that comes with the package, with the model that
does: until its first line, which is the answer. SpeechBrain's own interpreter
needs weights from a network to be ready, so of it only the import is timed.
What bounds ours is told by one more run of each, with `-X importtime`: the
packages' own seconds of all until the answer.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from answers import Answer, print_answers
from turns import Job, print_times, ratio, take_turns

from focalaudio.data.examples import FOLDER

PYTHON = sys.executable
COMMANDS = {
    "speechbrain": ["-c", "import speechbrain"],
    "its interpreter": [
        "-c",
        "from speechbrain.inference.interpretability import "
        "PIQAudioInterpreter",
    ],
    "focalaudio": ["-c", "import focalaudio"],
    "help": ["-m", "focalaudio", "--help"],
}
GOALS = {"focalaudio": "0.03 s", "help": "0.08 s", "explain": "3 s"}
QUESTIONS = {
    "focalaudio": '`python -c "import focalaudio"`',
    "help": "`focalaudio --help`",
    "explain": "first answer of `focalaudio explain`, cold start",
}
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\w+)")
N_LARGEST = 4  # packages that are named


def call(arguments: Sequence[str]) -> None:
    """Run Python with arguments."""
    subprocess.run([PYTHON, *arguments], check=True, stdout=subprocess.DEVNULL)


def explain_first(
    clip: Path, flags: Sequence[str] = (), told: Any = None
) -> None:
    """Run `focalaudio explain` until it gives its answer."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [PYTHON, *flags, *explain_command(clip, folder)],
            stdout=subprocess.PIPE,
            stderr=told or subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        answer = process.stdout.readline() if process.stdout else ""
        process.kill()
    if clip.name not in answer:
        raise SystemExit(f"focalaudio explain says {answer!r}.")


def explain_command(clip: Path, folder: str) -> list[str]:
    """Return the arguments of Python."""
    return ["-u", "-m", "focalaudio", "explain", str(clip), "--out", folder]


def find_bound(name: str, clip: Path) -> str:
    """Return which packages' imports take which share of the seconds."""
    flags = ["-X", "importtime"]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as told:
        start = time.perf_counter()
        if name == "explain":
            explain_first(clip, flags, told)
        else:
            subprocess.run(
                [PYTHON, *flags, *COMMANDS[name]],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=told,
            )
        seconds = time.perf_counter() - start
        told.seek(0)
        found = [match for line in told if (match := IMPORT.match(line))]
    shares: Counter[str] = Counter()
    for each in found:
        shares[each[2]] += int(each[1]) / 1e6 / seconds
    largest = ", ".join(
        f"`{package}` {share:.0%}".replace("%", " %")
        for package, share in shares.most_common(N_LARGEST)
    )
    whole = f"{sum(shares.values()):.0%}".replace("%", " %")
    return f"imports {whole}: {largest}"


def main() -> None:
    """Read the options, take turns, print the answers last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="3 turns")
    arguments = parser.parse_args()
    clip = sorted(FOLDER.glob("*.flac"))[0]
    jobs: dict[str, Job] = {
        name: partial(call, command) for name, command in COMMANDS.items()
    }
    jobs["explain"] = partial(explain_first, clip)
    take_turns(jobs, 1)  # the disk's cache is warm
    times = take_turns(jobs, 3 if arguments.quick else arguments.turns)
    print_times(times)
    peers = {"focalaudio": "speechbrain", "help": "speechbrain"}
    answers = []
    for name, question in QUESTIONS.items():
        peer = peers.get(name, "its interpreter")
        wall, cpu = (
            statistics.median(clock) for clock in zip(*times[name], strict=True)
        )
        answers.append(
            Answer(
                question,
                " ".join(COMMANDS[peer][1].split()),
                f"{wall:.2f} s, CPU {cpu:.2f} s; {ratio(times, peer, name)}",
                GOALS[name],
                find_bound(name, clip),
            )
        )
    print_answers(answers)


if __name__ == "__main__":
    main()
