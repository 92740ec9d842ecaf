"""Interpreters that know nothing: the floors that a real one must exceed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from focalaudio.classifier import ClassifierOutput, SoundClassifier
from focalaudio.interpreters.base import Interpreter
from focalaudio.masks import check_quantile, quantile_mask
from focalaudio.spectrogram import Spectrogram, Spectrum


def random_saliency(log_magnitude: Tensor) -> Tensor:
    """Return uniform noise, the same for every clip and every time.

    Arguments
    ---------
    log_magnitude : torch.Tensor
        `[batch, time, freq]`.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, 0 to 1; a frame's noise does not depend on how
        many follow.

    Example
    -------
    >>> noise = random_saliency(torch.ones(2, 3, 4))
    >>> bool((noise[0] == noise[1]).all())
    True
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(log_magnitude.shape[1:], generator=generator)
    return noise.to(log_magnitude).expand_as(log_magnitude)


def loudness_saliency(log_magnitude: Tensor) -> Tensor:
    """Return the log-magnitude itself.

    Arguments
    ---------
    log_magnitude : torch.Tensor
        `[batch, time, freq]`.

    Returns
    -------
    torch.Tensor
        The same.

    Example
    -------
    >>> loudness_saliency(torch.ones(1, 1, 2))
    tensor([[[1., 1.]]])
    """
    return log_magnitude


REFERENCES: dict[str, Callable[[Tensor], Tensor]] = {
    "random": random_saliency,
    "loudest": loudness_saliency,
}


class ReferenceInterpreter(Interpreter):
    """Keep random cells, or the loudest, whatever the classifier says.

    Arguments
    ---------
    classifier : SoundClassifier
        Frozen in place.
    spectrogram : Spectrogram
        The analysis that the classifier was trained with.
    method : str
        `random` or `loudest`.
    quantile : float
        Fraction of a clip's cells to drop, 0 to 1.

    Raises
    ------
    ValueError
        If `quantile` is outside 0 to 1, or there is no such reference.

    Example
    -------
    >>> from focalaudio.encoders import build_encoder
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> interpreter = ReferenceInterpreter(classifier, Spectrogram(), "loudest")
    >>> interpreter(torch.rand(1, 16000)).mask.float().mean().round(decimals=2)
    tensor(0.1000)
    """

    quantile: float

    def __init__(
        self,
        classifier: SoundClassifier,
        spectrogram: Spectrogram,
        method: str = "random",
        quantile: float = 0.9,
    ) -> None:
        super().__init__(classifier, spectrogram)
        check_quantile(quantile)
        if method not in REFERENCES:
            raise ValueError(
                f"method={method!r} must be one of {', '.join(REFERENCES)}."
            )
        self.method = method
        self.quantile = quantile

    @property
    def settings(self) -> dict[str, Any]:
        """Method and quantile."""
        return {"method": self.method, "quantile": self.quantile}

    def explain(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Interpreter.explain`."""
        own = torch.arange(spectrum.log_magnitude.shape[1])
        own = own.to(spectrum.n_frames) < spectrum.n_frames[:, None]
        saliency = REFERENCES[self.method](spectrum.log_magnitude)
        saliency = saliency * own.unsqueeze(-1)
        return saliency, quantile_mask(
            saliency, self.quantile, spectrum.n_frames
        )
