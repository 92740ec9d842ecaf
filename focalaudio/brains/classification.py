"""Train and test a sound classifier with SpeechBrain's Brain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import speechbrain as sb
import torch
import torch.nn.functional as F
from speechbrain.dataio.batch import PaddedBatch
from torch import Tensor

from focalaudio.augment import MixedClips
from focalaudio.brains.training import TrainingBrain
from focalaudio.classifier import (
    ClassifierOutput,
    LinearHead,
    SoundClassifier,
)
from focalaudio.evidence import evidence_loss, is_dominant
from focalaudio.metrics.functional import accuracy, predicted_probability
from focalaudio.metrics.tracker import ClipTracker
from focalaudio.spectrogram import Spectrum


@dataclass(frozen=True)
class _Step:
    """One batch: its mixtures, their targets and spectrum, what was said."""

    mixed: MixedClips
    targets: Tensor
    spectrum: Spectrum
    output: ClassifierOutput


class ClassifierBrain(TrainingBrain):
    """`waveforms -> log-magnitude -> logits -> cross-entropy`.

    With `evidence_weight` above 0 the evidence in every cell is trained too,
    on what is louder there (see `focalaudio.evidence`).

    Arguments
    ---------
    modules : dict
        `augment`, `mixer` and `mask_spectrogram` (see `focalaudio.augment`),
        `spectrogram`, `classifier`.
    opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain; see `HPARAMS_NEEDED` for the keys of `hparams`.
    """

    HPARAMS_NEEDED = (
        *TrainingBrain.HPARAMS_NEEDED,
        "evidence_floor",
        "evidence_weight",
        "label_smoothing",
        "labels",
    )
    MODULES_NEEDED = (
        "augment",
        "mixer",
        "mask_spectrogram",
        "spectrogram",
        "classifier",
    )

    SELECTABLE = ("error", "loss")  # of the validation fold

    tracker: ClipTracker
    train_loss: float

    @property
    def classifier(self) -> SoundClassifier:
        """The classifier itself, never wrapped for several devices."""
        wrapped = self.modules.classifier
        return getattr(wrapped, "module", wrapped)

    def on_fit_start(self) -> None:
        """Refuse cells that a head in training cannot weigh; resume."""
        linear = isinstance(self.classifier.head, LinearHead)
        if self.hparams.evidence_weight and not linear:
            raise ValueError(
                f"evidence_weight={self.hparams.evidence_weight} needs "
                "head=linear: the cosine head normalizes over the batch while "
                "it is trained, so that a cell's evidence is no part of the "
                "logit then."
            )
        super().on_fit_start()

    def compute_forward(self, batch: PaddedBatch, stage: sb.Stage) -> _Step:
        """Augment (in training), analyze, classify."""
        wavs, lens = batch.to(self.device).sig
        targets = F.one_hot(
            torch.as_tensor(batch.target), len(self.hparams.labels)
        )
        mixed = self.modules.mixer(
            *self.modules.augment(wavs, lens), targets.to(wavs)
        )
        spectrum = self.modules.spectrogram(mixed.wavs, mixed.lens)
        visible = self.modules.mask_spectrogram(spectrum.log_magnitude)
        output = self.modules.classifier(visible, spectrum.n_frames)
        return _Step(mixed, mixed.targets, spectrum, output)

    def compute_objectives(
        self, predictions: _Step, batch: PaddedBatch, stage: sb.Stage
    ) -> Tensor:
        """Return the cross-entropy; remember each clip in evaluation."""
        logits = predictions.output.logits.float()
        smoothing = self.hparams.label_smoothing
        if stage == sb.Stage.TRAIN:
            loss = F.cross_entropy(
                logits, predictions.targets, label_smoothing=smoothing
            )
            weight = self.hparams.evidence_weight
            return loss + weight * self.evidence_loss(predictions)
        losses = F.cross_entropy(logits, predictions.targets, reduction="none")
        rows = self._describe(logits, predictions.targets, batch, losses)
        self.tracker.update(batch.id, rows)
        return losses.mean()

    def evidence_loss(self, step: _Step) -> Tensor | float:
        """Return the loss on each cell's evidence, 0 if it weighs nothing."""
        if not self.hparams.evidence_weight:
            return 0.0
        mixed, spectrum = step.mixed, step.spectrum
        own, added = (
            self.modules.spectrogram(wavs, mixed.lens).stft
            for wavs in (mixed.own, mixed.added)
        )
        return evidence_loss(
            self.classifier.cell_logits(step.output),
            spectrum.log_magnitude,
            is_dominant(own, added),
            spectrum.n_frames,
            mixed.own_targets,
            mixed.added_targets,
            self.hparams.evidence_floor,
        )

    def _describe(
        self,
        logits: Tensor,
        targets: Tensor,
        batch: PaddedBatch,
        losses: Tensor,
    ) -> dict[str, Any]:
        """Return the columns that a clip has in `clips.csv`."""
        labels = self.hparams.labels
        return {
            "label": batch.label,
            "predicted": [labels[i] for i in logits.argmax(-1).tolist()],
            "probability": predicted_probability(logits, logits),
            "accuracy": accuracy(logits, targets.argmax(-1)),
            "loss": losses,
        }

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start counting; set the epoch's learning rate."""
        super().on_stage_start(stage, epoch)
        self.tracker = ClipTracker()

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """Log; after validation, keep the checkpoint if it is the best."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = float(stage_loss)
            return
        loss = self.tracker.mean("loss")
        error = 1 - self.tracker.mean("accuracy")
        stats = {"loss": loss, "error": error}
        if stage == sb.Stage.TEST:
            self.hparams.train_logger.log_stats(
                {"best epoch tested": self.best_epoch()}, test_stats=stats
            )
            return
        row = {
            "train_loss": self.train_loss,
            "valid_loss": loss,
            "valid_accuracy": 1 - error,
        }
        self.close_epoch(epoch, {"loss": self.train_loss}, stats, row, stats)

    def best_epoch(self) -> int | None:
        """Return the epoch of the checkpoint that `select_by` finds best."""
        if self.checkpointer is None:
            return None
        best = self.checkpointer.find_checkpoint(min_key=self.hparams.select_by)
        return best.meta.get("epoch") if best else None
