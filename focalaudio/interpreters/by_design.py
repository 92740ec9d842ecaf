"""`maps -> saliency -> mask` for encoders that explain themselves.

Activation map thresholding of arXiv 2402.02754: the modulation maps of a
FocalNet, or the attention maps of a ViT, of a trained classifier are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    stages : sequence of int or str
        Which of the encoder's maps, multiplied if several: positions, or
        names of `encoder.map_names`. The last map is FocalNet's last stage,
        as in the paper, and what the mean token of a ViT attends to (the
        paper takes the last `layer_n`, the CLS token's attention).

    Raises
    ------
    ValueError
        If `quantile` is outside 0 to 1, or the encoder has no such map.

    Example
    -------
    >>> import torch
    >>> from focalaudio.encoders import build_encoder
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> interpreter = ByDesignInterpreter(classifier, Spectrogram(), 0.8)
    >>> kept = interpreter(torch.rand(1, 16000)).kept_fraction
    >>> round(kept.item(), 1)
    0.2
    """

    def __init__(
        self,
        classifier: SoundClassifier,
        spectrogram: Spectrogram,
        quantile: float = 0.9,
        stages: Sequence[int | str] = (-1,),
    ) -> None:
        super().__init__(classifier, spectrogram)
        check_quantile(quantile)
        self.quantile = quantile
        self.map_names = select_names(classifier.encoder.map_names, stages)

    @property
    def settings(self) -> dict[str, Any]:
        """Method, maps and quantile."""
        return {
            "method": "by_design",
            "maps": list(self.map_names),
            "quantile": self.quantile,
        }

    def explain(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Interpreter.explain`; the maps are the same for every class."""
        _, time, freq = spectrum.log_magnitude.shape
        # in full precision: low precision ties whole regions at the threshold
        names = self.classifier.encoder.map_names
        chosen = [output.maps[names.index(n)].float() for n in self.map_names]
        maps = combine_maps(chosen)
        saliency = resize_maps(maps, spectrum.n_frames, (time, freq))
        mask = quantile_mask(saliency, self.quantile, spectrum.n_frames)
        return saliency, mask


def select_names(
    names: Sequence[str], stages: Sequence[int | str]
) -> tuple[str, ...]:
    """Return the names of the chosen maps.

    Arguments
    ---------
    names : sequence of str
        All the encoder's maps.
    stages : sequence of int or str
        Positions, -1 for the last, or names.

    Returns
    -------
    tuple of str
        One per choice.

    Raises
    ------
    ValueError
        If nothing is chosen, or something that does not exist.

    Example
    -------
    >>> select_names(("stage_1", "stage_2"), (-1, "stage_1"))
    ('stage_2', 'stage_1')
    """
    known = dict(enumerate(names)) | {name: name for name in names}
    known |= {place - len(names): name for place, name in enumerate(names)}
    if not stages or not all(stage in known for stage in stages):
        raise ValueError(
            f"stages={list(stages)} must name at least one of the encoder's "
            f"maps: {', '.join(names)}, or a position such as -1 for the last."
        )
    return tuple(known[stage] for stage in stages)
