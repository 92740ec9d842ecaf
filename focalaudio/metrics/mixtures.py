"""What a mask kept, when the sources of a mixture are known.

`saliency, mask, sources -> one value per clip`. The source of interest is that
of the predicted class; the rest of the mixture is the other. Every number has
a ceiling here, what an oracle's masks of the same size get, and a floor in
`focalaudio.interpreters.maps`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def source_share(mask: Tensor, source: Tensor, other: Tensor) -> Tensor:
    """Return how much of the kept energy belongs to the source.

    `|m S|^2 / (|m S|^2 + |m O|^2)`, summed over cells.

    Arguments
    ---------
    mask : torch.Tensor
        `[batch, time, freq]`, bool or 0 to 1.
    source, other : torch.Tensor
        `[batch, time, freq]`, energy of the source and of the rest.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1; `nan` where nothing is kept. Higher is better.

    Example
    -------
    >>> mask = torch.tensor([[[True, True, False]]])
    >>> source = torch.tensor([[[3.0, 0.0, 9.0]]])
    >>> source_share(mask, source, torch.ones(1, 1, 3))
    tensor([0.6000])
    """
    weight = mask.to(source.dtype) ** 2
    own, rest = ((weight * part).sum((1, 2)) for part in (source, other))
    return own / (own + rest)


def source_kept(mask: Tensor, source: Tensor) -> Tensor:
    """Return how much of the source's energy is kept: `|m S|^2 / |S|^2`.

    Arguments
    ---------
    mask : torch.Tensor
        `[batch, time, freq]`, bool or 0 to 1.
    source : torch.Tensor
        `[batch, time, freq]`, energy.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1; `nan` where the source is silent. A random mask
        keeps its own size. Higher is better.

    Example
    -------
    >>> mask = torch.tensor([[[True, False, False, False]]])
    >>> source_kept(mask, torch.ones(1, 1, 4))
    tensor([0.2500])
    """
    kept = source * mask.to(source.dtype) ** 2
    return kept.sum((1, 2)) / source.sum((1, 2))


def ideal_binary_mask(source: Tensor, other: Tensor) -> Tensor:
    """Say in which cells the source is louder than the rest.

    Arguments
    ---------
    source, other : torch.Tensor
        `[batch, time, freq]`, energy.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, bool.

    Example
    -------
    >>> ideal_binary_mask(torch.tensor([2.0, 1.0]), torch.ones(2))
    tensor([ True, False])
    """
    return source > other


def mask_iou(mask: Tensor, ideal: Tensor) -> Tensor:
    """Return the intersection over union of a mask and the ideal one.

    A soft mask counts as far as it is open: minimum over maximum.

    Arguments
    ---------
    mask : torch.Tensor
        `[batch, time, freq]`, bool or 0 to 1.
    ideal : torch.Tensor
        `[batch, time, freq]`, bool.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1; `nan` where both are empty. Higher is better.

    Example
    -------
    >>> mask = torch.tensor([[[True, True, False]]])
    >>> mask_iou(mask, torch.tensor([[[True, False, False]]]))
    tensor([0.5000])
    """
    mask, ideal = mask.float(), ideal.float()
    common = torch.minimum(mask, ideal).sum((1, 2))
    return common / torch.maximum(mask, ideal).sum((1, 2))


def pointing_game(saliency: Tensor, source: Tensor, other: Tensor) -> Tensor:
    """Say whether the most salient cell is one in which the source is louder.

    The pointing game (arXiv 1608.00507) with the cells of a spectrogram; where
    several cells are the most salient, the share of them that is right.

    Arguments
    ---------
    saliency : torch.Tensor
        `[batch, time, freq]`, any scale.
    source, other : torch.Tensor
        `[batch, time, freq]`, energy.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1. Higher is better; chance is the share of the cells
        in which the source is louder.

    Example
    -------
    >>> saliency = torch.tensor([[[0.1, 0.9]], [[0.9, 0.1]]])
    >>> source = torch.tensor([[[0.0, 2.0]], [[0.0, 2.0]]])
    >>> pointing_game(saliency, source, torch.ones(2, 1, 2))
    tensor([1., 0.])
    """
    most = saliency == saliency.amax((1, 2), keepdim=True)
    right = (most & ideal_binary_mask(source, other)).float().sum((1, 2))
    return right / most.float().sum((1, 2))


def saliency_auc(saliency: Tensor, source: Tensor, other: Tensor) -> Tensor:
    """Return how well a saliency ranks the source's cells above the others.

    Area under the ROC curve against the ideal binary mask, over all cells in
    which anything sounds.

    Arguments
    ---------
    saliency : torch.Tensor
        `[batch, time, freq]`, any scale.
    source, other : torch.Tensor
        `[batch, time, freq]`, energy.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1, chance 0.5; `nan` where all cells are of one kind.
        Higher is better.

    Example
    -------
    >>> saliency = torch.tensor([[[0.1, 0.9, 0.5]]])
    >>> source = torch.tensor([[[0.0, 2.0, 2.0]]])
    >>> saliency_auc(saliency, source, torch.ones(1, 1, 3))
    tensor([1.])
    """
    # loads for seconds: only where sources are known
    from torchmetrics.functional.classification import binary_auroc

    areas = saliency.new_full((len(saliency),), torch.nan)
    ideal, sounds = ideal_binary_mask(source, other), source + other > 0
    for row, cells in enumerate(sounds):
        truth = ideal[row][cells]
        if truth.any() and not truth.all():
            # scaled to 0..1: what looks like logits would be squashed
            scores = _rescale(saliency[row][cells])
            areas[row] = binary_auroc(scores, truth.long(), validate_args=False)
    return areas


def _rescale(values: Tensor) -> Tensor:
    """Bring values linearly to 0 .. 1; zeros if all are equal."""
    low, high = values.double().aminmax()
    return (values.double() - low) / torch.where(high > low, high - low, 1)


def si_sdr(wavs: Tensor, source: Tensor) -> Tensor:
    """Return the scale-invariant signal-to-distortion ratio of sounds.

    arXiv 1811.02508.

    Arguments
    ---------
    wavs, source : torch.Tensor
        `[batch, samples]`.

    Returns
    -------
    torch.Tensor
        `[batch]`, dB; `nan` where one of the two is silent. Higher is better.

    Example
    -------
    >>> si_sdr(torch.ones(1, 4), torch.tensor([[1.0, 1.0, 1.0, 0.0]])).round()
    tensor([5.])
    """
    # loads for seconds: only where sources are known
    from torchmetrics.functional.audio import (
        scale_invariant_signal_distortion_ratio,
    )

    ratio = scale_invariant_signal_distortion_ratio(wavs, source)
    silent = (wavs == 0).all(-1) | (source == 0).all(-1)
    return ratio.masked_fill(silent, torch.nan)


def keep_best(
    scores: Tensor, sizes: Tensor, n_frames: Tensor | None = None
) -> Tensor:
    """Keep each clip's best cells, exactly so many.

    Arguments
    ---------
    scores : torch.Tensor
        `[batch, time, freq]`.
    sizes : torch.Tensor
        `[batch]`, how many cells to keep.
    n_frames : torch.Tensor
        `[batch]`, int64, each clip's own frames; all of them if None.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, bool.

    Example
    -------
    >>> keep_best(torch.tensor([[[1.0, 3.0, 2.0]]]), torch.tensor([2]))
    tensor([[[False,  True,  True]]])
    """
    mask = torch.zeros_like(scores, dtype=torch.bool)
    for row, size in enumerate(sizes.round().long().tolist()):
        frames = scores.shape[1] if n_frames is None else int(n_frames[row])
        own = scores[row, :frames].flatten()
        best = own.topk(min(size, len(own))).indices
        kept = torch.zeros_like(own, dtype=torch.bool)
        kept[best] = True
        mask[row, :frames] = kept.view(frames, -1)
    return mask


def oracle_scores(source: Tensor, other: Tensor) -> dict[str, Tensor]:
    """Return what an oracle, which knows the sources, ranks cells by.

    `cleanest`, the highest share of the source, comes close to the most that
    `source_share` can be, closer the fewer cells there are; `ideal`, the
    largest excess over the rest, to the most that the SI-SDR can be.

    Arguments
    ---------
    source, other : torch.Tensor
        `[batch, time, freq]`, energy.

    Returns
    -------
    dict
        From a name to scores `[batch, time, freq]`.

    Example
    -------
    >>> oracle_scores(torch.tensor([3.0]), torch.tensor([1.0]))
    {'cleanest': tensor([0.7500]), 'ideal': tensor([2.])}
    """
    return {
        "cleanest": (source / (source + other)).nan_to_num(0.0),
        "ideal": source - other,
    }
