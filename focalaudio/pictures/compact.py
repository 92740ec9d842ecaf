"""`log-magnitude, saliency, mask -> small PNG`, for pages that draw the rest.

One pixel per cell, or per few cells, time from left to right and frequency
from bottom to top; no axes. Each PNG carries its own colors, so that a page
can lay one over another without reading a pixel.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from focalaudio.pictures.spectrograms import FLOOR_DB, QUIETEST

LEVELS = 64  # shades, of 1.25 dB
MAX_SIZE = (640, 288)  # pixels in time and in frequency, of a spectrogram
MAP_SIZE = (216, 128)  # the same of a saliency, which is smoother
HEAT = "inferno"  # matplotlib's name
BRIGHTEST = 0.995  # quantile of a saliency that gets the last color
MAX_ALPHA = 0.8  # of the last color; the first is transparent


def encode_levels(log_magnitude: Tensor) -> bytes:
    """Draw a spectrogram in grays, white where it is loudest.

    Arguments
    ---------
    log_magnitude : torch.Tensor
        `[time, freq]`, log1p magnitude.

    Returns
    -------
    bytes
        A PNG of 64 grays over 80 dB, of the loudest cell of each pixel.

    Example
    -------
    >>> encode_levels(torch.rand(40, 30))[1:4]
    b'PNG'
    """
    magnitude = log_magnitude.detach().cpu().float().expm1()
    size = _fit(magnitude, MAX_SIZE)
    loudest = F.adaptive_max_pool2d(magnitude[None], size)[0]
    peak = max(float(loudest.max()), QUIETEST)
    floor = 10 ** (FLOOR_DB / 20)
    levels = 20 * (loudest / peak).clamp(min=floor).log10()
    grays = [3 * [round(255 * i / (LEVELS - 1))] for i in range(LEVELS)]
    return _encode(_quantize(1 - levels / FLOOR_DB), grays)


def encode_heat(saliency: Tensor) -> bytes:
    """Draw a saliency as heat that lets through what lies below.

    Arguments
    ---------
    saliency : torch.Tensor
        `[time, freq]`, non-negative; the mean of the cells of each pixel is
        drawn, a constant one as nothing.

    Returns
    -------
    bytes
        A PNG, from transparent to bright.

    Example
    -------
    >>> encode_heat(torch.rand(40, 30))[1:4]
    b'PNG'
    """
    own = saliency.detach().cpu().float()
    mean = F.adaptive_avg_pool2d(own[None], _fit(own, MAP_SIZE))[0]
    low, high = mean.min(), mean.flatten().quantile(BRIGHTEST)
    if high <= low:  # a few bright pixels, or a constant map
        high = mean.max()
    share = ((mean - low) / (high - low)).nan_to_num(0.0).clamp(0, 1)
    steps = [index / (LEVELS - 1) for index in range(LEVELS)]
    colors = [
        [round(255 * part) for part in colormaps[HEAT](0.25 + 0.7 * step)[:3]]
        for step in steps
    ]
    alphas = bytes(round(255 * MAX_ALPHA * min(1, 1.5 * s)) for s in steps)
    return _encode(_quantize(share), colors, alphas)


def encode_mask(mask: Tensor) -> bytes:
    """Draw a mask in white, as opaque as it is open, a pixel for each cell.

    Arguments
    ---------
    mask : torch.Tensor
        `[time, freq]`, bool or 0 to 1.

    Returns
    -------
    bytes
        A PNG whose alpha is the mask: exactly if it is binary, else within
        1/510.

    Example
    -------
    >>> picture = Image.open(io.BytesIO(encode_mask(torch.eye(2) > 0)))
    >>> picture.mode, list(picture.tobytes())
    ('P', [0, 1, 1, 0])
    """
    own = mask.detach().cpu().float()
    is_binary = bool(((own == 0) | (own == 1)).all())
    levels = 2 if is_binary else 256
    alphas = bytes(round(255 * i / (levels - 1)) for i in range(levels))
    return _encode(_quantize(own, levels), levels * [[255] * 3], alphas)


def _fit(cells: Tensor, largest: tuple[int, int]) -> tuple[int, int]:
    """Return a size, in pixels, that is not above the largest."""
    time, freq = cells.shape
    return min(time, largest[0]), min(freq, largest[1])


def _quantize(share: Tensor, levels: int = LEVELS) -> Tensor:
    """Turn `[time, freq]`, 0 to 1, into rows of an image, high above low."""
    return (share * (levels - 1)).round().to(torch.uint8).T.flip(0)


def _encode(
    indices: Tensor, colors: Sequence[Sequence[int]], alphas: bytes = b""
) -> bytes:
    """Write palette and indices as PNG."""
    image = Image.fromarray(indices.contiguous().numpy())
    image.putpalette([part for color in colors for part in color])
    options = {"transparency": alphas} if alphas else {}
    bits = max(1, (len(colors) - 1).bit_length())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, bits=bits, **options)
    return file.getvalue()
