"""`maps -> saliency -> mask` for encoders that explain themselves.

Activation map thresholding of arXiv 2402.02754: the modulation maps of a
FocalNet, or the attention maps of a ViT, of a trained classifier are enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from focalaudio.classifier import ClassifierOutput, SoundClassifier
from focalaudio.interpreters.base import Interpreter
from focalaudio.masks import check_quantile, quantile_mask
from focalaudio.saliency import combine_maps, resize_maps
from focalaudio.spectrogram import Spectrogram, Spectrum


class ByDesignInterpreter(Interpreter):
    """Threshold the encoder's own maps at a quantile.

    Arguments
    ---------
    classifier : SoundClassifier
        Frozen in place.
    spectrogram : Spectrogram
        The analysis that the classifier was trained with.
    quantile : float
        Fraction of a clip's cells to drop, 0 to 1.
    stages : sequence of int
        Which of the encoder's maps, multiplied if several; the last one is
        what the paper uses.

    Example
    -------
    >>> import torch
    >>> from focalaudio.encoders import build_encoder
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> interpreter = ByDesignInterpreter(classifier, Spectrogram(), 0.8)
    >>> kept = interpreter(torch.rand(1, 16000)).kept_fraction
    >>> round(kept.item(), 2)
    0.2
    """

    def __init__(
        self,
        classifier: SoundClassifier,
        spectrogram: Spectrogram,
        quantile: float = 0.9,
        stages: Sequence[int] = (-1,),
    ) -> None:
        super().__init__(classifier, spectrogram)
        check_quantile(quantile)
        self.quantile = quantile
        self.stages = tuple(stages)

    def explain(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Interpreter.explain`; these maps are the same for every class."""
        shape = tuple(spectrum.log_magnitude.shape[1:])
        # in full precision: low precision ties whole regions at the threshold
        maps = combine_maps([m.float() for m in output.maps], self.stages)
        saliency = resize_maps(maps, spectrum.n_frames, shape)
        mask = quantile_mask(saliency, self.quantile, spectrum.n_frames)
        return saliency, mask
