import signal
import subprocess
import sys
import textwrap
import time

import pytest

from focalaudio.interrupts import obeyed_signals


class Deaf:
    """Whatever its destructor raises, Python ignores."""

    def __init__(self, error):
        self.error = error

    def __del__(self):
        raise self.error


@obeyed_signals()
def do_and_wait(act, *args):
    act(*args)
    for _ in range(2000):
        time.sleep(0.01)


def test_sigterm_is_an_interrupt():
    with pytest.raises(KeyboardInterrupt):
        do_and_wait(signal.raise_signal, signal.SIGTERM)


def test_an_interrupt_that_was_ignored_comes_again():
    with pytest.raises(KeyboardInterrupt):
        do_and_wait(Deaf, KeyboardInterrupt())


def test_other_errors_are_ignored_as_before(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with obeyed_signals():
        Deaf(ZeroDivisionError("of a destructor"))
        time.sleep(0.3)
    assert [each.exc_type for each in told] == [ZeroDivisionError]


def test_afterwards_all_is_as_it_was():
    before = sys.unraisablehook, signal.getsignal(signal.SIGTERM)
    with obeyed_signals():
        assert sys.unraisablehook != before[0]
    assert (sys.unraisablehook, signal.getsignal(signal.SIGTERM)) == before


FORK = """
    import os, signal
    from focalaudio.interrupts import obey_signals

    def interrupted():
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, signal.default_int_handler)
    obey_signals()
    os.register_at_fork(after_in_parent=interrupted)
    if os.fork() == 0:
        os._exit(0)
    signal.pause()
"""


def test_a_ctrl_c_while_workers_are_started_is_not_lost():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORK)],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr.count("KeyboardInterrupt") == 1
