"""`one label per window -> timeline`: windows as CSV, runs as Audacity labels.

Windows overlap; on the timeline, the border between two of them is the middle
of their overlap, and neighbors with the same label are one segment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from focalaudio.report.tables import format_number, write_tabbed, write_table

NO_EVIDENCE = "no evidence"  # what a sound that is like no class is called


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording that was given one label.

    Arguments
    ---------
    start, end : float
        Seconds from the recording's start.
    label : str
        The predicted label.
    probability : float
        Of the label, 0 to 1; where several windows were merged, their mean;
        nan of `NO_EVIDENCE`, which is no class.
    n_windows : int
        How many windows were merged.

    Example
    -------
    >>> Segment(0.0, 2.5, "rain", 0.9).n_windows
    1
    """

    start: float
    end: float
    label: str
    probability: float
    n_windows: int = 1


def merge_windows(windows: Iterable[Segment]) -> Iterator[Segment]:
    """Merge windows, in their order, into segments without gap or overlap.

    Arguments
    ---------
    windows : iterable of Segment
        Each starts after the one before it, and not after its end.

    Yields
    ------
    Segment
        One per run of windows with the same label.

    Example
    -------
    >>> windows = [Segment(0, 4, "a", 0.5), Segment(2, 6, "a", 1.0)]
    >>> [*merge_windows([*windows, Segment(4, 7, "b", 1.0)])]
    [Segment(start=0, end=5.0, label='a', probability=0.75, n_windows=2),
     Segment(start=5.0, end=7, label='b', probability=1.0, n_windows=1)]
    """
    run: Segment | None = None
    for window in windows:
        if run is None:
            run = window
        elif run.label == window.label:
            n_windows = run.n_windows + 1
            more = (window.probability - run.probability) / n_windows
            run = Segment(
                run.start,
                window.end,
                run.label,
                run.probability + more,
                n_windows,
            )
        else:
            border = (run.end + window.start) / 2
            yield replace(run, end=border)
            run = replace(window, start=border)
    if run is not None:
        yield run


def write_windows(windows: Iterable[Segment], path: Path) -> Path:
    r"""Write windows as CSV: start and end in seconds, label, probability.

    A probability that is nan is an empty cell.

    Arguments
    ---------
    windows : iterable of Segment
        Any.
    path : pathlib.Path
        The file; missing folders are made, an existing file is replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> windows = [Segment(0.0, 5.0, "wind, strong", 0.9)]
    >>> write_windows(windows, path).read_text().splitlines()[1]
    '0.000000,5.000000,"wind, strong",0.900000'
    """
    rows = (
        (f"{each.start:.6f}", f"{each.end:.6f}", each.label)
        + (format_number(each.probability, 6),)
        for each in windows
    )
    header = ("start_s", "end_s", "label", "probability")
    return write_table(header, rows, path)


def write_audacity_labels(segments: Iterable[Segment], path: Path) -> Path:
    r"""Write a label track that Audacity imports (File, Import, Labels).

    Arguments
    ---------
    segments : iterable of Segment
        Any.
    path : pathlib.Path
        The file; missing folders are made, an existing file is replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.txt"
    >>> segments = [Segment(0.0, 5.0, "rain", 0.9)]
    >>> write_audacity_labels(segments, path).read_text()
    '0.000000\t5.000000\train (0.90)\n'
    """
    lines = (
        (f"{each.start:.6f}", f"{each.end:.6f}", _name(each))
        for each in segments
    )
    return write_tabbed(lines, path)


def _name(segment: Segment) -> str:
    label = " ".join(segment.label.split())  # a tab would be a column
    if math.isnan(segment.probability):
        return label
    return f"{label} ({segment.probability:.2f})"
