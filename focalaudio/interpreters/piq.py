"""`features -> decoder -> mask`: PIQ, an interpreter that must be trained.

Posthoc interpretation via quantization (arXiv 2303.12659): a decoder learns
to draw the loud cells of a clip from the frozen classifier's features, through
a bottleneck of codes that belong to the predicted class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from focalaudio.classifier import SoundClassifier
from focalaudio.interpreters.decoded import DecodedInterpreter, stretch
from focalaudio.interpreters.decoders import DECODERS, Decoded
from focalaudio.interpreters.maps import own_cells
from focalaudio.spectrogram import Spectrogram, Spectrum

# Digital silence has a log-magnitude of 1e-7 throughout, the analysis's floor;
# one step of 16 bits has more than this.
SILENCE = 1e-6
LOUD = 0.35  # of a clip's largest log-magnitude, arXiv 2402.02754


@dataclass(frozen=True)
class PIQLoss:
    """The terms of PIQ's loss, each a mean over the batch's clips.

    Arguments
    ---------
    reconstruction : torch.Tensor
        Scalar, binary cross-entropy of the mask against the loud cells, nats.
    codebook : torch.Tensor
        Scalar, `|sg(h) - z|^2`: brings the codes to the latents.
    commitment : torch.Tensor
        Scalar, `|h - sg(z)|^2`: brings the latents to the codes.
    """

    reconstruction: Tensor
    codebook: Tensor
    commitment: Tensor

    def total(self, reconstruction_weight: float = 1.0) -> Tensor:
        """Return `w * reconstruction + codebook + commitment`, a scalar."""
        weighted = reconstruction_weight * self.reconstruction
        return weighted + self.codebook + self.commitment


class PIQInterpreter(DecodedInterpreter):
    """Let a trained decoder draw the mask.

    Arguments
    ---------
    classifier, spectrogram
        As in `Interpreter`.
    decoder : torch.nn.Module
        Of `focalaudio.interpreters.decoders.DECODERS`.
    threshold : float
        A cell is loud if its log-magnitude exceeds this share of the clip's
        largest, 0 to 1; what the decoder learns to draw.
    mask, quantile
        See `DecodedInterpreter`.

    Raises
    ------
    ValueError
        If `threshold` is outside 0 to 1; see also `DecodedInterpreter`.

    Example
    -------
    >>> import torch
    >>> from focalaudio.encoders import build_encoder
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> decoder = build_decoder("light", classifier, n_codes=16)
    >>> interpreter = PIQInterpreter(classifier, Spectrogram(), decoder).eval()
    >>> with torch.no_grad():
    ...     interpreter(torch.rand(1, 16000)).mask.shape
    torch.Size([1, 87, 513])
    """

    METHOD = "piq"

    def __init__(
        self,
        classifier: SoundClassifier,
        spectrogram: Spectrogram,
        decoder: nn.Module,
        threshold: float = LOUD,
        mask: str | None = None,
        quantile: float | None = None,
    ) -> None:
        super().__init__(classifier, spectrogram, decoder, mask, quantile)
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold={threshold} must be between 0 and 1.")
        self.threshold = threshold

    def compute_loss(self, decoded: Decoded, spectrum: Spectrum) -> PIQLoss:
        """Compare the mask with the loud cells, and latents with codes.

        The loss of arXiv 2303.12659, with means instead of sums; `decoded` is
        made of the clips' features.
        """
        logits = stretch(self.classifier.layout, decoded, spectrum)
        cells = own_cells(spectrum).expand_as(logits)
        # a clip's end rings on in the padding, which must not set its maximum
        loud = find_loud_cells(spectrum.log_magnitude * cells, self.threshold)
        errors = F.binary_cross_entropy_with_logits(
            logits, loud.to(logits), reduction="none"
        )
        clips = (errors * cells).sum((1, 2)) / cells.sum((1, 2))
        latents, codes = decoded.latents, decoded.quantized.codes
        return PIQLoss(
            clips.mean(),
            F.mse_loss(codes, latents.detach()),
            F.mse_loss(latents, codes.detach()),
        )


def find_loud_cells(log_magnitude: Tensor, threshold: float) -> Tensor:
    """Say which cells exceed a share of their clip's largest: `X > t max X`."""
    loudest = log_magnitude.amax((1, 2), keepdim=True)
    return (log_magnitude > threshold * loudest) & (loudest > SILENCE)


def build_decoder(
    name: str,
    classifier: SoundClassifier,
    n_codes: int = 1024,
    n_shared: int = 0,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a decoder that fits a classifier, with random weights.

    Arguments
    ---------
    name : str
        `light` or `paper`.
    classifier : SoundClassifier
        Whose features are decoded.
    n_codes, n_shared : int
        See `focalaudio.interpreters.quantizer.Quantizer`.
    options : mapping
        Further arguments of the decoder's class.

    Raises
    ------
    ValueError
        If there is no such decoder.
    """
    if name not in DECODERS:
        raise ValueError(
            f"decoder={name!r} must be one of {', '.join(DECODERS)}."
        )
    return DECODERS[name](
        classifier.encoder.n_features,
        classifier.n_classes,
        n_codes,
        n_shared,
        **options or {},
    )
