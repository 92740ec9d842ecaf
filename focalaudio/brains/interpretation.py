"""Interpret a fold with SpeechBrain's Brain: one row per clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import speechbrain as sb
import torch
import torch.nn.functional as F
from speechbrain.dataio.batch import PaddedBatch
from torch import Tensor

from focalaudio.interpreters.base import Interpretation, Interpreter
from focalaudio.metrics.curves import judge_curves
from focalaudio.metrics.table import (
    Sources,
    ceiling_interpretations,
    judge_interpretation,
    judge_sources,
)
from focalaudio.metrics.tracker import ClipTracker


class InterpreterBrain(sb.Brain):
    """Test interpreters on what they keep and what they remove.

    The clips are analyzed and classified once, whatever the number of
    interpreters; each of these then has its kept and removed parts classified
    in one batch. Where the sources of a clip are known (see
    `focalaudio.data.conditions`), masks are compared with them too, without
    any other pass.

    Arguments
    ---------
    modules : dict
        `interpreter`, so that it is on the right device.
    opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain; see `HPARAMS_NEEDED` for the keys of `hparams`.
        `interpreter` comes first, `compared` are others of the same
        classifier; `exporter` is called with each batch's record of the
        first, or is None; `curve_steps` above 0 adds insertion and deletion
        curves of so many steps, the only metrics that cost further passes.

    Example
    -------
    >>> InterpreterBrain.HPARAMS_NEEDED[:2]
    ('interpreter', 'compared')
    """

    HPARAMS_NEEDED: tuple[str, ...] = (
        "interpreter",
        "compared",
        "curve_steps",
        "labels",
        "exporter",
    )
    MODULES_NEEDED: tuple[str, ...] = ("interpreter",)

    trackers: dict[str, ClipTracker]

    @property
    def interpreter(self) -> Interpreter:
        """The interpreter itself, never wrapped for several devices."""
        return self.hparams.interpreter

    @property
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
    def tracker(self) -> ClipTracker:
        """The rows of the first interpreter."""
        return self.trackers[self.interpreter.name]

    def compute_forward(
        self, batch: PaddedBatch, stage: sb.Stage
    ) -> dict[str, Interpretation]:
        """Interpret the classifier's own predictions, each name its way."""
        wavs, lens = batch.to(self.device).sig
        seen = self.interpreter.look(wavs, lens)
        return {
            name: interpreter.interpret(*seen)
            for name, interpreter in self.interpreters.items()
        }

    def compute_objectives(
        self,
        predictions: Mapping[str, Interpretation],
        batch: PaddedBatch,
        stage: sb.Stage,
    ) -> Tensor:
        """Judge every interpretation; return the classifier's loss."""
        targets = torch.as_tensor(batch.target, device=self.device)
        sources = self.find_sources(batch)
        for name, interpretation in predictions.items():
            columns = self.judge(interpretation, targets)
            if sources is not None:
                columns |= judge_sources(interpretation, sources)
            self.record(name, batch, interpretation.logits, columns)
        first = predictions[self.interpreter.name]
        if sources is not None:
            ceilings = ceiling_interpretations(first, sources)
            for name, interpretation in ceilings.items():
                columns = judge_sources(interpretation, sources)
                columns["kept_fraction"] = interpretation.kept_fraction
                self.record(name, batch, interpretation.logits, columns)
        if self.hparams.exporter is not None:
            self.hparams.exporter(first, batch.id, batch.label)
        return F.cross_entropy(first.logits.float(), targets)

    def judge(
        self, interpretation: Interpretation, targets: Tensor
    ) -> dict[str, Tensor]:
        """Classify the parts; return the columns that need no source."""
        parts = self.interpreter.classify_parts(interpretation)
        columns = judge_interpretation(interpretation, parts, targets)
        if self.hparams.curve_steps:
            columns |= judge_curves(
                interpretation.saliency,
                interpretation.log_magnitude,
                interpretation.spectrum.n_frames,
                lambda *parts: self.interpreter.classifier(*parts).logits,
                interpretation.class_ids,
                self.hparams.curve_steps,
            )
        return columns

    def find_sources(self, batch: PaddedBatch) -> Sources | None:
        """Analyze a batch's known sources, if it has any."""
        if not hasattr(batch, "first"):
            return None
        (first, lens), (second, _) = batch.first, batch.second
        energies = (
            self.interpreter.spectrogram(wavs, lens).stft.square().sum(-1)
            for wavs in (first, second)
        )
        targets = (
            torch.as_tensor(ids, device=self.device)
            for ids in (batch.target, batch.other_target)
        )
        return Sources(first, second, *energies, *targets)

    def record(
        self,
        name: str,
        batch: PaddedBatch,
        logits: Tensor,
        columns: Mapping[str, Tensor],
    ) -> None:
        """Remember each clip's row under an interpreter's name."""
        labels: Sequence[str] = self.hparams.labels
        said = [labels[i] for i in logits.argmax(-1).tolist()]
        row: dict[str, Any] = {"label": batch.label, "predicted": said}
        tracker = self.trackers.setdefault(name, ClipTracker())
        tracker.update(batch.id, row | dict(columns))

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start counting."""
        self.trackers = {name: ClipTracker() for name in self.interpreters}

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of all processes, by the interpreters' names."""
        return {name: each.rows() for name, each in self.trackers.items()}
