"""`saliency -> mask`, and `mask + STFT -> kept / removed`.

Masks are `[batch, time, freq]`; they act on the complex STFT in one function,
so that what is heard and what the classifier is shown are the same thing.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# A map whose range is below this share of its largest value is constant but
# for rounding, and points nowhere.
CONSTANT_RANGE = 1e-6
QUANTILE = 0.9  # of the evaluation in arXiv 2402.02754


def quantile_mask(
    saliency: Tensor, quantile: float, n_frames: Tensor | None = None
) -> Tensor:
    """Keep the cells of each clip that reach a quantile of its saliency.

    Activation map thresholding (arXiv 2402.02754). A constant map, as silence
    gives, keeps nothing: every cell would reach the quantile otherwise. Nor
    does a cell without any saliency, where that is the quantile of most.

    Arguments
    ---------
    saliency : torch.Tensor
        `[batch, time, freq]`, non-negative, any scale.
    quantile : float
        Fraction of cells to drop, 0 to 1.
    n_frames : torch.Tensor
        `[batch]`, int64, each clip's own frames; all of them if None. What
        follows is never kept.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, bool, True where the cell is kept.

    Raises
    ------
    ValueError
        If `quantile` is outside 0 to 1.

    Example
    -------
    >>> quantile_mask(torch.arange(4.0).reshape(1, 2, 2), 0.5).sum().item()
    2
    """
    check_quantile(quantile)
    mask = torch.zeros_like(saliency, dtype=torch.bool)
    for row, own in _telling_clips(saliency, n_frames):
        kept = own >= _threshold_at(own, quantile)
        mask[row, : len(own)] = kept & (own > 0) if quantile > 0 else kept
    return mask


def soft_mask(
    saliency: Tensor, quantile: float, n_frames: Tensor | None = None
) -> Tensor:
    """Open each clip's mask in proportion to its saliency, up to a quantile.

    `min(1, s / s_q)`: cells that reach the quantile are kept whole, the
    others as far as they come. A constant map keeps nothing, as in
    `quantile_mask`.

    Arguments
    ---------
    saliency, quantile, n_frames
        As in `quantile_mask`.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, 0 to 1, at least the binary mask everywhere.

    Example
    -------
    >>> soft_mask(torch.tensor([[[0.0, 1.0, 2.0, 4.0]]]), 2 / 3)
    tensor([[[0.0000, 0.5000, 1.0000, 1.0000]]])
    """
    check_quantile(quantile)
    mask = torch.zeros_like(saliency)
    for row, own in _telling_clips(saliency, n_frames):
        threshold = _threshold_at(own, quantile)
        opened = torch.where(own >= threshold, 1.0, own / threshold)
        mask[row, : len(own)] = opened * (own > 0) if quantile > 0 else opened
    return mask


MASKS = {"binary": quantile_mask, "soft": soft_mask}
RATIO = "ratio"  # the saliency itself, where it is a share: no threshold


def _telling_clips(
    saliency: Tensor, n_frames: Tensor | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Yield row and own frames of clips whose saliency is not constant."""
    for row, clip in enumerate(saliency):
        own = clip if n_frames is None else clip[: int(n_frames[row])]
        low, high = own.aminmax()
        if high - low > CONSTANT_RANGE * high.abs():
            yield row, own


def _threshold_at(values: Tensor, quantile: float) -> Tensor:
    """`torch.quantile`, which refuses more than 2^24 values (380 s)."""
    flat = values.flatten()
    position = quantile * (flat.numel() - 1)
    below = int(position)
    # the largest values only: a partial selection instead of a full sort
    top = flat.topk(flat.numel() - below).values
    low, high = top[-1], top[max(len(top) - 2, 0)]
    return torch.lerp(low, high, position - below)


def check_quantile(quantile: float) -> None:
    """Refuse a quantile, the fraction of cells to drop, outside 0 to 1.

    Example
    -------
    >>> check_quantile(1.2)
    Traceback (most recent call last):
    ValueError: quantile=1.2 must be between 0 and 1.
    """
    if not 0 <= quantile <= 1:
        raise ValueError(f"quantile={quantile} must be between 0 and 1.")


def apply_mask(mask: Tensor, spectrum: Tensor) -> Tensor:
    """Multiply a spectrum by a mask, cell by cell.

    Arguments
    ---------
    mask : torch.Tensor
        `[batch, time, freq]`, bool or 0 to 1.
    spectrum : torch.Tensor
        `[batch, time, freq]` magnitude (any scale), or an STFT
        `[batch, time, freq, 2]`.

    Returns
    -------
    torch.Tensor
        Shaped as `spectrum`.

    Raises
    ------
    ValueError
        If the two have different time or frequency.

    Example
    -------
    >>> apply_mask(torch.eye(2)[None], torch.ones(1, 2, 2, 2)).sum()
    tensor(4.)
    """
    if mask.shape != spectrum.shape[:3]:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)} but the spectrogram has "
            f"{tuple(spectrum.shape[:3])}; build both from the same "
            "Spectrogram."
        )
    if spectrum.dim() == 4:
        mask = mask.unsqueeze(-1)
    return spectrum * mask.to(spectrum.dtype)


def keep_and_remove(mask: Tensor, spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Split a spectrum in the masked part and its complement.

    Arguments as in `apply_mask`; kept and removed are shaped as `spectrum`,
    which is their sum.

    Example
    -------
    >>> kept, removed = keep_and_remove(torch.eye(2)[None], torch.ones(1, 2, 2))
    >>> (kept + removed).sum()
    tensor(4.)
    """
    kept = apply_mask(mask, spectrum)
    return kept, spectrum - kept
