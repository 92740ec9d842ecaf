"""Train PIQ with SpeechBrain's Brain; the classifier's features come once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from torch import Tensor

from focalaudio.brains.training import TrainingBrain
from focalaudio.classifier import ClassifierOutput
from focalaudio.interpreters.decoders import Decoded
from focalaudio.interpreters.piq import PIQInterpreter, PIQLoss
from focalaudio.masks import apply_mask
from focalaudio.metrics.functional import fidelity
from focalaudio.metrics.tracker import ClipTracker
from focalaudio.spectrogram import Spectrum, absolute_lengths

logger = logging.getLogger(__name__)

_TERMS = ("loss", "reconstruction", "codebook", "commitment")


class FeatureCache:
    """What a frozen classifier says of each clip, computed once.

    A run that was killed fills its cache in another epoch, so that nothing may
    depend on when a clip is seen first. The last bits do: each clip is looked
    at alone, without neighbors and their padding, and what the decoder gets
    is always stacked anew, since a convolution rounds differently where the
    memory has another layout.

    Arguments
    ---------
    look : callable
        From waveforms `[1, samples]` to a `ClassifierOutput`.

    Example
    -------
    >>> def look(wavs):
    ...     print("looks at", wavs)
    ...     return ClassifierOutput(wavs, wavs, wavs, ())
    >>> cache = FeatureCache(look)
    >>> _ = cache(["a"], torch.ones(1, 2), torch.ones(1))
    looks at tensor([[1., 1.]])
    >>> cache(["a"], torch.zeros(1, 2), torch.ones(1)).logits
    tensor([[1., 1.]])
    """

    def __init__(self, look: Callable[[Tensor], ClassifierOutput]) -> None:
        self.look = look
        self._clips: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    @torch.no_grad()
    def __call__(
        self, clip_ids: Sequence[str], wavs: Tensor, lens: Tensor
    ) -> ClassifierOutput:
        """Return logits, embeddings and features of a batch, on its device.

        `clip_ids` name the clips of `wavs` `[batch, samples]`, with relative
        `lens` `[batch]`; one that is known is not looked at.
        """
        lengths = absolute_lengths(lens, wavs).tolist()
        for clip_id, wav, length in zip(clip_ids, wavs, lengths, strict=True):
            if clip_id not in self._clips:
                self._clips[clip_id] = _only_row(self.look(wav[None, :length]))
        rows = zip(*(self._clips[clip_id] for clip_id in clip_ids), strict=True)
        logits, embeddings, features = (
            torch.stack(row).to(wavs.device) for row in rows
        )
        return ClassifierOutput(logits, embeddings, features, ())


def _only_row(seen: ClassifierOutput) -> tuple[Tensor, Tensor, Tensor]:
    return (
        seen.logits[0].cpu(),
        seen.embeddings[0].cpu(),
        seen.features[0].cpu(),
    )


@dataclass(frozen=True)
class _Step:
    """One batch: its spectrum, what the classifier said, what was decoded."""

    spectrum: Spectrum
    output: ClassifierOutput
    decoded: Decoded


class PIQBrain(TrainingBrain):
    """Train PIQ's decoder, and select it by its fidelity in validation.

    `InterpreterBrain` tests what was selected, as any other interpreter.

    Arguments
    ---------
    modules : dict
        `augment`, `spectrogram`, `classifier` (frozen) and `decoder`.
    opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain; see `HPARAMS_NEEDED` for the keys of `hparams`.
    """

    HPARAMS_NEEDED = (
        *TrainingBrain.HPARAMS_NEEDED,
        "interpreter",
        "reconstruction_weight",
    )
    MODULES_NEEDED = ("augment", "spectrogram", "classifier", "decoder")
    SELECTABLE = ("score", "fidelity", "epoch")
    LOWEST_IS_BEST = False

    tracker: ClipTracker
    train_losses: dict[str, float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache = FeatureCache(lambda wavs: self._look(wavs)[1])

    def on_fit_start(self) -> None:
        """Say whether the classifier's features are computed once; resume."""
        super().on_fit_start()
        augmented = self.modules.augment.is_active
        logger.info(
            "The classifier's features are computed %s.",
            "for every clip in every epoch, since augmentation is on"
            if augmented
            else "once per clip",
        )

    @property
    def interpreter(self) -> PIQInterpreter:
        """The interpreter itself, never wrapped for several devices."""
        return self.hparams.interpreter

    def compute_forward(self, batch: PaddedBatch, stage: sb.Stage) -> _Step:
        """Decode what the classifier says of a batch."""
        wavs, lens = batch.to(self.device).sig
        wavs, lens = self.modules.augment(wavs, lens)
        if stage == sb.Stage.TRAIN and self.modules.augment.is_active:
            spectrum, output = self._look(wavs, lens)
        else:
            spectrum = self.modules.spectrogram(wavs, lens)
            output = self.cache(batch.id, wavs, lens)
        decoded = self.modules.decoder(output.features, output.class_ids)
        return _Step(spectrum, output, decoded)

    @torch.no_grad()
    def _look(
        self, wavs: Tensor, lens: Tensor | None = None
    ) -> tuple[Spectrum, ClassifierOutput]:
        """Analyze and classify, on the device."""
        spectrum = self.modules.spectrogram(wavs, lens)
        return spectrum, self.modules.classifier(
            spectrum.log_magnitude, spectrum.n_frames
        )

    def compute_objectives(
        self, predictions: _Step, batch: PaddedBatch, stage: sb.Stage
    ) -> Tensor:
        """Return the weighted loss; measure fidelity in validation."""
        loss = self.interpreter.compute_loss(
            predictions.decoded, predictions.spectrum
        )
        total = loss.total(self.hparams.reconstruction_weight)
        columns = _expand(loss, total, len(batch.id))
        if stage == sb.Stage.VALID:
            columns["fidelity"] = self._fidelity(predictions)
        self.tracker.update(batch.id, columns)
        return total

    def _fidelity(self, step: _Step) -> Tensor:
        """Classify the kept parts, and compare with the whole clips."""
        spectrum = step.spectrum
        mask = self.interpreter.draw_mask(step.decoded, spectrum)
        kept = apply_mask(mask, spectrum.log_magnitude)
        said = self.modules.classifier(kept, spectrum.n_frames)
        return fidelity(step.output.logits, said.logits)

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start counting; set the epoch's learning rate."""
        super().on_stage_start(stage, epoch)
        self.tracker = ClipTracker()

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """Log every term; keep the checkpoint with the best fidelity."""
        stats = {name: self.tracker.mean(name) for name in _TERMS}
        if stage == sb.Stage.TRAIN:
            self.train_losses = stats
            return
        stats["fidelity"] = self.tracker.mean("fidelity")
        row = {
            f"train_{name}": each for name, each in self.train_losses.items()
        }
        row |= {f"valid_{name}": each for name, each in stats.items()}
        # of equally faithful decoders the one with the lower loss
        score = stats["fidelity"] - 1e-4 * stats["reconstruction"]
        meta = {"fidelity": stats["fidelity"], "score": score}
        self.close_epoch(epoch, self.train_losses, stats, row, meta)


def _expand(loss: PIQLoss, total: Tensor, n_clips: int) -> dict[str, Tensor]:
    """Give each clip its batch's terms, so that clips weigh alike."""
    terms = (total, loss.reconstruction, loss.codebook, loss.commitment)
    columns = zip(_TERMS, terms, strict=True)
    return {name: term.detach().expand(n_clips) for name, term in columns}
