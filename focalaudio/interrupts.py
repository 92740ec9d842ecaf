"""`Ctrl-C, SIGTERM -> KeyboardInterrupt`, which is not lost."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

PAUSE = 0.1  # seconds, until what swallowed an interrupt is over


def obey_signals() -> None:
    """Take SIGTERM for Ctrl-C from here on, and see that neither is lost.

    SIGTERM is what a scheduler sends before it kills. Python ignores an
    exception where nobody could catch it: in a destructor, or in what is
    called after a fork, where a Ctrl-C that came while a process was forked is
    raised first. An interrupt that is ignored there is raised once more.

    Only the main thread may ask for it; for others nothing happens.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        sys.unraisablehook = partial(_raise_again, sys.unraisablehook)


@contextmanager
def obeyed_signals() -> Iterator[None]:
    """Call `obey_signals` for a block; then all is as it was.

    Example
    -------
    >>> with obeyed_signals():
    ...     signal.getsignal(signal.SIGTERM).__name__
    'default_int_handler'
    """
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGTERM)
    obey_signals()
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)
            sys.unraisablehook = hook


def _raise_again(otherwise: Callable[[Any], Any], ignored: Any) -> None:
    """Interrupt soon if it is an interrupt that was ignored."""
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        # no lock is taken: whatever was interrupted may hold it
        _thread.start_new_thread(_interrupt_soon, ())
    else:
        otherwise(ignored)


def _interrupt_soon() -> None:
    time.sleep(PAUSE)
    if hasattr(signal, "pthread_kill"):  # it wakes whoever waits
        main = threading.main_thread().ident or 0
        signal.pthread_kill(main, signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)
