"""`explained clip -> its files in a folder`: sounds, picture and tables.

The first of several methods writes into the folder itself, each of the others
into one of its own within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.requests import Request
from focalaudio.inference.stream_result import ENDINGS as STREAM_ENDINGS
from focalaudio.interpreters import Interpretation, Interpreter

if TYPE_CHECKING:
    from focalaudio.report.clips import InterpretationExporter

TABLES = ("_boxes.txt", ".Table.1.selections.txt")  # of a clip
ENDINGS = (  # of a clip's files, in the order to look at them
    *(".png", "_kept.wav", "_listen.wav", "_input.wav", "_removed.wav"),
    *TABLES,
)


class ClipFiles:
    """The files of each clip in a folder of explanations.

    Arguments
    ---------
    model : SoundInterpreter
        Whose spectrogram and labels they have.
    folder : pathlib.Path
        Of the results.
    ways : sequence of Interpreter
        The methods; at least one.
    request : Request
        Whether there are sounds and pictures, and how loud.
    """

    def __init__(
        self,
        model: SoundInterpreter,
        folder: Path,
        ways: Sequence[Interpreter],
        request: Request,
    ) -> None:
        self.model = model
        self.folder = folder
        self.ways = ways
        self.request = request

    @property
    def _folders(self) -> list[Path]:
        """Where the clips of each way go."""
        compared = (self.folder / _to_name(way) for way in self.ways[1:])
        return [self.folder, *compared]

    def names(self, clip_id: str) -> list[str]:
        """Name what may be written of a file, below the folder."""
        endings = ENDINGS if self.request.media else TABLES
        ways = ["", *(f"{_to_name(way)}/" for way in self.ways[1:])]
        stem = f"{clip_id}/{clip_id}"  # of a recording
        return [
            *(f"{way}{clip_id}{end}" for way in ways for end in endings),
            *(f"{stem}{ending}" for ending in STREAM_ENDINGS),
        ]

    def is_taken(self, clip_id: str) -> bool:
        """Whether a file is there that results of a new name would replace."""
        names = self.names(clip_id)
        return any((self.folder / name).exists() for name in names)

    def remove(self, clip_id: str) -> None:
        """Remove what was written of a file that is another one by now."""
        for name in self.names(clip_id):
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # of a recording, or of somebody else
            (self.folder / clip_id).rmdir()

    def write(
        self, found: Sequence[Interpretation], clip_id: str
    ) -> tuple[Path, ...]:
        """Write sounds, picture and tables of a clip, of every way.

        `found` has an interpretation of a batch of one for each method, in
        their order. Returns the first one's files; an `OSError` if the disk
        refuses.
        """
        for each, exporter in zip(found, self._exporters, strict=True):
            exporter(each, [clip_id], [None])
        endings = ENDINGS if self.request.media else TABLES
        written = (self.folder / f"{clip_id}{ending}" for ending in endings)
        return tuple(path for path in written if path.exists())

    @cached_property
    def _exporters(self) -> list[InterpretationExporter]:
        from focalaudio.report.clips import InterpretationExporter

        return [
            InterpretationExporter(
                folder,
                self.model.spectrogram,
                self.model.labels,
                match_loudness=self.request.match_loudness,
                media=self.request.media,
                tables=True,
            )
            for folder in self._folders
        ]


def _to_name(way: Interpreter) -> str:
    """Return what the folder of a method is called."""
    return f"by_{way.settings['method']}"
