"""`mask + clip -> F-Fidelity`: what random parts of an explanation are worth.

After F-Fidelity (arXiv 2410.02970): silencing all of an explanation shows a
classifier what no clip looks like, so only a random part of it is silenced,
again and again. Here it is a part of what the mask keeps, so a soft mask counts
as far as it is open, and it goes in blocks of neighboring cells.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from focalaudio.decisions import ONE, Decision
from focalaudio.metrics.curves import Classify
from focalaudio.metrics.functional import class_probability

REMOVED = 0.5  # alpha of arXiv 2410.02970: the share of the cells at stake
# Cells along each side of a block, .19 s x 250 Hz by default: neighbors hold
# the same sound, and without every other cell an image still shows nearly all.
BLOCK = 16


@torch.no_grad()
def random_drops(
    mask: Tensor,
    log_magnitude: Tensor,
    n_frames: Tensor,
    classify: Classify,
    class_ids: Tensor,
    logits: Tensor,
    clip_ids: Sequence[str],
    n_samples: int = 50,
    batch_size: int = 16,
    decision: Decision = ONE,
) -> tuple[Tensor, Tensor]:
    """Silence random parts of the explanation, then of everything else.

    `E[f(X) - f((1 - r m) X)]` and `E[f(X) - f((1 - r (1 - m)) X)]`: f is the
    probability of the class, and `r`, drawn anew for each sample, is 1 in a
    block of cells with the probability `REMOVED`, else 0. Both take the same r,
    and so does every mask of a clip.

    The paper fine-tunes a copy of the classifier on clips with a random tenth
    removed, removes at most that much, and counts how often the label is still
    predicted (accuracy, 50 samples). Here nothing is trained: `classify` may be
    a classifier that was trained on parts of clips; what is removed is not
    limited, and goes in blocks; and the probability of the explained class is
    asked for, which says more of few samples.

    Arguments
    ---------
    mask : torch.Tensor
        `[batch, time, freq]`, bool or 0 to 1: the explanation.
    log_magnitude : torch.Tensor
        `[batch, time, freq]`, of the whole clips.
    n_frames : torch.Tensor
        `[batch]`, int64, each clip's own frames.
    classify : callable
        As in `focalaudio.metrics.curves.insertion_and_deletion`.
    class_ids : torch.Tensor
        `[batch]`, int64, the classes that are explained.
    logits : torch.Tensor
        `[batch, n_classes]`, what `classify` says of the whole clips.
    clip_ids : sequence of str
        What r is drawn by, whatever the batch.
    n_samples : int
        How often; each costs two passes. The first of many are those of few.
    batch_size : int
        How many copies of a clip are classified at once.
    decision : Decision
        What the logits mean.

    Returns
    -------
    tuple of torch.Tensor
        Drops by parts of the explanation (higher is better) and of the rest
        (lower is better), each `[batch]`, -1 to 1.

    Raises
    ------
    ValueError
        If `n_samples` or `batch_size` is below 1.

    Example
    -------
    >>> def classify(clips, rows):  # probability = sum of cells
    ...     share = clips.sum((1, 2))
    ...     return torch.stack((share, 1 - share), 1).log()
    >>> clip, mask = torch.full((1, 160, 160), 160.0**-2), torch.zeros(160, 160)
    >>> mask[:, :128] = 1  # 80 % of what counts, and half of that goes
    >>> frames, class_ids = torch.tensor([160]), torch.tensor([0])
    >>> asked = frames, classify, class_ids, classify(clip, [0])
    >>> plus, minus = random_drops(mask[None], clip, *asked, ["dog"])
    >>> plus.round(decimals=1), minus.round(decimals=1)
    (tensor([0.4000]), tensor([0.1000]))
    """
    for name, number in (("n_samples", n_samples), ("batch_size", batch_size)):
        if number < 1:
            raise ValueError(f"{name}={number} must be at least 1.")
    whole = class_probability(logits, class_ids, decision)
    left = torch.empty_like(whole).repeat(2, 1)
    for row, frames in enumerate(n_frames.tolist()):
        seed = zlib.crc32(os.fsencode(clip_ids[row]))
        parts = _draw_parts(
            mask[row, :frames], log_magnitude[row, :frames], seed, n_samples
        )
        said = []
        while some := list(islice(parts, batch_size)):
            rows = torch.full((len(some),), row, device=whole.device)
            said.append(classify(torch.stack(some), rows).float())
        asked = class_ids[row].expand(2 * n_samples)
        probs = class_probability(torch.cat(said), asked, decision)
        left[:, row] = probs.view(n_samples, 2).mean(0)
    plus, minus = whole - left
    return plus, minus


def _draw_parts(
    mask: Tensor, clip: Tensor, seed: int, n_samples: int
) -> Iterator[Tensor]:
    """Yield a clip without random parts of the mask, then of the rest."""
    generator = torch.Generator().manual_seed(seed)
    kept = mask.to(clip)
    n_blocks = [-(-side // BLOCK) for side in clip.shape]
    for _ in range(n_samples):
        blocks = torch.rand(n_blocks, generator=generator) < REMOVED
        for side in (0, 1):
            blocks = blocks.repeat_interleave(BLOCK, side)
        removed = blocks[: clip.shape[0], : clip.shape[1]].to(clip)
        yield (1 - removed * kept) * clip
        yield (1 - removed * (1 - kept)) * clip
