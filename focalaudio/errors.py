"""Every error that a user can meet, layer 0 of the package.

Messages have one form: `name=value`, the rule with its unit, what to do.
A missing file is Python's own `FileNotFoundError`; a bad argument is Python's
own `ValueError` or `TypeError`.
"""


class FocalAudioError(Exception):
    """Base of the errors below; catch it to catch them all.

    Example
    -------
    >>> issubclass(UnsafeModelError, FocalAudioError)
    True
    """


class AudioError(FocalAudioError, ValueError):
    """A file or a tensor does not hold usable audio.

    Example
    -------
    >>> raise AudioError("clip.wav holds 0 samples.")
    Traceback (most recent call last):
    focalaudio.errors.AudioError: clip.wav holds 0 samples.
    """


class DataError(FocalAudioError, ValueError):
    """A data set contradicts itself or what is asked of it.

    Example
    -------
    >>> issubclass(DataError, ValueError)
    True
    """


class ModelError(FocalAudioError, RuntimeError):
    """A model's files are missing, broken, or do not fit each other.

    Example
    -------
    >>> issubclass(ModelError, RuntimeError)
    True
    """


class UnsafeModelError(ModelError):
    """A model's files ask for code to be run, or reach outside their folder.

    Example
    -------
    >>> issubclass(UnsafeModelError, ModelError)
    True
    """


class HubError(ModelError):
    """A model cannot be fetched from a hub, or sent to it.

    Example
    -------
    >>> issubclass(HubError, ModelError)
    True
    """
