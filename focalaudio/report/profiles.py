"""`saliency -> profile`: in which bands, and when, a class finds evidence.

The page on which one sees that a class is recognized by a hum, a cut or a
filter of the recorder, not by what it is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from focalaudio.spectrogram import Spectrogram

BANDS = 32  # of equal width in mel, from 0 to half the sample rate
MOMENTS = 40  # parts of a clip, of equal length
EPS_SUM = 1e-12  # protects the division by the sum of an empty map
Profile = dict[str, Any]


def find_bands(spectrogram: Spectrogram) -> Tensor:
    """Return the edges of the bands, `[BANDS + 1]`, Hz, rising.

    Example
    -------
    >>> find_bands(Spectrogram())[[0, -1]].round()
    tensor([   0., 8000.])
    """
    highest = 2595 * math.log10(1 + spectrogram.sample_rate / 2 / 700)
    mels = torch.linspace(0, highest, BANDS + 1)
    return 700 * (10 ** (mels / 2595) - 1)


def profile_clip(
    label: str,
    saliency: Tensor,
    log_magnitude: Tensor,
    spectrogram: Spectrogram,
) -> Profile:
    """Say which share of a clip's evidence is in each band and moment.

    Arguments
    ---------
    label : str
        The class whose evidence it is.
    saliency, log_magnitude : torch.Tensor
        `[time, freq]`, non-negative.
    spectrogram : Spectrogram
        The analysis of both.

    Returns
    -------
    dict
        `label`; `bands` and `moments`, shares of the saliency that sum to 1;
        `loud_bands` and `loud_moments`, the same of the log-magnitude.

    Example
    -------
    >>> cells = torch.zeros(80, 513)
    >>> cells[:, :64] = 1  # up to 1 kHz
    >>> profile = profile_clip("dog", cells, cells, Spectrogram())
    >>> len(profile["moments"]), sum(profile["bands"][:12]) > 0.99
    (40, True)
    """
    profile: Profile = {"label": label}
    for start, cells in (("", saliency), ("loud_", log_magnitude)):
        shares = cells.double().clamp(min=0)
        shares = shares / shares.sum().clamp(min=EPS_SUM)
        bands = _sum_bands(shares.sum(0), spectrogram)
        moments = _sum_moments(shares.sum(1))
        profile[f"{start}bands"] = _round(bands)
        profile[f"{start}moments"] = _round(moments)
    return profile


def _sum_bands(bins: Tensor, spectrogram: Spectrogram) -> Tensor:
    """Sum what bins `[freq]` hold over the band that each is in."""
    width = spectrogram.sample_rate / spectrogram.n_fft
    inner = find_bands(spectrogram)[1:-1].double()
    centers = torch.arange(len(bins)).double() * width
    return bins.new_zeros(BANDS).index_add(
        0, torch.bucketize(centers, inner), bins
    )


def _sum_moments(frames: Tensor) -> Tensor:
    """Sum what frames `[time]` hold over the moment that each is in."""
    place = torch.arange(len(frames)) * MOMENTS // len(frames)
    return frames.new_zeros(MOMENTS).index_add(0, place, frames)


def _round(shares: Tensor) -> list[float]:
    return [round(share, 5) for share in shares.tolist()]


def average_profiles(profiles: Iterable[Profile]) -> list[Profile]:
    """Average the profiles of each class over its clips.

    Arguments
    ---------
    profiles : iterable of dict
        Of `profile_clip`.

    Returns
    -------
    list of dict
        As they come, one for each label, with `n_clips`, the classes by name.

    Example
    -------
    >>> keys = ("bands", "moments", "loud_bands", "loud_moments")
    >>> one, other = dict.fromkeys(keys, [1.0]), dict.fromkeys(keys, [0.0])
    >>> found = average_profiles([{"label": "a"} | one, {"label": "a"} | other])
    >>> found[0]["n_clips"], found[0]["bands"]
    (2, [0.5])
    """
    sums: dict[str, Profile] = {}
    counts: dict[str, int] = defaultdict(int)
    for profile in profiles:
        label = profile["label"]
        counts[label] += 1
        known = sums.get(label)
        sums[label] = profile if known is None else _add(known, profile)
    return [
        {"label": label, "n_clips": counts[label]}
        | {
            key: [round(each / counts[label], 5) for each in sums[label][key]]
            for key in ("bands", "moments", "loud_bands", "loud_moments")
        }
        for label in sorted(sums)
    ]


def _add(one: Profile, other: Profile) -> Profile:
    return {
        key: value
        if key == "label"
        else [a + b for a, b in zip(value, other[key], strict=True)]
        for key, value in one.items()
    }
