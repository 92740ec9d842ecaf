"""`files -> what a model heard in all of them`, in flat memory.

Each file is read, explained and written before the next; what is long is
streamed. A bad file is told and left out, a file that is done is not done
again, and the tables are made at the end of what is on the disk.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from errno import ENAMETOOLONG
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from focalaudio.audio import audio_info, load_wav
from focalaudio.errors import AudioError, ModelError, escape_text
from focalaudio.inference.answers import describe_answers
from focalaudio.inference.clip_files import ClipFiles
from focalaudio.inference.clips import logger as clips_logger
from focalaudio.inference.folder_report import FolderReport
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.requests import Outcome, Request
from focalaudio.inference.results import (
    COMPARED,
    pack_box,
    refuse_foreign,
    write_results,
)
from focalaudio.inference.sources import name_clips, need_sounds
from focalaudio.inference.store import ClipStore, Record
from focalaudio.inference.streamed import describe_stream, tell_longest
from focalaudio.inference.targets import find_targets
from focalaudio.interpreters import Interpreter
from focalaudio.models.load import load_compared
from focalaudio.processes import count_processes, gather, share

Tell = Callable[[Path, str], None]
MARGIN = 1.5  # a recording that is so many clips long is streamed
WHOLE_SECONDS = 60.0  # the same, where the model takes clips whole


class FolderExplainer:
    """Explain files into a folder, which can be stopped and goes on.

    Arguments
    ---------
    model : SoundInterpreter
        Explains.
    folder : str or pathlib.Path
        Of the results.
    request : Request
        How.

    Raises
    ------
    DataError
        If the folder holds results of other settings, or files that results
        would replace, or is being written.
    ModelError, ValueError
        If the model cannot explain so. Nothing is written then.
    """

    def __init__(
        self, model: SoundInterpreter, folder: str | Path, request: Request
    ) -> None:
        self.model = model
        self.folder = Path(folder)
        self.request = request
        first = model.interpreter(**request.choice)
        self.ways = [first, *_compare(model, first, request.compare)]
        against = [first.against]
        asked = find_targets(request.target, model.labels, 1, against)
        self.target = None if asked is None else model.labels[asked[0]]
        self.failed: list[dict[str, str]] = []
        refuse_foreign(self.folder)
        self.store = ClipStore(self.folder, self._settings())
        given = model, self.folder, self.ways
        self.files = ClipFiles(*given, request)
        self.report = FolderReport(*given, self.target, request)

    def _settings(self) -> dict[str, Any]:
        """Name all that results depend on."""
        model = self.model
        own = model.model.temperature, model.model.novelty, model.dtype
        return {
            **describe_answers(self.ways, model.reader, model.labels, *own),
            "target": self.target,
            "match_loudness": self.request.match_loudness,
            "tables_only": not self.request.media,
            "stream": self.request.stream,
        }

    def __enter__(self) -> FolderExplainer:
        return self

    def __exit__(self, *error: object) -> None:
        self.store.close()

    def explain(
        self, paths: Sequence[Path], tell: Tell | None = None
    ) -> Iterator[Outcome]:
        """Explain files one after the other; a bad one does not stop the rest.

        Of several processes each explains its share.

        Arguments
        ---------
        paths : sequence of pathlib.Path
            The files, each once.
        tell : callable
            Is given each file that is explained and its answer as soon as it is
            known: of a clip before its sounds and its picture are written, of a
            recording when they are.

        Yields
        ------
        Outcome
            One for each of this process, in their order.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        tell = tell or (lambda path, answer: None)
        # before any of them writes, so that all give the same names
        given = name_clips(paths, self.store.names, self.files.is_taken)
        names = gather(given)[0]
        for path, clip_id in share(list(zip(paths, names, strict=True))):
            try:
                known = self._find(path)
                sound = None if known else self._read(path)
            except (AudioError, OSError) as error:
                yield self._fail(path, error)
                continue
            if known is not None:
                yield Outcome(path, known["answer"], is_new=False)
            elif sound is not None:
                with _quiet(clips_logger):  # a row says what is cut
                    outcome = self._explain_clip(path, clip_id, *sound, tell)
                yield outcome
            else:
                yield self._try_recording(path, clip_id, tell)

    def _reserve(self, path: Path, clip_id: str) -> None:
        """Say whose the files are that are going to be written."""
        names = self.files.names(clip_id)
        sounds = [name for name in names if name.endswith(".wav")]
        self.store.reserve(path, clip_id, sounds)

    def _find(self, path: Path) -> Record | None:
        """Return what is known of a file; of one that changed, nothing is.

        One that is away is not read, and may come back as it was.
        """
        known = self.store.find(path)
        changed = known is None and path.exists()
        if changed and (old := self.store.forget(path)) is not None:
            self.report.page.remove(old.get("shown", [old["clip_id"]]))
            self.files.remove(old["clip_id"])
        return known

    def _fail(self, path: Path, error: Exception) -> Outcome:
        self.failed.append({"path": str(path), "error": str(error)})
        return Outcome(path, error=escape_text(error))

    def _read(self, path: Path) -> tuple[Tensor, list[str]] | None:
        """Return a clip's sound and what is odd of its file; None if long."""
        seconds = self.model.reader.clip_seconds
        longest = WHOLE_SECONDS if seconds is None else MARGIN * seconds
        if self.request.stream or audio_info(path).duration > longest:
            return None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            wav = load_wav(path, self.model.sample_rate)
        return wav, _list_notes(caught)

    def _explain_clip(
        self,
        path: Path,
        clip_id: str,
        wav: Tensor,
        notes: list[str],
        tell: Tell,
    ) -> Outcome:
        """Explain, write and keep one clip."""
        try:
            seen = self.model.look(wav[None])
            found = self.model.explain_with(self.ways, seen, self.target)
        except (AudioError, ModelError) as error:
            return self._fail(path, error)
        answer = found[0].describe(0)
        tell(path, answer)
        # loads what draws pictures, which the answer does not wait for
        from focalaudio.report.explained import describe_clip

        shown = self.report.show(found, clip_id)
        clip = replace(
            shown[0][0],
            views=[view for _, view in shown],
            warnings=[*shown[0][0].warnings, *notes],
        )
        rows = [
            describe_clip(each, 0, clip, view)
            for each, view in zip(found, clip.views, strict=True)
        ]
        self._reserve(path, clip_id)
        files = self.files.write(found, clip_id)
        self.report.add_clip(clip, seen, found[0])
        self.store.add(
            path,
            clip_id,
            {
                "answer": answer,
                "row": {**rows[0], "path": str(path)},
                "boxes": [pack_box(box) for box in clip.views[0].boxes],
                "compared": self._compare_rows(rows),
            },
        )
        return Outcome(path, answer, files=files)

    def _compare_rows(self, rows: Sequence[Record]) -> list[Record]:
        """Return the rows of comparison.csv, none without a comparison."""
        if not self.request.compare:
            return []
        named = (
            {**row, "method": way.name}
            for row, way in zip(rows, self.ways, strict=True)
        )
        return [{name: row.get(name, "") for name in COMPARED} for row in named]

    def _try_recording(self, path: Path, clip_id: str, tell: Tell) -> Outcome:
        """Explain a recording window by window."""
        self._reserve(path, clip_id)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = self.model.explain_stream(
                    path,
                    self.folder / clip_id,
                    **self.request.choice,
                    target=self.target,
                    progress=self.request.progress,
                    media=self.request.media,
                )
            except (AudioError, ModelError, OSError) as error:
                name_is_fine = getattr(error, "errno", 0) != ENAMETOOLONG
                if isinstance(error, OSError) and name_is_fine:
                    raise  # the disk's fault
                return self._fail(path, error)
        against = None if self.target else self.ways[0].settings.get("against")
        row = {**describe_stream(result, against), "clip_id": clip_id}
        row["explained"] = self.target or ""
        notes = (*self._tell_not_done(), *_list_notes(caught))
        row["warnings"] = " ".join((row["warnings"], *notes))
        answer = tell_longest(result)
        tell(path, answer)
        shown = self.report.add_windows(path, clip_id, result)
        record: Record = {"answer": answer, "row": {**row, "path": str(path)}}
        record["boxes"] = [pack_box(box) for box in result.heard]
        record["shown"] = shown
        self.store.add(path, clip_id, record)
        return Outcome(path, answer, files=result.files)

    def _tell_not_done(self) -> Iterator[str]:
        """Yield what was asked for that recordings do not get."""
        if self.request.compare:
            yield "Streamed by one method: not compared."
        if self.request.match_loudness and self.request.media:
            yield "Streamed: what was kept is not as loud as the input."

    def finish(self) -> list[Path]:
        """Write the tables and the report of all that is done.

        Of several processes, which all have to ask, the first writes; from then
        on `failed` is of all.

        Returns
        -------
        list of pathlib.Path
            The files; empty for the other processes.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        self.failed = [*chain.from_iterable(gather(self.failed))]
        if count_processes()[0] > 0:
            return []
        self.store.refresh()
        compare = bool(self.request.compare)
        written = write_results(self.folder, self.store, self.failed, compare)
        return [*written, *self.report.finish(len(self.store))]


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Let a logger say nothing."""
    was, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was


def _list_notes(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """Return what was odd of a file, in sentences."""
    return [str(each.message).rstrip(".") + "." for each in caught]


def explain_files(
    files: str | Path | Iterable[str | Path],
    folder: str | Path,
    model: SoundInterpreter | None = None,
    **request: Any,
) -> list[Outcome]:
    """Explain files into a folder, and write its report; what the command does.

    Arguments
    ---------
    files : str, pathlib.Path or iterable of them
        Sound files, folders, or patterns such as `recordings/*.wav`.
    folder : str or pathlib.Path
        Of the results: for each file sounds, picture and boxes, `clips.csv`
        and `report.html`. What is in it already is not done again.
    model : SoundInterpreter
        Explains; None is the model that comes with the package.
    request
        Fields of `focalaudio.inference.requests.Request`, such as `target`.

    Returns
    -------
    list of Outcome
        One for each file: what it is taken for and what was written, or why it
        failed.

    Raises
    ------
    DataError
        If the folder holds results of other settings, or files that results
        would replace, or is being written.
    ModelError, ValueError
        If there is no sound, or the model cannot explain so. Nothing is written
        then.

    Example
    -------
    >>> from focalaudio.data.examples import list_examples
    >>> dog, *_ = (example.path for example in list_examples())
    >>> folder = getfixture("tmp_path") / "explained"
    >>> (found,) = explain_files(dog, folder)
    >>> found.path == dog, (folder / "report.html").exists()
    (True, True)
    """
    asked = [files] if isinstance(files, (str, Path)) else list(files)
    sources = need_sounds(asked, folder, "files")
    model = SoundInterpreter.from_hparams() if model is None else model
    with FolderExplainer(model, folder, Request(**request)) as explainer:
        outcomes = list(explainer.explain(sources.files))
        explainer.finish()
    return outcomes


def _compare(
    model: SoundInterpreter, first: Interpreter, methods: Sequence[str]
) -> list[Any]:
    """Make the interpreters of other methods, each once."""
    try:
        return [*load_compared(model.model, first, methods)]
    except ValueError as error:
        raise ValueError(f"compare={' '.join(methods)!r}: {error}") from error
