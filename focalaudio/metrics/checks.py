"""`maps -> sanity, stability`: does a map depend on what it should depend on?

Sanity: on the class, on the trained weights (arXiv 1810.03292), on what the
classifier needs (arXiv 1901.09392). Stability: on where the sound is (arXiv
2304.06715), not on changes that are hardly heard (arXiv 1806.08049). Two maps
are compared by the ranks of their cells, so that no scale matters. Which
passes give the maps is the matter of `focalaudio.brains.checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from focalaudio.audio import code_vorbis
from focalaudio.decisions import ONE, Decision
from focalaudio.masks import CONSTANT_RANGE
from focalaudio.metrics import functional as formulas
from focalaudio.metrics.curves import Classify
from focalaudio.mixtures import scale_to_snr

N_PATCHES = 16  # of infidelity; each costs a pass
BATCH = 16  # copies of a clip that are classified at once
GAIN = 10 ** (-6 / 20)  # -6 dB
NOISE_SNR = 30.0  # dB, the clip over the noise


def rank_correlation(
    first: Tensor, second: Tensor, n_frames: Tensor | None = None
) -> Tensor:
    """Return Spearman's correlation of the cells of two maps.

    Pearson's correlation of the cells' ranks; cells that tie share the mean of
    their ranks.

    Arguments
    ---------
    first, second : torch.Tensor
        `[batch, time, freq]`, any scale.
    n_frames : torch.Tensor
        `[batch]`, int64, each clip's own frames, the only ones that count; all
        of them if None.

    Returns
    -------
    torch.Tensor
        `[batch]`, -1 to 1; `nan` where a map is constant (but for rounding, as
        in `focalaudio.masks`).

    Raises
    ------
    ValueError
        If the two have different shapes.

    Example
    -------
    >>> first = torch.tensor([[[1.0, 2.0, 3.0]], [[1.0, 2.0, 2.0]]])
    >>> second = torch.tensor([[[1.0, 4.0, 9.0]], [[5.0, 5.0, 5.0]]])
    >>> rank_correlation(first, second)
    tensor([1., nan])
    """
    if first.shape != second.shape:
        raise ValueError(
            f"first has shape {tuple(first.shape)} but second has "
            f"{tuple(second.shape)}; compare maps of the same clips."
        )
    correlations = first.new_empty(len(first), dtype=torch.float)
    for row, maps in enumerate(zip(first, second, strict=True)):
        frames = len(maps[0]) if n_frames is None else int(n_frames[row])
        ranks = [_center_ranks(one[:frames].flatten()) for one in maps]
        products = (ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1])
        correlations[row] = (ranks[0] @ ranks[1]) / products.sqrt()
    return correlations.clamp(-1, 1)


def _center_ranks(values: Tensor) -> Tensor:
    """Return each value's rank, less the mean; zeros if all are alike."""
    order = _sort(values)
    ordered = values[order]
    low, high = ordered[0], ordered[-1]
    ranks = torch.zeros_like(values, dtype=torch.double)
    if high - low > CONSTANT_RANGE * torch.maximum(high.abs(), low.abs()):
        counts = ordered.unique_consecutive(return_counts=True)[1]
        last = counts.cumsum(0).double()
        middle = last - (counts - 1) / 2 - (len(values) + 1) / 2
        ranks[order] = middle.repeat_interleave(counts)
    return ranks


def _sort(values: Tensor) -> Tensor:
    """Return the rising order of `[cells]`; NumPy's is several times faster."""
    if values.is_cpu:
        return torch.from_numpy(values.detach().numpy().argsort())
    return values.argsort()


def least_probable(logits: Tensor) -> Tensor:
    """Return the class that each clip is least of, `[batch]`, int64.

    From `[batch, n_classes]`. Its map should differ most from that of the top
    class; the random logit test (arXiv 1912.09818) takes any other.

    Example
    -------
    >>> least_probable(torch.tensor([[2.0, -1.0, 0.0]]))
    tensor([1])
    """
    return logits.argmin(-1)


def complexity_rise(trained: Tensor, untrained: Tensor) -> Tensor:
    """Return how much more complex a map is without training.

    `(H(untrained) - H(trained)) / H(trained)`, `H` the entropy of
    `focalaudio.metrics.functional.complexity`: the efficient model parameter
    randomization test (eMPRT, arXiv 2401.06465).

    Arguments
    ---------
    trained, untrained : torch.Tensor
        `[batch, ...]`, non-negative, zero beyond each clip's end.

    Returns
    -------
    torch.Tensor
        `[batch]`, -1 or more; `nan` where a map is zero, or the trained one
        has no entropy. Higher is better.

    Example
    -------
    >>> trained = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    >>> complexity_rise(trained, torch.ones(1, 4))
    tensor([1.])
    """
    before = formulas.complexity(trained)
    rise = (formulas.complexity(untrained) - before) / before
    return rise.masked_fill(before == 0, torch.nan)


@dataclass(frozen=True)
class Patches:
    """Rectangles of clips, and what a class loses when each falls silent.

    Arguments
    ---------
    corners : torch.Tensor
        `[batch, n_patches, 4]`, int64: from frame, to frame, from bin, to bin;
        the ends lie just outside.
    drops : torch.Tensor
        `[batch, n_patches]`, `f(X) - f(X without the patch)`, probabilities.
    """

    corners: Tensor
    drops: Tensor


@torch.no_grad()
def silence_patches(
    log_magnitude: Tensor,
    n_frames: Tensor,
    classify: Classify,
    logits: Tensor,
    seeds: Sequence[int],
    n_patches: int = N_PATCHES,
    decision: Decision = ONE,
) -> Patches:
    """Silence random patches of clips, one at a time, and classify the rest.

    A patch is a frame to the whole clip long and a bin to all frequencies
    wide, uniform in both, and so is its place: large enough that a classifier
    which is sure notices.

    Arguments
    ---------
    log_magnitude : torch.Tensor
        `[batch, time, freq]`.
    n_frames : torch.Tensor
        `[batch]`, int64, each clip's own frames.
    classify : callable
        As in `focalaudio.metrics.curves.insertion_and_deletion`.
    logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips: the predicted class counts.
    seeds : sequence of int
        One per clip: its patches.
    n_patches : int
        Per clip, at least 1; each costs a pass.
    decision : Decision
        What the logits mean.

    Returns
    -------
    Patches
        The same for every map of these clips.

    Raises
    ------
    ValueError
        If there is no patch.

    Example
    -------
    >>> def classify(clips, rows):  # class 0 is what is loud
    ...     loud = clips.mean((1, 2))
    ...     return torch.stack((loud, 1 - loud), 1).log()
    >>> clip, n_frames = torch.ones(1, 8, 8), torch.tensor([8])
    >>> logits = classify(clip, n_frames)
    >>> patches = silence_patches(clip, n_frames, classify, logits, [0])
    >>> top, bottom, left, right = patches.corners[0, 0].tolist()
    >>> share = (bottom - top) * (right - left) / 64
    >>> abs(float(patches.drops[0, 0]) - share) < 1e-6
    True
    """
    if n_patches < 1:
        raise ValueError(f"n_patches={n_patches} must be at least 1.")
    class_ids = logits.argmax(-1)
    whole = formulas.predicted_probability(logits, logits, decision)
    corners, drops = [], []
    for row, frames in enumerate(n_frames.tolist()):
        clip = log_magnitude[row, :frames]
        boxes = _draw_corners(clip.shape, n_patches, seeds[row])
        probabilities = []
        for some in boxes.split(BATCH):
            copies = torch.stack([_without(clip, box) for box in some.tolist()])
            said = classify(copies, n_frames.new_full((len(some),), row))
            probabilities.append(decision.probs(said)[:, class_ids[row]])
        corners.append(boxes)
        drops.append(whole[row] - torch.cat(probabilities))
    return Patches(torch.stack(corners), torch.stack(drops))


def _draw_corners(shape: Sequence[int], n_patches: int, seed: int) -> Tensor:
    """Draw patches within a shape, `[n_patches, 4]`, on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(n_patches, 4, generator=generator, dtype=torch.double)
    corners = []
    for axis, length in enumerate(shape):
        size = 1 + (draws[:, 2 * axis] * length).long()
        start = (draws[:, 2 * axis + 1] * (length - size + 1)).long()
        corners += [start, start + size]
    return torch.stack(corners, 1)


def _without(clip: Tensor, box: Sequence[int]) -> Tensor:
    top, bottom, left, right = box
    rest = clip.clone()
    rest[top:bottom, left:right] = 0
    return rest


def infidelity(
    saliency: Tensor, log_magnitude: Tensor, patches: Patches
) -> Tensor:
    """Return how far a map is from predicting what silence costs.

    `mean_I (b sum(I s) - 100 (f(X) - f(X - I)))^2` (arXiv 1901.09392): `I` is
    the log-magnitude within a patch, `b` the factor that makes it least for
    each clip, as no map knows its scale (captum's `normalize=True`).

    Arguments
    ---------
    saliency, log_magnitude : torch.Tensor
        `[batch, time, freq]`.
    patches : Patches
        Of the same clips.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 10000 %^2: the mean square of the drops is what a map
        of zeros gets. Lower is better.

    Example
    -------
    >>> corners = torch.tensor([[[0, 1, 0, 1], [0, 1, 1, 2]]])
    >>> patches = Patches(corners, torch.tensor([[0.5, 0.25]]))
    >>> clip = torch.ones(1, 1, 2)
    >>> infidelity(torch.tensor([[[4.0, 2.0]]]), clip, patches)
    tensor([0.])
    >>> infidelity(torch.tensor([[[0.0, 1.0]]]), clip, patches)
    tensor([1250.])
    """
    drops = 100 * patches.drops.double()
    told = torch.zeros_like(drops)
    for row, boxes in enumerate(patches.corners.tolist()):
        cells = saliency[row].double() * log_magnitude[row].double()
        for place, (top, bottom, left, right) in enumerate(boxes):
            told[row, place] = cells[top:bottom, left:right].sum()
    power = told.square().sum(1, keepdim=True)
    scale = (told * drops).sum(1, keepdim=True) / power
    scale = scale.masked_fill(power == 0, 0)  # what says nothing has no scale
    return (scale * told - drops).square().mean(1).float()


@dataclass(frozen=True)
class Clip:
    """A clip that is to be changed.

    Arguments
    ---------
    wav : torch.Tensor
        `[samples]`, without padding.
    sample_rate : int
        Hz.
    hop_samples : int
        From a frame of its spectrogram to the next.
    seed : int
        Of its noise.

    Example
    -------
    >>> clip = Clip(torch.ones(1000), 16000, 100, seed=0)
    >>> clip.hops, clip.turn
    (10, 2)
    """

    wav: Tensor
    sample_rate: int
    hop_samples: int
    seed: int

    @property
    def hops(self) -> int:
        """How many whole hops it has."""
        return len(self.wav) // self.hop_samples

    @property
    def turn(self) -> int:
        """How many hops it is rotated by: a quarter of them."""
        return max(1, self.hops // 4)


def rotate(values: Tensor, size: int, by: int) -> Tensor:
    """Rotate the first `size` of `[length, ...]` by some; leave the others.

    Example
    -------
    >>> rotate(torch.arange(5), 4, 1)
    tensor([3, 0, 1, 2, 4])
    """
    return torch.cat((values[:size].roll(by, 0), values[size:]))


def _rotate_clip(clip: Clip) -> Tensor:
    hop = clip.hop_samples
    return rotate(clip.wav, clip.hops * hop, clip.turn * hop)


def _add_noise(clip: Clip) -> Tensor:
    generator = torch.Generator().manual_seed(clip.seed)
    noise = torch.randn(len(clip.wav), generator=generator).to(clip.wav)
    return clip.wav + scale_to_snr(clip.wav, noise, NOISE_SNR)


@dataclass(frozen=True)
class Change:
    """A change that a map should follow, or hardly notice.

    Arguments
    ---------
    apply : callable
        From a `Clip` to its changed samples, as many.
    undo : callable
        From a map of the changed clip, `[frames, freq]`, and the `Clip`, to
        the map that it would have been.

    Example
    -------
    >>> clip = Clip(torch.arange(800.0), 16000, 100, seed=0)
    >>> change = CHANGES["stability_shift"]
    >>> change.apply(clip)[:2], change.undo(torch.arange(9), clip)
    (tensor([600., 601.]), tensor([2, 3, 4, 5, 6, 7, 0, 1, 8]))
    """

    apply: Callable[[Clip], Tensor]
    undo: Callable[[Tensor, Clip], Tensor] = lambda saliency, clip: saliency


CHANGES = {  # by the column that they give
    "stability_shift": Change(
        _rotate_clip,
        lambda saliency, clip: rotate(saliency, clip.hops, -clip.turn),
    ),
    "stability_gain": Change(lambda clip: GAIN * clip.wav),
    "stability_noise": Change(_add_noise),
    "stability_coding": Change(
        lambda clip: code_vorbis(clip.wav, clip.sample_rate)
    ),
}
