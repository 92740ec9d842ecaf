"""Train PIQ with SpeechBrain's Brain; the classifier's features come once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.nnet.schedulers import update_learning_rate
from torch import Tensor

from focalaudio.brains.interpretation import InterpreterBrain
from focalaudio.brains.resumable import ResumableBrain
from focalaudio.classifier import ClassifierOutput
from focalaudio.interpreters.decoders import Decoded
from focalaudio.interpreters.piq import PIQInterpreter, PIQLoss
from focalaudio.masks import keep_and_remove
from focalaudio.metrics.columns import part_columns
from focalaudio.metrics.tracker import ClipTracker
from focalaudio.spectrogram import Spectrum

logger = logging.getLogger(__name__)


class FeatureCache:
    """Remember what a frozen classifier said of each clip.

    Example
    -------
    >>> cache = FeatureCache()
    >>> output = ClassifierOutput(torch.eye(2), torch.eye(2), torch.eye(2), ())
    >>> cache.add(["a", "b"], output)
    >>> cache.find(["b"]).logits, cache.find(["c"])
    (tensor([[0., 1.]]), None)
    """

    def __init__(self) -> None:
        self._clips: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    def add(self, clip_ids: Sequence[str], output: ClassifierOutput) -> None:
        """Remember a batch; its maps are not kept."""
        columns = (output.logits, output.embeddings, output.features)
        rows = zip(*(column.detach().cpu() for column in columns), strict=True)
        self._clips.update(zip(clip_ids, rows, strict=True))

    def find(self, clip_ids: Sequence[str]) -> ClassifierOutput | None:
        """Return a batch on the CPU, or None if a clip is not there."""
        if not all(clip_id in self._clips for clip_id in clip_ids):
            return None
        rows = [self._clips[clip_id] for clip_id in clip_ids]
        logits, embeddings, features = map(torch.stack, zip(*rows, strict=True))
        return ClassifierOutput(logits, embeddings, features, ())


@dataclass(frozen=True)
class PIQOutput:
    """One training step's forward pass.

    Arguments
    ---------
    spectrum : Spectrum
        Of the clips.
    output : ClassifierOutput
        Of the frozen classifier.
    decoded : Decoded
        Of the decoder in training.

    Example
    -------
    >>> [field for field in PIQOutput.__dataclass_fields__]
    ['spectrum', 'output', 'decoded']
    """

    spectrum: Spectrum
    output: ClassifierOutput
    decoded: Decoded


class PIQBrain(ResumableBrain, InterpreterBrain):
    """Train PIQ's decoder, select it by fidelity, test it as any interpreter.

    Arguments
    ---------
    modules : dict
        `augment`, `spectrogram`, `classifier` (frozen) and `decoder`.
    opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain; see `HPARAMS_NEEDED` for the keys of `hparams`.

    Example
    -------
    >>> "reconstruction_weight" in PIQBrain.HPARAMS_NEEDED
    True
    """

    HPARAMS_NEEDED = (
        *InterpreterBrain.HPARAMS_NEEDED,
        "reconstruction_weight",
        "schedule",
        "history",
        "select_by",
        "train_logger",
    )
    MODULES_NEEDED = ("augment", "spectrogram", "classifier", "decoder")

    SELECTABLE = ("score", "fidelity", "epoch")  # higher is better

    losses: ClipTracker
    train_losses: dict[str, float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache = FeatureCache()

    def on_fit_start(self) -> None:
        """Say whether the classifier's features are computed once; resume."""
        super().on_fit_start()
        if self.modules.augment.is_active:
            logger.info(
                "Augmentation is on: the classifier's features are computed "
                "for every clip in every epoch."
            )
        else:
            logger.info("The classifier's features are computed once per clip.")

    @property
    def interpreter(self) -> PIQInterpreter:
        """The interpreter itself, never wrapped for several devices."""
        return self.hparams.interpreter

    def compute_forward(self, batch: PaddedBatch, stage: sb.Stage) -> Any:
        """Return a `PIQOutput`, or when testing interpretations."""
        if stage == sb.Stage.TEST:
            return super().compute_forward(batch, stage)
        wavs, lens = batch.to(self.device).sig
        wavs, lens, _ = self.modules.augment(wavs, lens, wavs[:, :1])
        spectrum = self.modules.spectrogram(wavs, lens)
        output = self.look(batch.id, spectrum, stage)
        decoded = self.modules.decoder(output.features, output.class_ids)
        return PIQOutput(spectrum, output, decoded)

    @torch.no_grad()
    def look(
        self, clip_ids: Sequence[str], spectrum: Spectrum, stage: sb.Stage
    ) -> ClassifierOutput:
        """Return what the classifier says, computed once for fixed clips."""
        fixed = stage != sb.Stage.TRAIN or not self.modules.augment.is_active
        known = self.cache.find(clip_ids) if fixed else None
        if known is None:
            known = self.modules.classifier(
                spectrum.log_magnitude, spectrum.n_frames
            )
            if fixed:
                self.cache.add(clip_ids, known)
        return ClassifierOutput(
            known.logits.to(self.device),
            known.embeddings.to(self.device),
            known.features.to(self.device),
            (),
        )

    def compute_objectives(
        self,
        predictions: Any,
        batch: PaddedBatch,
        stage: sb.Stage,
    ) -> Tensor:
        """Return the weighted loss; judge the parts in validation."""
        if stage == sb.Stage.TEST:
            return super().compute_objectives(predictions, batch, stage)
        loss = self.interpreter.compute_loss(
            predictions.decoded, predictions.spectrum
        )
        total = loss.total(self.hparams.reconstruction_weight)
        self.remember(loss, total, batch.id)
        if stage == sb.Stage.VALID:
            self.validate(predictions, batch)
        return total

    def remember(
        self, loss: PIQLoss, total: Tensor, clip_ids: Sequence[str]
    ) -> None:
        """Log each term of the loss, weighted by the batch's clips."""
        terms = {
            "loss": total,
            "reconstruction": loss.reconstruction,
            "codebook": loss.codebook,
            "commitment": loss.commitment,
        }
        n_clips = len(clip_ids)
        self.losses.update(
            clip_ids,
            {
                name: term.detach().expand(n_clips)
                for name, term in terms.items()
            },
        )

    def validate(self, predictions: PIQOutput, batch: PaddedBatch) -> None:
        """Classify kept and removed parts in one batch, and judge them."""
        spectrum, logits = predictions.spectrum, predictions.output.logits
        mask = self.interpreter.draw_mask(predictions.decoded, spectrum)
        parts = torch.cat(keep_and_remove(mask, spectrum.log_magnitude))
        judged = self.modules.classifier(parts, spectrum.n_frames.repeat(2))
        targets = torch.as_tensor(batch.target, device=self.device)
        kept, removed = judged.logits.chunk(2)
        columns = part_columns(logits, kept, removed, targets)
        self.record(self.interpreter.name, batch, logits, columns)

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start counting; set the epoch's learning rate."""
        super().on_stage_start(stage, epoch)
        self.losses = ClipTracker()
        if stage == sb.Stage.TRAIN:
            update_learning_rate(self.optimizer, self.hparams.schedule(epoch))

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """Log every term; keep the checkpoint with the best fidelity."""
        if stage == sb.Stage.TEST:
            tested = {"fidelity": self.tracker.mean("fidelity")}
            self.hparams.train_logger.log_stats({}, test_stats=tested)
            return
        terms = {
            name: self.losses.mean(name)
            for name in ("loss", "reconstruction", "codebook", "commitment")
        }
        if stage == sb.Stage.TRAIN:
            self.train_losses = terms
            return
        fidelity = self.tracker.mean("fidelity")
        valid = {**terms, "fidelity": fidelity}
        stats = {"epoch": epoch, "lr": self.hparams.schedule(epoch)}
        self.hparams.train_logger.log_stats(
            stats, train_stats=self.train_losses, valid_stats=valid
        )
        self.hparams.history.add(
            stats
            | {
                f"train_{name}": value
                for name, value in self.train_losses.items()
            }
            | {f"valid_{name}": value for name, value in valid.items()}
        )
        if self.checkpointer is not None:
            # of equally faithful decoders the one with the lower loss
            self.checkpointer.save_and_keep_only(
                meta={
                    "epoch": epoch,
                    "fidelity": fidelity,
                    "score": fidelity - 1e-4 * terms["reconstruction"],
                },
                max_keys=[self.hparams.select_by],
            )
