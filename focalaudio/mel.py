"""`bins of a spectrogram <-> bands that are even on the mel scale`.

`[..., freq] <-> [..., n_bands]`: the frequency axis of an image, on which low
frequencies get more room, as in the ear.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from focalaudio.arguments import remember_arguments


@remember_arguments
class MelAxis(nn.Module):
    """Space the columns of an image evenly on the mel scale.

    Low frequencies get more of the image, as in the ear. Each column is the
    weighted mean of the log-magnitudes around its center (triangular weights,
    to the centers of its neighbors, at least to the next bin), so that a
    spectrogram which is constant stays so.

    Arguments
    ---------
    n_bands : int
        Columns of the image.
    sample_rate : int
        Hz.
    n_fft : int
        Points of the Fourier transform.
    lowest : float
        Lower end of the lowest band, Hz; the upper end of the highest is half
        the sample rate.

    Raises
    ------
    ValueError
        If `lowest` is not below half the sample rate, or there are not two
        bands.

    Example
    -------
    >>> axis = MelAxis(4, sample_rate=16000, n_fft=64)
    >>> axis.centers.round()
    tensor([ 498., 1267., 2529., 4600.])
    >>> axis.to_bands(torch.ones(1, 2, 33)).shape
    torch.Size([1, 2, 4])
    """

    bands: Tensor
    bins: Tensor

    def __init__(
        self,
        n_bands: int,
        sample_rate: int = 16000,
        n_fft: int = 1024,
        lowest: float = 30.0,
    ) -> None:
        super().__init__()
        highest = sample_rate / 2
        if not 0 <= lowest < highest:
            raise ValueError(
                f"lowest={lowest} Hz must be at least 0 and below half the "
                f"sample rate, {highest:g} Hz."
            )
        if n_bands < 2:
            raise ValueError(f"n_bands={n_bands} must be at least 2.")
        self.n_bands = n_bands
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        # in double precision, on the CPU, wherever the module is built
        mels = torch.linspace(
            to_mel(lowest), to_mel(highest), n_bands + 2,
            dtype=torch.double, device="cpu",
        )  # fmt: skip
        hertz = to_hertz(mels)
        step = sample_rate / n_fft
        bins = step * torch.arange(
            n_fft // 2 + 1, dtype=torch.double, device="cpu"
        )
        below, centers, above = hertz[:-2], hertz[1:-1], hertz[2:]
        offsets = bins[:, None] - centers
        rising = 1 + offsets / (centers - below).clamp(min=step)
        falling = 1 - offsets / (above - centers).clamp(min=step)
        weights = torch.minimum(rising, falling).clamp(min=0)
        # the way back: between two centers both bands count
        places = torch.searchsorted(centers, bins).clamp(1, n_bands - 1)
        lower, upper = centers[places - 1], centers[places]
        share = ((bins - lower) / (upper - lower)).clamp(0, 1)
        rows = torch.arange(n_bands, device="cpu")[:, None]
        back = (rows == places) * share + (rows == places - 1) * (1 - share)
        self.centers = centers.float()
        self.register_buffer("bands", (weights / weights.sum(0)).float(), False)
        self.register_buffer("bins", back.float(), False)

    def to_bands(self, values: Tensor) -> Tensor:
        """Map `[..., freq]` to means over the bands, `[..., n_bands]`."""
        return _project(values, self.bands)

    def to_bins(self, values: Tensor) -> Tensor:
        """Interpolate `[..., n_bands]` between the bands, `[..., freq]`.

        Below the lowest center, and above the highest, the value is theirs.
        """
        return _project(values, self.bins)


def _project(values: Tensor, matrix: Tensor) -> Tensor:
    """Multiply in full precision, as everything on the spectrogram's grid."""
    with torch.autocast(values.device.type, enabled=False):
        return values.float() @ matrix


def to_mel(hertz: float) -> float:
    """Return where a frequency, Hz, from 0, is on the mel scale (HTK's).

    Example
    -------
    >>> round(to_mel(1000.0))
    1000
    """
    return 2595 * math.log10(1 + hertz / 700)


def to_hertz(mels: Tensor) -> Tensor:
    """Return the frequencies, Hz, of places on the mel scale; undoes `to_mel`.

    Example
    -------
    >>> to_hertz(torch.tensor([0.0, to_mel(1000.0)])).round()
    tensor([   0., 1000.])
    """
    return 700 * (10 ** (mels / 2595) - 1)
