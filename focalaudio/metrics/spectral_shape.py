"""`spectrum -> a distance`: does a clip sound as the training clips do at all?

A classifier listens for what tells its classes apart and may miss all else.
This asks something simpler, and does not ask the classifier: how loud each band
is on average (the long-term average spectrum), and how much it changes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from focalaudio.arguments import remember_arguments
from focalaudio.image import MelAxis
from focalaudio.metrics.novelty import SHRINKAGE, mahalanobis
from focalaudio.spectrogram import Spectrum

LOWEST = 50.0  # Hz, lower end of the bands
FLOOR = 1e-4  # of a clip's loudest band, its largest magnitude: -80 dB
SMALLEST_VARIANCE = 0.01  # of a level, squared logarithms
SOUNDING = 1e-2  # of the loudest frame's magnitude: -40 dB


@remember_arguments
class SpectralShape(nn.Module):
    """How the bands of training clips are distributed, and what is far away.

    Each clip is described by the mean and the standard deviation, over its
    frames that sound, of the level of each of `n_bands` mel bands; the level of
    the clip itself is taken off. The distance is Mahalanobis', of one Gaussian
    for all clips (arXiv 1807.03888 has it of embeddings, one for each class).

    Arguments
    ---------
    sample_rate : int
        Hz, of the spectrogram.
    n_fft : int
        Points of its Fourier transform.
    n_bands : int
        Mel bands.

    Example
    -------
    >>> from focalaudio.spectrogram import Spectrogram
    >>> shape = SpectralShape(n_bands=8)
    >>> noise = Spectrogram()(torch.randn(20, 8000))
    >>> shape.fit(shape.describe(noise))
    >>> tone = torch.sin(torch.arange(8000) / 10)
    >>> shape(Spectrogram()(tone[None])) > shape(noise).max()
    tensor([True])
    """

    mean: Tensor
    precision: Tensor

    def __init__(
        self, sample_rate: int = 16000, n_fft: int = 1024, n_bands: int = 32
    ) -> None:
        super().__init__()
        self.axis = MelAxis(n_bands, sample_rate, n_fft, LOWEST)
        # on the device `meta` torch loads its compiler for an identity
        self.register_buffer("mean", torch.zeros(2 * n_bands, device="cpu"))
        self.register_buffer("precision", torch.eye(2 * n_bands, device="cpu"))

    def describe(self, spectrum: Spectrum) -> Tensor:
        """Describe clips.

        Arguments
        ---------
        spectrum : Spectrum
            Of any batch; a clip's description does not depend on the others,
            on padding or on its level.

        Returns
        -------
        torch.Tensor
            `[batch, 2 * n_bands]`, natural logarithms of magnitudes: means,
            then standard deviations.
        """
        magnitude = spectrum.log_magnitude.float().expm1()
        # a clip rings on in the padding, which is no part of it
        bands = self.axis.to_bands(magnitude) * spectrum.own_frames[..., None]
        tiny = torch.finfo(bands.dtype).tiny
        loudest = bands.amax((1, 2), keepdim=True).clamp(min=tiny)
        levels = (bands / loudest).clamp(min=FLOOR).log()
        frames = magnitude.square().sum(2).sqrt()
        frames = frames.where(spectrum.own_frames, 0.0)
        sounds = frames >= SOUNDING * frames.amax(1, keepdim=True)
        weights = (sounds & spectrum.own_frames).float()[..., None]
        count = weights.sum(1).clamp(min=1)
        mean = (levels * weights).sum(1) / count
        away = (levels - mean[:, None]).square() * weights
        deviation = (away.sum(1) / count).sqrt()
        return torch.cat((mean - mean.mean(1, keepdim=True), deviation), 1)

    def fit(self, described: Tensor) -> None:
        """Learn what is usual from descriptions `[clips, 2 * n_bands]`.

        At least one clip; of few, or of clips that are alike, the variance is
        taken to be a little above nothing.
        """
        known = described.double()
        mean = known.mean(0)
        rest = known - mean
        covariance = rest.T @ rest / len(known)
        scale = covariance.diagonal().mean().clamp(min=SMALLEST_VARIANCE)
        sphere = scale * torch.eye(len(mean), device=known.device).double()
        shrunk = torch.lerp(covariance, sphere, SHRINKAGE)
        self.mean.copy_(mean)
        self.precision.copy_(torch.linalg.inv(shrunk))

    def distance(self, described: Tensor) -> Tensor:
        """Return the squared distance of descriptions, `[clips]`.

        In double precision, on the CPU: so it is the same in every batch.
        """
        values = [
            each.double().cpu()
            for each in (described, self.mean[None], self.precision)
        ]
        return mahalanobis(*values).to(described)

    def forward(self, spectrum: Spectrum) -> Tensor:
        """Return the squared distance of clips, `[batch]`, non-negative."""
        with torch.autocast(spectrum.log_magnitude.device.type, enabled=False):
            return self.distance(self.describe(spectrum))
