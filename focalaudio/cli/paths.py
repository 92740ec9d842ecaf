"""What arguments of the command say: an empty one says nothing.

An empty path would be the current folder, and is mostly a variable of a shell
that is not set.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path


def take_text(text: str) -> str:
    """Return an argument as it is; an empty one is an `ArgumentTypeError`.

    Example
    -------
    >>> take_text("")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: it is empty; is a shell variable not set?
    """
    if not text:
        raise ArgumentTypeError("it is empty; is a shell variable not set?")
    return text


def take_path(text: str) -> Path:
    """Return an argument as a path, as `take_text` does.

    Example
    -------
    >>> take_path("a.wav").suffix
    '.wav'
    """
    return Path(take_text(text))
