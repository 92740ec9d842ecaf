"""What arguments of the command say: an empty one says nothing.

An empty path would be the current folder, and is mostly a variable of a shell
that is not set.
"""

from __future__ import annotations

import os
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


def take_names(text: str) -> list[str]:
    """Return the names of a list, also as a YAML file writes them.

    A file is no name: the list took what was meant for another argument.

    Example
    -------
    >>> take_names("[class_share, loudness]"), take_names("random")
    (['class_share', 'loudness'], ['random'])
    >>> take_names("calls/*.wav")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: calls/*.wav is a file, which this list takes \
for a name; put files first
    """
    if os.sep in take_text(text) or os.path.isfile(text):
        raise ArgumentTypeError(
            f"{text} is a file, which this list takes for a name; put files "
            "first"
        )
    named = [name.strip() for name in text.strip("[]").split(",")]
    return [name for name in named if name] or [text]


def take_option(text: str) -> dict[str, int | float]:
    """Return an option of a method, `NAME=NUMBER`.

    Example
    -------
    >>> take_option("n_masks=64"), take_option("noise_level=.5")
    ({'n_masks': 64}, {'noise_level': 0.5})
    >>> take_option("{n_masks: 64}")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: '{n_masks: 64}' must be NAME=NUMBER, such as \
n_masks=64
    """
    name, _, number = text.partition("=")
    for kind in (int, float):
        try:
            return {name: kind(number)}
        except ValueError:
            continue
    raise ArgumentTypeError(f"{text!r} must be NAME=NUMBER, such as n_masks=64")
