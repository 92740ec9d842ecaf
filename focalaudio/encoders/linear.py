"""Linear maps of the channels, by the faster library that torch has.

`[..., channels] -> [..., channels]`. On a CPU, torch multiplies 32-bit
matrices with MKL; oneDNN, which torch ships too, is faster where they are
large, and applies a GELU while its numbers are still in the cache (what that
gives a whole network: `benchmarks/peers.py`). torch has a door to that which
takes no gradient; whatever else is asked goes the ordinary way.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# below it oneDNN's start costs more than it gains
FEWEST_PRODUCTS = 2**25


def linear(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, gelu: bool = False
) -> Tensor:
    """Return `hidden @ weight.T + bias`, through a GELU if wanted.

    Arguments
    ---------
    hidden : torch.Tensor
        `[..., in_channels]`.
    weight : torch.Tensor
        `[out_channels, in_channels]`.
    bias : torch.Tensor
        `[out_channels]`, or None.
    gelu : bool
        End with `torch.nn.functional.gelu`.

    Returns
    -------
    output : torch.Tensor
        `[..., out_channels]`.

    Example
    -------
    >>> ones = torch.ones(1, 3, 2)
    >>> linear(ones, torch.ones(4, 2), None).shape
    torch.Size([1, 3, 4])
    """
    if _onednn_is_faster(hidden, weight):
        name, algorithm = ("gelu", "none") if gelu else ("none", "")
        return torch.ops.mkldnn._linear_pointwise(
            hidden, weight, bias, name, [], algorithm
        )
    output = F.linear(hidden, weight, bias)
    return F.gelu(output) if gelu else output


class Linear(nn.Linear):
    """`torch.nn.Linear`, computed by `linear`."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Map `[..., in_features]` to `[..., out_features]`."""
        return linear(hidden, self.weight, self.bias)


def _onednn_is_faster(hidden: Tensor, weight: Tensor) -> bool:
    """Say if large 32-bit matrices meet on a CPU, with no gradient."""
    return bool(
        hidden.dtype == weight.dtype == torch.float32
        and hidden.device.type == weight.device.type == "cpu"
        and hidden.numel() * len(weight) >= FEWEST_PRODUCTS
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.enabled
        and torch.backends.mkldnn.is_available()
    )
