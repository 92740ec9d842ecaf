#!/usr/bin/env python3
"""Run every benchmark, one after the other, and write docs/benchmarks.md.

    python benchmarks/run.py --data_folder DIR [--reference SPEECHBRAIN]
        [--quick] [--only growth clip] [--out docs/benchmarks.md]

A script's text is its docstring, its rows are the table that it prints last.
What each printed, when and under which load is kept in `--folder`, and the
page is written anew after every script, of all that is kept: `--only` runs
some scripts again and leaves the others' results as they are.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from answers import HEADER, RULE, Answer, format_row, read_answers
from machine import describe_machine

HERE = Path(__file__).parent
DATA, REFERENCE = "{data_folder}", "{reference}"  # stand in for arguments
# script -> its arguments, whole and quick, in the order of the page
SCRIPTS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "peers": ((), ("--quick",)),
    "encoders": ((), ("--turns", "3")),
    "clip": ((), ("--quick", "--encoder_name", "focalnet_tiny_srf")),
    "evaluation": (
        ("--reference", REFERENCE, "--data_folder", DATA),
        (
            *("--reference", REFERENCE, "--data_folder", DATA),
            *("--clips", "4", "--turn_clips", "4", "--turns", "2"),
        ),
    ),
    "training": ((), ("--quick",)),
    "piq_training": ((), ("--steps", "1", "--dim", "256")),
    "lmac_training": ((), ("--quick",)),
    "captum_loop": ((), ("--quick",)),
    "streaming": (
        ("--data_folder", DATA),
        ("--data_folder", DATA, "--minutes", "3"),
    ),
    "ranks": (("--data_folder", DATA), ("--data_folder", DATA, "--quick")),
    "startup": ((), ("--quick",)),
    "growth": ((), ("--quick",)),
    "suite": ((), ("--tests", "tests/metrics")),
}
OTHERS = {
    "foreign": "own-classifier.md",
    "report": "report.md",
}
NOT_HERE = "not measured here"
NO_GPU = f"{NOT_HERE}: no GPU was at hand"
GPU_PEERS = "transformers and timm, eager and compiled"
# what no script measures
LEFT = (
    Answer(
        "GPU: FocalNet-B forward and training step, bf16, eager and compiled",
        GPU_PEERS,
        NO_GPU,
        "1.5x the faster one; share of the limit stated",
    ),
    Answer("GPU: peak memory", GPU_PEERS, NO_GPU, "no more"),
    Answer(
        "GPU: evaluation of a fold, end to end",
        "the reference's `interpret_amt.py`",
        NO_GPU,
        "stated",
    ),
)
INTRODUCTION = """# Benchmarks

<!-- written by `make bench` (benchmarks/run.py): change the scripts instead -->

One script per question in `benchmarks/`. Each does the same work with the
same weights beside us, checks that both say the same before it times, and
takes turns. `A (B to C) x` is how much longer the other takes: median, lowest
and highest of the turns. `CPU` counts what a process computed, not what it
waited for: on a machine that others use, too, compare these. Speed is measured
here and never asserted in a test. Rows that fall short stay in the table, with
the largest shares of our own time."""

COMMAND = """```bash
git clone https://github.com/speechbrain/speechbrain ../speechbrain
make bench BENCH_DATA=../shared/data/ESC-10 BENCH_REFERENCE=../speechbrain
```"""


@dataclass(frozen=True)
class Result:
    """What a script printed.

    Arguments
    ---------
    command : str
        That ran.
    printed : str
        On standard output.
    fault : str
        The last line of its errors, if it failed.
    seconds : float
        That it took.
    machine : str
        What it ran on, and the load.
    """

    command: str
    printed: str
    fault: str
    seconds: float
    machine: str


def fill(
    arguments: Sequence[str], places: dict[str, Path | None]
) -> list[str] | None:
    """Put paths in their places; None if one is not given."""
    filled = []
    for argument in arguments:
        if argument in places:
            if places[argument] is None:
                return None
            argument = str(places[argument])
        filled.append(argument)
    return filled


def run_script(name: str, arguments: Sequence[str]) -> Result:
    """Run one script to its end."""
    script = HERE / f"{name}.py"
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    errors = done.stderr.strip().splitlines() or ["it failed without a word"]
    return Result(
        " ".join(("python", f"benchmarks/{name}.py", *arguments)),
        done.stdout,
        errors[-1] if done.returncode else "",
        time.monotonic() - start,
        describe_machine(),
    )


def keep(folder: Path, name: str, result: Result) -> None:
    """Write a result, for pages to come."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(asdict(result), indent=1))


def read_kept(folder: Path) -> dict[str, Result]:
    """Return what is kept, in the order of the page."""
    paths = {name: folder / f"{name}.json" for name in SCRIPTS}
    return {
        name: Result(**json.loads(path.read_text()))
        for name, path in paths.items()
        if path.exists()
    }


def read_docstring(name: str) -> tuple[str, str]:
    """Return a script's question, and the text without its command lines."""
    tree = ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))
    question, *paragraphs = (ast.get_docstring(tree) or name).split("\n\n")
    text = [each for each in paragraphs if "python benchmarks/" not in each]
    return question, "\n\n".join(text)


def find_answers(name: str, result: Result | None) -> list[Answer]:
    """Return a script's rows; one that says why, if there are none."""
    question, _ = read_docstring(name)
    if result is None:
        return [Answer(question, f"see `{name}.py`", NOT_HERE, "")]
    _, answers = read_answers(result.printed)
    if result.fault and not answers:
        why = f"{NOT_HERE}: {result.fault.replace('|', '/')}"
        return [Answer(question, f"see `{name}.py`", why, "")]
    return answers


def write_section(name: str, result: Result | None) -> Iterator[str]:
    """Give the paragraphs of one script."""
    question, text = read_docstring(name)
    yield f"## {question}"
    if text:
        yield text
    if result is None:
        yield f"{NOT_HERE.capitalize()}."
        return
    printed, _ = read_answers(result.printed)
    yield f"```bash\n{result.command}\n```"
    yield f"{result.seconds:.0f} s on {result.machine}"
    if result.fault:
        yield f"It ended early: {result.fault}"
    yield f"```text\n{printed}\n```"


def write_page(kept: dict[str, Result]) -> str:
    """Return the page: one table, then a section of each script."""
    rows = [
        format_row(answer)
        for name in SCRIPTS
        for answer in find_answers(name, kept.get(name))
    ]
    left = [format_row(answer) for answer in LEFT]
    others = ", ".join(
        f"`{name}.py` ([{page}]({page}))" for name, page in OTHERS.items()
    )
    parts = [
        INTRODUCTION,
        "\n".join([HEADER, RULE, *rows, *left]),
        COMMAND,
        f"Numbers of other scripts stand elsewhere: {others}.",
    ]
    for name in SCRIPTS:
        parts += write_section(name, kept.get(name))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Read the options, run the scripts, write the page after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data_folder", type=Path, help="ESC-50's layout")
    parser.add_argument("--reference", type=Path, help="clone of SpeechBrain")
    parser.add_argument("--only", nargs="*", choices=[*SCRIPTS])
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    parser.add_argument("--folder", type=Path, default="results/benchmarks")
    parser.add_argument("--out", type=Path, default="docs/benchmarks.md")
    arguments = parser.parse_args()
    places = {DATA: arguments.data_folder, REFERENCE: arguments.reference}
    wanted = SCRIPTS if arguments.only is None else arguments.only
    for name in wanted:
        filled = fill(SCRIPTS[name][arguments.quick], places)
        if filled is None:
            continue
        result = run_script(name, filled)
        print(f"{name}: {result.seconds:.0f} s {result.fault}", flush=True)
        keep(arguments.folder, name, result)
        arguments.out.write_text(write_page(read_kept(arguments.folder)))
    arguments.out.write_text(write_page(read_kept(arguments.folder)))


if __name__ == "__main__":
    main()
