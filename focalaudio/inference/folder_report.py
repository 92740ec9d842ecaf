"""`explained files -> report of a folder`: which clips it shows, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from focalaudio.inference.clips import SeenClips, SoundInterpretation
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.requests import Request
from focalaudio.inference.stream_result import StreamResult
from focalaudio.inference.streamed import load_windows
from focalaudio.interpreters import Interpretation, Interpreter
from focalaudio.processes import count_processes
from focalaudio.version import __version__

if TYPE_CHECKING:
    from focalaudio.report.page import PageClip, View
    from focalaudio.report.writer import PageWriter

MOST_REPORTED = 200  # clips that the report shows
MOST_WINDOWS = 3  # of a recording that the report shows


class FolderReport:
    """The listening report of a folder of explanations, clip by clip.

    Arguments
    ---------
    model : SoundInterpreter
        Explains.
    folder : pathlib.Path
        Of the results.
    ways : sequence of Interpreter
        The methods; at least one.
    target : str
        The class that is explained; what each clip is classified as if None.
    request : Request
        Whether there is a report.
    """

    def __init__(
        self,
        model: SoundInterpreter,
        folder: Path,
        ways: Sequence[Interpreter],
        target: str | None,
        request: Request,
    ) -> None:
        self.model = model
        self.folder = folder
        self.ways = ways
        self.target = target
        self.request = request

    @cached_property
    def page(self) -> PageWriter:
        """The report, clip by clip."""
        from focalaudio.report.writer import PageWriter

        return PageWriter(self.folder / "report.html", self.model.spectrogram)

    @property
    def _has_room(self) -> bool:
        """Whether the report takes more clips."""
        wanted = self.request.media and self.request.report
        _, n_processes = count_processes()
        return wanted and len(self.page) * n_processes < MOST_REPORTED

    def show(
        self, found: Sequence[SoundInterpretation], name: str
    ) -> list[tuple[PageClip, View]]:
        """Return what a report shows of a clip, explained in all ways.

        `found` has an interpretation of a batch of one for each method, in
        their order; `name` is what the report calls the clip. Both parts of
        each are classified, whether there is room or not.
        """
        from focalaudio.inference.reporting import show_scored

        pairs = zip(found, self.ways, strict=True)
        return [show_scored(each, way, name) for each, way in pairs]

    def add_clip(
        self, clip: PageClip, seen: SeenClips, found: Interpretation
    ) -> None:
        """Add a clip, if there is room, and what else its page can show of it.

        `clip` has its views by every method; `seen` is what the model has
        looked at, and `found` its interpretation by the first.
        """
        if self._has_room:
            more = self._look_further(seen, found)
            self.page.add(replace(clip, views=[*clip.views, *more]))

    def add_windows(
        self, path: Path, clip_id: str, result: StreamResult
    ) -> list[str]:
        """Add the most telling windows of a recording, if there is room.

        `path` is the recording, and `result` what was written of it. Returns
        what the report calls the windows.
        """
        shown = []
        if self._has_room:
            for clip in self._tell_windows(path, clip_id, result):
                self.page.add(clip)
                shown.append(clip.clip_id)
        return shown

    def _look_further(
        self, seen: SeenClips, found: Interpretation
    ) -> list[View]:
        """Return views at other quantiles, and of another class."""
        from focalaudio.inference.reporting import (
            list_others,
            look_further,
            show_scored,
        )

        def explain(way: Interpreter, ids: Tensor | None) -> Interpretation:
            target = self.target if ids is None else ids
            return self.model.explain_with([way], seen, target)[0]

        further = look_further(self.ways[0], explain, list_others(found, None))
        return [show_scored(each, way, "")[1] for way, each in further]

    def _tell_windows(
        self, path: Path, clip_id: str, result: StreamResult
    ) -> Iterator[PageClip]:
        """Yield the windows that a report shows of a recording."""
        rate = self.model.sample_rate
        windows = load_windows(path, result.windows, rate, MOST_WINDOWS)
        for start, text, wav in windows:
            found = self.model.explain_with(
                self.ways, self.model.look(wav[None]), self.target
            )
            shown = self.show(found, f"{clip_id} at {text}")
            views = [view for _, view in shown]
            yield replace(shown[0][0], views=views, start=start)

    def finish(self, n_files: int) -> list[Path]:
        """Write the report of all clips that were added, if any were.

        `n_files` is of how many files something is known. Returns what was
        written; an `OSError` if the disk refuses.
        """
        wanted = self.request.media and self.request.report
        if not (wanted and self.page.waits):
            return []
        from focalaudio.report.page import Page

        title = f"What was heard in {self.folder.name}"
        settings = {
            "explanation": self.ways[0].name,
            "classes": len(self.model.labels),
            "files": n_files,
            "version": __version__,
        }
        page = Page(title, self.model.labels, settings=settings)
        return [self.page.finish(page, keep_parts=True)]
