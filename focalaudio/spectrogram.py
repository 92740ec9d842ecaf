"""`waveform <-> STFT <-> log-magnitude`: analysis and synthesis as one pair.

`wavs [batch, samples] -> Spectrum -> wavs [batch, samples]`, built on
SpeechBrain's STFT and ISTFT from the same numbers (arXiv 2402.02754 uses
window 23.2 ms, hop 11.6 ms, 1024 points, log1p of the magnitude).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from speechbrain.processing.features import ISTFT, STFT
from torch import Tensor, nn

from focalaudio.arguments import remember_arguments

Rows = Tensor | slice  # indices of rows of a batch, or all
EPS_POWER = 1e-14  # SpeechBrain's: gives the root of silence a gradient


@dataclass(frozen=True)
class Spectrum:
    """The short-time spectrum of a batch of clips.

    Arguments
    ---------
    stft : torch.Tensor
        `[batch, time, freq, 2]`, real and imaginary part.
    log_magnitude : torch.Tensor
        `[batch, time, freq]`, natural `log1p(|STFT|)`.
    n_samples : torch.Tensor
        `[batch]`, int64, each clip's own length without padding.
    n_frames : torch.Tensor
        `[batch]`, int64, how many of `time` are the clip's own.
    """

    stft: Tensor
    log_magnitude: Tensor
    n_samples: Tensor
    n_frames: Tensor

    @property
    def phase(self) -> Tensor:
        """Phase in radians, `[batch, time, freq]`."""
        return torch.atan2(self.stft[..., 1], self.stft[..., 0])

    @property
    def own_frames(self) -> Tensor:
        """Which frames are each clip's own, `[batch, time]`, bool."""
        times = torch.arange(self.stft.shape[1], device=self.n_frames.device)
        return times < self.n_frames[:, None]


@remember_arguments
class Spectrogram(nn.Module):
    """Analysis of waveforms, and the synthesis that undoes it exactly.

    Arguments
    ---------
    sample_rate : int
        Hz.
    n_fft : int
        Points of the Fourier transform, even; gives `n_fft // 2 + 1`
        frequencies.
    win_length : float
        Hamming window, ms; at most `n_fft` samples.
    hop_length : float
        Step between frames, ms; at most half a window.

    Raises
    ------
    ValueError
        If the window is longer than the transform or shorter than two hops,
        or the transform is odd.

    Example
    -------
    >>> spectrogram = Spectrogram()
    >>> wavs = torch.rand(2, 1000)
    >>> spectrum = spectrogram(wavs)
    >>> back = spectrogram.invert(spectrum.stft, spectrum.n_samples)
    >>> torch.allclose(back, wavs, atol=1e-6)
    True
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 1024,
        win_length: float = 23.2199,
        hop_length: float = 11.6099,
    ) -> None:
        super().__init__()
        milliseconds = {"win_length": win_length, "hop_length": hop_length}
        self.stft = STFT(sample_rate, n_fft=n_fft, **milliseconds)
        self.istft = ISTFT(sample_rate, n_fft=n_fft, **milliseconds)
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.window_samples = self.stft.win_length
        self.hop_samples = self.stft.hop_length
        if not 2 <= 2 * self.hop_samples <= self.window_samples <= n_fft:
            raise ValueError(
                f"win_length={win_length} ms is {self.window_samples} samples;"
                f" it must be at least two hops (2 * {self.hop_samples}, each "
                f"at least one sample) and at most n_fft={n_fft}."
            )
        if n_fft % 2:  # an odd transform has a frame less at whole hops
            raise ValueError(f"n_fft={n_fft} must be even.")

    @property
    def n_frequencies(self) -> int:
        """How many frequencies a frame has."""
        return self.n_fft // 2 + 1

    def count_frames(self, n_samples: Tensor) -> Tensor:
        """Return how many frames clips of `n_samples` (int64) have."""
        padded = n_samples.clamp(min=self.window_samples)
        return 1 + padded // self.hop_samples

    def forward(self, wavs: Tensor, lens: Tensor | None = None) -> Spectrum:
        """Analyze waveforms.

        A clip's own frames do not depend on its padding or its neighbors.
        Clips shorter than one window are padded to it.

        Arguments
        ---------
        wavs : torch.Tensor
            `[batch, samples]`, zero after each clip's end.
        lens : torch.Tensor
            `[batch]`, lengths relative to the longest, 0 to 1; all 1 if None.

        Returns
        -------
        Spectrum
            With `1 + samples // hop` frames.

        Raises
        ------
        ValueError
            If `wavs` is not a batch of waveforms with at least one sample.
        """
        n_samples = absolute_lengths(lens, wavs)
        stft = self.transform(wavs, n_samples)
        return Spectrum(
            stft,
            (power_spectrum(stft) + EPS_POWER).sqrt().log1p(),
            n_samples,
            self.count_frames(n_samples),
        )

    def transform(self, wavs: Tensor, n_samples: Tensor) -> Tensor:
        """Return the STFT alone, as `forward` does.

        Arguments
        ---------
        wavs : torch.Tensor
            `[batch, samples]`.
        n_samples : torch.Tensor
            `[batch]`, int64, each clip's own length; what follows is silenced.

        Returns
        -------
        torch.Tensor
            `[batch, time, freq, 2]`.
        """
        wavs = zero_tails(wavs, n_samples)
        missing = max(self.window_samples - wavs.shape[1], 0)
        return self.stft(nn.functional.pad(wavs, (0, missing)).float())

    def invert(self, stft: Tensor, n_samples: Tensor) -> Tensor:
        """Synthesize waveforms of exactly the given lengths.

        Arguments
        ---------
        stft : torch.Tensor
            `[batch, time, freq, 2]`.
        n_samples : torch.Tensor
            `[batch]`, int64, each clip's length.

        Returns
        -------
        torch.Tensor
            `[batch, max(n_samples)]`, zero after each clip's end.
        """
        wavs = stft.new_zeros(len(stft), int(n_samples.max()))
        for length, rows in group_by_length(n_samples):
            frames = int(self.count_frames(torch.tensor(length)))
            padded = max(length, self.window_samples)
            clips = self.istft(stft[rows, :frames], sig_length=padded)
            wavs[rows, :length] = clips[:, :length]
        return wavs


def power_spectrum(stft: Tensor) -> Tensor:
    """Return `|STFT|^2`, `[batch, time, freq, 2]` to `[batch, time, freq]`.

    In a third of the time of a sum over the last dimension.

    Example
    -------
    >>> power_spectrum(torch.tensor([[[[3.0, 4.0]]]]))
    tensor([[[25.]]])
    """
    squares = stft.square()
    return squares[..., 0] + squares[..., 1]


def absolute_lengths(lens: Tensor | None, wavs: Tensor) -> Tensor:
    """Turn SpeechBrain's relative lengths into samples.

    From `lens` `[batch]`, 0 to 1 or None for full length, of `wavs`
    `[batch, samples]`, to `[batch]`, int64, at least 1.

    Raises
    ------
    ValueError
        If `wavs` is not a batch of waveforms with at least one sample, or
        there is not one length from 0 to 1 for each of them.

    Example
    -------
    >>> absolute_lengths(torch.tensor([0.5, 1.0]), torch.ones(2, 9))
    tensor([4, 9])
    """
    if wavs.dim() != 2 or wavs.numel() == 0:
        raise ValueError(
            f"wavs has shape {tuple(wavs.shape)}; it must be [batch, "
            "samples] with at least one sample (mix channels down first)."
        )
    batch, samples = wavs.shape
    if lens is None:
        lens = torch.ones(batch)
    if lens.shape != (batch,) or not ((lens > 0) & (lens <= 1)).all():
        raise ValueError(
            f"lens={lens.tolist()} must be {batch} numbers above 0, at most 1."
        )
    return (lens.double() * samples).round().long().clamp(min=1).to(wavs.device)


def zero_tails(wavs: Tensor, n_samples: Tensor) -> Tensor:
    """Silence `[batch, samples]` after each clip's own end.

    Example
    -------
    >>> zero_tails(torch.ones(2, 3), torch.tensor([1, 3]))
    tensor([[1., 0., 0.],
            [1., 1., 1.]])
    """
    positions = torch.arange(wavs.shape[1], device=wavs.device)
    return wavs * (positions < n_samples[:, None])


def group_by_length(lengths: Tensor) -> Iterator[tuple[int, Rows]]:
    """Yield each distinct length of `[batch]`, int64, and its rows' indices.

    Work done per group does not see the padding of other groups. Where all are
    one group it is a slice, which copies nothing.

    Example
    -------
    >>> list(group_by_length(torch.tensor([3, 1, 3])))
    [(1, tensor([1])), (3, tensor([0, 2]))]
    >>> list(group_by_length(torch.tensor([3, 3])))
    [(3, slice(None, None, None))]
    """
    distinct = lengths.unique().tolist()
    for length in distinct:
        rows = (lengths == length).nonzero().flatten()
        yield length, rows if len(distinct) > 1 else slice(None)
