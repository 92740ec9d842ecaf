"""`saliency -> mask`, and `mask + STFT -> kept / removed`.

Masks are `[batch, time, freq]`; they act on the complex STFT in one function,
so that what is heard and what the classifier is shown are the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from numbers import Real

import torch
from torch import Tensor

from focalaudio.spectrogram import Spectrum, power_spectrum

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


def energy_mask(
    saliency: Tensor,
    quantile: float,
    energy: Tensor,
    n_frames: Tensor | None = None,
) -> Tensor:
    """Keep the most salient cells of each clip until they hold enough energy.

    Masks of an equal number of cells may keep anything between silence and
    most of a sound; these keep the same energy. They are as large as the last
    cell makes them, and cells of the same saliency come together, so what is
    kept may be more. Constant maps and cells without any saliency keep
    nothing, as in `quantile_mask`.

    Arguments
    ---------
    saliency : torch.Tensor
        `[batch, time, freq]`, non-negative, any scale.
    quantile : float
        Share of the energy that may be dropped, 0 to 1.
    energy : torch.Tensor
        `[batch, time, freq]`, `|STFT|^2` of the whole clips.
    n_frames
        As in `quantile_mask`.

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
    >>> saliency = torch.tensor([[[4.0, 3.0, 2.0, 1.0]]])
    >>> energy = torch.tensor([[[1.0, 4.0, 3.0, 2.0]]])
    >>> energy_mask(saliency, 0.5, energy)
    tensor([[[ True,  True, False, False]]])
    """
    check_quantile(quantile)
    mask = torch.zeros_like(saliency, dtype=torch.bool)
    for row, own in _telling_clips(saliency, n_frames):
        mask[row, : len(own)] = True
        if quantile > 0:
            ranked, order = own.flatten().sort(descending=True)
            held = energy[row, : len(own)].flatten()[order].double().cumsum(0)
            enough = torch.searchsorted(held, (1 - quantile) * held[-1])
            kept = (own >= ranked[enough]) & (own > 0)
            mask[row, : len(own)] = kept
    return mask


ENERGY = "energy"
# cut a saliency at a quantile: of the cells, or of the clip's energy
MASKS: dict[str, Callable[..., Tensor]] = {
    "binary": quantile_mask,
    "soft": soft_mask,
    ENERGY: energy_mask,
}
RATIO = "ratio"  # the saliency itself, where it is a share: no threshold


def cut_saliency(
    kind: str, saliency: Tensor, quantile: float, spectrum: Spectrum
) -> Tensor:
    """Cut a saliency to a mask of the kind that is asked for.

    Arguments
    ---------
    kind : str
        One of `MASKS`.
    saliency, quantile
        As in the function of that kind.
    spectrum : Spectrum
        Of the whole clips.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, bool or 0 to 1.

    Example
    -------
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrum = Spectrogram()(torch.rand(1, 1000))
    >>> loud = spectrum.log_magnitude
    >>> kept, whole = (
    ...     cut_saliency("energy", loud, quantile, spectrum).sum()
    ...     for quantile in (0.5, 0.0)
    ... )
    >>> bool(kept < whole / 10)  # the loudest cells hold most of the energy
    True
    """
    known = (power_spectrum(spectrum.stft),) if kind == ENERGY else ()
    return MASKS[kind](saliency, quantile, *known, spectrum.n_frames)


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
    top = flat.topk(flat.numel() - below, sorted=False).values
    lowest = top.topk(min(2, len(top)), largest=False).values
    return torch.lerp(lowest[0], lowest[-1], position - below)


def check_quantile(quantile: float) -> None:
    """Refuse a quantile, the fraction of cells to drop, outside 0 to 1.

    A `TypeError` for what is no number, a `ValueError` for one outside.

    Example
    -------
    >>> check_quantile(1.2)
    Traceback (most recent call last):
    ValueError: quantile=1.2 must be between 0 and 1.
    """
    if isinstance(quantile, bool) or not isinstance(quantile, Real):
        raise TypeError(f"{quantile=} must be a number between 0 and 1.")
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
