"""`spectrum -> a distance`: does a clip sound as the training clips do at all?

A classifier listens for what tells its classes apart and may miss all else.
This asks something simpler of the sound itself: how loud each band is on
average (the long-term average spectrum), and how much it changes. Is that usual
for the class that the classifier names?
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from focalaudio.arguments import remember_arguments
from focalaudio.decisions import mark_classes
from focalaudio.mel import MelAxis
from focalaudio.metrics.novelty import SHRINKAGE, mahalanobis
from focalaudio.spectrogram import Spectrum

LOWEST = 50.0  # Hz, lower end of the bands
FLOOR = 1e-4  # of a clip's loudest band, its largest magnitude: -80 dB
SMALLEST_VARIANCE = 0.01  # of a level, squared logarithms
POOLED = 0.5  # of a class's covariance: that within all classes
SOUNDING = 1e-2  # of the loudest frame's magnitude: -40 dB


@remember_arguments
class SpectralShape(nn.Module):
    """How the bands of training clips are distributed, and what is far away.

    Each clip is described by the mean and the standard deviation, over its
    frames that sound, of the level of each of `n_bands` mel bands; the level of
    the clip itself is taken off. The distance is Mahalanobis', of a Gaussian
    for each class (arXiv 1807.03888 has it of embeddings). A class has too few
    clips for a covariance of its own: half of it is that within all classes,
    and a part of both a sphere (regularized discriminant analysis, J. H.
    Friedman, JASA 84, 1989).

    Arguments
    ---------
    sample_rate : int
        Hz, of the spectrogram.
    n_fft : int
        Points of its Fourier transform.
    n_bands : int
        Mel bands.
    n_classes : int
        1 is one Gaussian for all clips, whatever their class.

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
        self,
        sample_rate: int = 16000,
        n_fft: int = 1024,
        n_bands: int = 32,
        n_classes: int = 1,
    ) -> None:
        super().__init__()
        self.axis = MelAxis(n_bands, sample_rate, n_fft, LOWEST)
        self.register_buffer("mean", torch.zeros(n_classes, 2 * n_bands))
        # on the device `meta` torch loads its compiler for an identity
        precision = torch.zeros(n_classes, 2 * n_bands, 2 * n_bands)
        precision.diagonal(dim1=1, dim2=2).fill_(1.0)
        self.register_buffer("precision", precision)

    @property
    def n_classes(self) -> int:
        """Gaussians: one for each class, or 1 for all clips."""
        return len(self.mean)

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

    def fit(self, described: Tensor, class_ids: Tensor | None = None) -> None:
        """Learn what is usual.

        Arguments
        ---------
        described : torch.Tensor
            `[clips, 2 * n_bands]`, at least one clip; of few, or of clips that
            are alike, the variance is taken to be a little above nothing. A
            class without clips lies in their middle, and is as wide as the
            others are on average.
        class_ids : torch.Tensor
            `[clips]`, of each; needed if there are several classes.
        """
        known = described.double()
        ids = self._choose(known, class_ids)
        marked = mark_classes(ids, self.n_classes).to(known)
        counts = marked.sum(0)[:, None]
        means = marked.T @ known / counts.clamp(min=1)
        means = means.where(counts > 0, known.mean(0))
        rest = known - means[ids]
        within = rest.T @ rest / len(known)
        own = torch.stack(
            [rest.T @ (each[:, None] * rest) for each in marked.T]
        )
        counts = counts[..., None]
        own = (own / counts.clamp(min=1)).where(counts > 0, within)
        covariance = torch.lerp(own, within, POOLED)
        scale = covariance.diagonal(dim1=1, dim2=2).mean(1)
        scale = scale.clamp(min=SMALLEST_VARIANCE)[:, None, None]
        sphere = scale * torch.eye(len(within), device=known.device).double()
        shrunk = torch.lerp(covariance, sphere, SHRINKAGE)
        self.mean.copy_(means)
        self.precision.copy_(torch.linalg.inv(shrunk))

    def distance(
        self, described: Tensor, class_ids: Tensor | None = None
    ) -> Tensor:
        """Return the squared distance of descriptions to a class, `[clips]`.

        `class_ids` `[clips]` are needed if there are several classes. In double
        precision, on the CPU: so it is the same in every batch.
        """
        values = described.double().cpu()
        ids = self._choose(values, class_ids)
        found = values.new_empty(len(values))
        for place in ids.unique().tolist():
            mean = self.mean[place].double().cpu()
            precision = self.precision[place].double().cpu()
            own = ids == place
            found[own] = mahalanobis(values[own], mean[None], precision)
        return found.to(described)

    def _choose(self, described: Tensor, class_ids: Tensor | None) -> Tensor:
        """Return which Gaussian is meant of each description."""
        if self.n_classes == 1:
            return torch.zeros(len(described), dtype=torch.long).to(
                described.device
            )
        if class_ids is None:
            raise ValueError(
                f"class_ids=None: which of {self.n_classes} classes is meant?"
            )
        return class_ids.to(described.device)

    def forward(
        self, spectrum: Spectrum, class_ids: Tensor | None = None
    ) -> Tensor:
        """Return the squared distance of clips to a class, `[batch]`, >= 0."""
        with torch.autocast(spectrum.log_magnitude.device.type, enabled=False):
            return self.distance(self.describe(spectrum), class_ids)
