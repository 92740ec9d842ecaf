"""`saliency -> mask`: every interpreter that needs no training, by its method.

`METHODS` is the one table from a method's name to its saliency; what is salient
enough for the mask is decided here, alike for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from focalaudio.contract import (
    CELLS,
    GRADIENT,
    MAPS,
    Classifier,
    ClassifierOutput,
)
from focalaudio.interpreters import captum, rise
from focalaudio.interpreters.base import Interpreter
from focalaudio.interpreters.maps import (
    CLASS_MAPS,
    SHARES,
    by_design,
    choose_maps,
    loudest,
    random,
)
from focalaudio.masks import (
    MASKS,
    QUANTILE,
    RATIO,
    check_quantile,
    cut_saliency,
)
from focalaudio.spectrogram import Spectrogram, Spectrum

CLASS_METHODS = (*captum.METHODS, "rise")  # whose saliency is of one class
LOWEST = {  # of the options
    "n_masks": 1,
    "n_samples": 1,
    "n_steps": 1,
    "noise_level": 0,
    "frames": 1,
    "bins": 1,
    "overlap": 1,
}


@dataclass(frozen=True)
class Method:
    """How a method finds its saliency.

    Arguments
    ---------
    saliency : callable
        Maps classifier, output, spectrum and class ids, and the options, to
        `[batch, time, freq]`, non-negative.
    options : mapping
        Its options and their values unless others are given.
    need : str
        What it needs of a classifier, see `Classifier.lacks`.
    """

    saliency: Callable[..., Tensor]
    options: Mapping[str, Any] = field(default_factory=dict)
    need: str = ""


def _size_of_attribution(method: str, *parts: Any, **options: Any) -> Tensor:
    found = captum.attribute(method, *parts, **options)
    # a gradient matters either way; what raises a logit when it is silenced
    # speaks against the class
    return found.relu() if method == "occlusion" else found.abs()


METHODS: dict[str, Method] = {
    "by_design": Method(by_design, {"maps": None}, MAPS),
    **{
        name: Method(
            partial(_size_of_attribution, name),
            options,
            {"occlusion": "", "gradcam": CELLS}.get(name, GRADIENT),
        )
        for name, (_, options) in captum.METHODS.items()
    },
    "rise": Method(rise.rise, rise.OPTIONS),
    "random": Method(random),
    "loudest": Method(loudest),
}


class ThresholdInterpreter(Interpreter):
    """Keep the cells whose saliency reaches a quantile of their clip's.

    Arguments
    ---------
    classifier, spectrogram
        As in `Interpreter`.
    method : str
        One of `METHODS`: `by_design`, captum's methods, `rise`, or a floor.
    maps : sequence of str
        Of `by_design` only: names of maps, multiplied; the encoder's last if
        None.
    mask : str
        `binary`, `soft` or `energy`, see `focalaudio.masks`; or `ratio`, for
        one map that says which share of a cell is the class's (`class_share`,
        `class_probability`): the mask is that share.
    quantile : float
        Fraction of a clip's cells to drop (of its energy, if the mask is
        `energy`), 0 to 1; .9 if None. A ratio mask has none.
    options : mapping
        Of captum's methods and `rise`, such as `{"n_samples": 16}`.
    against : int
        A class id: the saliency is what speaks for the explained class rather
        than for this one, `max(0, s_explained - s_against)` in each cell.
    labels : sequence of str
        Of the classes, in the order of the ids, so that `settings` and errors
        name the one that is spoken against; they say its id without them.

    Raises
    ------
    ValueError
        If a value is out of range, a name is unknown, the method has no use
        for an argument, or the classifier lacks what the method needs.
    ImportError
        If the method is captum's and captum is not installed.

    Example
    -------
    >>> import torch
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.classifier import SoundClassifier
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> interpreter = ThresholdInterpreter(classifier, Spectrogram())
    >>> interpreter(torch.rand(1, 16000)).mask.float().mean().round(decimals=1)
    tensor(0.1000)
    """

    is_thread_safe = True

    def __init__(
        self,
        classifier: Classifier,
        spectrogram: Spectrogram,
        method: str = "by_design",
        maps: Sequence[str] | str | None = None,
        mask: str = "binary",
        quantile: float | None = None,
        options: Mapping[str, Any] | None = None,
        against: int | None = None,
        labels: Sequence[str] = (),
    ) -> None:
        super().__init__(classifier, spectrogram)
        self.method = method
        self.mask = mask
        self.quantile = _find_quantile(mask, quantile)
        if "maps" in (options or {}):
            raise ValueError(
                f"options={options} must not have maps; give maps."
            )
        given = {} if maps is None else {"maps": maps}
        self.options = _fill_options(method, given | dict(options or {}))
        _check_need(method, classifier)
        if method in captum.METHODS:
            captum.import_captum()
        if method == "by_design":
            chosen = choose_maps(classifier, maps)
            self.options["maps"] = list(chosen)
        check_mask(mask, method, self.options.get("maps"))
        self._labels = tuple(labels)
        if against is not None and not self._knows_classes:
            raise ValueError(
                f"against={self._name(against)!r} means nothing to "
                f"{self.name}, which is the same for every class; choose one "
                f"of the maps {', '.join(CLASS_MAPS)}, or of the methods "
                f"{', '.join(CLASS_METHODS)}."
            )
        self.against = against

    @property
    def _knows_classes(self) -> bool:
        """Whether the saliency depends on the class that is explained."""
        if self.method == "by_design":
            return bool(set(self.options["maps"]) & set(CLASS_MAPS))
        return self.method in CLASS_METHODS

    def _name(self, class_id: int) -> str | int:
        """Return a class's label, or its id if none is known."""
        return self._labels[class_id] if self._labels else class_id

    @property
    def settings(self) -> dict[str, Any]:
        """Method, quantile, kind of mask, and the method's options."""
        thresholds = {} if self.mask == RATIO else {"quantile": self.quantile}
        against = {}
        if self.against is not None:
            against["against"] = self._name(self.against)
        return {
            "method": self.method,
            **thresholds,
            "mask": self.mask,
            **self.options,
            **against,
        }

    def explain(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Interpreter.explain`."""
        saliency = self._find_saliency(output, spectrum, class_ids)
        if self.against is not None:
            others = torch.full_like(class_ids, self.against)
            other = self._find_saliency(output, spectrum, others)
            saliency = (saliency - other).relu()
        if self.quantile is None:
            return saliency, saliency
        mask = cut_saliency(self.mask, saliency, self.quantile, spectrum)
        return saliency, mask

    def _find_saliency(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> Tensor:
        """Return the method's saliency for classes, `[batch, time, freq]`."""
        return METHODS[self.method].saliency(
            self.classifier, output, spectrum, class_ids, **self.options
        )


def is_share(method: str, maps: Sequence[str] | str | None) -> bool:
    """Return whether a saliency is one share, which a ratio mask is made of.

    Example
    -------
    >>> is_share("by_design", ["class_share"]), is_share("random", None)
    (True, False)
    """
    chosen = [maps] if isinstance(maps, str) else list(maps or ())
    return method == "by_design" and len(chosen) == 1 and chosen[0] in SHARES


def check_mask(
    mask: str, method: str, maps: Sequence[str] | str | None
) -> None:
    """Refuse a kind of mask that there is not, or not for a saliency.

    Arguments as in `ThresholdInterpreter`; the error is a `ValueError`.

    Example
    -------
    >>> check_mask("hard", "by_design", None)
    Traceback (most recent call last):
    ValueError: mask='hard' must be one of binary, soft, energy, ratio.
    """
    if mask not in (*MASKS, RATIO):
        raise ValueError(
            f"mask={mask!r} must be one of {', '.join((*MASKS, RATIO))}."
        )
    if mask == RATIO and not is_share(method, maps):
        raise ValueError(
            f"mask='ratio' needs method='by_design' and one map that is a "
            f"share: {', '.join(SHARES)}."
        )


def working_methods(classifier: Classifier) -> list[str]:
    """List the methods that a classifier lacks nothing for.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> working_methods(SoundClassifier(build_encoder("focalnet_test"), 3))[-4:]
    ['gradcam', 'rise', 'random', 'loudest']
    """
    return [
        name
        for name, method in METHODS.items()
        if classifier.lacks(method.need) is None
    ]


def _check_need(method: str, classifier: Classifier) -> None:
    """Refuse a method that the classifier lacks something for."""
    missing = classifier.lacks(METHODS[method].need)
    if missing is not None:
        raise ValueError(
            f"method={method!r} does not work here: {missing}. What works: "
            f"{', '.join(working_methods(classifier))}."
        )


def _find_quantile(mask: str, quantile: float | None) -> float | None:
    """Check a quantile, or fill it in, as the kind of mask wants it."""
    if mask == RATIO:
        if quantile is not None:
            raise ValueError(
                f"quantile={quantile} means nothing to mask='ratio', which is "
                "the saliency itself; leave it out."
            )
        return None
    quantile = QUANTILE if quantile is None else quantile
    check_quantile(quantile)
    return float(quantile)


def _fill_options(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of a method; refuse those that it has no use for."""
    if method not in METHODS:
        raise ValueError(
            f"method={method!r} must be one of {', '.join(METHODS)}."
        )
    own = METHODS[method].options
    for name, value in given.items():
        if name not in own:
            raise ValueError(
                f"{name}={value!r} means nothing to method={method!r}, which "
                f"takes {', '.join(own) or 'no options'}; leave it out."
            )
        _check_option(name, value, own[name])
    return {**own, **given}


def _check_option(name: str, value: Any, usual: Any) -> None:
    """Refuse what is no number like the usual one, or out of range."""
    if usual is None:  # maps, which are no number
        return
    kind = Integral if isinstance(usual, int) else Real
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        rule = "a whole number" if kind is Integral else "a number"
        raise ValueError(
            f"{name}={value!r} must be {rule}, such as {name}={usual}."
        )
    if name in LOWEST and value < LOWEST[name]:
        raise ValueError(f"{name}={value} must be at least {LOWEST[name]}.")
    if name == "probability":
        rise.check_probability(value)
