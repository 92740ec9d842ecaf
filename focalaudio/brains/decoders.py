"""Train decoders with SpeechBrain's Brain: PIQ's and L-MAC's.

The frozen classifier's features are computed once for each clip.
"""

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
from focalaudio.contract import ClassifierOutput
from focalaudio.decisions import ONE, Decision
from focalaudio.interpreters.lmac import LMACInterpreter
from focalaudio.interpreters.piq import PIQInterpreter
from focalaudio.masks import apply_mask, check_quantile, quantile_mask
from focalaudio.metrics.functional import fidelity
from focalaudio.metrics.tracker import ClipTracker
from focalaudio.spectrogram import Spectrum, absolute_lengths

logger = logging.getLogger(__name__)

# of the score, on the loss: of equally faithful decoders the lower loss wins
_TIE = 1e-4
_MEASURED = ("fidelity", "fidelity_at_quantile", "kept_fraction")


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
        self._decision: Decision = ONE

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
                seen = self.look(wav[None, :length])
                self._clips[clip_id] = _only_row(seen)
                self._decision = seen.decision
        rows = zip(*(self._clips[clip_id] for clip_id in clip_ids), strict=True)
        logits, embeddings, features = (
            torch.stack(row).to(wavs.device) for row in rows
        )
        return ClassifierOutput(
            logits, embeddings, features, (), decision=self._decision
        )


def _only_row(seen: ClassifierOutput) -> tuple[Tensor, Tensor, Tensor]:
    return (
        seen.logits[0].cpu(),
        seen.embeddings[0].cpu(),
        seen.features[0].cpu(),
    )


@dataclass(frozen=True)
class _Step:
    """One batch: its spectrum, what the classifier said, what was drawn."""

    spectrum: Spectrum
    output: ClassifierOutput
    drawn: Any  # what the decoder returns: Drawn, or PIQ's Decoded


class DecoderBrain(TrainingBrain):
    """Train a decoder, and select it by its fidelity at a fixed size.

    In validation the kept part is classified twice: by the decoder's own mask
    (`fidelity`), and by that mask cut to its highest cells
    (`fidelity_at_quantile`), so that a decoder is not selected for keeping
    much. `InterpreterBrain` tests what was selected, as any other interpreter.

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
        "select_quantile",
    )
    MODULES_NEEDED = ("augment", "spectrogram", "classifier", "decoder")
    SELECTABLE = ("score", "fidelity_at_quantile", "fidelity", "epoch")
    LOWEST_IS_BEST = False
    TERMS: tuple[str, ...] = ("loss",)
    TIE_BREAKER = "loss"  # the term that decides between equal fidelities

    tracker: ClipTracker
    train_losses: dict[str, float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache = FeatureCache(lambda wavs: self._look(wavs)[1])

    def on_fit_start(self) -> None:
        """Say whether the classifier's features are computed once; resume."""
        super().on_fit_start()
        check_quantile(self.hparams.select_quantile)
        augmented = self.modules.augment.is_active
        logger.info(
            "The classifier's features are computed %s.",
            "for every clip in every epoch, since augmentation is on"
            if augmented
            else "once per clip",
        )

    def compute_terms(self, step: _Step) -> dict[str, Tensor]:
        """Return `loss`, which is minimized, and the terms it is made of."""
        raise NotImplementedError

    def compute_forward(self, batch: PaddedBatch, stage: sb.Stage) -> _Step:
        """Decode what the classifier says of a batch."""
        wavs, lens = batch.to(self.device).sig
        wavs, lens = self.modules.augment(wavs, lens)
        if stage == sb.Stage.TRAIN and self.modules.augment.is_active:
            spectrum, output = self._look(wavs, lens)
        else:
            spectrum = self.modules.spectrogram(wavs, lens)
            output = self.cache(batch.id, wavs, lens)
        trains = stage == sb.Stage.TRAIN
        decode = self.modules.decoder if trains else self.trained("decoder")
        drawn = decode(output.features, output.class_ids)
        return _Step(spectrum, output, drawn)

    @torch.no_grad()
    def _look(
        self, wavs: Tensor, lens: Tensor | None = None
    ) -> tuple[Spectrum, ClassifierOutput]:
        """Analyze and classify, on the device."""
        return self.hparams.interpreter.look(wavs, lens)

    def compute_objectives(
        self, predictions: _Step, batch: PaddedBatch, stage: sb.Stage
    ) -> Tensor:
        """Return the loss; measure what is kept in validation."""
        terms = self.compute_terms(predictions)
        # each clip gets its batch's terms, so that clips weigh alike
        columns = {
            name: term.detach().expand(len(batch.id))
            for name, term in terms.items()
        }
        if stage == sb.Stage.VALID:
            columns |= self._measure(predictions)
        self.tracker.update(batch.id, columns)
        return terms["loss"]

    def _measure(self, step: _Step) -> dict[str, Tensor]:
        """Classify what the mask keeps as it is, and cut to a fixed size."""
        spectrum = step.spectrum
        interpreter = self.hparams.interpreter
        mask = interpreter.draw_mask(step.drawn, spectrum)
        cut = quantile_mask(
            mask, self.hparams.select_quantile, spectrum.n_frames
        )
        classifier = interpreter.classifier
        whole = classifier.maskable(spectrum)
        kept = torch.cat([apply_mask(each, whole) for each in (mask, cut)])
        rows = torch.arange(len(mask), device=mask.device).repeat(2)
        said = classifier.classify_part(kept, spectrum, rows)
        own, at_quantile = said.chunk(2)
        measured = (
            fidelity(step.output.logits, own, classifier.decision),
            fidelity(step.output.logits, at_quantile, classifier.decision),
            mask.sum((1, 2)) / (spectrum.n_frames * mask.shape[2]),
        )
        return dict(zip(_MEASURED, measured, strict=True))

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Start counting; set the epoch's learning rate."""
        super().on_stage_start(stage, epoch)
        self.tracker = ClipTracker()

    def on_stage_end(
        self, stage: sb.Stage, stage_loss: float, epoch: int | None = None
    ) -> None:
        """Log every term; keep the checkpoint with the best score."""
        valid = () if stage == sb.Stage.TRAIN else _MEASURED
        stats = {
            name: self.tracker.mean(name) for name in (*self.TERMS, *valid)
        }
        if stage == sb.Stage.TRAIN:
            self.train_losses = stats
        row = {
            f"train_{name}": each for name, each in self.train_losses.items()
        }
        if stage == sb.Stage.TRAIN:
            if not self.validates:
                self.close_epoch(epoch, stats, {}, row, {})
            return
        row |= {f"valid_{name}": each for name, each in stats.items()}
        at_size = stats["fidelity_at_quantile"]
        meta = {
            "fidelity": stats["fidelity"],
            "fidelity_at_quantile": at_size,
            "score": at_size - _TIE * stats[self.TIE_BREAKER],
        }
        self.close_epoch(epoch, self.train_losses, stats, row, meta)


class PIQBrain(DecoderBrain):
    """Train PIQ's decoder; see `DecoderBrain`.

    Arguments
    ---------
    modules, opt_class, hparams, run_opts, checkpointer
        As in `DecoderBrain`.

    Example
    -------
    >>> "reconstruction_weight" in PIQBrain.HPARAMS_NEEDED
    True
    """

    HPARAMS_NEEDED = (*DecoderBrain.HPARAMS_NEEDED, "reconstruction_weight")
    TERMS = ("loss", "reconstruction", "codebook", "commitment")
    TIE_BREAKER = "reconstruction"

    @property
    def interpreter(self) -> PIQInterpreter:
        """The interpreter itself, never wrapped for several devices."""
        return self.hparams.interpreter

    def compute_terms(self, step: _Step) -> dict[str, Tensor]:
        """Compare the mask with the loud cells, and latents with codes."""
        loss = self.interpreter.compute_loss(step.drawn, step.spectrum)
        total = loss.total(self.hparams.reconstruction_weight)
        return {"loss": total, **vars(loss)}


class LMACBrain(DecoderBrain):
    """Train L-MAC's decoder; see `DecoderBrain`.

    Each step asks the classifier about the kept and the removed parts, with a
    gradient to the mask.

    Arguments
    ---------
    modules, opt_class, hparams, run_opts, checkpointer
        As in `DecoderBrain`.

    Example
    -------
    >>> "size_weight" in LMACBrain.HPARAMS_NEEDED
    True
    """

    HPARAMS_NEEDED = (
        *DecoderBrain.HPARAMS_NEEDED,
        "kept_weight",
        "removed_weight",
        "size_weight",
    )
    TERMS = ("loss", "kept", "removed", "size")

    @property
    def interpreter(self) -> LMACInterpreter:
        """The interpreter itself, never wrapped for several devices."""
        return self.hparams.interpreter

    def compute_terms(self, step: _Step) -> dict[str, Tensor]:
        """Ask the classifier about both parts of the clips."""
        loss = self.interpreter.compute_loss(
            step.drawn, step.spectrum, step.output.class_ids
        )
        total = loss.total(
            self.hparams.kept_weight,
            self.hparams.removed_weight,
            self.hparams.size_weight,
        )
        return {"loss": total, **vars(loss)}
