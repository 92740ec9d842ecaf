"""`what is known of all files -> tables`, one record in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from focalaudio.boxes import HeardBox
from focalaudio.errors import DataError
from focalaudio.inference.store import PROGRESS, ClipStore, Record
from focalaudio.report.boxes import write_boxes

COMPARED = (  # columns of comparison.csv
    *("clip_id", "method", "explained", "explained_probability"),
    *("kept_probability", "removed_probability"),
    *("kept_fraction", "kept_energy", "n_boxes", "warnings"),
)
RESULTS = (  # of all files together
    *("clips.csv", "boxes.csv", "comparison.csv", "failed.csv"),
    *("listening.csv", "report.html"),
)
FAILED = ("path", "error")  # columns of failed.csv
DIGITS = 6  # of numbers of a box


def pack_box(box: HeardBox) -> list[Any]:
    """Return what a record holds of a box.

    Example
    -------
    >>> pack_box(HeardBox(0.5, 1.0, 200.0, 4000.0, 0.8, 3, "dog"))
    [0.5, 1.0, 200.0, 4000.0, 0.8, 3, 'dog']
    """
    numbers = (box.begin, box.end, box.low, box.high, box.score)
    rounded = (round(number, DIGITS) for number in numbers)
    return [*rounded, box.class_id, box.label]


def refuse_foreign(folder: Path) -> None:
    """Refuse to replace files that no call wrote, by a `DataError`."""
    if (folder / PROGRESS).exists():
        return
    found = [name for name in RESULTS if (folder / name).exists()]
    if found:
        raise DataError(
            f"{folder} holds {', '.join(found)}, which no earlier call wrote; "
            "give another folder."
        )


def write_results(
    folder: Path,
    store: ClipStore,
    failed: Sequence[Mapping[str, str]],
    compare: bool,
) -> list[Path]:
    """Write the tables of all files that something is known of.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `clips.csv`, `boxes.csv`, `comparison.csv` and `failed.csv`, each
        if there is anything in it.
    store : ClipStore
        What is known.
    failed : sequence of mapping
        `path` and `error` of the files that failed.
    compare : bool
        Whether several methods are compared.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    from focalaudio.report.explained import write_rows

    written = []
    for name in () if len(store) else ("clips.csv", "boxes.csv"):
        (folder / name).unlink(missing_ok=True)
    if len(store):
        rows = (record["row"] for record in store.records())
        written.append(write_rows(rows, folder / "clips.csv"))
        boxes = _unpack(store.records())
        written.append(write_boxes(boxes, folder / "boxes.csv"))
    if compare:
        lines = chain.from_iterable(
            record.get("compared", ()) for record in store.records()
        )
        path = folder / "comparison.csv"
        path.unlink(missing_ok=True)
        if (first := next(lines, None)) is not None:
            written.append(write_rows(chain([first], lines), path, COMPARED))
    (folder / "failed.csv").unlink(missing_ok=True)
    if failed:
        written.append(write_rows(failed, folder / "failed.csv", FAILED))
    return written


def _unpack(records: Iterable[Record]) -> Iterator[tuple[str, HeardBox]]:
    for record in records:
        for values in record["boxes"]:
            yield record["clip_id"], HeardBox(*values)
