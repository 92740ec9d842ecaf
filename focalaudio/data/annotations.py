"""`table beside a clip -> boxes`: where a person marked what sounds.

Two tables are read, both of lines of cells between tabs: Raven's selection
table, whose first line names its columns, and Audacity's label track, `begin,
end, label` in seconds, each line with or without a second one that begins with
a backslash and gives the lowest and highest frequency.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from focalaudio.errors import DataError

BEGIN, END = "Begin Time (s)", "End Time (s)"
LOW, HIGH = "Low Freq (Hz)", "High Freq (Hz)"
# columns of Raven's that may name what sounds, compared without case
LABEL_COLUMNS = ("annotation", "species", "class", "label")
SUFFIXES = (".Table.1.selections.txt", ".txt")  # after the clip's own name
UNKNOWN = -1  # class id of a source that is none of the classes
NO_FREQUENCY = -1.0  # Audacity's, of a label without frequencies


@dataclass(frozen=True)
class Box:
    """A part of a clip that a person marked.

    Arguments
    ---------
    begin, end : float
        s from the clip's start, `0 <= begin < end`.
    low, high : float
        Hz, `0 <= low < high`; 0 and infinite if all frequencies are meant.
    label : str
        What sounds there; empty if the table does not say.

    Example
    -------
    >>> Box(0.5, 1.0, label="dog").high
    inf
    """

    begin: float
    end: float
    low: float = 0.0
    high: float = math.inf
    label: str = ""


def find_annotations(path: str | Path) -> Path:
    r"""Find the table that lies beside a clip.

    Arguments
    ---------
    path : str or pathlib.Path
        Of the clip, such as `dog.wav`.

    Returns
    -------
    pathlib.Path
        `dog.Table.1.selections.txt` or `dog.txt`.

    Raises
    ------
    DataError
        If neither is there, or both are.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "dog.txt").write_text("0.5\t1.0\tdog\n")
    >>> find_annotations(folder / "dog.wav").name
    'dog.txt'
    """
    clip = Path(path)
    known = [clip.with_name(clip.stem + suffix) for suffix in SUFFIXES]
    found = [table for table in known if table.is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{clip} has two tables of annotations beside it, "
            f"{' and '.join(table.name for table in found)}; keep one."
        )
    raise DataError(
        f"{known[-1]} is missing, and so is {known[0].name}: every clip needs "
        "a table of annotations, Raven's or Audacity's, beside it."
    )


def read_annotations(path: str | Path) -> list[Box]:
    r"""Read a table of either kind.

    Arguments
    ---------
    path : str or pathlib.Path
        Of the table.

    Returns
    -------
    list of Box
        In the order of the table. Of Raven's, which has a line for each view
        of a selection, each box once.

    Raises
    ------
    DataError
        If the table cannot be read, a line is not what its kind has, or a box
        has no extent; it names the file and the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "dog.txt"
    >>> _ = path.write_text("0.5\t1.0\tdog\n\\\t200.0\t4000.0\n")
    >>> read_annotations(path)
    [Box(begin=0.5, end=1.0, low=200.0, high=4000.0, label='dog')]
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no table of annotations: {error}. Save it as text."
        ) from error
    lines = [
        (number, line.split("\t"))
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]
    if not lines:
        return []
    names = [cell.strip() for cell in lines[0][1]]
    read = _read_raven if BEGIN in names else _read_audacity
    # a line that Raven repeats for another view says nothing new
    return list(dict.fromkeys(read(path, lines)))


_Lines = Sequence[tuple[int, list[str]]]


def _read_raven(path: Path, lines: _Lines) -> Iterator[Box]:
    """Yield the box of every line of a selection table."""
    names = [cell.strip() for cell in lines[0][1]]
    if END not in names:
        raise DataError(f"{path}, line {lines[0][0]}: has no column {END!r}.")
    if (LOW in names) != (HIGH in names):
        raise DataError(
            f"{path}, line {lines[0][0]}: has one of the columns {LOW!r} and "
            f"{HIGH!r}; give both, or none."
        )
    labels = [n for n in names if n.lower() in LABEL_COLUMNS]
    for number, cells in lines[1:]:
        if len(cells) > len(names):
            raise DataError(
                f"{path}, line {number}: has {len(cells)} cells, but the first "
                f"line names {len(names)} columns."
            )
        row = dict(zip(names, cells, strict=False))
        limits = (BEGIN, END, LOW, HIGH) if LOW in names else (BEGIN, END)
        label = row.get(labels[0], "") if labels else ""
        yield _make_box(path, number, [row.get(n, "") for n in limits], label)


def _read_audacity(path: Path, lines: _Lines) -> Iterator[Box]:
    """Yield the box of every label of a label track."""
    for place, (number, cells) in enumerate(lines):
        if cells[0].strip() == "\\":
            if place == 0 or lines[place - 1][1][0].strip() == "\\":
                raise DataError(
                    f"{path}, line {number}: gives frequencies of no label; a "
                    "line that begins with a backslash follows its label."
                )
            continue
        if len(cells) not in (2, 3):
            raise DataError(
                f"{path}, line {number}: has {len(cells)} cells between tabs; "
                "a label has begin, end and text. (A table of Raven's names "
                f"its columns in the first line, {BEGIN!r} among them.)"
            )
        limits = cells[:2]
        after = lines[place + 1][1] if place + 1 < len(lines) else [""]
        if after[0].strip() == "\\":
            limits = limits + _frequencies(path, *lines[place + 1])
        yield _make_box(path, number, limits, "".join(cells[2:]))


def _frequencies(path: Path, number: int, cells: list[str]) -> list[str]:
    """Return the limits that a line gives, none where it gives none."""
    if len(cells) != 3:
        raise DataError(
            f"{path}, line {number}: has {len(cells)} cells between tabs; a "
            "line of frequencies has a backslash, the lowest and the highest."
        )
    limits = cells[1:]
    if NO_FREQUENCY in [_number(path, number, cell) for cell in limits]:
        return []
    _read_extent(path, number, limits, "Hz")
    return limits


def _make_box(
    path: Path, number: int, limits: Sequence[str], label: str
) -> Box:
    """Make a box of a line's begin and end, and frequencies if it has any."""
    begin, end = _read_extent(path, number, limits[:2], "s")
    if not limits[2:]:
        return Box(begin, end, label=label.strip())
    low, high = _read_extent(path, number, limits[2:], "Hz")
    return Box(begin, end, low, high, label.strip())


def _read_extent(
    path: Path, number: int, limits: Sequence[str], unit: str
) -> tuple[float, float]:
    """Read two numbers of a line; refuse what has no extent."""
    low, high = (_number(path, number, cell) for cell in limits)
    if not 0 <= low < high:
        raise DataError(
            f"{path}, line {number}: from {low:g} to {high:g} {unit} is no "
            "extent; the first must be at least 0, and below the second."
        )
    return low, high


def _number(path: Path, line: int, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{path}, line {line}: {cell!r} is no number.")
    return number


def encode_boxes(
    boxes: Sequence[Box], class_ids: Mapping[str, int], label: str
) -> list[list[float]]:
    """Say of which class each box of a clip is.

    Arguments
    ---------
    boxes : sequence of Box
        Of one clip.
    class_ids : mapping
        From a label to its class id.
    label : str
        The clip's own, of which a box without a label is; empty for none.

    Returns
    -------
    list of list of float
        `begin, end, low, high, class id` of each box; -1 for a box of none of
        the classes.

    Example
    -------
    >>> encode_boxes([Box(0, 1), Box(1, 2, 0, 99, "car")], {"dog": 3}, "dog")
    [[0, 1, 0.0, inf, 3], [1, 2, 0, 99, -1]]
    """
    return [
        [
            box.begin,
            box.end,
            box.low,
            box.high,
            class_ids.get(box.label or label, UNKNOWN),
        ]
        for box in boxes
    ]
