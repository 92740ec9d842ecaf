"""`somebody else's classifier -> SoundModel`: what the doors are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from focalaudio.data.pipelines import ClipReader
from focalaudio.errors import ModelError
from focalaudio.foreign import ForeignClassifier
from focalaudio.models.model import Explanation, SoundModel
from focalaudio.spectrogram import Spectrogram
from focalaudio.waveforms import fit_length

N_FFT = 1024  # points, or as many more as the window needs
WINDOW_MS = 23.2199
METHOD = "rise"  # needs no gradient, no inside, and no other package


class LevelReader(ClipReader):
    """Read clips at the level that they have.

    Ours are scaled to a peak of 1, for classifiers that learnt so; whether a
    foreign one hears levels is not known.

    Arguments
    ---------
    sample_rate, clip_seconds
        As in `ClipReader`.

    Example
    -------
    >>> import torch
    >>> LevelReader(8000, clip_seconds=None).prepare(torch.tensor([0.25, -0.5]))
    tensor([ 0.2500, -0.5000])
    """

    def prepare(self, wav: Tensor) -> Tensor:
        """Crop or pad a waveform `[samples]`."""
        if self.clip_seconds is None:
            return wav
        return fit_length(wav, round(self.clip_seconds * self.sample_rate))


def fit_spectrogram(sample_rate: int) -> Spectrogram:
    """Build the default analysis for a sample rate, in Hz.

    The window lasts as long at every rate; the transform grows with it.

    Example
    -------
    >>> fit_spectrogram(16000).n_fft, fit_spectrogram(96000).n_fft
    (1024, 4096)
    """
    window = round(sample_rate * WINDOW_MS / 1000)
    points = 2 ** math.ceil(math.log2(window))
    hop_ms = 1000 * (window // 2) / sample_rate
    return Spectrogram(sample_rate, max(N_FFT, points), WINDOW_MS, hop_ms)


def wrap_classifier(
    classify: Callable[[Tensor], Any],
    labels: Sequence[str],
    sample_rate: int,
    clip_seconds: float | None = None,
    scale_peak: bool = False,
    takes: str = "sound",
    differentiable: bool | None = None,
    spectrogram: Spectrogram | None = None,
    explanation: Explanation | None = None,
    decoders: Mapping[str, nn.Module] | None = None,
) -> SoundModel:
    """Make a model of somebody else's classifier.

    Arguments
    ---------
    classify, takes, differentiable
        See `focalaudio.foreign.ForeignClassifier`.
    labels : sequence of str
        In the order of the logits.
    sample_rate : int
        Hz, of the waveforms that it reads.
    clip_seconds : float
        Clips are cropped or padded to this, in seconds, for a classifier that
        reads one length; None takes them whole.
    scale_peak : bool
        Whether clips are scaled to a peak of 1, as ours are.
    spectrogram : Spectrogram
        What masks are made for; `fit_spectrogram` if None.
    explanation : Explanation
        How it is explained unless a call says otherwise; by `rise` if None.
    decoders : mapping
        From `lmac` to its trained decoder.

    Returns
    -------
    SoundModel
        On the CPU, or where the classifier's own weights are.

    Raises
    ------
    ModelError, ValueError
        If the labels or the sample rate do not fit, or the classifier does not
        do what it should.
    """
    spectrogram = spectrogram or fit_spectrogram(sample_rate)
    if spectrogram.sample_rate != sample_rate:
        raise ValueError(
            f"sample_rate={sample_rate} Hz is not the spectrogram's, "
            f"{spectrogram.sample_rate} Hz; make them equal."
        )
    names = [str(label) for label in labels]
    if len(set(names)) < len(names) or not names:
        raise ModelError(
            f"labels has {len(names)} names, {len(set(names))} of them "
            "different; give one for each logit, all different."
        )
    reader = (ClipReader if scale_peak else LevelReader)(
        sample_rate, clip_seconds
    )
    length = None
    if clip_seconds is not None:
        length = round(clip_seconds * sample_rate)
    classifier = ForeignClassifier(
        classify, len(names), spectrogram, takes, differentiable, length
    )
    return SoundModel(
        classifier,
        spectrogram,
        reader,
        names,
        explanation or Explanation(METHOD),
        decoders or {},
    )
