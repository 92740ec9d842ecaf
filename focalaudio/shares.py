"""`cells + finer features + image -> what each fine cell says of each class`.

The cells of the last feature map are coarse: an ideal mask on 28 x 28 of them
leaves several dB of what a mask at full resolution gains. A narrow decoder
with skip connections to a finer stage and to the image itself (the habit of
U-Net, arXiv 1505.04597) refines what the cells say, starting from it: its last
layer adds to the coarse logits, and is zero at first. The softmax of a fine
cell is the share of each class in it, so the shares of all classes add up to
the mixture (as in weakly supervised separation, arXiv 1911.02182).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from focalaudio.arguments import remember_arguments
from focalaudio.image import enlarge

NEAR = 8  # pixels to each side, over which the level is local; a power of 2


class _Block(nn.Module):
    """A depthwise convolution, then two linear maps per cell, beside a skip."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, padding=kernel // 2, groups=channels
        )
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, 2 * channels)
        self.reduce = nn.Linear(2 * channels, channels)

    def forward(self, grid: Tensor) -> Tensor:
        """Map `[batch, channels, rows, cols]` to the same shape."""
        hidden = self.norm(self.depthwise(grid).permute(0, 2, 3, 1))
        hidden = self.reduce(F.gelu(self.expand(hidden)))
        return grid + hidden.permute(0, 3, 1, 2)


@remember_arguments
class ShareDecoder(nn.Module):
    """Refine what coarse cells say of the classes.

    Arguments
    ---------
    n_classes : int
        Number of classes.
    n_features : int
        Channels of the last feature map.
    n_fine : int
        Channels of the finer feature map.
    in_channels : int
        Channels of the image.
    stride : int
        Pixels of the image along each side of a fine cell.
    width, narrow : int
        Channels at the resolution of the finer map, and of the fine cells.
    n_blocks : int
        Blocks at the resolution of the fine cells.

    Example
    -------
    >>> decoder = ShareDecoder(3, 8, 4).eval()
    >>> cells, coarse = torch.randn(2, 3, 4, 4), torch.rand(2, 8, 4, 4)
    >>> finer, image = torch.rand(2, 4, 8, 8), torch.rand(2, 1, 32, 32)
    >>> decoder(cells, coarse, finer, image).shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self,
        n_classes: int,
        n_features: int,
        n_fine: int,
        in_channels: int = 1,
        stride: int = 2,
        width: int = 32,
        narrow: int = 24,
        n_blocks: int = 2,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.from_features = nn.Conv2d(n_features, width, 1)
        self.norm = nn.LayerNorm(n_fine)
        self.from_fine = nn.Conv2d(n_fine, width, 1)
        self.middle = _Block(width)
        self.to_narrow = nn.Conv2d(width, narrow, 1)
        self.from_image = nn.Conv2d(
            2 * in_channels, narrow, 5, stride, padding=2
        )
        self.blocks = nn.Sequential(*(_Block(narrow) for _ in range(n_blocks)))
        self.to_classes = nn.Conv2d(narrow, n_classes, 1)
        for parameter in self.to_classes.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, cells: Tensor, features: Tensor, fine: Tensor, image: Tensor
    ) -> Tensor:
        """Return the logits of the fine cells.

        Arguments
        ---------
        cells : torch.Tensor
            `[batch, n_classes, rows, cols]`, what the coarse cells say.
        features : torch.Tensor
            `[batch, n_features, rows, cols]`, the last feature map.
        fine : torch.Tensor
            `[batch, n_fine, more rows, more cols]`, a finer one.
        image : torch.Tensor
            `[batch, in_channels, height, width]`, the encoder's input.

        Returns
        -------
        torch.Tensor
            `[batch, n_classes, height / stride, width / stride]`, rounded up;
            their softmax over classes is each class's share of a fine cell.
        """
        hidden = enlarge(self.from_features(features), fine.shape[2:])
        normed = self.norm(fine.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        hidden = self.middle(hidden + self.from_fine(normed))
        seen = self.from_image(torch.cat((image, image - _level(image)), 1))
        shape = seen.shape[2:]
        hidden = enlarge(self.to_narrow(hidden), shape)
        hidden = self.blocks(F.gelu(hidden + seen))
        return self.to_classes(hidden) + enlarge(cells, shape)


def _level(image: Tensor) -> Tensor:
    """Average a square of pixels around each, of those that the image has."""
    sums, counts = (
        _sum_near(_sum_near(grid))
        for grid in (image, torch.ones_like(image[:1, :1]))
    )
    return sums / counts


def _sum_near(grid: Tensor) -> Tensor:
    """Sum over `NEAR` pixels to each side along the last axis; transpose.

    By sums of 2, 4, 8 and 16, which `avg_pool2d` is slow at on a CPU.
    """
    wide = F.pad(grid, (NEAR, NEAR))
    sums, step = wide, 1
    while step <= NEAR:
        sums = sums[..., :-step] + sums[..., step:]
        step *= 2
    return (sums[..., :-1] + wide[..., 2 * NEAR :]).mT


def build_share_decoder(
    encoder: Any, n_classes: int, narrow: int = 24, width: int = 32
) -> ShareDecoder | None:
    """Build a share decoder that fits an encoder.

    Arguments
    ---------
    encoder : torch.nn.Module
        One of `focalaudio.encoders`.
    n_classes : int
        Number of classes.
    narrow, width : int
        See `ShareDecoder`; none is built if `narrow` is 0.

    Returns
    -------
    ShareDecoder or None
        With random weights, zero in the last layer; None too if the encoder has
        no early features to refine its cells with: only a FocalNet has.

    Raises
    ------
    ValueError
        If `narrow`, a recipe's `share_channels`, is below 0.

    Example
    -------
    >>> from focalaudio.encoders import build_encoder
    >>> build_share_decoder(build_encoder("focalnet_test"), 3, narrow=0)
    """
    if narrow < 0:
        raise ValueError(
            f"share_channels={narrow} must be at least 0, which is no decoder."
        )
    n_fine = getattr(encoder, "n_fine", None)
    if narrow == 0 or n_fine is None:
        return None
    return ShareDecoder(
        n_classes,
        encoder.n_features,
        n_fine,
        encoder.in_channels,
        width=width,
        narrow=narrow,
    )
