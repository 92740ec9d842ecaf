r"""`boxes -> tables`: Raven's selection table, Audacity's labels, CSV.

All three are read back by `focalaudio.data.annotations` or any program that
reads them: Raven's column of labels is `Annotation`, its score `Score`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from focalaudio.boxes import HeardBox
from focalaudio.data.annotations import BEGIN, END, HIGH, LOW
from focalaudio.errors import escape_text
from focalaudio.report.tables import format_number, write_tabbed, write_table
from focalaudio.report.timeline import Segment

RAVEN_COLUMNS = (
    *("Selection", "View", "Channel", BEGIN, END, LOW, HIGH),
    *("Annotation", "Score"),
)
VIEW = "Spectrogram 1"  # what Raven calls the only view of a sound
BOX_COLUMNS = ("begin_s", "end_s", "low_hz", "high_hz", "label", "score")


def write_raven(boxes: Iterable[HeardBox], path: str | Path) -> Path:
    r"""Write a selection table that Raven opens beside its recording.

    Arguments
    ---------
    boxes : iterable of HeardBox
        Of one recording, in seconds from its start.
    path : str or pathlib.Path
        Replaced if it exists; `<recording>.Table.1.selections.txt` by Raven's
        habit.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> box = HeardBox(0.5, 1.0, 200.0, 4000.0, 0.8, 3, "dog")
    >>> path = write_raven([box], getfixture("tmp_path") / "a.txt")
    >>> path.read_text().splitlines()[1].split("\t")[3:]
    ['0.500000', '1.000000', '200.000', '4000.000', 'dog', '0.8000']
    """
    rows = (
        (number, VIEW, 1, *_cells(box)) for number, box in enumerate(boxes, 1)
    )
    return write_tabbed((RAVEN_COLUMNS, *rows), path)


def write_audacity_boxes(boxes: Iterable[HeardBox], path: str | Path) -> Path:
    r"""Write a label track whose labels have frequencies.

    Arguments
    ---------
    boxes : iterable of HeardBox
        Of one recording, in seconds from its start.
    path : str or pathlib.Path
        Replaced if it exists.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> box = HeardBox(0.5, 1.0, 200.0, 4000.0, 0.8, 3, "dog")
    >>> path = write_audacity_boxes([box], getfixture("tmp_path") / "a.txt")
    >>> path.read_text()
    '0.500000\t1.000000\tdog\n\\\t200.000\t4000.000\n'
    """
    return write_tabbed(_audacity_lines(boxes), path)


def _audacity_lines(boxes: Iterable[HeardBox]) -> Iterator[Sequence[Any]]:
    for box in boxes:
        begin, end, low, high, label, _ = _cells(box)
        yield begin, end, label
        yield "\\", low, high


def _cells(box: HeardBox) -> tuple[str, ...]:
    """Return limits, label and score as text that has no tab or line break."""
    label = escape_text(" ".join(box.label.split())).replace('"', "'")
    return (*_limits(box), label, format_number(box.score, 4))


def _limits(box: HeardBox) -> tuple[str, ...]:
    return (
        *(f"{seconds:.6f}" for seconds in (box.begin, box.end)),
        *(f"{hertz:.3f}" for hertz in (box.low, box.high)),
    )


def write_boxes(
    boxes: Iterable[tuple[str, HeardBox]], path: str | Path
) -> Path:
    """Write the boxes of many clips as CSV, one line for each.

    Arguments
    ---------
    boxes : iterable of tuple
        Clip id and box; gone through once, so that they may be very many.
    path : str or pathlib.Path
        Replaced if it exists.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> box = HeardBox(0.5, 1.0, 200.0, 4000.0, 0.8, 3, "dog")
    >>> path = write_boxes([("a", box)], getfixture("tmp_path") / "boxes.csv")
    >>> path.read_text().splitlines()[1]
    'a,0.500000,1.000000,200.000,4000.000,dog,0.8000'
    """
    rows = (
        (clip_id, *_limits(box), box.label, f"{box.score:.4f}")
        for clip_id, box in boxes
    )
    return write_table(("clip_id", *BOX_COLUMNS), rows, path)


def segments_to_boxes(
    segments: Iterable[Segment], highest: float
) -> Iterator[HeardBox]:
    """Make boxes of a timeline's segments, from 0 to `highest` Hz.

    Example
    -------
    >>> (box,) = segments_to_boxes([Segment(0.0, 2.5, "rain", 0.9)], 8000.0)
    >>> box.high, box.label, box.score
    (8000.0, 'rain', 0.9)
    """
    for one in segments:
        yield HeardBox(
            one.start, one.end, 0.0, highest, one.probability, label=one.label
        )
