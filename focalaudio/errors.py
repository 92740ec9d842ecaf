"""Every error that a user can meet, layer 0 of the package.

Messages have one form: `name=value`, the rule with its unit, what to do.
A missing file is Python's own `FileNotFoundError`; a bad argument is Python's
own `ValueError` or `TypeError`.
"""


def printable(text: object) -> str:
    r"""Write out what a terminal would obey, hide or turn around.

    File names, labels and headers come from strangers: escape sequences, line
    breaks and marks of direction are shown as Python's escapes.

    Example
    -------
    >>> print(printable("a\x1b[2J.wav"))
    a\x1b[2J.wav
    """
    return "".join(
        each
        if each.isprintable()
        else each.encode("unicode_escape").decode("ascii")
        for each in str(text)
    )


class FocalAudioError(Exception):
    """Base of the errors below; catch it to catch them all."""

    def __str__(self) -> str:
        return printable(super().__str__())


class AudioError(FocalAudioError, ValueError):
    """A file or a tensor does not hold usable audio."""


class DataError(FocalAudioError, ValueError):
    """A data set contradicts itself or what is asked of it."""

    def __str__(self) -> str:
        lines = Exception.__str__(self).split("\n")  # one per problem
        return "\n".join(map(printable, lines))


class ModelError(FocalAudioError, RuntimeError):
    """A model's files are missing, broken, or do not fit each other."""


class UnsafeModelError(ModelError):
    """A model's files ask for code to be run, or reach outside their folder."""


class HubError(ModelError):
    """A model cannot be fetched from a hub, or sent to it."""
