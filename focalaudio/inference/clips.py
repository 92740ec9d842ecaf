"""`wavs -> clips as in training -> wavs`: the way there and the way back.

What comes back is a `SoundInterpretation`: it has the originals' length and
level, knows the labels, saves itself, and shows itself in a notebook.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from focalaudio.contract import ClassifierOutput
from focalaudio.data.pipelines import ClipReader
from focalaudio.errors import ModelError
from focalaudio.interpreters import Interpretation
from focalaudio.spectrogram import Spectrum, absolute_lengths, zero_tails
from focalaudio.waveforms import check_finite, is_silent

logger = logging.getLogger(__name__)

SCALES = {torch.int16: 2.0**-15, torch.int32: 2.0**-31}
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


@dataclass(frozen=True)
class SeenClips:
    """Clips, and what a classifier says of them.

    Arguments
    ---------
    clips : PreparedClips
        As the classifier got them.
    spectrum : Spectrum
        Of these.
    output : ClassifierOutput
        Of these.
    scale : float
        See `Interpretation`.
    """

    clips: PreparedClips
    spectrum: Spectrum
    output: ClassifierOutput
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True, repr=False)
class SoundInterpretation(Interpretation):
    """An interpretation whose sounds have the originals' length and level.

    What `SoundInterpreter.explain_batch` and `explain_file` return; as the last
    line of a notebook's cell it shows pictures and plays what was kept.

    Arguments
    ---------
    found : Interpretation
        Of the clips as the classifier wants them.
    clips : PreparedClips
        These clips, and the originals.
    """

    found: Interpretation
    clips: PreparedClips

    @property
    def as_classified(self) -> Interpretation:
        """The interpretation of the clips as the classifier got them."""
        return self.found

    @cached_property
    def wavs(self) -> Tensor:
        """The kept part as sound, `[batch, samples]`, as long as the input."""
        return self.clips.restore(self.found.wavs)

    @cached_property
    def removed_wavs(self) -> Tensor:
        """The rest, `[batch, samples]`; the two add up to the input."""
        # beyond what the classifier reads nothing is kept
        return self.clips.originals - self.wavs

    def save(
        self, folder: str | Path, clip_ids: Sequence[str] | None = None
    ) -> Path:
        """Write sounds, pictures and tables, as `focalaudio explain` does.

        There is no report, and what is not known here is empty in `clips.csv`:
        `path`, `kept_probability`, `removed_probability`.

        Arguments
        ---------
        folder : str or pathlib.Path
            Made if needed; files of the same names are replaced.
        clip_ids : sequence of str
            What the files of each clip are called; `clip_1`, `clip_2` ... if
            None.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        ValueError
            If there is not one name, of its own, for each clip.
        OSError
            If the disk refuses.
        """
        from focalaudio.report.explained import save_interpretation

        return save_interpretation(self, folder, clip_ids)

    def _repr_html_(self) -> str:
        """Return pictures and players of the first clips, for a notebook."""
        from focalaudio.report.notebook import show_interpretation

        return show_interpretation(self)


def restore_interpretation(
    found: Interpretation, clips: PreparedClips
) -> SoundInterpretation:
    """Give sounds of prepared clips the originals' length and level.

    `wavs` and `removed_wavs` add up to the originals, and
    `spectrum.n_samples` are theirs; the rest is `found`'s.
    """
    spectrum = replace(found.spectrum, n_samples=clips.n_samples)
    own = {each.name: getattr(found, each.name) for each in fields(found)}
    return SoundInterpretation(
        **own | {"spectrum": spectrum}, found=found, clips=clips
    )


def read_wavs(wavs: object) -> tuple[Tensor, float]:
    """Take what is given as sound: tensors, numpy arrays, lists.

    Arguments
    ---------
    wavs : torch.Tensor, numpy.ndarray or sequence
        Of any floating type; int16 and int32 are scaled to -1 to 1. A list
        may hold tensors or arrays of one length.

    Returns
    -------
    torch.Tensor
        Of the same shape, float32, without a gradient; `[samples]` becomes a
        batch of one.
    float
        What samples were multiplied by: 1 for floating types.

    Raises
    ------
    TypeError
        If samples are of a type that is not sound by itself.
    ValueError
        If there is no such array, as of clips of several lengths.

    Example
    -------
    >>> read_wavs(np.array([16384, -32768], dtype=np.int16))
    (tensor([[ 0.5000, -1.0000]]), 3.0517578125e-05)
    """
    samples = _to_tensor("wavs", wavs).detach()
    if samples.dtype not in SCALES and not samples.is_floating_point():
        kind = str(samples.dtype).removeprefix("torch.")
        raise TypeError(
            f"wavs of {kind} are no sound by themselves; give floating point "
            "numbers, -1 to 1, or int16 or int32, which are scaled."
        )
    scale = SCALES.get(samples.dtype, 1.0)
    sound = samples.double() * scale if scale != 1 else samples
    return torch.atleast_2d(sound.float()), scale


def read_lens(wav_lens: object) -> Tensor | None:
    """Take relative lengths as a tensor, an array or a list; None is None."""
    if wav_lens is None:
        return None
    return _to_tensor("wav_lens", wav_lens).detach()


def _to_tensor(name: str, values: object) -> Tensor:
    """Make a tensor of what can be one; else name the argument."""
    if isinstance(values, Tensor):
        return values
    try:
        array = np.asarray(
            [np.asarray(one) for one in values]
            if isinstance(values, list | tuple)
            else values
        )
        return torch.from_numpy(np.ascontiguousarray(array))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{name} of type {type(values).__name__} are no array of numbers; "
            "give a tensor, an array or a list, clips of several lengths "
            "padded to one, with wav_lens."
        ) from error


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


def check_logits(logits: Tensor, clips: PreparedClips) -> None:
    """Refuse answers that are none: logits that are not finite.

    `logits` are `[batch, n_classes]`. Of silence nothing is said anyway. A
    `ModelError` names the first clip.
    """
    bad = ~logits.isfinite().all(1) & ~clips.silent
    if bad.any():
        raise ModelError(
            f"The classifier's logits are not finite for {int(bad.sum())} of "
            f"{len(bad)} clips, the first is clip {int(bad.int().argmax())}: "
            "that is no answer; mend the classifier, or leave the clips out."
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
