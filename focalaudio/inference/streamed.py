"""`what was written of a recording -> a row, and its most telling windows`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from focalaudio.errors import escape_text
from focalaudio.inference.stream_result import StreamResult
from focalaudio.recordings import iter_windows
from focalaudio.report.tables import read_csv
from focalaudio.report.timeline import NO_EVIDENCE
from focalaudio.report.words import AGAINST_ITSELF, count


def describe_stream(
    result: StreamResult, against: str | None = None
) -> dict[str, Any]:
    """Say in one row what a recording is classified as, most of its time.

    Returns columns of `focalaudio.report.explained.COLUMNS`; the probability
    is the label's mean over its windows, and empty without evidence. `against`
    is the label that windows are explained rather than.
    """
    label, seconds = find_longest(result)
    own = [one for one in result.segments if one.label == label]
    n_windows = sum(one.n_windows for one in own)
    is_against_itself = any(one.label == against for one in result.segments)
    sure = sum(one.probability * one.n_windows for one in own) / n_windows
    return {
        "seconds": round(result.duration, 6),
        "predicted": label,
        "probability": "" if math.isnan(sure) else round(sure, 6),
        "known": NO_EVIDENCE if label == NO_EVIDENCE else "known",
        "n_boxes": len(result.heard),
        "n_windows": sum(one.n_windows for one in result.segments),
        "warnings": (
            f"Streamed: {label} for {seconds:.1f} s of it; the rest is "
            "on the timeline."
            + f" {against} is {AGAINST_ITSELF}"
            * is_against_itself
        ),
    }


def find_longest(result: StreamResult) -> tuple[str, float]:
    """Return the label that a recording has longest, and for how many s."""
    seconds: dict[str, float] = {}
    for one in result.segments:
        length = one.end - one.start
        seconds[one.label] = seconds.get(one.label, 0.0) + length
    return max(seconds.items(), key=lambda named: named[1])


def tell_longest(result: StreamResult) -> str:
    """Say in words what a recording is classified as, most of its time."""
    label, seconds = find_longest(result)
    return (
        f"{escape_text(label)} in {seconds:.1f} of {result.duration:.1f} s "
        f"({count(len(result.segments), 'segment')})"
    )


def choose_windows(path: Path, most: int) -> list[dict[str, Any]]:
    """Return the surest window of each label, the surest labels first.

    Arguments
    ---------
    path : pathlib.Path
        `StreamResult.windows`.
    most : int
        So many windows.

    Returns
    -------
    list of dict
        Rows of that table; none of windows without evidence.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a_windows.csv"
    >>> head = "start_s,end_s,label,probability"
    >>> lines = head, "0,5,dog,0.5", "2,7,dog,0.9", "4,9,no evidence,"
    >>> _ = path.write_text(chr(10).join(lines))
    >>> choose_windows(path, 3)
    [{'start_s': 2, 'end_s': 7, 'label': 'dog', 'probability': 0.9}]
    """
    best: dict[str, dict[str, Any]] = {}
    for window in read_csv(path):
        known = best.setdefault(str(window["label"]), window)
        if window["probability"] > known["probability"]:
            best[str(window["label"])] = window
    best.pop(NO_EVIDENCE, None)
    ranked = sorted(best.values(), key=lambda one: -one["probability"])
    return ranked[:most]


def load_windows(
    path: Path, table: Path, sample_rate: int, most: int
) -> Iterator[tuple[float, str, Tensor]]:
    """Yield the windows of a recording that `choose_windows` chooses.

    `table` is `StreamResult.windows` of the recording at `path`. Of each its
    start in s, the same in words, and `[samples]` at `sample_rate` in Hz.
    """
    chosen = choose_windows(table, most)
    texts = tell_apart([window["start_s"] for window in chosen])
    for window, text in zip(chosen, texts, strict=True):
        start = round(window["start_s"] * sample_rate)
        length = round(window["end_s"] * sample_rate) - start
        wav = next(iter_windows(path, sample_rate, length, 1, first=start))
        yield window["start_s"], text, wav


def tell_apart(starts: Sequence[float]) -> list[str]:
    """Write times in s with one digit, or more if they look alike else.

    Example
    -------
    >>> tell_apart([1.0, 2.04]), tell_apart([1.0, 1.04])
    (['1.0 s', '2.0 s'], ['1.00 s', '1.04 s'])
    """
    for n_digits in range(1, 7):
        texts = [f"{at:.{n_digits}f} s" for at in starts]
        if len(set(texts)) == len(texts):
            break
    return texts
