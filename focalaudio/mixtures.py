"""Two clips -> a mixture at a stated signal-to-noise ratio.

`wavs [batch, samples] + others [batch, samples] -> mixture [batch, samples]`.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPS_ENERGY = 1e-12  # protects the division by the energy of a silent clip


def energy(wavs: Tensor) -> Tensor:
    """Return the mean square of each clip.

    Arguments
    ---------
    wavs : torch.Tensor
        `[..., samples]`.

    Returns
    -------
    torch.Tensor
        `[...]`, at least 0.

    Example
    -------
    >>> energy(torch.tensor([[1.0, -1.0], [0.0, 2.0]]))
    tensor([1., 2.])
    """
    return wavs.square().mean(-1)


def scale_to_snr(wavs: Tensor, others: Tensor, snr: Tensor | float) -> Tensor:
    """Scale `others` so that `wavs` are `snr` dB above them.

    Arguments
    ---------
    wavs, others : torch.Tensor
        `[batch, samples]`.
    snr : torch.Tensor or float
        `[batch]` or one number, dB of energy.

    Returns
    -------
    torch.Tensor
        `[batch, samples]`; silence stays silence.

    Example
    -------
    >>> scaled = scale_to_snr(torch.ones(1, 4), torch.ones(1, 4), 20.0)
    >>> round(scaled[0, 0].item(), 4)
    0.1
    """
    wanted = energy(wavs) / 10 ** (torch.as_tensor(snr) / 10)
    gain = (wanted / energy(others).clamp(min=EPS_ENERGY)).sqrt()
    return others * gain[..., None]
