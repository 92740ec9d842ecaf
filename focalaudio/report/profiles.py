"""`saliency -> profile`: in which bands, and when, a class finds evidence.

The page on which one sees that a class is recognized by a hum, a cut or a
filter of the recorder, not by what it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from focalaudio.metrics.bands import band_edges
from focalaudio.spectrogram import Spectrogram

BANDS = 32  # of equal width in mel, from 0 to half the sample rate
MOMENTS = 40  # parts of a clip, of equal length
EPS_MEAN = 1e-12  # protects the division by the mean of an empty map
Profile = dict[str, Any]


def find_bands(spectrogram: Spectrogram) -> Tensor:
    """Return the edges of the bands, `[BANDS + 1]`, Hz, rising.

    Example
    -------
    >>> find_bands(Spectrogram())[[0, -1]].round()
    tensor([   0., 8000.])
    """
    return band_edges(spectrogram.sample_rate, BANDS, "mel")


def profile_clip(
    label: str,
    saliency: Tensor,
    log_magnitude: Tensor,
    spectrogram: Spectrogram,
) -> Profile:
    """Say how much of a clip's evidence is in each band and moment.

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
        `label`; `bands` and `moments`, the mean saliency of the cells of each,
        in means of the clip (so 1 is no more than anywhere); `loud_bands` and
        `loud_moments`, the same of the log-magnitude.

    Example
    -------
    >>> cells = torch.zeros(80, 513)
    >>> cells[:, :64] = 1  # up to 1 kHz
    >>> profile = profile_clip("dog", cells, cells, Spectrogram())
    >>> profile["moments"][0], profile["bands"][0], profile["bands"][-1]
    (1.0, 8.01562, 0.0)
    """
    profile: Profile = {"label": label}
    width = spectrogram.sample_rate / spectrogram.n_fft
    centers = torch.arange(log_magnitude.shape[1]).double() * width
    inner = find_bands(spectrogram)[1:-1].double()
    band_of = torch.bucketize(centers, inner)
    frames = len(saliency)
    moment_of = torch.arange(frames) * MOMENTS // frames
    # of a short clip a frame fills several moments
    nearest = torch.arange(MOMENTS) * frames // MOMENTS
    for start, cells in (("", saliency), ("loud_", log_magnitude)):
        level = cells.double() / cells.double().mean().clamp(min=EPS_MEAN)
        bands = _average(level.mean(0), band_of, BANDS)
        times = level.mean(1)
        moments = times[nearest]
        if frames >= MOMENTS:
            moments = _average(times, moment_of, MOMENTS)
        profile[f"{start}bands"] = _round(bands)
        profile[f"{start}moments"] = _round(moments)
    return profile


def _average(values: Tensor, place: Tensor, n_places: int) -> Tensor:
    """Average values `[n]` over the place that each is in; 0 where is none."""
    sums = values.new_zeros(n_places).index_add(0, place, values)
    counts = torch.bincount(place, minlength=n_places)
    return sums / counts.clamp(min=1)


def _round(values: Tensor) -> list[float]:
    return [round(value, 5) for value in values.tolist()]


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
