"""What a script has found: rows of one table, the same for all scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

COLUMNS = ("question", "against", "measured", "to reach", "what bounds it")
HEADER = f"| {' | '.join(COLUMNS)} |"
RULE = "|---" * len(COLUMNS) + "|"


@dataclass(frozen=True)
class Answer:
    """One row.

    Arguments
    ---------
    question, against : str
        What is measured, and beside what.
    measured, goal : str
        With units; a row that could not be measured says so.
    bound : str
        What takes the time, where a goal is not reached.
    """

    question: str
    against: str
    measured: str
    goal: str
    bound: str = ""


def format_row(answer: Answer) -> str:
    """Return a line of the table."""
    return f"| {' | '.join(astuple(answer))} |"


def print_answers(answers: Sequence[Answer]) -> None:
    """Print the table; it is the last that a script prints."""
    print(f"\n{HEADER}\n{RULE}")
    for answer in answers:
        print(format_row(answer))


def read_answers(printed: str) -> tuple[str, list[Answer]]:
    """Part what a script printed: what stands before its table, and the rows.

    A script that printed no table has no rows.
    """
    before, _, table = printed.partition(f"{HEADER}\n{RULE}\n")
    rows = [line.strip("|").split("|") for line in table.splitlines()]
    return before.strip(), [
        Answer(*(cell.strip() for cell in row)) for row in rows
    ]
