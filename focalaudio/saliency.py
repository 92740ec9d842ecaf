"""`maps -> saliency [batch, time, freq]`: raw maps on the spectrogram's grid.

Activation map thresholding (arXiv 2402.02754) starts from one of the
encoder's maps, brought to the resolution of the spectrogram.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from focalaudio.spectrogram import group_by_length

EPS_MEAN = 1e-12  # protects the division by the mean of an all-zero map


def resize_maps(
    maps: Tensor, n_frames: Tensor, shape: tuple[int, int]
) -> Tensor:
    """Stretch each map over its clip's own frames, zero elsewhere.

    Bilinear, without aligned corners: the inverse of how the image was made.

    Arguments
    ---------
    maps : torch.Tensor
        `[batch, rows, cols]`, rows are time.
    n_frames : torch.Tensor
        `[batch]`, int64, each clip's own frames.
    shape : tuple of int
        Time and frequency of the result.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, within the range of the map or zero.

    Example
    -------
    >>> resize_maps(torch.ones(1, 7, 7), torch.tensor([3]), (4, 2))[0, :, 0]
    tensor([1., 1., 1., 0.])
    """
    saliency = maps.new_zeros(len(maps), *shape)
    for frames, rows in group_by_length(n_frames):
        saliency[rows, :frames] = F.interpolate(
            maps[rows, None], (frames, shape[1]), mode="bilinear"
        )[:, 0]
    return saliency


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
