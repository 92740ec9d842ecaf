"""`classifier + spectrum -> saliency`: by random masks, without a gradient.

RISE (arXiv 1806.07421): a clip is classified under many random masks; a cell
is as salient as the clip is probable, on average, where the cell is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from focalaudio.decisions import Decision
from focalaudio.interpreters.captum import BATCH, per_clip

# masks, the share of their grid that is open, and the grid's cells: .25 s and
# .44 kHz by default
OPTIONS: dict[str, Any] = {
    "n_masks": 256,
    "probability": 0.5,
    "frames": 22,
    "bins": 28,
    "seed": 0,
}


def random_masks(
    shape: tuple[int, int],
    n_masks: int,
    probability: float,
    frames: int,
    bins: int,
    seed: int,
) -> Iterator[Tensor]:
    """Yield random masks, smooth and at a random place, in batches.

    A coarse grid of zeros and ones is enlarged by bilinear interpolation, and
    cut out at random. By a generator of its own: the same every time, and the
    first of many are those of few.

    Arguments
    ---------
    shape : tuple of int
        Time and frequency.
    n_masks : int
        How many, at least 1.
    probability : float
        Of a cell of the grid to be open, 0 to 1.
    frames, bins : int
        Size of such a cell.
    seed : int
        Of the masks.

    Yields
    ------
    torch.Tensor
        `[at most 8, time, freq]`, 0 to 1.

    Example
    -------
    >>> masks = torch.cat(list(random_masks((6, 9), 20, 0.5, 3, 3, seed=0)))
    >>> masks.shape, bool((masks >= 0).all() and (masks <= 1).all())
    (torch.Size([20, 6, 9]), True)
    """
    generator = torch.Generator().manual_seed(seed)
    # one cell more than fits, so that the grid can be moved by up to one
    n_cells = [-(-shape[0] // frames) + 1, -(-shape[1] // bins) + 1]
    full = [n_cells[0] * frames, n_cells[1] * bins]
    for start in range(0, n_masks, BATCH):
        masks = []
        for _ in range(min(BATCH, n_masks - start)):
            draws = torch.rand(1, 1, *n_cells, generator=generator)
            top, left = (
                int(torch.randint(size, (), generator=generator))
                for size in (frames, bins)
            )
            grid = (draws < probability).float()
            large = F.interpolate(grid, full, mode="bilinear")[0, 0]
            masks.append(large[top : top + shape[0], left : left + shape[1]])
        yield torch.stack(masks)


def _rise(
    classify: Callable[[Tensor], Tensor],
    clip: Tensor,
    class_id: int,
    *,
    decision: Decision,
    n_masks: int,
    probability: float,
    frames: int,
    bins: int,
    seed: int,
) -> Tensor:
    """Average masks of a clip `[1, time, freq]` by the class's probability."""
    check_probability(probability)
    shape = (clip.shape[1], clip.shape[2])
    total = torch.zeros_like(clip[0])
    drawn = random_masks(shape, n_masks, probability, frames, bins, seed)
    with torch.no_grad():
        for masks in drawn:
            masks = masks.to(clip)
            probs = decision.probs(classify(masks * clip))[:, class_id]
            total += torch.einsum("n,ntf->tf", probs, masks)
    return total[None] / (probability * n_masks)


_rise_batch = per_clip(_rise)


def check_probability(probability: float) -> None:
    """Refuse, with a `ValueError`, what opens all cells of a mask, or none."""
    if not 0 < probability < 1:
        raise ValueError(
            f"probability={probability} must be above 0 and below 1."
        )


def rise(*parts: Any, **options: Any) -> Tensor:
    """Say how probable a class is, on average, where a cell is heard.

    `sum_i f(m_i X) m_i / (N p)`: f is the probability of the class, X the
    log-magnitude, `m_i` the masks, N how many, p their mean.

    Arguments
    ---------
    *parts
        Classifier, output, spectrum and class ids, as in
        `focalaudio.interpreters.captum.gradcam`.
    **options
        Of `random_masks`, all but the shape.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, non-negative; 0 beyond each clip's end.

    Raises
    ------
    ValueError
        If the probability is not within 0 to 1.
    """
    return _rise_batch(*parts, decision=parts[0].decision, **options)
