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


def print_answers(answers: Sequence[Answer]) -> None:
    """Print the table; it is the last that a script prints."""
    print(f"\n{HEADER}\n{RULE}")
    for answer in answers:
        print(f"| {' | '.join(astuple(answer))} |")
