"""`wavs, targets -> the same, some of them sounds of no class`.

A classifier that only ever hears its own classes has an answer to everything.
Outlier exposure (arXiv 1812.04606) shows it sounds that are none of them, with
targets that are even over all classes. Here these sounds are made up, so that
no other recordings are needed: noise of many colours, and tones with harmonics
and resonances, from hum and whistle to something like a voice.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from focalaudio.augment.ranges import check_range
from focalaudio.decisions import ONE, Decision
from focalaudio.waveforms import normalize_peak

LOWEST_HZ, HIGHEST_HZ = 60.0, 6000.0  # of edges and resonances
HIGHEST_SHARE = 0.4  # of the sample rate: nothing is made above
LOWEST_PITCH, HIGHEST_PITCH = 50.0, 2000.0  # Hz
N_HARMONICS = 24
DEEPEST = 40.0  # dB, of how far a sound may fall between two swells


class RandomOutliers(nn.Module):
    """Replace some clips by made up sounds with even targets, in training.

    Arguments
    ---------
    probability : float
        Of a clip to be replaced, 0 to 1.
    sample_rate : int
        Hz.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Example
    -------
    >>> outliers = RandomOutliers(probability=1.0).train()
    >>> clips = torch.zeros(3, 800), torch.ones(3), torch.eye(3)
    >>> wavs, lens, targets = outliers(*clips)
    >>> bool(wavs.any(1).all()), targets[0]
    (True, tensor([0.3333, 0.3333, 0.3333]))
    """

    def __init__(
        self, probability: float = 0.0, sample_rate: int = 16000
    ) -> None:
        super().__init__()
        check_range(0, 1, probability=probability)
        self.probability = probability
        self.sample_rate = sample_rate

    @property
    def is_active(self) -> bool:
        """Whether any clip is replaced now; none is in evaluation."""
        return self.training and self.probability > 0

    def forward(
        self,
        wavs: Tensor,
        lens: Tensor,
        targets: Tensor,
        decision: Decision = ONE,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Replace clips of a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            `[batch, samples]`.
        lens : torch.Tensor
            `[batch]`, relative lengths, 0 to 1.
        targets : torch.Tensor
            `[batch, n_classes]`, 0 to 1.
        decision : Decision
            Of one label for a clip (a made up sound is of all classes alike),
            or several (it is of none).

        Returns
        -------
        tuple of torch.Tensor
            The same three; a clip that is replaced is full length, its peak 1.
        """
        if not self.is_active:
            return wavs, lens, targets
        rows = torch.rand(len(wavs)) < self.probability
        if not rows.any():
            return wavs, lens, targets
        wavs, lens, targets = wavs.clone(), lens.clone(), targets.clone()
        chosen = rows.to(wavs.device)
        made = [self._make(wavs.shape[1]) for _ in range(int(rows.sum()))]
        wavs[chosen] = torch.stack(made).to(wavs)
        lens[chosen] = 1.0
        targets[chosen] = decision.even(targets.shape[1])
        return wavs, lens, targets

    def _make(self, n_samples: int) -> Tensor:
        """Return noise or tones `[samples]`, steady or swelling, peak 1."""
        times = torch.arange(n_samples) / self.sample_rate
        make = _draw_noise if torch.rand(()) < 0.5 else _draw_tones
        wav = make(times, self.sample_rate)
        return normalize_peak(wav * _draw_level(n_samples, self.sample_rate))


def _uniform(low: float, high: float, n: int = 1) -> Tensor:
    return low + (high - low) * torch.rand(n)


def _log_uniform(low: float, high: float, n: int = 1) -> Tensor:
    """Draw so that no octave is favoured."""
    return low * (high / low) ** torch.rand(n)


def _draw_noise(times: Tensor, sample_rate: int) -> Tensor:
    """Return noise from white to brown, half of the time of a band only."""
    n_samples = len(times)
    hz = torch.fft.rfftfreq(n_samples, 1 / sample_rate)
    gain = (hz + LOWEST_HZ) ** -_uniform(0.0, 1.5)
    if torch.rand(()) < 0.5:
        highest = min(HIGHEST_HZ, HIGHEST_SHARE * sample_rate)
        low, high = _log_uniform(LOWEST_HZ, highest, 2).sort().values
        gain = gain * ((hz >= low) & (hz <= 1.5 * high))
    spectrum = torch.fft.rfft(torch.randn(n_samples))
    return torch.fft.irfft(gain * spectrum, n_samples)


def _draw_tones(times: Tensor, sample_rate: int) -> Tensor:
    """Return harmonics of a moving pitch under up to three resonances."""
    highest = HIGHEST_SHARE * sample_rate
    pitch = _log_uniform(LOWEST_PITCH, min(HIGHEST_PITCH, highest))
    bend = _draw_curve(len(times), sample_rate, _uniform(0.5, 6.0))
    moving = pitch * 2 ** (_uniform(0.0, 0.5) * bend)
    phase = 2 * torch.pi * moving.cumsum(0) / sample_rate
    orders = torch.arange(1, N_HARMONICS + 1)
    hz = orders * pitch
    weights = orders ** -_uniform(0.0, 2.0)
    centers = _log_uniform(LOWEST_HZ, HIGHEST_HZ, int(torch.randint(4, ())))
    for center in centers:
        weights = weights + 1 / (1 + ((hz - center) / (0.15 * center)) ** 2)
    weights = weights * (hz < highest)
    return weights @ torch.sin(orders[:, None] * phase)


def _draw_level(n_samples: int, sample_rate: int) -> Tensor:
    """Return a level `[samples]`: steady, slow swells, or syllables."""
    depth = _uniform(0.0, DEEPEST) * (torch.rand(()) < 0.7)
    curve = _draw_curve(n_samples, sample_rate, _log_uniform(0.3, 10.0))
    return 10 ** (depth * (curve - 1) / 40)


def _draw_curve(n_samples: int, sample_rate: int, rate: Tensor) -> Tensor:
    """Return a smooth random curve within -1 to 1, `rate` knots a second."""
    n_knots = 2 + int(n_samples / sample_rate * float(rate))
    knots = 2 * torch.rand(1, 1, n_knots) - 1
    curve = F.interpolate(knots, n_samples, mode="linear", align_corners=True)
    return curve[0, 0]
