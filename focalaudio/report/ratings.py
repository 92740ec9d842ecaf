"""`answers of a listening test -> mean opinion scores`, with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from focalaudio.errors import DataError, escape_text
from focalaudio.metrics.statistics import describe

FORMAT = "focalaudio ratings 1"
QUESTIONS = {  # from a name in the file to what was asked
    "recognizable": "Is the class recognizable?",
    "matters": "Does it sound like what matters in the original?",
}
SCALE = (1, 5)  # not at all, clearly
MAX_BYTES = 50_000_000  # of a file
Answer = dict[str, Any]


def read_ratings(path: str | Path) -> list[Answer]:
    """Read what a listening test saved.

    Arguments
    ---------
    path : str or pathlib.Path
        The JSON file.

    Returns
    -------
    list of dict
        One per sound that was rated: `clip_id`, `method`, `quantile`, and 1 to
        5 for each of `QUESTIONS` that was answered.

    Raises
    ------
    DataError
        If the file is not of a listening test, or damaged.

    Example
    -------
    >>> answer = {"clip_id": "a", "method": "random", "matters": 2}
    >>> text = json.dumps({"format": FORMAT, "answers": [answer]})
    >>> path = getfixture("tmp_path") / "ratings.json"
    >>> _ = path.write_text(text)
    >>> read_ratings(path)[0]["matters"]
    2
    """
    path = Path(path)
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path} has over {MAX_BYTES} bytes; is it ratings?")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path} is no JSON ({error}); save the answers again."
        ) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(
            f"{path} is not of a listening test (format must be {FORMAT!r}); "
            "give the files that its page saved."
        )
    answers = values.get("answers")
    if not isinstance(answers, list) or not all(map(_is_answer, answers)):
        raise DataError(
            f"{path} has an answer without a clip_id and a method, one that is "
            f"not from {SCALE[0]} to {SCALE[1]}, or a quantile that is no "
            "number from 0 to 1; save the answers again."
        )
    return answers


def _is_answer(answer: Any) -> bool:
    """Whether a value is an answer of our page."""
    if not isinstance(answer, dict):
        return False
    named = all(isinstance(answer.get(k), str) for k in ("clip_id", "method"))
    low, high = SCALE
    rated = all(
        type(answer[name]) is int and low <= answer[name] <= high
        for name in QUESTIONS
        if name in answer
    )
    quantile: Any = answer.get("quantile")
    is_share = type(quantile) in (int, float) and 0 <= quantile <= 1  # no nan
    return named and rated and (quantile is None or is_share)


def rate_methods(answers: Iterable[Mapping[str, Any]]) -> list[Answer]:
    """Average what listeners answered, method by method.

    Arguments
    ---------
    answers : iterable of mapping
        Of `read_ratings`, of any number of listeners.

    Returns
    -------
    list of dict
        One per method and quantile, by name: `method`, `n` (sounds that were
        rated), and for each of `QUESTIONS` what
        `focalaudio.metrics.statistics.describe` says of its answers.

    Example
    -------
    >>> answers = [{"clip_id": "a", "method": "random", "matters": 2}] * 3
    >>> rated = rate_methods(answers)[0]
    >>> rated["method"], rated["n"], rated["matters"]["mean"]
    ('random', 3, 2.0)
    """
    by_method: dict[str, list[Mapping[str, Any]]] = {}
    for answer in answers:
        by_method.setdefault(_name_of(answer), []).append(answer)
    return [
        {"method": name, "n": len(own)}
        | {
            question: describe([a[question] for a in own if question in a])
            for question in QUESTIONS
        }
        for name, own in sorted(by_method.items())
    ]


def _name_of(answer: Mapping[str, Any]) -> str:
    quantile = answer.get("quantile")
    name = escape_text(answer["method"])
    return name if quantile is None else f"{name}, quantile {quantile}"


def tabulate_ratings(rated: Sequence[Mapping[str, Any]]) -> list[str]:
    r"""Write mean opinion scores as lines of a table.

    Example
    -------
    >>> answers = [{"clip_id": "a", "method": "random", "matters": 2}] * 3
    >>> print("\n".join(tabulate_ratings(rate_methods(answers))))
    method  sounds  recognizable  matters
    random  3       -             2.00 [2.00, 2.00]
    """
    lines = [["method", "sounds", *QUESTIONS]]
    lines += [
        [
            each["method"],
            str(each["n"]),
            *(_format(each[name]) for name in QUESTIONS),
        ]
        for each in rated
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def _format(statistics: Mapping[str, float]) -> str:
    """Write a mean and its 95 % interval."""
    if not statistics["n"]:
        return "-"
    mean, low, high = (statistics[key] for key in ("mean", "low", "high"))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"
