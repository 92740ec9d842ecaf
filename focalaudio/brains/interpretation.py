"""Interpret a fold with SpeechBrain's Brain: one row per clip."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from torch import Tensor

from focalaudio.brains.bars import WatchedBrain
from focalaudio.brains.checks import Checker, Look
from focalaudio.brains.progress import Found
from focalaudio.contract import Classifier
from focalaudio.decisions import mark_classes
from focalaudio.interpreters.base import Interpreter
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.metrics.columns import (
    Columns,
    Sources,
    annotation_columns,
    curve_columns,
    interpretation_columns,
    oracle_interpretations,
    size_columns,
    source_columns,
)
from focalaudio.metrics.judges import judge_columns, removal_columns
from focalaudio.metrics.tracker import ClipTracker
from focalaudio.processes import count_processes, gather
from focalaudio.spectrogram import power_spectrum

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Step:
    """What every interpreter makes of one look at a batch."""

    look: Look
    interpretations: dict[str, Interpretation]


class InterpreterBrain(WatchedBrain):
    """Test interpreters on what they keep and what they remove.

    The clips are analyzed and classified once, whatever the number of
    interpreters; each of these then has its kept and removed parts classified
    in one batch. Where the sources of a clip are known, or marked by a person
    (see `focalaudio.data.conditions`), masks are compared with them too,
    without any other pass.

    Arguments
    ---------
    modules : dict
        `interpreter`, so that it is on the right device.
    opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain. Of `hparams` it needs `interpreter` and `labels`.
        It may have `compared`, other interpreters of the same classifier;
        `curve_steps`, which above 0 adds insertion and deletion curves of so
        many steps; `judge_classifier`, another classifier that is shown the
        whole, the kept and the removed clips too; `f_fidelity_samples`, which
        above 0 asks the judge, or the classifier if there is none, of so many
        random parts; `checks`, names of `focalaudio.brains.checks.CHECKS`
        (these four cost further passes); `exporter`, called with
        each batch's record of the first interpreter, its clips' ids and
        labels, their `Sources` or None, and the rows to write; `reporter`, a
        `focalaudio.brains.reporting.Reporter`; `max_clips`, so many of which,
        the first of the data set, these two are to show; and `progress`, a
        `Progress` that knows which clips were done before.

    Example
    -------
    >>> InterpreterBrain.HPARAMS_NEEDED
    ('interpreter', 'labels')
    """

    HPARAMS_NEEDED: tuple[str, ...] = ("interpreter", "labels")
    HPARAMS_OPTIONAL: Mapping[str, Any] = {
        "checks": (),
        "compared": (),
        "curve_steps": 0,
        "f_fidelity_samples": 0,
        "judge_classifier": None,
        "exporter": None,
        "max_clips": None,
        "progress": None,
        "reporter": None,
    }
    MODULES_NEEDED: tuple[str, ...] = ("interpreter",)
    TESTING = "Interpreting"

    trackers: dict[str, ClipTracker]
    _shows: bool  # whether any process will show a clip
    _shown: Container[str] | None  # clips to write; None is all

    def __init__(
        self,
        modules: Mapping[str, Any],
        opt_class: Any = None,
        hparams: Mapping[str, Any] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        hparams = {**self.HPARAMS_OPTIONAL, **(hparams or {})}
        super().__init__(modules, opt_class, hparams, *args, **kwargs)
        self.checker = Checker(self.interpreter, self.hparams.checks)

    @property
    def interpreter(self) -> Interpreter:
        """The interpreter itself, never wrapped for several devices."""
        return self.hparams.interpreter

    @cached_property
    def interpreters(self) -> dict[str, Interpreter]:
        """All interpreters by name, the first one first."""
        listed = [self.interpreter, *self.hparams.compared]
        named = {interpreter.name: interpreter for interpreter in listed}
        if len(named) < len(listed):
            raise ValueError(
                f"compared has two of a name: "
                f"{'; '.join(each.name for each in listed)}. Give each other "
                "settings."
            )
        return named

    @property
    def judge(self) -> Classifier:
        """Another classifier, or the one that is explained."""
        return self.hparams.judge_classifier or self.interpreter.classifier

    @property
    def tracker(self) -> ClipTracker:
        """The rows of the first interpreter."""
        return self.trackers[self.interpreter.name]

    def compute_forward(self, batch: PaddedBatch, stage: sb.Stage) -> _Step:
        """Interpret the classifier's own predictions, each name its way."""
        wavs, lens = batch.to(self.device).sig
        seen = self.interpreter.look(wavs, lens)
        interpretations = {
            name: interpreter.interpret(*seen)
            for name, interpreter in self.interpreters.items()
        }
        return _Step(Look(wavs, lens, batch.id, *seen), interpretations)

    def compute_objectives(
        self,
        predictions: _Step,
        batch: PaddedBatch,
        stage: sb.Stage,
    ) -> Tensor:
        """Remember every interpretation's row; return the classifier's loss."""
        first = predictions.interpretations[self.interpreter.name]
        sources = self._find_sources(batch)
        found = {
            name: self._listed(batch, first.logits, columns)
            for name, columns in self._measure(predictions, batch, sources)
        }
        rows = self._choose_rows(batch.id)
        if rows and self.hparams.exporter is not None:
            self.hparams.exporter(first, batch.id, batch.label, sources, rows)
        if rows and self.hparams.reporter is not None:
            shown = predictions.interpretations
            self.hparams.reporter(
                predictions.look, shown, found, batch.label, rows
            )
        if self.hparams.progress is not None:
            self.hparams.progress.add(batch.id, found)
        self._keep(batch.id, found)
        marked = self._mark(batch)
        return first.decision.losses(first.logits, marked).mean()

    def _choose_rows(self, clip_ids: Sequence[str]) -> list[int]:
        """Return which clips of a batch are to be written and shown."""
        return [
            row
            for row, clip_id in enumerate(clip_ids)
            if self._shown is None or clip_id in self._shown
        ]

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """See SpeechBrain; a loader of one's own is evaluated whole."""
        self.trackers = {name: ClipTracker() for name in self.interpreters}
        self._shows, self._shown = True, None
        return super().evaluate(*args, **kwargs)

    def find_done(self, dataset: Any) -> Iterable[str]:
        """Return the clips that a run that was stopped has done.

        Their rows are the first process's. The first `max_clips` of the data
        set are chosen here too, whoever interprets them.
        """
        found_before: set[str] = set()
        number, _ = count_processes()
        if number == 0 and self.hparams.progress is not None:
            for clip_ids, found in self.hparams.progress.read():
                self._keep(clip_ids, found)
                found_before.update(clip_ids)
        done = gather(found_before)[0]
        if done:
            logger.info("%d clips were done before.", len(done))
        clip_ids = getattr(dataset, "data_ids", ())
        shown = set(clip_ids[: self.hparams.max_clips])
        self._shows = bool(shown - done)
        self._shown = shown if self.hparams.max_clips is not None else None
        return done

    def _measure(
        self,
        step: _Step,
        batch: PaddedBatch,
        sources: Sources | None,
    ) -> Iterator[tuple[str, Columns]]:
        """Yield the columns of every interpretation, then of the oracles."""
        marked = self._mark(batch)
        check = self.checker.pass_on(step.look)
        whole = self._ask_judge(step.interpretations[self.interpreter.name])
        for name, interpretation in step.interpretations.items():
            columns = self.columns(interpretation, marked)
            columns |= self._judge_columns(interpretation, whole, batch.id)
            if sources is not None:
                columns |= source_columns(interpretation, sources)
            if hasattr(batch, "boxes"):
                boxes = batch.boxes.data
                columns |= annotation_columns(interpretation, boxes)
            yield name, columns | check(self.interpreters[name], interpretation)
        if sources is not None:
            first = step.interpretations[self.interpreter.name]
            for name, oracle in oracle_interpretations(first, sources).items():
                columns = source_columns(oracle, sources)
                yield name, columns | size_columns(oracle)

    def _mark(self, batch: PaddedBatch) -> Tensor:
        """Mark the true classes of a batch, `[batch, n_classes]`."""
        return mark_classes(batch.target, self.judge.n_classes).to(self.device)

    def columns(
        self, interpretation: Interpretation, targets: Tensor
    ) -> Columns:
        """Classify the parts; return the columns that need no source."""
        parts = self.interpreter.classify_parts(interpretation)
        columns = interpretation_columns(interpretation, parts, targets)
        if self.hparams.curve_steps:
            columns |= curve_columns(
                interpretation,
                self.interpreter.ask(interpretation.spectrum),
                self.hparams.curve_steps,
            )
        return columns

    def _ask_judge(self, interpretation: Interpretation) -> Tensor:
        """Return the judge's logits of the whole clips."""
        if self.judge is self.interpreter.classifier:
            return interpretation.logits
        ask = self.interpreter.ask(interpretation.spectrum, self.judge)
        rows = torch.arange(len(interpretation.logits), device=self.device)
        return ask(interpretation.log_magnitude, rows)

    def _judge_columns(
        self,
        interpretation: Interpretation,
        whole: Tensor,
        clip_ids: Sequence[str],
    ) -> Columns:
        """Return what the judge says of parts; `whole` are its logits."""
        columns: Columns = {}
        if self.judge is not self.interpreter.classifier:
            parts = self.interpreter.classify_parts(interpretation, self.judge)
            columns |= judge_columns(
                interpretation, whole, parts, self.judge.decision
            )
        if self.hparams.f_fidelity_samples:
            columns |= removal_columns(
                interpretation,
                self.interpreter.ask(interpretation.spectrum, self.judge),
                whole,
                clip_ids,
                self.hparams.f_fidelity_samples,
                self.judge.decision,
            )
        return columns

    def _find_sources(self, batch: PaddedBatch) -> Sources | None:
        """Analyze a batch's known sources, if it has any."""
        if not hasattr(batch, "first"):
            return None
        (first, lens), (second, _) = batch.first, batch.second
        energies = (
            power_spectrum(self.interpreter.spectrogram(wavs, lens).stft)
            for wavs in (first, second)
        )
        targets = (
            torch.as_tensor(ids, device=self.device)
            for ids in (batch.target, batch.other_target)
        )
        return Sources(first, second, *energies, *targets)

    def _listed(
        self, batch: PaddedBatch, logits: Tensor, columns: Columns
    ) -> dict[str, list[Any]]:
        """Return columns as lists, the classes' names among them."""
        labels: Sequence[str] = self.hparams.labels
        found: dict[str, list[Any]] = {
            "label": list(batch.label),
            "predicted": [labels[i] for i in logits.argmax(-1).tolist()],
            **{name: column.tolist() for name, column in columns.items()},
        }
        if hasattr(batch, "other_target"):
            others = torch.as_tensor(batch.other_target).tolist()
            found["other_label"] = [labels[i] if i >= 0 else "" for i in others]
        return found

    def _keep(self, clip_ids: Sequence[str], found: Found) -> None:
        """Remember each clip's row under every interpreter's name."""
        for name, columns in found.items():
            self.trackers.setdefault(name, ClipTracker())
            self.trackers[name].update(clip_ids, columns)

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start what all processes start together."""
        if self.hparams.progress is not None:
            self.hparams.progress.start()
        if self.hparams.reporter is not None and self._shows:
            self.hparams.reporter.start()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of all processes, by the interpreters' names."""
        # a process without clips knows no oracles
        names = dict.fromkeys(chain(*gather(list(self.trackers))))
        empty = ClipTracker()
        return {name: self.trackers.get(name, empty).rows() for name in names}
