"""`saliency -> curves -> area`: how soon a class appears, or disappears.

Insertion and deletion (RISE, arXiv 1806.07421): cells come in the order of
their saliency. Here they are the cells of the log-magnitude, a clip's own
frames count, and what is not there is silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from focalaudio.decisions import ONE, Decision

Classify = Callable[[Tensor, Tensor], Tensor]


def _rank_cells(saliency: Tensor) -> Tensor:
    """Return each cell's place in falling order; ties in order of position."""
    order = saliency.flatten().sort(descending=True, stable=True).indices
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    return ranks.view(saliency.shape)


def _step_sizes(n_cells: int, n_steps: int) -> list[int]:
    """Return how many cells have come after each step, from none to all."""
    if n_steps < 1:
        raise ValueError(f"n_steps={n_steps} must be at least 1.")
    return [
        (2 * n_cells * step + n_steps) // (2 * n_steps)
        for step in range(n_steps + 1)
    ]


def insertion_and_deletion(
    saliency: Tensor,
    log_magnitude: Tensor,
    n_frames: Tensor,
    classify: Classify,
    class_ids: Tensor,
    n_steps: int = 20,
    batch_size: int = 16,
    decision: Decision = ONE,
) -> tuple[Tensor, Tensor]:
    """Follow the probability of a class while cells come, or go.

    Insertion starts from silence and adds the most salient cells first;
    deletion starts from the whole clip and silences them first. Both take the
    same steps: what deletion leaves is what insertion has yet to add.

    Arguments
    ---------
    saliency : torch.Tensor
        `[batch, time, freq]`, any scale: only the order of a clip's cells
        matters; ties come in order of time, then frequency.
    log_magnitude : torch.Tensor
        `[batch, time, freq]`.
    n_frames : torch.Tensor
        `[batch]`, int64, each clip's own frames.
    classify : callable
        Maps log-magnitudes `[copies, frames, freq]`, and the row of the clip
        that each is a part of, `[copies]`, to logits `[copies, n_classes]`.
    class_ids : torch.Tensor
        `[batch]`, int64, the class to follow in each clip.
    n_steps : int
        Equal fractions of a clip's own cells.
    batch_size : int
        How many copies of a clip are classified at once.
    decision : Decision
        What the logits mean.

    Returns
    -------
    tuple of torch.Tensor
        Insertion and deletion, each `[batch, n_steps + 1]`, probabilities: the
        first is `f(silence) ... f(X)`, the second `f(X) ... f(silence)`.

    Raises
    ------
    ValueError
        If `n_steps` or `batch_size` is below 1.

    Example
    -------
    >>> def classify(clips, rows):  # probability = sum of cells
    ...     share = clips.sum((1, 2))
    ...     return torch.stack((share, 1 - share), 1).log()
    >>> clip = torch.tensor([[[0.125, 0.625, 0.25]]])
    >>> inserted, deleted = insertion_and_deletion(
    ...     clip, clip, torch.tensor([1]), classify, torch.tensor([0]), 3
    ... )
    >>> inserted, deleted
    (tensor([[0.0000, 0.6250, 0.8750, 1.0000]]),
     tensor([[1.0000, 0.3750, 0.1250, 0.0000]]))
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1.")
    curves = log_magnitude.new_empty(2, len(saliency), n_steps + 1).float()
    for row, frames in enumerate(n_frames.tolist()):
        clip = log_magnitude[row, :frames]
        ranks = _rank_cells(saliency[row, :frames])
        sizes = _step_sizes(clip.numel(), n_steps)
        # the ends of the deletion are those of the insertion
        parts = [(0, size) for size in sizes]
        parts += [(size, clip.numel()) for size in sizes[1:-1]]
        values = _classify_parts(
            clip, ranks, parts, partial(_ask_row, classify, row),
            class_ids[row], batch_size, decision,
        )  # fmt: skip
        curves[0, row] = values[: n_steps + 1]
        curves[1, row, 0] = values[n_steps]
        curves[1, row, 1:-1] = values[n_steps + 1 :]
        curves[1, row, -1] = values[0]
    return curves[0], curves[1]


def _ask_row(classify: Classify, row: int, parts: Tensor) -> Tensor:
    """Classify parts that are all of one clip."""
    rows = torch.full((len(parts),), row, device=parts.device)
    return classify(parts, rows)


@torch.no_grad()
def _classify_parts(
    clip: Tensor,
    ranks: Tensor,
    parts: Sequence[tuple[int, int]],
    classify: Callable[[Tensor], Tensor],
    class_id: Tensor,
    batch_size: int,
    decision: Decision,
) -> Tensor:
    """Return a class's probability where only some ranks, from..to, sound."""
    low, high = torch.tensor(parts, device=ranks.device).T[:, :, None, None]
    probabilities = []
    for some in torch.arange(len(parts), device=ranks.device).split(batch_size):
        there = (ranks >= low[some]) & (ranks < high[some])
        logits = classify(there * clip)
        probabilities.append(decision.probs(logits)[:, class_id])
    return torch.cat(probabilities)


def area(curve: Tensor) -> Tensor:
    """Return the area under curves over the fraction of cells.

    By the trapezoid rule.

    Arguments
    ---------
    curve : torch.Tensor
        `[batch, n_steps + 1]`, probabilities at equal distances.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1. Higher is better for insertion, lower for deletion.

    Example
    -------
    >>> area(torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.0, 0.0]]))
    tensor([0.5000, 0.2500])
    """
    return torch.trapezoid(curve, dx=1 / (curve.shape[1] - 1))
