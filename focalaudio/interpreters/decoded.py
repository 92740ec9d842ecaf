"""`features -> decoder -> mask`: what interpreters that are trained share.

A decoder draws a soft mask, which is used as it is, or is a saliency that is
cut like any other.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from focalaudio.contract import Classifier, ClassifierOutput
from focalaudio.image import ImageLayout
from focalaudio.interpreters.base import Interpreter
from focalaudio.interpreters.decoders import Drawn
from focalaudio.interpreters.maps import own_cells
from focalaudio.masks import MASKS, QUANTILE, check_quantile, cut_saliency
from focalaudio.spectrogram import Spectrogram, Spectrum


class DecodedInterpreter(Interpreter):
    """Let a trained decoder draw the mask, or the saliency of one.

    Subclasses say in `METHOD` what they are called, and what is learnt.

    Arguments
    ---------
    classifier : Classifier
        Frozen in place.
    spectrogram : Spectrogram
        The analysis that the classifier was trained with.
    decoder : torch.nn.Module
        One of `focalaudio.interpreters.decoders`.
    mask : str
        What is made of the decoder's soft mask: it is the mask itself if None;
        else the saliency of a `binary`, `soft` or `energy` one, see
        `focalaudio.masks`.
    quantile : float
        With `mask`: fraction of a clip's cells (or energy) to drop, 0 to 1; .9
        if None.

    Raises
    ------
    ValueError
        If a value is out of range, or a quantile is given without a mask.

    Example
    -------
    >>> import torch
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.interpreters import LMACInterpreter
    >>> from focalaudio.interpreters.decoders import LMACDecoder
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> decoder = LMACDecoder(classifier.encoder.n_features, 3)
    >>> parts = (classifier, Spectrogram(), decoder)
    >>> interpreter = LMACInterpreter(*parts, mask="binary").eval()
    >>> with torch.no_grad():
    ...     interpreter(torch.rand(1, 16000)).kept_fraction.round(decimals=1)
    tensor([0.1000])
    """

    METHOD = ""

    is_thread_safe = True

    def __init__(
        self,
        classifier: Classifier,
        spectrogram: Spectrogram,
        decoder: nn.Module,
        mask: str | None = None,
        quantile: float | None = None,
    ) -> None:
        super().__init__(classifier, spectrogram)
        if mask is not None and mask not in MASKS:
            raise ValueError(
                f"mask={mask!r} must be null (the decoder's own) or one of "
                f"{', '.join(MASKS)}."
            )
        if mask is None and quantile is not None:
            raise ValueError(
                f"quantile={quantile} means nothing to the mask that the "
                f"decoder of method={self.METHOD!r} draws; leave it out, or "
                "give mask=binary, soft or energy, to cut that mask to a size."
            )
        if mask is not None:
            quantile = QUANTILE if quantile is None else quantile
            check_quantile(quantile)
            quantile = float(quantile)
        self.decoder = decoder
        self.mask = mask
        self.quantile = quantile

    @property
    def settings(self) -> dict[str, Any]:
        """Method and decoder; quantile and kind of mask, if it is cut."""
        own = {"method": self.METHOD, "decoder": type(self.decoder).__name__}
        if self.mask is None:
            return own
        return {**own, "quantile": self.quantile, "mask": self.mask}

    def explain(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Interpreter.explain`; the drawn mask is the saliency."""
        drawn = self.draw_mask(
            self.decoder(output.features, class_ids), spectrum
        )
        if self.mask is None or self.quantile is None:
            return drawn, drawn
        return drawn, cut_saliency(self.mask, drawn, self.quantile, spectrum)

    def draw_mask(self, drawn: Drawn, spectrum: Spectrum) -> Tensor:
        """Return the mask on the spectrogram's grid, 0 beyond each clip's end.

        Arguments
        ---------
        drawn : Drawn
            What the decoder made of the clips' features.
        spectrum : Spectrum
            Of the clips.

        Returns
        -------
        torch.Tensor
            `[batch, time, freq]`, 0 to 1.
        """
        logits = stretch(self.classifier.layout, drawn, spectrum)
        return logits.sigmoid() * own_cells(spectrum)


def stretch(layout: ImageLayout, drawn: Drawn, spectrum: Spectrum) -> Tensor:
    """Bring a decoder's logits to the spectrogram's grid, clip by clip.

    Arguments
    ---------
    layout : ImageLayout
        Of the classifier whose features were decoded.
    drawn : Drawn
        On the decoder's own grid; where an encoder dropped the rest of an
        image, what is next to it counts.
    spectrum : Spectrum
        Of the clips.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, float32, 0 beyond each clip's end.
    """
    return layout.carry_back(
        drawn.mask_logits.float(),
        spectrum.n_frames,
        spectrum.log_magnitude.shape[1:],
        cells=drawn.cells,
        fill="replicate",
    )
