"""Depthwise convolutions whose weights learn quickly on a CPU.

`[batch, channels, rows, cols] -> the same`. oneDNN, which computes them for
torch, has a fast gradient of the weights for kernels of 3 x 3 only; that of
5 x 5 takes many times as long (a step of training: `benchmarks/peers.py`).
But the gradient of each weight depends on that weight's place alone, so that
of a larger kernel is put together from windows of 3 x 3.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW = 3  # side of the kernels that have a fast gradient


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel for itself, same size out as in.

    `torch.nn.Conv2d` with `groups=dim` and no bias; only the gradient of its
    weights takes another way, in training on a CPU.

    Arguments
    ---------
    dim : int
        Channels.
    size : int
        Side of the kernel, odd.

    Example
    -------
    >>> DepthwiseConv2d(4, 5)(torch.ones(2, 4, 7, 9)).shape
    torch.Size([2, 4, 7, 9])
    """

    def __init__(self, dim: int, size: int) -> None:
        super().__init__(
            dim, dim, size, padding=size // 2, groups=dim, bias=False
        )

    def forward(self, grid: Tensor) -> Tensor:
        """Map `[batch, dim, rows, cols]` to the same shape."""
        weight = self.weight
        if (
            not (self.training and weight.requires_grad)
            or grid.device.type != "cpu"
            or weight.shape[2] <= WINDOW
        ):
            return super().forward(grid)
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            grid, weight = grid.to(dtype), weight.to(dtype)
        output: Tensor = _Depthwise.apply(grid, weight)
        return output


class _Depthwise(torch.autograd.Function):
    """`F.conv2d` of each channel, and its gradients."""

    @staticmethod
    def forward(grid: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(
            grid, weight, padding=weight.shape[2] // 2, groups=len(weight)
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor]:
        grid, weight = ctx.saved_tensors
        to_grid = None
        if ctx.needs_input_grad[0]:
            padding = weight.shape[2] // 2
            to_grid = _differentiate(slope, grid, weight, padding, of_grid=True)
        return to_grid, _differentiate_weight(slope, grid, weight)


def _differentiate_weight(
    slope: Tensor, grid: Tensor, weight: Tensor
) -> Tensor:
    """Return the gradient of the kernels, window by window."""
    gradient = torch.empty_like(weight)
    size, (rows, cols) = weight.shape[2], grid.shape[2:]
    padded = F.pad(grid, (size // 2,) * 4)
    for row, col in product(range(0, size - 1, WINDOW - 1), repeat=2):
        window = (..., slice(row, row + WINDOW), slice(col, col + WINDOW))
        seen = padded[
            ...,
            row : row + rows + WINDOW - 1,
            col : col + cols + WINDOW - 1,
        ]
        gradient[window] = _differentiate(slope, seen, weight[window], 0)
    return gradient


def _differentiate(
    slope: Tensor,
    grid: Tensor,
    weight: Tensor,
    padding: int,
    of_grid: bool = False,
) -> Tensor:
    """Return the gradient of a depthwise convolution's grid or kernels."""
    gradients = torch.ops.aten.convolution_backward(
        slope,
        grid,
        weight,
        None,
        [1, 1],
        [padding, padding],
        [1, 1],
        False,
        [0, 0],
        len(weight),
        [of_grid, not of_grid, False],
    )
    result: Tensor = gradients[0 if of_grid else 1]
    return result
