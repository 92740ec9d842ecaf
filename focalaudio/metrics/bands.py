"""`clips + classifier -> bands`: what if a band of frequencies were silent?

Each band of each clip is silenced alone, and the classifier asked again: one
pass per band.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from focalaudio.decisions import ONE, Decision
from focalaudio.metrics.curves import Classify

SCALES = ("octave", "mel")


@dataclass(frozen=True)
class BandRemoval:
    """What a classifier says of clips when each band is silenced.

    Arguments
    ---------
    edges : torch.Tensor
        `[bands + 1]`, Hz, rising.
    class_ids : torch.Tensor
        `[batch]`, int64, the classes that are explained.
    whole : torch.Tensor
        `[batch]`, their probabilities of the whole clips, 0 to 1.
    without : torch.Tensor
        `[batch, bands]`, the same without each band.
    changes : torch.Tensor
        `[batch, bands]`, bool, whether the class is no answer without each
        band: another one is predicted, or, where a clip has several labels,
        its probability is below .5.

    Example
    -------
    >>> edges, ids = torch.tensor([0.0, 500.0, 8000.0]), torch.ones(1)
    >>> whole, without = torch.tensor([0.75]), torch.tensor([[0.25, 0.75]])
    >>> changes = torch.tensor([[True, False]])
    >>> BandRemoval(edges, ids, whole, without, changes).drop
    tensor([[0.5000, 0.0000]])
    """

    edges: Tensor
    class_ids: Tensor
    whole: Tensor
    without: Tensor
    changes: Tensor

    @property
    def drop(self) -> Tensor:
        """Probability that is lost without each band, `[batch, bands]`."""
        return self.whole[:, None] - self.without

    def most_needed(self) -> dict[str, Tensor]:
        """Return the band that costs most: what is lost, and its edges in Hz.

        Columns `band_drop`, `band_low`, `band_high`, each `[batch]`.
        """
        drop, band = self.drop.max(1)
        edges = self.edges.to(drop)
        return {
            "band_drop": drop,
            "band_low": edges[band],
            "band_high": edges[band + 1],
        }

    def sum_bands(self, values: Tensor) -> Tensor:
        """Sum `[batch, time, freq]` over each band, `[batch, bands]`."""
        bins = values.sum(1)
        band = _find_bands(self.edges, bins.shape[1]).to(bins.device)
        n_bands = len(self.edges) - 1
        return bins.new_zeros(len(bins), n_bands).index_add(1, band, bins)


def band_edges(sample_rate: int, n_bands: int, scale: str = "octave") -> Tensor:
    """Return the edges of bands that cover all frequencies, without a gap.

    Arguments
    ---------
    sample_rate : int
        Hz; the last edge is its half.
    n_bands : int
        How many.
    scale : str
        `octave`: each band is an octave, and the lowest goes on down to 0.
        `mel`: all are equally wide in mel, `1127 ln(1 + f /
        700)`.

    Returns
    -------
    torch.Tensor
        `[n_bands + 1]`, Hz, rising from 0.

    Raises
    ------
    ValueError
        If there is no such scale, or no band.

    Example
    -------
    >>> band_edges(16000, 4)
    tensor([   0., 1000., 2000., 4000., 8000.])
    >>> band_edges(16000, 2, "mel").round()
    tensor([   0., 1768., 8000.])
    """
    if scale not in SCALES:
        raise ValueError(f"scale={scale!r} must be one of {', '.join(SCALES)}.")
    if n_bands < 1:
        raise ValueError(f"n_bands={n_bands} must be at least 1.")
    highest = torch.tensor(sample_rate / 2)
    if scale == "octave":
        octaves = torch.arange(n_bands - 1, -1, -1)
        return torch.cat((torch.zeros(1), highest / 2.0**octaves))
    width = torch.log1p(highest / 700) / n_bands
    edges = 700 * torch.expm1(width * torch.arange(n_bands + 1))
    edges[-1] = highest
    return edges


def _find_bands(edges: Tensor, n_bins: int) -> Tensor:
    """Return the band of each of so many bins from 0 to the last edge."""
    hz = torch.linspace(0, float(edges[-1]), n_bins)
    return torch.bucketize(hz, edges[1:-1], right=True)


@torch.no_grad()
def remove_bands(
    classify: Classify,
    log_magnitude: Tensor,
    edges: Tensor,
    class_ids: Tensor | None = None,
    logits: Tensor | None = None,
    decision: Decision = ONE,
) -> BandRemoval:
    """Silence each band of clips alone, and classify what is left.

    Arguments
    ---------
    classify : callable
        As in `focalaudio.metrics.curves.insertion_and_deletion`.
    log_magnitude : torch.Tensor
        `[batch, time, freq]`, of the whole clips; its bins are equally wide,
        from 0 to the last of the edges.
    edges : torch.Tensor
        Of `band_edges`; a bin belongs to the band that holds its frequency.
    class_ids : torch.Tensor
        `[batch]`, int64, the classes to explain; the predicted if None.
    logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips, if they are known already.
    decision : Decision
        What the logits mean.

    Returns
    -------
    BandRemoval
        Of all bands.

    Example
    -------
    >>> def classify(clips, rows):  # class 1 is what is above 4 kHz
    ...     return torch.stack((clips[:, 0, 0], 3 * clips[:, 0, 2]), 1)
    >>> clip, edges = torch.ones(1, 1, 3), band_edges(16000, 2)
    >>> remove_bands(classify, clip, edges).changes
    tensor([[False,  True]])
    """
    rows = torch.arange(len(log_magnitude), device=log_magnitude.device)
    if logits is None:
        logits = classify(log_magnitude, rows)
    logits = logits.float()
    if class_ids is None:
        class_ids = logits.argmax(-1)
    band = _find_bands(edges, log_magnitude.shape[2]).to(log_magnitude.device)
    without, changes = [], []
    for index in range(len(edges) - 1):
        left = classify(log_magnitude * (band != index), rows).float()
        without.append(decision.probs(left)[rows, class_ids])
        changes.append(~decision.decide(left)[rows, class_ids])
    return BandRemoval(
        edges,
        class_ids,
        decision.probs(logits)[rows, class_ids],
        torch.stack(without, 1),
        torch.stack(changes, 1),
    )
