"""`spectrograms -> what of them is shown`: stripes, and views by masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from speechbrain.augment.freq_domain import SpectrogramDrop
from torch import Tensor, nn

from focalaudio.augment.ranges import check_range
from focalaudio.masks import quantile_mask


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
        that axis. All stripes along an axis cover half of it at the most.

    Raises
    ------
    ValueError
        If one of them is negative.

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
        check_range(0, max_stripes=max_stripes)
        check_range(0, max_frames=max_frames, max_bins=max_bins)
        self.max_stripes = max_stripes
        longest = {1: max_frames, 2: max_bins}
        self.longest = {
            axis: most for axis, most in longest.items() if max_stripes * most
        }

    def forward(self, log_magnitude: Tensor) -> Tensor:
        """Return `[batch, time, freq]` with stripes of zeros."""
        if not self.training:
            return log_magnitude
        log_magnitude = log_magnitude.clone()  # drops write in place
        for axis, longest in self.longest.items():
            most = log_magnitude.shape[axis] // (2 * self.max_stripes)
            if most > 0:
                below = min(longest, most) + 1  # it draws lengths below this
                drop = SpectrogramDrop(1, below, 1, self.max_stripes, dim=axis)
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
    kinds : str, or sequence of str
        One is drawn for each clip: `loudest`, `own` (the classifier's map of
        the clip), `foreign` (its map of the next clip of the batch), `blobs`
        (smooth noise on grids of random size); or what the maps leave,
        `own_cut` and `foreign_cut`. A kind that is named twice is drawn twice
        as often.
    lowest, highest : float
        Between them the quantile is drawn, the fraction of cells that is
        hidden (for `_cut`, shown), 0 to 1. For `foreign` and `blobs`, which
        know nothing of the clip and would hide all of it, it is drawn between
        0.2 and 0.8 whatever these are.

    Raises
    ------
    ValueError
        If there is no such kind, or a number is out of its range.

    Example
    -------
    >>> views = MaskedViews(1.0, kinds=["loudest"], highest=0.9).train()
    >>> loud = torch.arange(100.0).view(1, 10, 10)
    >>> mask = views(loud, torch.tensor([10])).mask
    >>> bool(mask[0, 9].all()), bool(mask[0, 0].any())
    (True, False)
    """

    KINDS = ("loudest", "own", "foreign", "blobs", "own_cut", "foreign_cut")

    def __init__(
        self,
        probability: float = 0.5,
        kinds: str | Sequence[str] = KINDS[:4],
        lowest: float = 0.5,
        highest: float = 0.95,
    ) -> None:
        super().__init__()
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not set(kinds) <= set(self.KINDS) or not kinds:
            raise ValueError(
                f"kinds={list(kinds)} must be of {', '.join(self.KINDS)}."
            )
        check_range(0, 1, probability=probability, lowest=lowest)
        check_range(lowest, 1, highest=highest)
        self.probability = probability
        self.kinds = list(kinds)
        self.lowest, self.highest = lowest, highest

    @property
    def is_active(self) -> bool:
        """Whether anything is shown in part now; never in evaluation."""
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
        cut_out = torch.zeros(batch, dtype=torch.bool)
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
                cut_out[row] = kind == "own_cut"
        device = log_magnitude.device
        return Views(mask, chosen.to(device), cut_out.to(device))

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
