"""What is wrong with a data set, all of it in one error that can be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from focalaudio.audio import audio_info
from focalaudio.errors import AudioError, DataError

# What is wrong, where (nothing, if it is not), and what to do about it.
Problem = tuple[str, Sequence[str], str]


def refuse(where: str, problems: Iterable[Problem]) -> None:
    """Raise one error that lists every problem found, if there are any.

    Raises
    ------
    DataError
        If a problem is found anywhere.

    Example
    -------
    >>> refuse("data_folder=x", [("row without its file", [], "copy it")])
    >>> refuse("data_folder=x", [("row without its file", ["a"], "copy it")])
    Traceback (most recent call last):
    focalaudio.errors.DataError: data_folder=x:
    - 1 x row without its file: a; copy it.
    """
    lines = [
        f"- {len(found)} x {what}: {few(found)}; {remedy}."
        for what, found, remedy in problems
        if found
    ]
    if lines:
        raise DataError("\n".join([f"{where}:", *lines]))


def find_unreadable(paths: Iterable[str]) -> Problem:
    """Open every file, and say what is wrong with those that do not open.

    No more is read than headers.

    Example
    -------
    >>> find_unreadable([])
    ('sound that cannot be read', [], 'remove or mend it')
    """
    wrong = []
    for path in paths:
        try:
            if audio_info(path).n_frames == 0:
                wrong.append(f"{path} has a header and no sound")
        except (AudioError, OSError) as error:
            wrong.append(str(error).rstrip("."))
    return "sound that cannot be read", wrong, "remove or mend it"


def few(names: Iterable[str], n_shown: int = 3) -> str:
    """Name the first and say how many follow.

    Example
    -------
    >>> few("abcde")
    'a, b, c and 2 more'
    """
    names = list(names)
    rest = len(names) - n_shown
    shown = ", ".join(names[:n_shown])
    return f"{shown} and {rest} more" if rest > 0 else shown
