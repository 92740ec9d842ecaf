"""Train and test a sound classifier with SpeechBrain's Brain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import speechbrain as sb
import torch
import torch.nn.functional as F
from speechbrain.dataio.batch import PaddedBatch
from torch import Tensor

from focalaudio.augment import MixedClips
from focalaudio.brains.averaging import swap_weights
from focalaudio.brains.training import TrainingBrain
from focalaudio.classifier import LinearHead, SoundClassifier
from focalaudio.contract import ClassifierOutput
from focalaudio.evidence import (
    evidence_loss,
    share_loss,
    spread_class,
    visible_share,
)
from focalaudio.interpreters.maps import by_design, choose_maps
from focalaudio.metrics.calibration import find_temperature
from focalaudio.metrics.functional import accuracy, predicted_probability
from focalaudio.metrics.tracker import ClipTracker
from focalaudio.spectrogram import Spectrum, power_spectrum


@dataclass(frozen=True)
class _Step:
    """One batch: its mixtures, their targets and spectrum, what was said."""

    mixed: MixedClips
    targets: Tensor
    spectrum: Spectrum
    weighed: Tensor  # the log-magnitude by which cells count in their losses
    floor: float | Tensor  # added to that, in means of a clip
    output: ClassifierOutput
    powers: tuple[Tensor, Tensor] | None = None  # of both parts, if known


class ClassifierBrain(TrainingBrain):
    """`waveforms -> log-magnitude -> logits -> cross-entropy`.

    With `evidence_weight` above 0 the evidence in every cell is trained too,
    on what is louder there, and with `share_weight` what the share decoder, if
    there is one, makes of it (see `focalaudio.evidence`). With `views` some
    clips are shown in part. What is validated and kept is the average of the
    weights. Each validation finds a temperature (see
    `focalaudio.metrics.calibration`), which a checkpoint's metadata has too;
    it is 1 without validation.

    Arguments
    ---------
    modules : dict
        `outliers`, `augment`, `mixer`, `mask_spectrogram` and `views` (see
        `focalaudio.augment`), `spectrogram`, `classifier`.
    opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain; see `HPARAMS_NEEDED` for the keys of `hparams`.
    """

    HPARAMS_NEEDED = (
        *TrainingBrain.HPARAMS_NEEDED,
        "average",
        "evidence_floor",
        "evidence_weight",
        "label_smoothing",
        "labels",
        "model",
        "share_weight",
    )
    MODULES_NEEDED = (
        "outliers",
        "augment",
        "mixer",
        "mask_spectrogram",
        "views",
        "spectrogram",
        "classifier",
    )

    SELECTABLE = ("error", "loss", "epoch")  # of the validation fold; the last

    tracker: ClipTracker
    train_loss: float
    temperature: float = 1.0  # of what is tested

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
        self.hparams.average.to(self.device)
        super().on_fit_start()

    def on_fit_batch_end(
        self, batch: Any, outputs: Any, loss: Any, should_step: bool
    ) -> None:
        """Let the step's weights into the average."""
        if should_step:
            self.hparams.average.update_parameters(self.classifier)

    def compute_forward(self, batch: PaddedBatch, stage: sb.Stage) -> _Step:
        """Augment (in training), analyze, classify."""
        wavs, lens = batch.to(self.device).sig
        targets = F.one_hot(
            torch.as_tensor(batch.target), len(self.hparams.labels)
        )
        wavs, lens, soft = self.modules.outliers(wavs, lens, targets.to(wavs))
        mixed = self.modules.mixer(*self.modules.augment(wavs, lens), soft)
        spectrum = self.modules.spectrogram(mixed.wavs, mixed.lens)
        visible = self.modules.mask_spectrogram(spectrum.log_magnitude)
        if self.modules.views.is_active:
            return self._show_parts(mixed, spectrum, visible)
        output = self._classify(visible, spectrum.n_frames, stage)
        weighed = spectrum.log_magnitude  # stripes or not
        floor = self.hparams.evidence_floor
        return _Step(mixed, mixed.targets, spectrum, weighed, floor, output)

    def _show_parts(
        self, mixed: MixedClips, spectrum: Spectrum, visible: Tensor
    ) -> _Step:
        """Mask some clips; their targets are those of what is visible."""
        explained = torch.where(
            torch.rand(len(mixed.lens), device=self.device) < 0.5,
            mixed.own_targets.argmax(1),
            mixed.added_targets.argmax(1),
        )
        views = self.modules.views(
            spectrum.log_magnitude,
            spectrum.n_frames,
            partial(self._find_maps, spectrum, explained),
        )
        rows = views.masked[:, None, None]
        shown = spectrum.log_magnitude * views.mask
        visible = torch.where(rows, shown, visible)
        powers = self._powers(mixed, spectrum)
        share = visible_share(*powers, views.mask)[:, None]
        targets = share * mixed.own_targets + (1 - share) * mixed.added_targets
        targets = spread_class(targets, explained, views.cut_out)
        # what a mask hides is no silence that has to be learnt
        floor = self.hparams.evidence_floor * (~views.masked).float()
        output = self._classify(visible, spectrum.n_frames, sb.Stage.TRAIN)
        return _Step(mixed, targets, spectrum, visible, floor, output, powers)

    def _classify(
        self, log_magnitude: Tensor, n_frames: Tensor, stage: sb.Stage
    ) -> ClassifierOutput:
        """Classify a batch; in training the images end where its clips do."""
        snug = stage == sb.Stage.TRAIN
        return self.modules.classifier(log_magnitude, n_frames, snug=snug)

    @torch.no_grad()
    def _find_maps(
        self, spectrum: Spectrum, explained: Tensor, rows: Tensor
    ) -> Tensor:
        """Explain the classes `[batch]` of some mixtures, by design."""
        classifier, rows = self.classifier, rows.to(self.device)
        log_magnitude = spectrum.log_magnitude[rows]
        n_frames = spectrum.n_frames[rows]
        part = replace(spectrum, log_magnitude=log_magnitude, n_frames=n_frames)
        classifier.eval()
        output = classifier(log_magnitude, n_frames, snug=True)
        maps = choose_maps(classifier, self.hparams.model.explanation.maps)
        found = by_design(classifier, output, part, explained[rows], maps=maps)
        classifier.train()
        return found

    def _powers(
        self, mixed: MixedClips, spectrum: Spectrum
    ) -> tuple[Tensor, Tensor]:
        """Return the power spectra of both parts; their STFTs add up."""
        own = self.modules.spectrogram(mixed.own, mixed.lens).stft
        return power_spectrum(own), power_spectrum(spectrum.stft - own)

    def compute_objectives(
        self, predictions: _Step, batch: PaddedBatch, stage: sb.Stage
    ) -> Tensor:
        """Return the cross-entropy; remember each clip in evaluation."""
        logits = predictions.output.logits.float()
        if stage == sb.Stage.TRAIN:
            loss = F.cross_entropy(
                logits,
                predictions.targets,
                label_smoothing=self.hparams.label_smoothing,
            )
            return loss + self._cell_losses(predictions)
        losses = F.cross_entropy(logits, predictions.targets, reduction="none")
        rows = self._describe(logits, predictions.targets, batch, losses)
        if stage == sb.Stage.VALID:
            class_ids = predictions.targets.argmax(-1)
            rows |= {"logits": logits, "class_id": class_ids}
        self.tracker.update(batch.id, rows)
        return losses.mean()

    def _cell_losses(self, step: _Step) -> Tensor | float:
        """Return the weighted losses on cells, 0 if they weigh nothing."""
        coarse, fine = self.hparams.evidence_weight, self.hparams.share_weight
        if self.classifier.share_decoder is None:
            fine = 0.0
        if not (coarse or fine):
            return 0.0
        powers = step.powers or self._powers(step.mixed, step.spectrum)
        mixed = step.mixed
        pool = partial(
            self.classifier.layout.pool,
            n_frames=step.spectrum.n_frames,
            spans=step.output.spans,
        )
        targets = (mixed.own_targets, mixed.added_targets)
        loss: Tensor | float = 0.0
        if coarse:
            cells = self.classifier.cell_logits(step.output)
            loss = coarse * evidence_loss(
                cells, step.weighed, *powers, pool, *targets, step.floor
            )
        if fine:
            shares = self.classifier.share_logits(step.output)
            loss = loss + fine * share_loss(
                shares, *powers, step.weighed, pool, *targets, step.floor
            )
        return loss

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
            "probability_scaled": predicted_probability(
                logits / self.temperature, logits
            ),
            "accuracy": accuracy(logits, targets.argmax(-1)),
            "loss": losses,
        }

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start counting; train the weights that stood back for the average."""
        super().on_stage_start(stage, epoch)
        self.tracker = ClipTracker()
        if stage == sb.Stage.TEST and self.checkpointer is not None:
            self.temperature = self._best("temperature") or 1.0
        if stage == sb.Stage.TRAIN and self.hparams.average.n_averaged > 0:
            swap_weights(self.classifier, self.hparams.average.module)

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """Log; after validation, keep the checkpoint if it is the best."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = float(stage_loss)
            # what is validated, saved and tested is the average
            swap_weights(self.classifier, self.hparams.average.module)
            if not self.validates:
                train = {"loss": self.train_loss}
                row = {"train_loss": self.train_loss}
                self.close_epoch(epoch, train, {}, row, {})
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
        self.temperature = self._find_temperature()
        meta = stats | {"temperature": self.temperature}
        self.close_epoch(epoch, {"loss": self.train_loss}, stats, row, meta)

    def _find_temperature(self) -> float:
        """Return the temperature that fits the validated clips best."""
        rows = self.tracker.rows()
        return find_temperature(
            torch.tensor([row["logits"] for row in rows]),
            torch.tensor([row["class_id"] for row in rows]),
        )

    def best_epoch(self) -> int | None:
        """Return the epoch of the checkpoint that `select_by` finds best."""
        return self._best("epoch")

    def _best(self, key: str) -> Any:
        """Read the metadata of the best checkpoint; None if there is none."""
        if self.checkpointer is None:
            return None
        best = self.checkpointer.find_checkpoint(**self.selection)
        return best.meta.get(key) if best else None
