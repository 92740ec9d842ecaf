"""How files shall be explained, and what came of each: two records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """How files shall be explained; what is None is the model's own.

    Arguments
    ---------
    quantile, method, maps, mask, target, against
        See `SoundInterpreter.explain_batch`.
    options : mapping
        Of the method, such as `{"n_masks": 64}`.
    compare : sequence of str
        Other methods on the same clips; a text is one.
    match_loudness : bool
        See `focalaudio.report.clips.InterpretationExporter`.
    media : bool
        Whether sounds, pictures and the report are written, beside tables.
    report : bool
        Whether the report is written, if those are.
    stream : bool
        Whether short recordings are streamed too.
    progress : bool
        Whether windows of long recordings have a bar of their own.

    Example
    -------
    >>> Request(quantile=0.5).media
    True
    """

    quantile: float | None = None
    method: str | None = None
    maps: str | Sequence[str] | None = None
    mask: str | None = None
    target: str | int | None = None
    against: str | int | None = None
    options: Mapping[str, Any] | None = None
    compare: str | Sequence[str] = ()
    match_loudness: bool = False
    media: bool = True
    report: bool = True
    stream: bool = False
    progress: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.compare, str):  # else its letters
            object.__setattr__(self, "compare", (self.compare,))

    @property
    def choice(self) -> dict[str, Any]:
        """Arguments of `SoundInterpreter.interpreter`."""
        names = ("quantile", "method", "maps", "mask", "against", "options")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Outcome:
    """What came of a file.

    Arguments
    ---------
    path : pathlib.Path
        The file.
    answer : str
        What was heard, in words that can be shown; empty if it failed.
    error : str
        Why it failed; empty if it did not.
    is_new : bool
        Whether it was explained now, and not by an earlier call.
    files : tuple of pathlib.Path
        That were written.

    Example
    -------
    >>> Outcome(Path("a.wav"), "dog (0.930)").error
    ''
    """

    path: Path
    answer: str = ""
    error: str = ""
    is_new: bool = True
    files: tuple[Path, ...] = ()
