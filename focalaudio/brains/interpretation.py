"""Interpret a fold with SpeechBrain's Brain: one pass, one row per clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import speechbrain as sb
import torch
import torch.nn.functional as F
from speechbrain.dataio.batch import PaddedBatch
from torch import Tensor

from focalaudio.interpreters.base import Interpretation, Interpreter
from focalaudio.metrics.functional import judge_parts
from focalaudio.metrics.tracker import ClipTracker


class InterpreterBrain(sb.Brain):
    """Test an interpreter on what it keeps and what it removes.

    Arguments
    ---------
    modules : dict
        `interpreter`, so that it is on the right device.
    opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain; see `HPARAMS_NEEDED` for the keys of `hparams`.
        `exporter` is called with each batch's record, or is None.

    Example
    -------
    >>> InterpreterBrain.HPARAMS_NEEDED
    ('interpreter', 'labels', 'exporter')
    """

    HPARAMS_NEEDED: tuple[str, ...] = ("interpreter", "labels", "exporter")
    MODULES_NEEDED: tuple[str, ...] = ("interpreter",)

    tracker: ClipTracker

    @property
    def interpreter(self) -> Interpreter:
        """The interpreter itself, never wrapped for several devices."""
        return self.hparams.interpreter

    def compute_forward(
        self, batch: PaddedBatch, stage: sb.Stage
    ) -> Interpretation:
        """Interpret the classifier's own predictions."""
        wavs, lens = batch.to(self.device).sig
        return self.interpreter(wavs, lens)

    def compute_objectives(
        self, predictions: Interpretation, batch: PaddedBatch, stage: sb.Stage
    ) -> Tensor:
        """Judge the parts; return the classifier's cross-entropy."""
        parts = self.interpreter.judge(predictions)
        size = {"kept_fraction": predictions.kept_fraction}
        self.record(batch, predictions.logits, parts, size)
        if self.hparams.exporter is not None:
            self.hparams.exporter(predictions, batch.id, batch.label)
        targets = torch.as_tensor(batch.target, device=self.device)
        return F.cross_entropy(predictions.logits.float(), targets)

    def record(
        self,
        batch: PaddedBatch,
        logits: Tensor,
        parts: Sequence[Tensor],
        columns: Mapping[str, Tensor],
    ) -> None:
        """Remember each clip's row; `parts` are the logits of kept, removed."""
        labels = self.hparams.labels
        targets = torch.as_tensor(batch.target, device=logits.device)
        names = {
            "label": batch.label,
            "predicted": [labels[i] for i in logits.argmax(-1).tolist()],
        }
        kept, removed = parts
        judged = judge_parts(logits, kept, removed, targets)
        self.tracker.update(batch.id, names | judged | dict(columns))

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start counting."""
        self.tracker = ClipTracker()
