"""`wavs -> wavs`: what training does to its clips.

Each step is a module `step(wavs [batch, samples], lens [batch]) -> the same
two`; `MixClips`, the last one, takes targets too and keeps the parts of its
mixtures. None does anything in evaluation; all draw from torch's global
generator. Spectrograms are masked by SpeechBrain's `SpectrogramDrop`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from speechbrain.augment.freq_domain import SpectrogramDrop
from torch import Tensor, nn

from focalaudio.mixtures import EPS_ENERGY, energy, scale_to_snr

Augmented = tuple[Tensor, Tensor]


class TimeShift(nn.Module):
    """Rotate each clip in time by its own random amount.

    Arguments
    ---------
    max_fraction : float
        Largest shift either way, as a fraction of the clip, 0 to 1.

    Example
    -------
    >>> wavs = torch.arange(6.0)[None]
    >>> shifted, _ = TimeShift(1.0)(wavs, torch.ones(1))
    >>> shifted.sum() == wavs.sum()
    tensor(True)
    """

    def __init__(self, max_fraction: float = 1.0) -> None:
        super().__init__()
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
        Largest gain either way, dB.
    """

    def __init__(self, max_gain: float = 6.0) -> None:
        super().__init__()
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


@dataclass(frozen=True)
class MixedClips:
    """A batch of mixtures whose parts are known.

    Arguments
    ---------
    own, added : torch.Tensor
        `[batch, samples]`, each clip and what was added to it (zeros if
        nothing was).
    lens : torch.Tensor
        `[batch]`, relative lengths of the mixtures.
    own_targets, added_targets : torch.Tensor
        `[batch, n_classes]`.

    Example
    -------
    >>> wavs, targets = torch.tensor([[1.0, 0.0]]), torch.eye(2)
    >>> mixed = MixedClips(
    ...     wavs, wavs.flip(1), torch.ones(1), targets[:1], targets[1:]
    ... )
    >>> mixed.wavs, mixed.targets
    (tensor([[1., 1.]]), tensor([[0.5000, 0.5000]]))
    """

    own: Tensor
    added: Tensor
    lens: Tensor
    own_targets: Tensor
    added_targets: Tensor

    @property
    def wavs(self) -> Tensor:
        """The mixtures, `[batch, samples]`."""
        return self.own + self.added

    @property
    def targets(self) -> Tensor:
        """Targets by the share of energy, `[batch, n_classes]`."""
        own, theirs = energy(self.own), energy(self.added)
        # 1 where nothing is added, however quiet the clip
        share = 1 - (theirs / (own + theirs).clamp(min=EPS_ENERGY))[:, None]
        return share * self.own_targets + (1 - share) * self.added_targets


class MixClips(nn.Module):
    """Add another clip of the batch at a random ratio; share the label.

    Mixup (arXiv 1710.09412) of waveforms at a stated ratio in dB; the targets
    are mixed by the share of energy, as between-class learning does (arXiv
    1711.10282).

    Arguments
    ---------
    probability : float
        Share of clips that are mixed, 0 to 1.
    max_ratio : float
        Largest ratio between the two clips either way, dB.

    Example
    -------
    >>> mix = MixClips(1.0, 0.0)
    >>> mix(torch.ones(2, 8), torch.ones(2), torch.eye(2)).targets.sum(1)
    tensor([1., 1.])
    """

    def __init__(
        self, probability: float = 0.5, max_ratio: float = 12.0
    ) -> None:
        super().__init__()
        self.probability = probability
        self.max_ratio = max_ratio

    def forward(
        self, wavs: Tensor, lens: Tensor, targets: Tensor
    ) -> MixedClips:
        """Mix a batch and keep the parts; in evaluation, nothing is added.

        `wavs` are `[batch, samples]`, `lens` `[batch]`, relative, `targets`
        `[batch, n_classes]`.
        """
        if not (self.training and self.probability > 0):
            return MixedClips(
                wavs, torch.zeros_like(wavs), lens, targets, targets
            )
        batch, device = len(wavs), wavs.device
        other = torch.randperm(batch, device=device)
        snr = self.max_ratio * (2 * torch.rand(batch, device=device) - 1)
        mixed = torch.rand(batch, device=device) < self.probability
        added = scale_to_snr(wavs, wavs[other], snr) * mixed[:, None]
        lens = torch.where(mixed, torch.maximum(lens, lens[other]), lens)
        return MixedClips(wavs, added, lens, targets, targets[other])


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


class MaskSpectrogram(nn.Module):
    """Blank random stripes of time and of frequency (SpecAugment).

    SpeechBrain's `SpectrogramDrop` (arXiv 1904.08779), one over each axis, in
    training only.

    Arguments
    ---------
    max_stripes : int
        Most stripes along each axis; 0 switches the masking off.
    max_frames, max_bins : int
        Longest stripe, in frames and in frequency bins; 0 for none along
        that axis.

    Example
    -------
    >>> mask = MaskSpectrogram(2, 40, 60)
    >>> bool((mask(torch.ones(1, 431, 513)) == 0).any())
    True
    >>> bool((mask.eval()(torch.ones(1, 431, 513)) == 0).any())
    False
    """

    def __init__(
        self, max_stripes: int = 2, max_frames: int = 60, max_bins: int = 60
    ) -> None:
        super().__init__()
        self.drops = nn.ModuleList(
            # it draws lengths below its upper limit
            SpectrogramDrop(1, longest + 1, 1, max_stripes, dim=axis)
            for axis, longest in ((1, max_frames), (2, max_bins))
            if max_stripes > 0 and longest > 0
        )

    def forward(self, log_magnitude: Tensor) -> Tensor:
        """Return `[batch, time, freq]` with stripes of zeros."""
        if not self.training:
            return log_magnitude
        log_magnitude = log_magnitude.clone()  # drops write in place
        for drop in self.drops:
            log_magnitude = drop(log_magnitude)
        return log_magnitude
