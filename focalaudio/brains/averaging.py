"""`weights of many steps -> their mean`: what is validated, tested and kept.

The exponential moving average of the weights over training steps (Polyak and
Juditsky 1992; arXiv 1803.05407 for networks) is torch's `AveragedModel`; here
are its decay, and how it takes turns with the weights that are trained.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Weights: TypeAlias = tuple[Tensor, ...] | list[Tensor]


def build_average(module: nn.Module, decay: float) -> AveragedModel:
    """Make the average of a module's weights, to be updated after each step.

    Arguments
    ---------
    module : torch.nn.Module
        Copied.
    decay : float
        What the average keeps of itself in a step, 0 to 1 (excluded); less at
        first, `(1 + steps) / (10 + steps)`, so that the start is forgotten. 0
        for the weights of the last step.

    Returns
    -------
    torch.optim.swa_utils.AveragedModel
        Takes no gradient.

    Raises
    ------
    ValueError
        If the decay is out of range.

    Example
    -------
    >>> import torch
    >>> module = nn.Linear(1, 1, bias=False)
    >>> average = build_average(module, 0.0)
    >>> average.update_parameters(module)
    >>> torch.equal(average.module.weight, module.weight)
    True
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay={decay} must be at least 0 and below 1.")

    def average(averaged: Weights, current: Weights, steps: Any) -> None:
        n_steps = int(steps)
        kept = min(decay, (1 + n_steps) / (10 + n_steps))
        get_ema_multi_avg_fn(kept)(averaged, current, steps)

    return AveragedModel(module, multi_avg_fn=average).requires_grad_(False)


def swap_weights(one: nn.Module, other: nn.Module) -> None:
    """Exchange the weights of two modules of the same kind, in place.

    Example
    -------
    >>> ones, twos = (nn.Linear(1, 1, bias=False) for _ in range(2))
    >>> before = ones.weight.item(), twos.weight.item()
    >>> swap_weights(ones, twos)
    >>> before == (twos.weight.item(), ones.weight.item())
    True
    """
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    for mine, theirs in pairs:
        mine.data, theirs.data = theirs.data, mine.data
