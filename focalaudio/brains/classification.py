"""Train and test a sound classifier with SpeechBrain's Brain."""

from __future__ import annotations

from typing import Any

import speechbrain as sb
import torch
import torch.nn.functional as F
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.nnet.schedulers import update_learning_rate
from torch import Tensor

from focalaudio.brains.resumable import ResumableBrain
from focalaudio.classifier import (
    ClassifierOutput,
    LinearHead,
    SoundClassifier,
)
from focalaudio.evidence import evidence_loss, is_dominant
from focalaudio.metrics.functional import accuracy, predicted_probability
from focalaudio.metrics.tracker import ClipTracker


class ClassifierBrain(ResumableBrain):
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

    Example
    -------
    >>> sorted(ClassifierBrain.MODULES_NEEDED)
    ['augment', 'classifier', 'mask_spectrogram', 'mixer', 'spectrogram']
    """

    HPARAMS_NEEDED = (
        "evidence_floor",
        "evidence_weight",
        "history",
        "label_smoothing",
        "labels",
        "schedule",
        "select_by",
        "train_logger",
    )
    MODULES_NEEDED = (
        "augment",
        "mixer",
        "mask_spectrogram",
        "spectrogram",
        "classifier",
    )

    SELECTABLE = ("error", "loss")  # of the validation fold, lower is better

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

    def compute_forward(
        self, batch: PaddedBatch, stage: sb.Stage
    ) -> ClassifierOutput:
        """Augment (in training), analyze, classify.

        What the batch became is left in it: `batch.mixed` (a `MixedClips`),
        `batch.targets` `[batch, n_classes]` and `batch.spectrum`.
        """
        batch = batch.to(self.device)
        wavs, lens = batch.sig
        n_classes = len(self.hparams.labels)
        targets = F.one_hot(torch.as_tensor(batch.target), n_classes)
        augmented = self.modules.augment(wavs, lens, targets.to(wavs))
        batch.mixed = mixed = self.modules.mixer.mix(*augmented)
        batch.targets = mixed.targets
        batch.spectrum = spectrum = self.modules.spectrogram(
            mixed.wavs, mixed.lens
        )
        visible = self.modules.mask_spectrogram(spectrum.log_magnitude)
        return self.modules.classifier(visible, spectrum.n_frames)

    def compute_objectives(
        self, predictions: ClassifierOutput, batch: PaddedBatch, stage: sb.Stage
    ) -> Tensor:
        """Return the cross-entropy; remember each clip in evaluation."""
        logits = predictions.logits.float()
        smoothing = self.hparams.label_smoothing
        if stage == sb.Stage.TRAIN:
            loss = F.cross_entropy(
                logits, batch.targets, label_smoothing=smoothing
            )
            weight = self.hparams.evidence_weight
            return loss + weight * self.evidence_loss(predictions, batch)
        losses = F.cross_entropy(logits, batch.targets, reduction="none")
        self.tracker.update(batch.id, self.columns(logits, batch, losses))
        return losses.mean()

    def evidence_loss(
        self, predictions: ClassifierOutput, batch: PaddedBatch
    ) -> Tensor | float:
        """Return the loss on each cell's evidence, 0 if it weighs nothing."""
        if not self.hparams.evidence_weight:
            return 0.0
        mixed, spectrum = batch.mixed, batch.spectrum
        own, added = (
            self.modules.spectrogram(wavs, mixed.lens).stft
            for wavs in (mixed.own, mixed.added)
        )
        return evidence_loss(
            self.classifier.cell_logits(predictions),
            spectrum.log_magnitude,
            is_dominant(own, added),
            spectrum.n_frames,
            mixed.own_targets,
            mixed.added_targets,
            self.hparams.evidence_floor,
        )

    def columns(
        self, logits: Tensor, batch: PaddedBatch, losses: Tensor
    ) -> dict[str, Any]:
        """Return the columns that a clip has in `clips.csv`."""
        labels = self.hparams.labels
        targets = batch.targets.argmax(-1)
        return {
            "label": batch.label,
            "predicted": [labels[i] for i in logits.argmax(-1).tolist()],
            "probability": predicted_probability(logits, logits),
            "accuracy": accuracy(logits, targets),
            "loss": losses,
        }

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start counting; set the epoch's learning rate."""
        self.tracker = ClipTracker()
        if stage == sb.Stage.TRAIN:
            update_learning_rate(self.optimizer, self.hparams.schedule(epoch))

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
        rate = self.hparams.schedule(epoch)
        self.hparams.history.add(
            {
                "epoch": epoch,
                "lr": rate,
                "train_loss": self.train_loss,
                "valid_loss": loss,
                "valid_accuracy": 1 - error,
            }
        )
        self.hparams.train_logger.log_stats(
            {"epoch": epoch, "lr": rate},
            train_stats={"loss": self.train_loss},
            valid_stats=stats,
        )
        if self.checkpointer is not None:
            self.checkpointer.save_and_keep_only(
                meta={"error": error, "loss": loss, "epoch": epoch},
                min_keys=[self.hparams.select_by],
            )

    def best_epoch(self) -> int | None:
        """Return the epoch of the checkpoint that `select_by` finds best."""
        if self.checkpointer is None:
            return None
        best = self.checkpointer.find_checkpoint(min_key=self.hparams.select_by)
        return best.meta.get("epoch") if best else None
