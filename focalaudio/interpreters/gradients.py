"""`gradients -> saliency -> mask`: captum's methods as interpreters.

The post-hoc baselines of arXiv 2403.13086 and others, thresholded as the
encoder's own maps are; they need the extra `focalaudio[baselines]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from focalaudio.classifier import ClassifierOutput, SoundClassifier
from focalaudio.interpreters.attributions import METHODS, import_captum
from focalaudio.interpreters.base import Interpreter
from focalaudio.masks import check_quantile, quantile_mask
from focalaudio.spectrogram import Spectrogram, Spectrum

LOWEST = {"n_samples": 1, "n_steps": 1, "noise_level": 0}  # of the options


class GradientInterpreter(Interpreter):
    """Threshold a map of gradients at a quantile.

    The saliency is the absolute value of what the method attributes to a cell
    of the log-magnitude; of `gradcam`, which says where a class is supported,
    the positive part. A cell without saliency is never kept.

    Arguments
    ---------
    classifier : SoundClassifier
        Frozen in place.
    spectrogram : Spectrogram
        The analysis that the classifier was trained with.
    method : str
        One of `METHODS`.
    quantile : float
        Fraction of a clip's cells to drop, 0 to 1.
    options : mapping
        Replaces the method's own: `n_samples` and `seed` of the noise, and
        `noise_level`, its standard deviation over the range of the clip's
        log-magnitude (`smoothgrad`, `gradient_shap`); `n_steps`
        (`integrated_gradients`).

    Raises
    ------
    ValueError
        If there is no such method, the method has no such option or not that
        low, or `quantile` is outside 0 to 1.
    ImportError
        If captum is not installed.

    Example
    -------
    >>> from focalaudio.encoders import build_encoder
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> interpreter = GradientInterpreter(
    ...     classifier, Spectrogram(), "smoothgrad", 0.8, {"n_samples": 2}
    ... )
    >>> with torch.no_grad():
    ...     kept = interpreter(torch.rand(1, 8000)).kept_fraction
    >>> round(kept.item(), 1)
    0.2
    """

    quantile: float

    def __init__(
        self,
        classifier: SoundClassifier,
        spectrogram: Spectrogram,
        method: str = "saliency",
        quantile: float = 0.9,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(classifier, spectrogram)
        check_quantile(quantile)
        import_captum()
        self.method = method
        self.quantile = quantile
        self.options = fill_options(method, options or {})

    @property
    def settings(self) -> dict[str, Any]:
        """Method, quantile and the method's options."""
        return {
            "method": self.method,
            "quantile": self.quantile,
            **self.options,
        }

    def attribute(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> Tensor:
        """Say what each cell contributes to the logit of a class.

        In full precision, and with gradients, whatever the caller's context.

        Arguments
        ---------
        output, spectrum, class_ids
            As in `explain`.

        Returns
        -------
        torch.Tensor
            `[batch, time, freq]`, any sign, zero beyond each clip's end.
        """
        attribute, _ = METHODS[self.method]
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(output.logits.device.type, enabled=False),
        ):
            return attribute(
                self.classifier, output, spectrum, class_ids, **self.options
            )

    def explain(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Interpreter.explain`."""
        saliency = self.attribute(output, spectrum, class_ids).abs()
        mask = quantile_mask(saliency, self.quantile, spectrum.n_frames)
        # where most cells have none, the quantile itself is zero
        return saliency, mask & (saliency > 0)


def fill_options(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of a method.

    Arguments
    ---------
    method : str
        One of `METHODS`.
    options : mapping
        Those that differ from the method's own.

    Returns
    -------
    dict
        The method's own, replaced where given.

    Raises
    ------
    ValueError
        If there is no such method, or it has no such option or not that low.

    Example
    -------
    >>> fill_options("integrated_gradients", {"n_steps": 8})
    {'n_steps': 8}
    """
    if method not in METHODS:
        raise ValueError(
            f"method={method!r} must be one of {', '.join(METHODS)}."
        )
    _, own = METHODS[method]
    unknown = sorted(set(options) - set(own))
    if unknown:
        raise ValueError(
            f"options={unknown} are not of method={method!r}, which has: "
            f"{', '.join(own) or 'none'}."
        )
    for name, value in options.items():
        if value < LOWEST.get(name, value):
            raise ValueError(f"{name}={value} must be at least {LOWEST[name]}.")
    return {**own, **options}
