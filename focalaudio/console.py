"""What of a run's log the console shows: `console.yaml` filters by it.

SpeechBrain says much while it sets itself up, and libraries warn of what only
their authors can mend. All of that goes to the run's `log.txt`; the console
has this package's own words, the line of each epoch, and errors.
"""

import logging
from pathlib import Path

CONSOLE = Path(__file__).with_name("console.yaml")  # of SpeechBrain's logging
SHOWN = tuple(
    map(logging.Filter, ("focalaudio", "speechbrain.utils.train_logger"))
)


class OwnWords(logging.Filter):
    """Let through what a user can read, or has to mend; a warning once.

    Example
    -------
    >>> def make(name, level):
    ...     return logging.makeLogRecord({"name": name, "levelno": level})
    >>> names = "focalaudio.brains", "focalaudiophile", "speechbrain.core"
    >>> shown = OwnWords()
    >>> [bool(shown.filter(make(name, logging.INFO))) for name in names]
    [True, False, False]
    >>> shown.filter(make("torch", logging.ERROR))
    True
    >>> warned = make("focalaudio.data", logging.WARNING)
    >>> shown.filter(warned), shown.filter(warned)
    (True, False)
    """

    def __init__(self) -> None:
        super().__init__()
        self._warned: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is shown."""
        if record.levelno >= logging.ERROR:
            return True
        if not any(each.filter(record) for each in SHOWN):
            return False
        if record.levelno < logging.WARNING:
            return True
        n_known = len(self._warned)
        self._warned.add(record.getMessage())
        return len(self._warned) > n_known
