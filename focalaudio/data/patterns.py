"""`file name + pattern -> what the name says`: label, fold, group.

A pattern is a file name, or the end of a path, with named parts in braces:
`{label}_{group}_{index}.wav`, `{fold}/{label}/{any}.wav`. A name is read only
if there is one way to read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from focalaudio.errors import DataError

PART = re.compile(r"\{([A-Za-z]\w*)(:d)?\}")


class NamePattern:
    """Read the parts of file names.

    Arguments
    ---------
    pattern : str
        Text with parts such as `{label}`; `{index:d}` are digits only. A part
        holds no slash; one that stands twice is the same text twice. Of a
        path, as many folders count as the pattern names. Case does not count
        outside the parts. Without an ending, any will do.

    Raises
    ------
    DataError
        If there is no part `{label}`, or a brace is no part.

    Example
    -------
    >>> pattern = NamePattern("{label}_{group}_{index}.wav")
    >>> pattern.read("recordings/7_theo_12.WAV")
    {'label': '7', 'group': 'theo', 'index': '12'}
    >>> pattern.read("notes.txt")
    >>> NamePattern("{label}_{any}").read("a_b_c.wav")
    Traceback (most recent call last):
    focalaudio.errors.DataError: pattern='{label}_{any}' reads 'a_b_c.wav' in
    several ways: label 'a' or 'a_b'; ...
    """

    def __init__(self, pattern: str) -> None:
        if not isinstance(pattern, str) or "{label}" not in pattern:
            raise DataError(
                f"pattern={pattern!r} must be a file name with a part "
                '{label}, such as "{label}_{group}_{index}.wav".'
            )
        if re.search(r"[{}]", PART.sub("", pattern)):
            raise DataError(
                f"pattern={pattern!r} has a brace that is no part; write "
                "parts as {name}, or {name:d} for digits."
            )
        self.pattern = pattern
        self.n_components = pattern.count("/") + 1
        self.has_ending = bool(PurePosixPath(PART.sub("x", pattern)).suffix)
        self._shortest, self._longest = (
            re.compile(_to_regex(pattern, more), re.IGNORECASE)
            for more in ("+?", "+")
        )

    def read(self, path: str) -> dict[str, str] | None:
        """Return what a path with slashes says, None if it does not fit.

        A `DataError` if it may be read in several ways.
        """
        parts = path.split("/")[-self.n_components :]
        name = "/".join(parts)
        if not self.has_ending:
            name = name.removesuffix(PurePosixPath(name).suffix)
        found = self._shortest.fullmatch(name)
        if found is None:
            return None
        other = self._longest.fullmatch(name)
        if other and other.groupdict() != found.groupdict():
            raise DataError(
                f"pattern={self.pattern!r} reads {path!r} in several ways: "
                f"{_difference(found.groupdict(), other.groupdict())}; write "
                "{name:d} where there are digits only, or give a CSV."
            )
        return found.groupdict()


def _to_regex(pattern: str, more: str) -> str:
    """Translate a pattern; `more` says how much an open part takes."""
    regex, end, seen = "", 0, set()
    for part in PART.finditer(pattern):
        regex += re.escape(pattern[end : part.start()])
        name, end = part[1], part.end()
        kind = rf"[0-9]{more}" if part[2] else f"[^/]{more}"
        regex += f"(?P={name})" if name in seen else f"(?P<{name}>{kind})"
        seen.add(name)
    return regex + re.escape(pattern[end:])


def _difference(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Name the first part that two readings differ in."""
    name = next(name for name in one if one[name] != other[name])
    return f"{name} {one[name]!r} or {other[name]!r}"
