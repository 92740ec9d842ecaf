"""`known parts of a mixture -> loss on each cell`: teach evidence its place.

The evidence of a class in a cell of the last feature map is part of the logit
by design (see `SoundClassifier.cell_logits`). Trained on whole clips alone, a
cell may vote for what it does not hold. Mixtures made while training say what
each cell holds, with no label but the clips' own: the part that is louder
there. Between-class mixing (arXiv 1711.10282) taught where, not only how much.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from focalaudio.decisions import ONE, Decision

# from values [batch, time, freq] and a shape (rows, cols) to their means over
# the cells of such a grid: `ImageLayout.pool` of the clips
Pool = Callable[[Tensor, tuple[int, int]], Tensor]


def evidence_loss(
    evidence: Tensor,
    magnitude: Tensor,
    own_power: Tensor,
    added_power: Tensor,
    pool: Pool,
    own_targets: Tensor,
    added_targets: Tensor,
    floor: float | Tensor = 1.0,
    decision: Decision = ONE,
) -> Tensor:
    """Return the cross-entropy of every cell with what is louder in it.

    A cell's target is that of the clip to the share (of log-magnitude) in
    which the clip is louder than what was added, the added clip's for the
    rest; cells count by their mean log-magnitude, plus a floor.

    Arguments
    ---------
    evidence : torch.Tensor
        `[batch, n_classes, rows, cols]`, of `SoundClassifier.cell_logits`.
    magnitude : torch.Tensor
        `[batch, time, freq]`, of the mixture, non-negative, log scale.
    own_power, added_power : torch.Tensor
        `[batch, time, freq]`, `|STFT|^2` of the clip and of what was added.
    pool : callable
        Averages `[batch, time, freq]` over the cells of a grid of a given
        shape: `ImageLayout.pool` of these mixtures.
    own_targets, added_targets : torch.Tensor
        `[batch, n_classes]`.
    floor : float or torch.Tensor
        Added to every cell's weight, in means of its clip's weights, `[batch]`
        or the same for all; at 0 silence counts nothing.
    decision : Decision
        What the cells' logits mean.

    Returns
    -------
    torch.Tensor
        A scalar, nats, mean over cells and clips.

    Example
    -------
    >>> from torch.nn.functional import adaptive_avg_pool2d as pool
    >>> evidence = torch.zeros(1, 2, 3, 3)
    >>> loud = torch.ones(1, 6, 6)
    >>> loss = evidence_loss(
    ...     evidence, loud, loud, 0 * loud, pool, *torch.eye(2)[:, None]
    ... )
    >>> round(loss.item(), 4)  # ln 2: no cell knows anything
    0.6931
    """
    shape = (evidence.shape[2], evidence.shape[3])
    weight = pool(magnitude, shape)
    loud = pool(magnitude * (own_power >= added_power), shape)
    share = (loud / weight).nan_to_num(0.5)  # where there is no magnitude
    return _cell_loss(
        evidence, share, weight, own_targets, added_targets, floor, decision
    )


def share_loss(
    share_logits: Tensor,
    own_power: Tensor,
    added_power: Tensor,
    visible: Tensor,
    pool: Pool,
    own_targets: Tensor,
    added_targets: Tensor,
    floor: float | Tensor = 1.0,
    decision: Decision = ONE,
) -> Tensor:
    """Return the cross-entropy of fine cells with the parts of a mixture.

    A cell's target is the clip's to the share of the magnitudes that is its
    own, `|S| / (|S| + |O|)`, and the added clip's for the rest: the softmax (or
    the sigmoid) learns the ideal ratio mask of every class at once. Cells count
    by the root of their mean log-magnitude, plus a floor: quiet ones make up
    most of a clip.

    Arguments
    ---------
    share_logits : torch.Tensor
        `[batch, n_classes, rows, cols]`, of `SoundClassifier.share_logits`.
    own_power, added_power : torch.Tensor
        `[batch, time, freq]`, `|STFT|^2` of the two parts.
    visible : torch.Tensor
        `[batch, time, freq]`, the log-magnitude that the classifier was shown.
    pool, own_targets, added_targets, floor, decision
        As in `evidence_loss`.

    Returns
    -------
    torch.Tensor
        A scalar, nats, mean over cells and clips.

    Example
    -------
    >>> from torch.nn.functional import adaptive_avg_pool2d as pool
    >>> logits, part = torch.zeros(1, 2, 3, 3), torch.ones(1, 6, 6)
    >>> loss = share_loss(
    ...     logits, part, part, part, pool, *torch.eye(2)[:, None]
    ... )
    >>> round(loss.item(), 4)  # ln 2
    0.6931
    """
    shape = (share_logits.shape[2], share_logits.shape[3])
    own, added = (
        pool(power.sqrt(), shape) for power in (own_power, added_power)
    )
    # of a clip alone, silence that is taught as its own made the default
    # recipe no better on the two folds that it was tried on
    share = (own / (own + added)).nan_to_num(0.5)
    weight = pool(visible, shape).sqrt()
    return _cell_loss(
        share_logits, share, weight, own_targets, added_targets, floor, decision
    )


def _cell_loss(
    logits: Tensor,
    share: Tensor,
    weight: Tensor,
    own_targets: Tensor,
    added_targets: Tensor,
    floor: float | Tensor,
    decision: Decision,
) -> Tensor:
    """Weighted cross-entropy of cells that belong to two clips in shares."""
    share = share[:, None]
    targets = (
        share * own_targets[:, :, None, None]
        + (1 - share) * added_targets[:, :, None, None]
    )
    floor = torch.as_tensor(floor, device=weight.device).view(-1, 1, 1)
    mean = weight.mean((1, 2), keepdim=True)
    weight = ((weight / mean).nan_to_num(1.0) + floor) / (1 + floor)
    errors = decision.losses(logits, targets)
    return (errors * weight).mean()


def visible_share(
    own_power: Tensor, added_power: Tensor, mask: Tensor
) -> Tensor:
    """Return how much of what a mask shows of a mixture is the clip's own.

    Power spectra and a mask, `[batch, time, freq]`, to shares of the energy
    `[batch]`, 0 to 1; 1 where nothing is shown.

    Example
    -------
    >>> ones, mask = torch.ones(1, 1, 2), torch.tensor([[[1.0, 0.0]]])
    >>> visible_share(ones, 9 * ones, mask)
    tensor([0.1000])
    """
    own, added = (
        (power * mask).sum((1, 2)) for power in (own_power, added_power)
    )
    return (own / (own + added)).nan_to_num(1.0)
