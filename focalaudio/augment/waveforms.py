"""`wavs -> wavs`: steps that change each clip by itself.

Each step is a module `step(wavs [batch, samples], lens [batch]) -> the same
two`. None does anything in evaluation; all draw from torch's global generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import torch
import torch.nn.functional as F
from speechbrain.augment.time_domain import AddNoise
from torch import Tensor, nn

from focalaudio.augment.ranges import check_range
from focalaudio.spectrogram import absolute_lengths, zero_tails

Augmented = tuple[Tensor, Tensor]


class TimeShift(nn.Module):
    """Rotate each clip in time by its own random amount.

    Arguments
    ---------
    max_fraction : float
        Largest shift either way, as a fraction of the clip, 0 to 1.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Example
    -------
    >>> wavs = torch.arange(6.0)[None]
    >>> shifted, _ = TimeShift(1.0)(wavs, torch.ones(1))
    >>> shifted.sum() == wavs.sum()
    tensor(True)
    """

    def __init__(self, max_fraction: float = 1.0) -> None:
        super().__init__()
        check_range(0, 1, max_fraction=max_fraction)
        self.max_fraction = max_fraction

    @property
    def is_active(self) -> bool:
        """Whether training changes anything."""
        return self.max_fraction > 0

    def forward(self, wavs: Tensor, lens: Tensor) -> Augmented:
        """See the module's docstring."""
        if not (self.training and self.is_active):
            return wavs, lens
        own = (lens * wavs.shape[1]).round().long().clamp(min=1)[:, None]
        draw = 2 * torch.rand(len(wavs), 1, device=wavs.device) - 1
        shift = (draw * self.max_fraction * own).long()
        positions = torch.arange(wavs.shape[1], device=wavs.device)[None]
        source = torch.where(
            positions < own, (positions - shift) % own, positions
        )
        return wavs.gather(1, source), lens


class RandomGain(nn.Module):
    """Scale each clip by a random gain.

    Arguments
    ---------
    max_gain : float
        Largest gain either way, dB; 0 is off.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    def __init__(self, max_gain: float = 6.0) -> None:
        super().__init__()
        check_range(0, max_gain=max_gain)
        self.max_gain = max_gain

    @property
    def is_active(self) -> bool:
        """Whether training changes anything."""
        return self.max_gain > 0

    def forward(self, wavs: Tensor, lens: Tensor) -> Augmented:
        """See the module's docstring."""
        if not (self.training and self.is_active):
            return wavs, lens
        draw = 2 * torch.rand(len(wavs), 1, device=wavs.device) - 1
        decibels = self.max_gain * draw
        return wavs * 10 ** (decibels / 20), lens


class RandomPolarity(nn.Module):
    """Turn the waveform of some clips upside down.

    Arguments
    ---------
    probability : float
        Of a clip to be turned, 0 to 1.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    def __init__(self, probability: float = 0.5) -> None:
        super().__init__()
        check_range(0, 1, probability=probability)
        self.probability = probability

    @property
    def is_active(self) -> bool:
        """Whether training changes anything."""
        return self.probability > 0

    def forward(self, wavs: Tensor, lens: Tensor) -> Augmented:
        """See the module's docstring."""
        if not (self.training and self.is_active):
            return wavs, lens
        draw = torch.rand(len(wavs), 1, device=wavs.device)
        return torch.where(draw < self.probability, -wavs, wavs), lens


class RandomNoise(nn.Module):
    """Add white noise to each clip, up to its own end.

    SpeechBrain's `AddNoise`, in training only.

    Arguments
    ---------
    lowest, highest : float
        Between them the ratio of clip to noise is drawn, in dB; none is added
        if `lowest` is None.

    Raises
    ------
    ValueError
        If `lowest` is above `highest`.
    """

    def __init__(
        self, lowest: float | None = None, highest: float = 60.0
    ) -> None:
        super().__init__()
        if lowest is not None:
            check_range(-inf, highest, lowest=lowest)
        self.is_active = lowest is not None
        self.lowest, self.highest = lowest or 0.0, highest

    def forward(self, wavs: Tensor, lens: Tensor) -> Augmented:
        """See the module's docstring."""
        if not (self.training and self.is_active):
            return wavs, lens
        n_samples = absolute_lengths(lens, wavs)

        def draw(like: Tensor) -> Tensor:
            # what lies beyond a clip's end would count as its noise
            return zero_tails(torch.randn_like(like), n_samples)

        add_noise = AddNoise(
            snr_low=self.lowest, snr_high=self.highest, noise_funct=draw
        )
        return add_noise(wavs, lens), lens


class RandomSpeed(nn.Module):
    """Play each clip faster or slower, pitch and all.

    As in between-class learning (arXiv 1711.10282), by linear interpolation.

    Arguments
    ---------
    max_factor : float
        Largest change of the speed either way, at least 1, which is off; the
        logarithm of the speed is uniform.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Example
    -------
    >>> speed = RandomSpeed(2.0)
    >>> _ = torch.manual_seed(0)
    >>> wavs, lens = speed(torch.rand(2, 1000), torch.ones(2))
    >>> (lens * wavs.shape[1]).round()
    tensor([681., 883.])
    """

    def __init__(self, max_factor: float = 1.25) -> None:
        super().__init__()
        check_range(1, max_factor=max_factor)
        self.max_factor = max_factor

    @property
    def is_active(self) -> bool:
        """Whether training changes anything."""
        return self.max_factor > 1

    def forward(self, wavs: Tensor, lens: Tensor) -> Augmented:
        """See the module's docstring; clips get other lengths."""
        if not (self.training and self.is_active):
            return wavs, lens
        n_samples = absolute_lengths(lens, wavs)
        draw = 2 * torch.rand(len(wavs)) - 1
        played = [
            F.interpolate(
                wav[None, None, :length],
                max(2, round(length / self.max_factor**power)),
                mode="linear",
            )[0, 0]
            for wav, length, power in zip(
                wavs, n_samples.tolist(), draw.tolist(), strict=True
            )
        ]
        return _stack(played)


class RandomCrop(nn.Module):
    """Cut a random piece of one length out of each clip.

    Silence before the first and after the last sound does not count; instead
    half a piece of it is put at either end, so that any sound may stand
    anywhere in the piece (arXiv 1711.10282).

    Arguments
    ---------
    seconds : float
        Length of the piece, s; clips stay whole if None.
    sample_rate : int
        Hz.
    silence : float
        What counts as silence, of the clip's peak, 0 to 1.

    Raises
    ------
    ValueError
        If `seconds` is not positive, or `silence` out of its range.

    Example
    -------
    >>> crop = RandomCrop(1.0, sample_rate=100)
    >>> wavs, lens = crop(torch.rand(2, 1000), torch.ones(2))
    >>> wavs.shape, lens
    (torch.Size([2, 100]), tensor([1., 1.]))
    """

    def __init__(
        self,
        seconds: float | None = None,
        sample_rate: int = 16000,
        silence: float = 0.001,
    ) -> None:
        super().__init__()
        if seconds is not None and seconds <= 0:
            raise ValueError(
                f"seconds={seconds} must be positive, or null to take clips "
                "whole."
            )
        check_range(0, 1, silence=silence)
        self.is_active = seconds is not None
        self.n_samples = max(1, round((seconds or 0) * sample_rate))
        self.silence = silence

    def forward(self, wavs: Tensor, lens: Tensor) -> Augmented:
        """See the module's docstring; all clips get the same length."""
        if not (self.training and self.is_active):
            return wavs, lens
        lengths = absolute_lengths(lens, wavs).tolist()
        draw = torch.rand(len(wavs)).tolist()
        pieces = [
            self._cut(wav[:length], place)
            for wav, length, place in zip(wavs, lengths, draw, strict=True)
        ]
        return torch.stack(pieces), torch.ones_like(lens)

    def _cut(self, wav: Tensor, place: float) -> Tensor:
        """Cut a piece out of a clip, at a place from 0 to 1."""
        sounds = (wav.abs() > self.silence * wav.abs().max()).nonzero()
        if len(sounds):
            wav = wav[int(sounds[0]) : int(sounds[-1]) + 1]
        half = self.n_samples // 2
        missing = max(self.n_samples - len(wav) - 2 * half, 0)
        wav = F.pad(wav, (half, half + missing))
        start = int(place * (len(wav) - self.n_samples + 1))
        return wav[start : start + self.n_samples]


def _stack(wavs: Sequence[Tensor]) -> Augmented:
    """Pad waveforms to the longest; return them with relative lengths."""
    batch = nn.utils.rnn.pad_sequence(list(wavs), batch_first=True)
    lengths = torch.tensor([len(wav) for wav in wavs], device=batch.device)
    return batch, lengths / batch.shape[1]


class Augment(nn.Module):
    """Apply steps one after the other.

    Arguments
    ---------
    steps : sequence of torch.nn.Module
        Each as in this module's docstring.
    """

    def __init__(self, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    @property
    def is_active(self) -> bool:
        """Whether training changes anything."""
        return any(step.is_active for step in self.steps)

    def forward(self, wavs: Tensor, lens: Tensor) -> Augmented:
        """See the module's docstring."""
        for step in self.steps:
            wavs, lens = step(wavs, lens)
        return wavs, lens
