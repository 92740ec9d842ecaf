"""`maps -> map`: several maps of a clip as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

EPS_MEAN = 1e-12  # protects the division by the mean of an all-zero map


def combine_maps(maps: Sequence[Tensor]) -> Tensor:
    """Multiply maps at the resolution of the finest.

    Each map is divided by its mean first, so that none outweighs the others;
    a single map is returned as it is.

    Arguments
    ---------
    maps : sequence of torch.Tensor
        At least one, each `[batch, rows, cols]`, non-negative.

    Returns
    -------
    torch.Tensor
        `[batch, rows, cols]`, non-negative.

    Example
    -------
    >>> maps = (torch.rand(1, 4, 4), torch.rand(1, 2, 2))
    >>> combine_maps(maps[1:]).shape, combine_maps(maps).shape
    (torch.Size([1, 2, 2]), torch.Size([1, 4, 4]))
    """
    if len(maps) == 1:
        return maps[0]
    finest = max((m.shape[1:] for m in maps), key=lambda s: s[0] * s[1])
    product = torch.ones_like(maps[0][:, :1, :1])
    for part in maps:
        part = part / part.mean((1, 2), keepdim=True).clamp(min=EPS_MEAN)
        part = F.interpolate(part[:, None], tuple(finest), mode="bilinear")
        product = product * part[:, 0]
    return product
