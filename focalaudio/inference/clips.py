"""`wavs -> clips as in training -> wavs`: the way there and the way back."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from focalaudio.data.pipelines import ClipReader
from focalaudio.interpreters import Interpretation
from focalaudio.spectrogram import absolute_lengths, zero_tails
from focalaudio.waveforms import check_finite, is_silent

logger = logging.getLogger(__name__)

NOT_WORTH_A_WORD = 0.01  # s that a clip may be longer, without a warning


@dataclass(frozen=True)
class PreparedClips:
    """Clips as the classifier wants them, and the way back.

    Arguments
    ---------
    wavs : torch.Tensor
        `[batch, samples]`, each cropped or padded, and scaled if the reader
        does so.
    lens : torch.Tensor
        `[batch]`, relative lengths of these.
    originals : torch.Tensor
        `[batch, original samples]`, zero after each clip's end.
    n_samples : torch.Tensor
        `[batch]`, int64, own lengths of the originals.
    levels : torch.Tensor
        `[batch, 1]`, what they were divided by: their peaks, mostly.
    silent : torch.Tensor
        `[batch]`, bool, whether nothing is to be heard in what is classified.
    """

    wavs: Tensor
    lens: Tensor
    originals: Tensor
    n_samples: Tensor
    levels: Tensor
    silent: Tensor

    def restore(self, wavs: Tensor) -> Tensor:
        """Give sound `[batch, samples]` the originals' level and length."""
        restored = torch.zeros_like(self.originals)
        length = min(wavs.shape[1], restored.shape[1])
        restored[:, :length] = wavs[:, :length] * self.levels
        return zero_tails(restored, self.n_samples)


@dataclass(frozen=True, kw_only=True)
class _Restored(Interpretation):
    """An interpretation whose sounds have the originals' length and level."""

    found: Interpretation = field(repr=False)
    clips: PreparedClips = field(repr=False)

    @property
    def as_classified(self) -> Interpretation:
        return self.found

    @cached_property
    def wavs(self) -> Tensor:
        return self.clips.restore(self.found.wavs)

    @cached_property
    def removed_wavs(self) -> Tensor:
        # beyond what the classifier reads nothing is kept
        return self.clips.originals - self.wavs


def restore_interpretation(
    found: Interpretation, clips: PreparedClips
) -> Interpretation:
    """Give sounds of prepared clips the originals' length and level.

    `wavs` and `removed_wavs` add up to the originals, and
    `spectrum.n_samples` are theirs; the rest is `found`'s.
    """
    spectrum = replace(found.spectrum, n_samples=clips.n_samples)
    own = {each.name: getattr(found, each.name) for each in fields(found)}
    return _Restored(**own | {"spectrum": spectrum}, found=found, clips=clips)


def prepare_clips(
    wavs: Tensor, wav_lens: Tensor | None, reader: ClipReader
) -> PreparedClips:
    """Crop or pad and scale each clip by itself, as in training.

    `wavs` are `[batch, samples]`, at the reader's rate, any level; `wav_lens`
    `[batch]`, relative lengths, 0 to 1, all 1 if None. An `AudioError` if a
    sample is not finite, a `ValueError` if the shapes are others.
    """
    n_samples = absolute_lengths(wav_lens, wavs)
    check_finite(wavs, "wavs")
    wavs = zero_tails(wavs.float(), n_samples)
    own = [wav[:n] for wav, n in zip(wavs, n_samples.tolist(), strict=True)]
    _warn_of_the_rest(max(map(len, own)), reader)
    clips = [reader.prepare(wav) for wav in own]
    lengths = torch.tensor([len(clip) for clip in clips]).double()
    heard = [wav[: len(c)] for wav, c in zip(own, clips, strict=True)]
    return PreparedClips(
        pad_sequence(clips, batch_first=True),
        lengths / lengths.max(),
        wavs,
        n_samples,
        torch.stack([_level(*pair) for pair in zip(heard, clips, strict=True)]),
        torch.tensor([is_silent(wav) for wav in heard], device=wavs.device),
    )


def _level(heard: Tensor, clip: Tensor) -> Tensor:
    """Return the factor that the reader divided a waveform by, `[1]`."""
    loudest, scaled = heard.abs().max(), clip.abs().max()
    return (loudest / scaled.masked_fill(scaled == 0, 1))[None]


def _warn_of_the_rest(n_samples: int, reader: ClipReader) -> None:
    seconds, length = reader.clip_seconds, n_samples / reader.sample_rate
    if seconds is not None and length > seconds + NOT_WORTH_A_WORD:
        logger.warning(
            "A clip has %.2f s, but this classifier reads %.2f s: the rest is "
            "neither classified nor kept (explain_stream takes all of it).",
            length,
            seconds,
        )
