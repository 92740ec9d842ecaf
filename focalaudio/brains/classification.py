"""Train and test a sound classifier with SpeechBrain's Brain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from torch import Tensor

from focalaudio.augment import MixedClips
from focalaudio.brains.averaging import swap_weights
from focalaudio.brains.training import TrainingBrain
from focalaudio.classifier import LinearHead, SoundClassifier
from focalaudio.contract import ClassifierOutput
from focalaudio.decisions import mark_classes
from focalaudio.evidence import evidence_loss, share_loss, visible_share
from focalaudio.interpreters.maps import by_design, choose_maps
from focalaudio.metrics.calibration import find_temperature
from focalaudio.metrics.functional import answer_columns, predicted_probability
from focalaudio.metrics.precision import mean_precision
from focalaudio.metrics.tracker import ClipTracker
from focalaudio.processes import gather
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

    Of one label for each clip, or of several, as the classifier says (see
    `focalaudio.decisions`). The error, by which a checkpoint is selected, is 1
    less the accuracy, or of several labels the mean average precision.
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
    answers: ClipTracker  # logits, and which classes are true
    train_loss: float
    temperature: float = 1.0  # of what is tested

    @property
    def classifier(self) -> SoundClassifier:
        """The classifier itself, never wrapped for several processes."""
        return self.trained("classifier")

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
        super().on_fit_batch_end(batch, outputs, loss, should_step)
        if should_step:
            self.hparams.average.update_parameters(self.classifier)

    def compute_forward(self, batch: PaddedBatch, stage: sb.Stage) -> _Step:
        """Augment (in training), analyze, classify."""
        wavs, lens = batch.to(self.device).sig
        decision = self.classifier.decision
        targets = mark_classes(batch.target, len(self.hparams.labels)).to(wavs)
        wavs, lens, soft = self.modules.outliers(wavs, lens, targets, decision)
        wavs, lens = self.modules.augment(wavs, lens)
        mixed = self.modules.mixer(wavs, lens, soft, decision)
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
        decision = mixed.decision
        # a class that is not there, of half the clips to which none was added
        explained = torch.where(
            torch.rand(len(mixed.lens), device=self.device) < 0.5,
            decision.draw(mixed.own_targets),
            decision.draw(mixed.added_targets),
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
        parts = (share, mixed.own_targets, mixed.added_targets)
        masked = views.masked[:, None]
        targets = torch.where(
            masked, decision.show(*parts), decision.mix(*parts)
        )
        targets = decision.forget(targets, explained, views.cut_out)
        # what a mask hides is no silence that has to be learnt
        floor = self.hparams.evidence_floor * (~views.masked).float()
        output = self._classify(visible, spectrum.n_frames, sb.Stage.TRAIN)
        return _Step(mixed, targets, spectrum, visible, floor, output, powers)

    def _classify(
        self, log_magnitude: Tensor, n_frames: Tensor, stage: sb.Stage
    ) -> ClassifierOutput:
        """Classify a batch; in training the images end where its clips do."""
        if stage == sb.Stage.TRAIN:
            return self.modules.classifier(log_magnitude, n_frames, snug=True)
        return self.classifier(log_magnitude, n_frames)

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
        own = self.modules.spectrogram.transform(mixed.own, spectrum.n_samples)
        return power_spectrum(own), power_spectrum(spectrum.stft - own)

    def compute_objectives(
        self, predictions: _Step, batch: PaddedBatch, stage: sb.Stage
    ) -> Tensor:
        """Return the cross-entropy; remember each clip in evaluation."""
        logits = predictions.output.logits.float()
        if stage == sb.Stage.TRAIN:
            losses = self.classifier.decision.losses(
                logits, predictions.targets, self.hparams.label_smoothing
            )
            return losses.mean() + self._cell_losses(predictions)
        losses = self.classifier.decision.losses(logits, predictions.targets)
        rows = self._describe(logits, predictions.targets, batch, losses)
        self.tracker.update(batch.id, rows)
        answers = {"logits": logits, "marked": predictions.targets}
        self.answers.update(batch.id, answers)
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
                cells,
                step.weighed,
                *powers,
                pool,
                *targets,
                step.floor,
                mixed.decision,
            )
        if fine:
            shares = self.classifier.share_logits(step.output)
            loss = loss + fine * share_loss(
                shares,
                *powers,
                step.weighed,
                pool,
                *targets,
                step.floor,
                mixed.decision,
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
        decision = self.classifier.decision
        return {
            "label": batch.label,
            "predicted": decision.name(logits, self.hparams.labels),
            "probability": predicted_probability(logits, logits, decision),
            "probability_scaled": predicted_probability(
                logits / self.temperature, logits, decision
            ),
            **answer_columns(logits, targets, decision),
            "energy": decision.energy(logits),
            "loss": losses,
        }

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start counting; train the weights that stood back for the average."""
        super().on_stage_start(stage, epoch)
        self.tracker, self.answers = ClipTracker(), ClipTracker()
        if stage == sb.Stage.TEST and self.checkpointer is not None:
            self.temperature = self._best("temperature") or 1.0
        if stage == sb.Stage.TRAIN and self.hparams.average.n_averaged > 0:
            swap_weights(self.classifier, self.hparams.average.module)

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """Log; after validation, keep the checkpoint if it is the best."""
        if stage == sb.Stage.TRAIN:
            # of all processes, which have as many batches each
            self.train_loss = fmean(gather(float(stage_loss)))
            # what is validated, saved and tested is the average
            swap_weights(self.classifier, self.hparams.average.module)
            if not self.validates:
                train = {"loss": self.train_loss}
                row = {"train_loss": self.train_loss}
                self.close_epoch(epoch, train, {}, row, {})
            return
        loss, (name, score) = self.tracker.mean("loss"), self._score()
        stats = {"loss": loss, "error": 1 - score}
        if stage == sb.Stage.TEST:
            self.hparams.train_logger.log_stats(
                {"best epoch tested": self.best_epoch()}, test_stats=stats
            )
            return
        row = {
            "train_loss": self.train_loss,
            "valid_loss": loss,
            f"valid_{name}": score,
        }
        self.temperature = self._find_temperature()
        meta = stats | {"temperature": self.temperature}
        self.close_epoch(epoch, {"loss": self.train_loss}, stats, row, meta)

    def _score(self) -> tuple[str, float]:
        """Return what is 1 when nothing is wrong, and its name."""
        if not self.classifier.decision.is_several:
            return "accuracy", self.tracker.mean("accuracy")
        return "average_precision", mean_precision(*self.said())

    def said(self) -> tuple[Tensor, Tensor]:
        """Return what was said of the stage's clips, sorted, and what is true.

        Logits and marks (1 of the true classes), each `[clips, n_classes]`.
        """
        rows = self.answers.rows()
        logits, marked = (
            torch.tensor([row[name] for row in rows])
            for name in ("logits", "marked")
        )
        return logits, marked

    def _find_temperature(self) -> float:
        """Return the temperature that fits the validated clips best."""
        return find_temperature(*self.said(), self.classifier.decision)

    def best_epoch(self) -> int | None:
        """Return the epoch of the checkpoint that `select_by` finds best."""
        return self._best("epoch")

    def _best(self, key: str) -> Any:
        """Read the metadata of the best checkpoint; None if there is none."""
        if self.checkpointer is None:
            return None
        best = self.checkpointer.find_checkpoint(**self.selection)
        return best.meta.get(key) if best else None
