"""What every encoder returns: an image in, features, embeddings and maps out.

The contract of `image -> encoder -> features + maps` (no sound words here). An
encoder is a `torch.nn.Module` with the attributes `n_features` (channels of
its features), `map_names` (what each map shows, the most telling one last),
`n_maps` (how many maps it returns), `in_channels` and `image_size` (the
height and width it was designed for).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class EncoderOutput:
    """Features of a batch of images, with the maps that explain them.

    Arguments
    ---------
    features : torch.Tensor
        `[batch, channels, rows, cols]`, the last feature map.
    embeddings : torch.Tensor
        `[batch, channels]`, what a classifier's head reads. A convolutional
        encoder pools `features`; a transformer pools its tokens.
    maps : tuple of torch.Tensor
        One `[batch, rows, cols]` per name in the encoder's `map_names`,
        non-negative: where the encoder looked.
    fine : torch.Tensor
        `[batch, n_fine, more rows, more cols]`, the feature map of an early
        stage; None if the encoder has none.
    """

    features: Tensor
    embeddings: Tensor
    maps: tuple[Tensor, ...]
    fine: Tensor | None = None


class DropPath(nn.Module):
    """Drop a residual branch for whole samples of a batch while training.

    Stochastic depth (arXiv 1603.09382) at a rate from 0 to 1 (excluded): the
    kept samples are scaled so that the expectation stays the same.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"rate={rate} must be at least 0 and below 1.")
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Return `branch` `[batch, ...]` with whole samples set to zero."""
        if not self.training or self.rate == 0:
            return branch
        shape = (len(branch),) + (1,) * (branch.dim() - 1)
        kept = torch.rand(shape, device=branch.device) >= self.rate
        return branch * kept.to(branch.dtype) / (1 - self.rate)


class Mlp(nn.Sequential):
    """Two linear maps with a GELU between them, over the last dimension."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, hidden_dim)
        self.activation = nn.GELU()
        self.reduce = nn.Linear(hidden_dim, dim)


def drop_path_rates(last: float, depth: int) -> list[float]:
    """Spread rates of stochastic depth over blocks, from 0 to `last`."""
    return [last * block / max(1, depth - 1) for block in range(depth)]


def pad_to_patches(grid: Tensor, patch_size: int) -> Tensor:
    """Pad `[batch, channels, rows, cols]` with zeros to whole patches.

    Up to `patch_size - 1` rows and columns, at the bottom and on the right.
    """
    bottom, right = (-size % patch_size for size in grid.shape[2:])
    return F.pad(grid, (0, right, 0, bottom)) if bottom or right else grid


def init_linear(module: nn.Module) -> None:
    """Initialize a linear layer as vision transformers do (std 0.02).

    Other modules are left as they are, for `torch.nn.Module.apply`.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
