"""`maps -> saliency -> mask` for encoders that explain themselves.

Activation map thresholding of arXiv 2402.02754: the modulation maps of a
FocalNet, or the attention maps of a ViT, of a trained classifier are enough.
Those maps are the same whichever class is asked about. What each cell of the
last feature map says of a class is known too, without any gradient, because
the classifier pools these cells and reads them with a head: see `CLASS_MAPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from focalaudio.classifier import ClassifierOutput, SoundClassifier
from focalaudio.interpreters.base import Interpreter
from focalaudio.masks import MASKS, check_quantile
from focalaudio.saliency import combine_maps, resize_maps
from focalaudio.spectrogram import Spectrogram, Spectrum


def positive_evidence(
    classifier: SoundClassifier, output: ClassifierOutput, class_ids: Tensor
) -> Tensor:
    """Return the evidence for a class, less its lowest value in the clip.

    Arguments
    ---------
    classifier : SoundClassifier
        In evaluation mode.
    output : ClassifierOutput
        Of this classifier.
    class_ids : torch.Tensor
        `[batch]`, int64.

    Returns
    -------
    torch.Tensor
        `[batch, rows, cols]`, non-negative, in the order of the evidence.
    """
    evidence = classifier.class_evidence(output, class_ids).float()
    return evidence - evidence.amin((1, 2), keepdim=True)


# Maps that know about classes, of any encoder; arguments as above.
CLASS_MAPS: dict[str, Callable[..., Tensor]] = {
    "class_evidence": positive_evidence,
    "class_probability": SoundClassifier.class_probability,
}


class ByDesignInterpreter(Interpreter):
    """Threshold the classifier's own maps at a quantile.

    Arguments
    ---------
    classifier : SoundClassifier
        Frozen in place.
    spectrogram : Spectrogram
        The analysis that the classifier was trained with.
    quantile : float
        Fraction of a clip's cells to drop, 0 to 1.
    stages : sequence of int or str
        Which maps, multiplied if several: positions or names of
        `encoder.map_names`, or names of `CLASS_MAPS`. The encoder's last map
        is FocalNet's last stage, as in the paper, and what the mean token of
        a ViT attends to (the paper takes the last `layer_n`, the CLS token's
        attention). `class_evidence` and `class_probability` belong to the
        class that is explained.
    mask : str
        `binary`, or `soft`: see `focalaudio.masks`.

    Raises
    ------
    ValueError
        If `quantile` is outside 0 to 1, the encoder has no such map, or there
        is no such mask.

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

    quantile: float

    def __init__(
        self,
        classifier: SoundClassifier,
        spectrogram: Spectrogram,
        quantile: float = 0.9,
        stages: Sequence[int | str] = (-1,),
        mask: str = "binary",
    ) -> None:
        super().__init__(classifier, spectrogram)
        check_quantile(quantile)
        if mask not in MASKS:
            raise ValueError(
                f"mask={mask!r} must be one of {', '.join(MASKS)}."
            )
        self.quantile = quantile
        self.mask = mask
        self.map_names = select_names(classifier.encoder.map_names, stages)

    @property
    def settings(self) -> dict[str, Any]:
        """Method, maps, quantile and kind of mask."""
        return {
            "method": "by_design",
            "maps": list(self.map_names),
            "quantile": self.quantile,
            "mask": self.mask,
        }

    def pick_maps(
        self, output: ClassifierOutput, class_ids: Tensor
    ) -> list[Tensor]:
        """Return the chosen maps, each `[batch, rows, cols]`, float32."""
        names = self.classifier.encoder.map_names
        return [
            CLASS_MAPS[name](self.classifier, output, class_ids)
            if name in CLASS_MAPS
            # in full precision: low precision ties regions at the threshold
            else output.maps[names.index(name)].float()
            for name in self.map_names
        ]

    def explain(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Interpreter.explain`."""
        _, time, freq = spectrum.log_magnitude.shape
        maps = combine_maps(self.pick_maps(output, class_ids))
        saliency = resize_maps(maps, spectrum.n_frames, (time, freq))
        mask = MASKS[self.mask](saliency, self.quantile, spectrum.n_frames)
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
        Positions, -1 for the last, or names, or names of `CLASS_MAPS`.

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
    known |= {name: name for name in CLASS_MAPS}
    if not stages or not all(stage in known for stage in stages):
        raise ValueError(
            f"stages={list(stages)} must name at least one of the maps: "
            f"{', '.join((*names, *CLASS_MAPS))}, or a position such as -1 "
            "for the encoder's last."
        )
    return tuple(known[stage] for stage in stages)
