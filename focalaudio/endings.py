"""How a run ends that does not end well: one line, and the way to go on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import torch
from speechbrain.utils.distributed import if_main_process

from focalaudio.errors import (
    TRACEBACK,
    FocalAudioError,
    ModelError,
    describe_error,
    escape_text,
)
from focalaudio.models.checkpoints import CheckedCheckpointer

# what a user can mend: these end a recipe in one line
MISTAKES = (
    *(FocalAudioError, OSError, ValueError, CalledProcessError),
    *(ImportError, MemoryError, torch.OutOfMemoryError),
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """What a run says at its end, if that is not the good one.

    Arguments
    ---------
    command : str
        The command that goes on with the run, or starts it again.
    traced : bool
        Whether mistakes show their tracebacks.
    folder : pathlib.Path
        The run's; None while it has none yet.
    checkpoints : pathlib.Path
        Where its checkpoints are; None if it has none.
    goes_on : bool
        Whether a run without checkpoints goes on where it was, too.

    Example
    -------
    >>> hook = Ending("python recipe.py").hook(print)
    >>> hook(ZeroDivisionError, "is ours to mend", None)
    <class 'ZeroDivisionError'> is ours to mend None
    """

    command: str
    traced: bool = False
    folder: Path | None = None
    checkpoints: Path | None = None
    goes_on: bool = False

    def hook(self, otherwise: Callable[..., Any]) -> Callable[..., Any]:
        """Return an exception hook; `otherwise` gets what is no mistake."""
        return partial(self._explain, otherwise)

    def _explain(
        self,
        otherwise: Callable[..., Any],
        kind: type[BaseException],
        error: BaseException,
        *rest: Any,
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            if if_main_process():
                saved = self._find_saved()
                what = escape_text(f"{saved}: {self.command}")
                logger.warning("Interrupted; %s", what)
        elif issubclass(kind, MISTAKES) and not self._is_traced():
            hint = f" ({TRACEBACK}=1 shows where this comes from.)"
            logger.error("%s%s", describe_error(error), hint)
        else:
            otherwise(kind, error, *rest)

    def _is_traced(self) -> bool:
        return self.traced or bool(os.environ.get(TRACEBACK))

    def _find_saved(self) -> str:
        """Say what is saved, and whether the command goes on with it."""
        saver = self.checkpoints and CheckedCheckpointer(self.checkpoints)
        try:
            last = saver and saver.find_checkpoint()
        except ModelError as error:
            return str(error)
        if last:
            epoch = last.meta.get("epoch")
            return f"epoch {epoch} is saved in {self.folder}, and this goes on"
        if self.goes_on:
            return f"what is done is saved in {self.folder}, and this goes on"
        what = "no epoch" if self.checkpoints else "nothing"
        return f"{what} is saved, and this starts again"
