"""`features -> decoder -> mask`: L-MAC, an interpreter that must be trained.

Listenable maps for audio classifiers (arXiv 2403.13086): a decoder learns the
smallest mask whose kept part still gets the class from the frozen classifier,
and whose removed part does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from focalaudio.contract import Classifier
from focalaudio.interpreters.decoded import DecodedInterpreter
from focalaudio.interpreters.decoders import (
    Drawn,
    LMACDecoder,
    SpectrogramDecoder,
)
from focalaudio.spectrogram import Spectrum


@dataclass(frozen=True)
class LMACLoss:
    """The terms of L-MAC's loss, each a mean over the batch's clips.

    Arguments
    ---------
    kept : torch.Tensor
        Scalar, cross-entropy of the class on the kept part, nats.
    removed : torch.Tensor
        Scalar, cross-entropy of the class on the removed part, nats: the more,
        the better.
    size : torch.Tensor
        Scalar, mean of the mask over a clip's own cells, 0 to 1.

    Example
    -------
    >>> import torch
    >>> loss = LMACLoss(*torch.tensor([1.0, 2.0, 0.5]))
    >>> loss.total()
    tensor(3.8000)
    """

    kept: Tensor
    removed: Tensor
    size: Tensor

    def total(
        self,
        kept_weight: float = 4.0,
        removed_weight: float = 0.2,
        size_weight: float = 0.4,
    ) -> Tensor:
        """Return the weighted sum, the removed part's term subtracted."""
        return (
            kept_weight * self.kept
            - removed_weight * self.removed
            + size_weight * self.size
        )


class LMACInterpreter(DecodedInterpreter):
    """Let a decoder draw the mask that it learnt by asking the classifier.

    Arguments
    ---------
    classifier : Classifier
        Ours or a foreign one; frozen in place.
    spectrogram : Spectrogram
        The analysis that the classifier was trained with.
    decoder : LMACDecoder or SpectrogramDecoder
        Of `focalaudio.interpreters.decoders`.
    mask, quantile
        See `DecodedInterpreter`.

    Raises
    ------
    ValueError
        See `DecodedInterpreter`.

    Example
    -------
    >>> import torch
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> decoder = build_decoder(classifier)
    >>> interpreter = LMACInterpreter(classifier, Spectrogram(), decoder).eval()
    >>> with torch.no_grad():
    ...     interpreter(torch.rand(1, 16000)).mask.shape
    torch.Size([1, 87, 513])
    """

    METHOD = "lmac"

    def compute_loss(
        self, drawn: Drawn, spectrum: Spectrum, class_ids: Tensor
    ) -> LMACLoss:
        """Ask the classifier about both parts of the clips.

        One batch, with a gradient through the classifier to the mask.

        Arguments
        ---------
        drawn : Drawn
            What the decoder made of the clips' features.
        spectrum : Spectrum
            Of the clips.
        class_ids : torch.Tensor
            `[batch]`, int64, the classes that are explained.

        Returns
        -------
        LMACLoss
            With gradients.
        """
        mask = self.draw_mask(drawn, spectrum)
        kept, removed = (
            self.classifier.decision.class_losses(said, class_ids)
            for said in self.classify_split(mask, spectrum)
        )
        n_cells = spectrum.n_frames * mask.shape[2]
        sizes = mask.sum((1, 2)) / n_cells
        return LMACLoss(kept.mean(), removed.mean(), sizes.mean())


def build_decoder(
    classifier: Classifier, width: int = 64, n_doublings: int = 3
) -> LMACDecoder | SpectrogramDecoder:
    """Build a decoder that fits a classifier.

    Of a foreign classifier nothing but the spectrogram is known: its decoder
    reads that.

    Arguments
    ---------
    classifier : Classifier
        Ours, whose features are decoded, or a foreign one.
    width, n_doublings : int
        See `focalaudio.interpreters.decoders.LMACDecoder`.

    Returns
    -------
    LMACDecoder or SpectrogramDecoder
        With random weights.
    """
    n_classes = classifier.n_classes
    if not hasattr(classifier, "encoder"):
        return SpectrogramDecoder(n_classes, width, n_doublings)
    return LMACDecoder(
        classifier.encoder.n_features, n_classes, width, n_doublings
    )
