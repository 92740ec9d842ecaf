"""Every error that a user can meet, layer 0 of the package.

Messages have one form: `name=value`, the rule with its unit, what to do.
A missing file is Python's own `FileNotFoundError`; a bad argument is Python's
own `ValueError` or `TypeError`.
"""

TRACEBACK = "FOCALAUDIO_TRACEBACK"  # set it to see where an error comes from


def escape_text(text: object) -> str:
    r"""Return foreign text as it can be shown on a terminal, in one line.

    What is not printable (control characters, line breaks, marks that turn the
    direction of writing, halves of surrogate pairs) is written as in Python.

    Example
    -------
    >>> escape_text("a dog" + chr(27) + "[2J" + chr(0x202E) + chr(10))
    'a dog\\x1b[2J\\u202e\\n'
    """
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape").decode("ascii")
        for character in str(text)
    )


def describe_error(error: BaseException) -> str:
    r"""Return what an error says, with nothing that a terminal would obey.

    Example
    -------
    >>> describe_error(ValueError("a" + chr(27)))
    'a\\x1b'
    """
    own = isinstance(error, FocalAudioError)  # may have lines, each escaped
    return str(error) if own else escape_text(error)


def name_type(value: object) -> str:
    """Return what a value is, with its article.

    Example
    -------
    >>> name_type(1), name_type("")
    ('an int', 'a str')
    """
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


class FocalAudioError(Exception):
    """Base of the errors below; catch it to catch them all."""

    def __str__(self) -> str:
        return escape_text(super().__str__())


class AudioError(FocalAudioError, ValueError):
    """A file or a tensor does not hold usable audio."""


class DataError(FocalAudioError, ValueError):
    """A data set contradicts itself or what is asked of it."""

    def __str__(self) -> str:
        lines = Exception.__str__(self).split("\n")  # one per problem
        return "\n".join(map(escape_text, lines))


class ModelError(FocalAudioError, RuntimeError):
    """A model's files are missing, broken, or do not fit each other."""


class UnsafeModelError(ModelError):
    """A model's files ask for code to be run, or reach outside their folder."""


class HubError(ModelError):
    """A model cannot be fetched from a hub, or sent to it."""
