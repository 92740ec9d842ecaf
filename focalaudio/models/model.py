"""What a trained model is: one record, whatever folder or hub it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from torch import Tensor, nn

from focalaudio.contract import Classifier, ClassifierOutput
from focalaudio.data.pipelines import ClipReader
from focalaudio.errors import ModelError
from focalaudio.interpreters import (
    Interpreter,
    LMACInterpreter,
    PIQInterpreter,
    ThresholdInterpreter,
)
from focalaudio.interpreters.maps import choose_maps
from focalaudio.interpreters.threshold import METHODS, check_mask, is_share
from focalaudio.masks import QUANTILE, RATIO, check_quantile
from focalaudio.mel import MelAxis
from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.models.novelty import Novelty, judge_clips, storable_scores
from focalaudio.spectrogram import Spectrogram, Spectrum

TEMPERATURES = (0.01, 100.0)  # the lowest, the highest
DECODED: dict[str, Callable[..., Interpreter]] = {
    kind.METHOD: kind for kind in (PIQInterpreter, LMACInterpreter)
}


@dataclass(frozen=True)
class Explanation:
    """How a model is explained unless a call says otherwise.

    Arguments
    ---------
    method : str
        See `SoundModel.interpreter`.
    maps : sequence of str
        Of `by_design`: names of maps; the encoder's last if None.
    mask : str
        `binary`, `soft`, `energy` or `ratio`.
    quantile : float
        Fraction of a clip's cells (or energy) to drop, 0 to 1.
    """

    method: str = "by_design"
    maps: Sequence[str] | None = None
    mask: str = "binary"
    quantile: float = QUANTILE


def choose_explanation(
    maps: Sequence[str] | str | None = None,
    mask: str = "binary",
    quantile: float = QUANTILE,
    evidence_weight: float = 0.0,
    share_decoder: nn.Module | None = None,
) -> Explanation:
    """Say how the model of a training run is explained by default.

    `maps`, `mask`, `quantile` as in `Explanation`. The default map is what a
    share decoder says, times the loudness; else, if `evidence_weight`, of the
    loss on each cell, is above 0, what cells say of a class.

    Example
    -------
    >>> choose_explanation(evidence_weight=3.0).maps
    ('class_probability',)
    """
    if maps is None and share_decoder is not None:
        maps = ("class_share", "loudness")
    elif maps is None and evidence_weight > 0:
        maps = ("class_probability",)
    chosen = (maps,) if isinstance(maps, str) else maps
    return Explanation("by_design", chosen, mask, quantile)


@dataclass(frozen=True)
class SoundModel:
    """A trained classifier with everything that belongs to it.

    Arguments
    ---------
    classifier : focalaudio.contract.Classifier
        Ours or a foreign one, in evaluation mode.
    spectrogram : Spectrogram
        The analysis it was trained with.
    reader : ClipReader
        Makes clips as it was trained on.
    labels : sequence of str
        In the order of the class ids.
    explanation : Explanation
        How it is explained by default.
    decoders : mapping
        From the name of a method, such as `piq`, to its trained decoder.
    temperature : float
        That logits are divided by, 0.01 to 100, for the probabilities that
        people are told (see `focalaudio.metrics.calibration`). Nothing else
        uses it: explanations, metrics and rules of novelty take the logits as
        they are.
    novelty : Novelty
        When a clip is like any class at all; every clip is if None.
    folder : pathlib.Path
        Where it was read from, whatever is there beside it; None if it was
        not.

    Raises
    ------
    ModelError
        If the temperature is out of range, the labels are not as many as the
        classes, the image's axis is of another analysis than the
        spectrogram's, the explanation is none that this classifier has, or a
        rule needs more than it, or another sample rate or n_fft.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 1)
    >>> model = SoundModel(classifier, Spectrogram(), ClipReader(), ["dog"])
    >>> model.interpreter().name
    'stage_2, quantile 0.9'
    """

    classifier: Classifier
    spectrogram: Spectrogram
    reader: ClipReader
    labels: Sequence[str]
    explanation: Explanation = field(default_factory=Explanation)
    decoders: Mapping[str, nn.Module] = field(default_factory=dict)
    temperature: float = 1.0
    novelty: Novelty | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        if isinstance(self.labels, str):  # else its letters
            object.__setattr__(self, "labels", (self.labels,))
        low, high = TEMPERATURES
        is_number = isinstance(self.temperature, Real)
        if not (is_number and low <= self.temperature <= high):
            raise ModelError(
                f"temperature={self.temperature!r} must be a number from {low} "
                f"to {high}."
            )
        if len(self.labels) != self.classifier.n_classes:
            raise ModelError(
                f"There are {len(self.labels)} labels, but the classifier has "
                f"{self.classifier.n_classes} classes."
            )
        self._check_axis()
        self._check_novelty()
        self._check_explanation()

    @property
    def labels_per_clip(self) -> str:
        """`one` or `several`: what the classifier's logits mean."""
        return self.classifier.labels_per_clip

    @property
    def spectral_shape(self) -> SpectralShape | None:
        """What is usual, if a rule of novelty needs it."""
        return None if self.novelty is None else self.novelty.shape

    def _check_explanation(self) -> None:
        """Refuse one that no interpreter could be made of."""
        own = self.explanation
        try:
            check_quantile(own.quantile)
            if own.method == "by_design":
                choose_maps(self.classifier, own.maps)
            if own.method in METHODS:
                check_mask(own.mask, own.method, own.maps)
        except (TypeError, ValueError) as error:
            raise ModelError(f"The model's own explanation: {error}") from error

    def _check_novelty(self) -> None:
        """Refuse rules that need more than this model."""
        if self.novelty is None:
            return
        possible = storable_scores(self.classifier)
        for score in self.novelty.scores:
            if score not in possible:
                raise ModelError(
                    f"novelty: the model cannot hold score={score!r}; it must "
                    f"be one of {', '.join(possible)}."
                )
        if self.spectral_shape is not None:
            self._check_analysis("novelty's axis", self.spectral_shape.axis)
            n_classes = self.spectral_shape.n_classes
            if n_classes not in (1, len(self.labels)):
                raise ModelError(
                    f"novelty: the spectral shape is of {n_classes} classes, "
                    f"the model of {len(self.labels)}."
                )

    def _check_axis(self) -> None:
        """Refuse an image whose axis is of another analysis."""
        if self.classifier.layout.axis is not None:
            self._check_analysis("image's axis", self.classifier.layout.axis)

    def _check_analysis(self, name: str, axis: MelAxis) -> None:
        """Refuse an axis of another analysis than the spectrogram's."""
        own = self.spectrogram
        if (axis.sample_rate, axis.n_fft) != (own.sample_rate, own.n_fft):
            raise ModelError(
                f"The {name} is made for {axis.sample_rate} Hz and "
                f"n_fft={axis.n_fft}, the spectrogram for {own.sample_rate} "
                f"Hz and n_fft={own.n_fft}."
            )

    def to(self, device: str | torch.device) -> SoundModel:
        """Move what it computes with, decoders included; return this."""
        for part in (
            self.classifier,
            self.spectrogram,
            *self.decoders.values(),
        ):
            part.to(device)
        return self

    def is_known(self, spectrum: Spectrum, output: ClassifierOutput) -> Tensor:
        """Say which clips are like any class, by the model's own rules.

        `spectrum` and `output` are of the same whole clips. Returns `[batch]`,
        bool; all True if the model has no rules.
        """
        return judge_clips(self.novelty, self.classifier, spectrum, output)

    def interpreter(
        self,
        method: str | None = None,
        maps: Sequence[str] | str | None = None,
        mask: str | None = None,
        quantile: float | None = None,
        options: Mapping[str, Any] | None = None,
        against: int | None = None,
    ) -> Interpreter:
        """Make an interpreter; what is None is the model's own.

        Arguments
        ---------
        method : str
            `by_design`, `piq`, `lmac`, one of captum's (`saliency`,
            `smoothgrad`, `integrated_gradients`, `gradient_shap`, `gradcam`,
            `occlusion`), `rise`, or a floor (`random`, `loudest`).
        maps, mask, quantile, options, against
            See `focalaudio.interpreters.ThresholdInterpreter`. A model's own
            ratio mask is binary where there is no share. The decoders of
            PIQ and L-MAC draw the mask, if `mask` is None; it is cut to the
            `quantile`, the model's own if None, if `mask` is given.

        Returns
        -------
        Interpreter
            In evaluation mode, where the classifier is.

        Raises
        ------
        ValueError
            If a value is out of range, a name is unknown, or the method has no
            use for an argument.
        ModelError
            If the method's decoder is not in the model.
        """
        own = self.explanation
        method = own.method if method is None else method
        if not isinstance(options, (Mapping, NoneType)):
            raise ValueError(
                f"options={options!r} must be a mapping, such as "
                '"{n_samples: 16}".'
            )
        if method in DECODED:
            other = None if against is None else self.labels[against]
            useless = {"maps": maps, "against": other, **(options or {})}
            return self._decoded(method, useless, mask, quantile)
        if method not in METHODS:
            raise ValueError(
                f"method={method!r} must be one of "
                f"{', '.join((*DECODED, *METHODS))}."
            )
        kind = own.mask
        if maps is None and method == own.method:
            maps = own.maps
        elif kind == RATIO and not is_share(method, maps):
            kind = "binary"
        kind = kind if mask is None else mask
        interpreter = ThresholdInterpreter(
            self.classifier,
            self.spectrogram,
            method,
            maps,
            kind,
            own.quantile if quantile is None and kind != RATIO else quantile,
            options,
            against,
            self.labels,
        )
        return interpreter.eval()

    def _decoded(
        self,
        method: str,
        useless: Mapping[str, Any],
        mask: str | None,
        quantile: float | None,
    ) -> Interpreter:
        """Make an interpreter of a trained decoder."""
        listed = [f"{k}={v!r}" for k, v in useless.items() if v is not None]
        if listed:
            raise ValueError(
                f"{', '.join(listed)}: means nothing to method={method!r}, "
                "whose decoder draws the mask; leave it out."
            )
        if method not in self.decoders:
            raise ModelError(
                f"method={method!r} needs a decoder, and this model has none: "
                "give a model that was exported with it (focalaudio export "
                f"RUN --{method} RUN --out DIR), or another method; "
                f"interpret.py takes --{method} RUN, too."
            )
        if mask is not None and quantile is None:
            quantile = self.explanation.quantile
        made = DECODED[method](
            self.classifier,
            self.spectrogram,
            self.decoders[method],
            mask=mask,
            quantile=quantile,
        )
        return made.eval()
