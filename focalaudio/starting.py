"""`import focalaudio.starting` -> a Ctrl-C while more is imported is one line.

What recipes import takes seconds. A recipe imports this before anything else;
`focalaudio.experiment` says what a Ctrl-C means when the run has begun.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from focalaudio.errors import escape_text
from focalaudio.interrupts import obey_signals


def _explain(
    otherwise: Callable[..., Any], kind: type[BaseException], *rest: Any
) -> None:
    """Say how to start again; `otherwise` gets what is no interrupt."""
    if issubclass(kind, KeyboardInterrupt):
        command = escape_text(shlex.join([sys.executable, *sys.argv]))
        sys.stderr.write(
            f"Interrupted; nothing is saved, and this starts again: {command}\n"
        )
    else:
        otherwise(kind, *rest)


obey_signals()
sys.excepthook = partial(_explain, sys.excepthook)
