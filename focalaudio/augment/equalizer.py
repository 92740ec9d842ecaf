"""`wavs -> wavs`: each clip as another room and microphone would give it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from focalaudio.augment.ranges import check_range
from focalaudio.spectrogram import absolute_lengths, zero_tails


class RandomEqualizer(nn.Module):
    """Give each clip a smooth frequency response of its own.

    Gains are drawn at frequencies evenly spaced by octaves, and joined by
    straight lines in dB over the logarithm of the frequency (the idea is
    FilterAugment's, arXiv 2110.03282, which does so with a mel spectrogram).
    Phases stay.

    Arguments
    ---------
    max_gain : float
        Largest gain either way, dB; 0 is off.
    n_gains : int
        How many are drawn for a clip, at least 2.
    octaves : float
        From the Nyquist frequency down to the lowest of them, above 0; below it
        the lowest gain holds.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Example
    -------
    >>> equalizer = RandomEqualizer(max_gain=6.0)
    >>> wavs, lens = equalizer(torch.rand(2, 1000), torch.ones(2))
    >>> wavs.shape
    torch.Size([2, 1000])
    """

    def __init__(
        self, max_gain: float = 0.0, n_gains: int = 6, octaves: float = 7.0
    ) -> None:
        super().__init__()
        check_range(0, max_gain=max_gain)
        check_range(2, n_gains=n_gains)
        if octaves <= 0:
            raise ValueError(f"octaves={octaves} must be positive.")
        self.max_gain = max_gain
        self.n_gains = n_gains
        self.octaves = octaves

    @property
    def is_active(self) -> bool:
        """Whether training changes anything."""
        return self.max_gain > 0

    def forward(self, wavs: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Filter `wavs` `[batch, samples]`; `lens` `[batch]` stay."""
        if not (self.training and self.is_active) or wavs.shape[1] < 2:
            return wavs, lens
        draw = 2 * torch.rand(len(wavs), self.n_gains, device=wavs.device) - 1
        n_samples = wavs.shape[1]
        spectra = torch.fft.rfft(wavs, 2 * n_samples)  # no wrapping around
        response = self._respond(self.max_gain * draw, spectra.shape[1])
        filtered = torch.fft.irfft(spectra * response, 2 * n_samples)
        filtered = filtered[:, :n_samples]
        return zero_tails(filtered, absolute_lengths(lens, wavs)), lens

    def _respond(self, decibels: Tensor, n_bins: int) -> Tensor:
        """Join gains `[batch, gains]` in dB to factors `[batch, bins]`."""
        bins = torch.arange(n_bins, device=decibels.device).clamp(min=1)
        height = 1 - ((n_bins - 1) / bins).log2() / self.octaves
        place = height.clamp(min=0) * (self.n_gains - 1)
        below = place.long().clamp(max=self.n_gains - 2)
        joined = torch.lerp(
            decibels[:, below], decibels[:, below + 1], place - below
        )
        return 10 ** (joined / 20)
