"""`wavs -> wavs`: what training does to its clips.

Each step is a module `step(wavs [batch, samples], lens [batch]) -> the same
two`; `MixClips`, the last one, takes targets too and keeps the parts of its
mixtures. None does anything in evaluation; all draw from torch's global
generator. Spectrograms are masked by SpeechBrain's `SpectrogramDrop`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from speechbrain.augment.freq_domain import SpectrogramDrop
from speechbrain.augment.time_domain import AddNoise
from torch import Tensor, nn

from focalaudio.masks import quantile_mask
from focalaudio.mixtures import EPS_ENERGY, energy, scale_to_snr
from focalaudio.spectrogram import absolute_lengths, zero_tails

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


class RandomPolarity(nn.Module):
    """Turn the waveform of some clips upside down.

    Arguments
    ---------
    probability : float
        Of a clip to be turned, 0 to 1.
    """

    def __init__(self, probability: float = 0.5) -> None:
        super().__init__()
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
    """Add white noise to each clip.

    SpeechBrain's `AddNoise`, in training only.

    Arguments
    ---------
    lowest, highest : float
        Between them the ratio of clip to noise is drawn, in dB; none is added
        if `lowest` is None.
    """

    def __init__(
        self, lowest: float | None = None, highest: float = 60.0
    ) -> None:
        super().__init__()
        self.is_active = lowest is not None
        self.noise = AddNoise(snr_low=lowest or 0.0, snr_high=highest)

    def forward(self, wavs: Tensor, lens: Tensor) -> Augmented:
        """See the module's docstring."""
        if not (self.training and self.is_active):
            return wavs, lens
        noisy = self.noise(wavs, lens)
        return zero_tails(noisy, absolute_lengths(lens, wavs)), lens


class RandomSpeed(nn.Module):
    """Play each clip faster or slower, pitch and all.

    As in between-class learning (arXiv 1711.10282), by linear interpolation.

    Arguments
    ---------
    max_factor : float
        Largest change of the speed either way, at least 1; the logarithm of
        the speed is uniform.

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
        If `seconds` is not positive.

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

    Arguments
    ---------
    probability : float
        Of a clip to be mixed, 0 to 1.
    max_ratio : float
        Largest ratio of the energies, either way, in dB.
    other_class : bool
        Take partners of another class where the batch has one: two clips of
        one class teach no place.
    halves : float
        Share of the clips, 0 to 1, that come one after the other instead of
        at once: what each cell holds is known exactly then.

    Example
    -------
    >>> mixer = MixClips(probability=1.0).train()
    >>> clips, targets = torch.ones(2, 4), torch.eye(2)
    >>> mixed = mixer(clips, torch.ones(2), targets)
    >>> torch.equal(mixed.own, clips)
    True
    """

    def __init__(
        self,
        probability: float = 0.5,
        max_ratio: float = 12.0,
        other_class: bool = False,
        halves: float = 0.0,
    ) -> None:
        super().__init__()
        self.probability = probability
        self.max_ratio = max_ratio
        self.other_class = other_class
        self.halves = halves

    def forward(
        self, wavs: Tensor, lens: Tensor, targets: Tensor
    ) -> MixedClips:
        """Mix a batch and keep the parts.

        Arguments
        ---------
        wavs : torch.Tensor
            `[batch, samples]`.
        lens : torch.Tensor
            `[batch]`, relative lengths, 0 to 1.
        targets : torch.Tensor
            `[batch, n_classes]`.

        Returns
        -------
        MixedClips
            In evaluation nothing is added.
        """
        if not (self.training and self.probability > 0):
            return MixedClips(
                wavs, torch.zeros_like(wavs), lens, targets, targets
            )
        batch, device = len(wavs), wavs.device
        other = torch.randperm(batch, device=device)
        if self.other_class:
            other = _prefer_others(other, targets.argmax(1))
        snr = self.max_ratio * (2 * torch.rand(batch, device=device) - 1)
        mixed = torch.rand(batch, device=device) < self.probability
        added = scale_to_snr(wavs, wavs[other], snr) * mixed[:, None]
        lens = torch.where(mixed, torch.maximum(lens, lens[other]), lens)
        if self.halves > 0:
            wavs, added = self._part(wavs, added, mixed)
        return MixedClips(wavs, added, lens, targets, targets[other])

    def _part(
        self, own: Tensor, added: Tensor, mixed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let some clips end where what was added begins, or the reverse."""
        batch, n_samples = own.shape
        draw = torch.rand(3, batch, device=own.device)
        cut = ((0.25 + 0.5 * draw[0]) * n_samples).long()[:, None]
        first = torch.arange(n_samples, device=own.device) < cut
        first = torch.where((draw[1] < 0.5)[:, None], first, ~first)
        whole = ~(mixed & (draw[2] < self.halves))[:, None]
        return own * (whole | first), added * (whole | ~first)


def _prefer_others(other: Tensor, class_ids: Tensor) -> Tensor:
    """Replace partners of the same class by the next of another one."""
    batch = len(other)
    order = (other[:, None] + torch.arange(batch, device=other.device)) % batch
    differs = class_ids[order] != class_ids[:, None]
    return order.gather(1, differs.int().argmax(1, keepdim=True))[:, 0]


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


@dataclass(frozen=True)
class Views:
    """Which part of each clip of a batch is shown.

    Arguments
    ---------
    mask : torch.Tensor
        `[batch, time, freq]`, bool, True where the clip is visible.
    masked : torch.Tensor
        `[batch]`, bool: which clips are shown in part.
    cut_out : torch.Tensor
        `[batch]`, bool: which of them lack what their class was heard in.
    """

    mask: Tensor
    masked: Tensor
    cut_out: Tensor


class MaskedViews(nn.Module):
    """Show the classifier only parts of some spectrograms.

    Explanations are judged by what a classifier says of masked spectrograms,
    so it should be at home on them (arXiv 2405.20448, 2601.12660). The shape of
    a mask must not tell the class (arXiv 2211.14646): beside the loudest cells
    and the classifier's own maps there are masks of random shape, and maps of
    another clip. Only the input is masked, and the targets are those of what
    is visible.

    Arguments
    ---------
    probability : float
        Of a clip to be shown in part, 0 to 1.
    kinds : sequence of str
        One is drawn for each clip: `loudest`, `own` (the classifier's map of
        the clip), `foreign` (its map of the next clip of the batch), `blobs`
        (smooth noise on grids of random size); or what the maps leave,
        `own_cut` and `foreign_cut`. A kind that is named twice is drawn twice
        as often.
    lowest, highest : float
        Between them the quantile is drawn, the fraction of cells that is
        hidden, 0 to 1; for masks that know nothing of the clip, which would
        hide all of it, it is scaled to 0.2 ... 0.8.

    Raises
    ------
    ValueError
        If there is no such kind.

    Example
    -------
    >>> views = MaskedViews(probability=1.0, kinds=["loudest"]).train()
    >>> loud = torch.arange(100.0).view(1, 10, 10)
    >>> mask = views(loud, torch.tensor([10])).mask
    >>> bool(mask[0, 9].all()), bool(mask[0, 0].any())
    (True, False)
    """

    KINDS = ("loudest", "own", "foreign", "blobs", "own_cut", "foreign_cut")

    def __init__(
        self,
        probability: float = 0.5,
        kinds: Sequence[str] = KINDS[:4],
        lowest: float = 0.5,
        highest: float = 0.95,
    ) -> None:
        super().__init__()
        if not set(kinds) <= set(self.KINDS) or not kinds:
            raise ValueError(
                f"kinds={list(kinds)} must be of {', '.join(self.KINDS)}."
            )
        self.probability = probability
        self.kinds = list(kinds)
        self.lowest, self.highest = lowest, highest

    @property
    def is_active(self) -> bool:
        """Whether training changes anything."""
        return self.training and self.probability > 0

    def forward(
        self,
        log_magnitude: Tensor,
        n_frames: Tensor,
        find_map: Callable[[Tensor], Tensor] | None = None,
    ) -> Views:
        """Draw the masks of a batch.

        Arguments
        ---------
        log_magnitude : torch.Tensor
            `[batch, time, freq]`.
        n_frames : torch.Tensor
            `[batch]`, int64, each clip's own frames.
        find_map : callable
            Maps rows of the batch `[n]` to the classifier's saliency of these
            clips `[n, time, freq]`; all kinds but `loudest` and `blobs` need
            it.

        Returns
        -------
        Views
            On the device of the clips.

        Raises
        ------
        ValueError
            If a map is needed, and there is no `find_map`.
        """
        batch = len(log_magnitude)
        chosen = torch.rand(batch) < self.probability
        kinds = torch.randint(len(self.kinds), (batch,)).tolist()
        draws = torch.rand(batch)
        mask = torch.ones_like(log_magnitude, dtype=torch.bool)
        rows = chosen.nonzero()[:, 0].tolist()
        maps = self._find_maps(rows, kinds, batch, find_map)
        for row in rows:
            kind = self.kinds[kinds[row]]
            if kind == "blobs":
                saliency = _draw_blobs(log_magnitude[row])
            elif kind == "loudest":
                saliency = log_magnitude[row]
            else:
                saliency = maps[row]
            low, high = self.lowest, self.highest
            if kind in ("blobs", "foreign"):
                low, high = 0.2, 0.8
            quantile = float(low + (high - low) * draws[row])
            own = n_frames[row : row + 1]
            view = quantile_mask(saliency[None], quantile, own)[0]
            if view.any():  # a map that points nowhere hides nothing
                mask[row] = ~view if kind.endswith("_cut") else view
        cut_out = [
            masked and self.kinds[kind] == "own_cut"
            for masked, kind in zip(chosen.tolist(), kinds, strict=True)
        ]
        device = log_magnitude.device
        return Views(
            mask, chosen.to(device), torch.tensor(cut_out, device=device)
        )

    def _find_maps(
        self,
        rows: Sequence[int],
        kinds: Sequence[int],
        batch: int,
        find_map: Callable[[Tensor], Tensor] | None,
    ) -> dict[int, Tensor]:
        """Ask the classifier, in one batch, for the maps that are needed."""
        steps = {"own": 0, "own_cut": 0, "foreign": 1, "foreign_cut": 1}
        needed = {
            row: (row + steps[self.kinds[kinds[row]]]) % batch
            for row in rows
            if self.kinds[kinds[row]] in steps
        }
        if not needed:
            return {}
        if find_map is None:
            raise ValueError(
                f"kinds={self.kinds} need the classifier's maps; give find_map."
            )
        found = find_map(torch.tensor(list(needed.values())))
        return dict(zip(needed, found, strict=True))


def _draw_blobs(like: Tensor) -> Tensor:
    """Return smooth noise `[time, freq]`, on a grid of 4 to 64 cells a side."""
    side = int(2 ** (2 + 4 * torch.rand(1).item()))
    noise = torch.rand(1, 1, side, side, device=like.device)
    shape = (like.shape[0], like.shape[1])
    return F.interpolate(noise, shape, mode="bilinear")[0, 0]
