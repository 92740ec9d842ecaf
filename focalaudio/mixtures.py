"""Two clips -> a mixture at a stated signal-to-noise ratio, sources kept.

`wavs [batch, samples] + others [batch, samples] -> mixture [batch, samples]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

EPS_ENERGY = 1e-12  # protects the division by the energy of a silent clip


def energy(wavs: Tensor) -> Tensor:
    """Return the mean square of each clip, `[..., samples]` to `[...]`.

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


@dataclass(frozen=True)
class Mixture:
    """A sound whose two sources are known; they add up to it.

    Arguments
    ---------
    wav : torch.Tensor
        `[samples]`, peak 1 (silence stays silence).
    first, second : torch.Tensor
        `[samples]`, the sources at the level that they have in the mixture.
    """

    wav: Tensor
    first: Tensor
    second: Tensor


def add_up(first: Tensor, second: Tensor) -> Mixture:
    """Add two sources `[samples]`; bring their sum to a peak of 1, if any.

    Example
    -------
    >>> add_up(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0])).first
    tensor([0.5000, 0.5000])
    """
    wav = first + second
    peak = wav.abs().max()
    gain = 1 / peak if peak > 0 else torch.ones_like(peak)
    return Mixture(wav * gain, first * gain, second * gain)


def mix(first: Tensor, second: Tensor, snr: float) -> Mixture:
    """Play two clips at once.

    Arguments
    ---------
    first : torch.Tensor
        `[samples]`; its length is the mixture's.
    second : torch.Tensor
        Repeated or cut to the length of `first`.
    snr : float
        Energy of `first` over that of `second`, dB. Where `first` is silent
        there is none, and `second` keeps its level.

    Raises
    ------
    ValueError
        If there is no sample to play.

    Example
    -------
    >>> mixture = mix(torch.ones(4), torch.tensor([3.0, -3.0]), 20.0)
    >>> bool(torch.isclose(energy(mixture.first), 100 * energy(mixture.second)))
    True
    """
    if len(first) == 0 or len(second) == 0:
        raise ValueError(
            f"clips of {len(first)} and {len(second)} samples cannot be "
            "mixed; each needs at least one."
        )
    second = second.repeat(-(-len(first) // len(second)))[: len(first)]
    return add_up(first, _set_level(first, second, snr))


def concatenate(first: Tensor, second: Tensor, snr: float) -> Mixture:
    """Play the first half of one clip, then the first half of another.

    Arguments and result as in `mix`; `snr` compares the halves.

    Example
    -------
    >>> concatenate(torch.ones(4), 2 * torch.ones(4), 0.0).second
    tensor([0., 0., 1., 1.])
    """
    half = len(first) // 2
    whole = mix(first, second, 0.0)
    early = torch.cat((whole.first[:half], torch.zeros(len(first) - half)))
    late = torch.cat((torch.zeros(half), whole.second[: len(first) - half]))
    return add_up(early, _set_level(early, late, snr))


def _set_level(first: Tensor, second: Tensor, snr: float) -> Tensor:
    """Scale the second clip to the first, if that can be heard."""
    return scale_to_snr(first, second, snr) if first.any() else second


def pair_up(labels: Sequence[str], n_partners: int = 2) -> list[list[int]]:
    """Choose partners of another class for every clip, the same every time.

    The partners follow the clip in the list, each further away than the one
    before and the next clip's elsewhere, so that even a sorted fold pairs
    every class with several others.

    Arguments
    ---------
    labels : sequence of str
        One per clip, at least two different ones.
    n_partners : int
        How many partners a clip gets, at least 1.

    Returns
    -------
    list of list of int
        For each clip the positions of its partners, all distinct.

    Raises
    ------
    ValueError
        If a clip has not that many clips of other classes.

    Example
    -------
    >>> pair_up(["dog", "dog", "rain", "sea"])
    [[2, 3], [2, 3], [3, 0], [0, 1]]
    """
    chosen = []
    for place, label in enumerate(labels):
        others = [
            (place + step) % len(labels)
            for step in range(1, len(labels))
            if labels[(place + step) % len(labels)] != label
        ]
        if not 1 <= n_partners <= len(others):
            raise ValueError(
                f"n_partners={n_partners} must be at least 1 and at most "
                f"{len(others)}, the clips that are not of class {label!r}."
            )
        stride = len(others) // n_partners
        chosen.append(others[place % stride :: stride][:n_partners])
    return chosen
