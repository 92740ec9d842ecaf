"""The closed table of what a bundle's `hyperparams.yaml` may say.

`MAKERS` is all that `!new:` can make, with the arguments that it takes and
what they must be; `KEYS` are the file's keys. The limits are far from what
anybody trains, and near enough that a file cannot fill the memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders.conv2d import Conv2dEncoder
from focalaudio.encoders.focalnet import FocalNet
from focalaudio.encoders.vit import ViT
from focalaudio.interpreters.attributions import METHODS as GRADIENTS
from focalaudio.interpreters.decoders import (
    LAYOUTS,
    LightDecoder,
    PaperDecoder,
)
from focalaudio.interpreters.floors import REFERENCES
from focalaudio.masks import MASKS
from focalaudio.models.safe_yaml import Maker, Rule
from focalaudio.spectrogram import Spectrogram


def whole(low: int, high: int) -> Rule:
    """Make the rule of a whole number.

    Arguments
    ---------
    low, high : int
        Smallest and largest.

    Returns
    -------
    Rule
        True is no number.

    Example
    -------
    >>> whole(1, 3).accepts(2), whole(1, 3).accepts(True)
    (True, False)
    """
    return Rule(
        f"a whole number from {low} to {high}",
        lambda value: type(value) is int and low <= value <= high,
    )


def real(low: float, high: float) -> Rule:
    """Make the rule of a finite number.

    Arguments
    ---------
    low, high : float
        Smallest and largest.

    Returns
    -------
    Rule
        Whole numbers will do too.

    Example
    -------
    >>> real(0, 1).accepts(0.5), real(0, 1).accepts(float("nan"))
    (True, False)
    """
    return Rule(
        f"a number from {low} to {high}",
        lambda value: (
            type(value) in (int, float)
            and math.isfinite(value)
            and low <= value <= high
        ),
    )


def one_of(*choices: str) -> Rule:
    """Make the rule of a name among several.

    Arguments
    ---------
    *choices : str
        The names.

    Returns
    -------
    Rule
        Nothing else will do.

    Example
    -------
    >>> one_of("cosine", "linear").text
    'cosine or linear'
    """
    return Rule(
        " or ".join(choices),
        lambda value: isinstance(value, str) and value in choices,
    )


def list_of(rule: Rule, low: int, high: int) -> Rule:
    """Make the rule of a list.

    Arguments
    ---------
    rule : Rule
        Of each of its items.
    low, high : int
        How many there are at least and at most.

    Returns
    -------
    Rule
        Of the list.

    Example
    -------
    >>> list_of(whole(1, 9), 2, 2).accepts([1, 10])
    False
    """
    return Rule(
        f"a list of {low} to {high} items, each {rule.text}",
        lambda value: (
            isinstance(value, list)
            and low <= len(value) <= high
            and all(rule.accepts(item) for item in value)
        ),
    )


def either(*rules: Rule) -> Rule:
    """Make the rule of a value that keeps one of several.

    Arguments
    ---------
    *rules : Rule
        The rules.

    Returns
    -------
    Rule
        Kept if one of them is.

    Example
    -------
    >>> either(NOTHING, whole(1, 9)).text
    'null or a whole number from 1 to 9'
    """
    return Rule(
        " or ".join(rule.text for rule in rules),
        lambda value: any(rule.accepts(value) for rule in rules),
    )


def made_by(*kinds: type) -> Rule:
    """Make the rule of an object.

    Arguments
    ---------
    *kinds : type
        What it may be.

    Returns
    -------
    Rule
        Exactly one of these, no subclass.

    Example
    -------
    >>> made_by(ClipReader).accepts(ClipReader())
    True
    """
    return Rule(
        f"a {' or '.join(kind.__name__ for kind in kinds)}",
        lambda value: type(value) in kinds,
    )


def mapping_of(rules: Mapping[str, Rule]) -> Rule:
    """Make the rule of a mapping.

    Arguments
    ---------
    rules : mapping
        A rule for each key that it may have.

    Returns
    -------
    Rule
        Of the mapping.

    Example
    -------
    >>> mapping_of({"a": real(0, 1)}).accepts({"a": 1, "b": 1})
    False
    """
    described = ", ".join(f"{key}: {rule.text}" for key, rule in rules.items())
    return Rule(
        f"a mapping of ({described})",
        lambda value: (
            isinstance(value, dict)
            and all(
                k in rules and rules[k].accepts(v) for k, v in value.items()
            )
        ),
    )


def name_of(kind: type) -> str:
    """Return what `!new:` calls a class.

    Arguments
    ---------
    kind : type
        The class.

    Returns
    -------
    str
        Its dotted name.

    Example
    -------
    >>> name_of(Spectrogram)
    'focalaudio.spectrogram.Spectrogram'
    """
    return f"{kind.__module__}.{kind.__qualname__}"


NOTHING = Rule("null", lambda value: value is None)
WIDTH = whole(1, 4096)
RATE = real(0, 0.99)
SIZE = list_of(whole(1, 4096), 2, 2)
CLASSES = whole(1, 100_000)
SOUND: dict[str, Rule] = {
    "sample_rate": whole(1000, 768_000),
    "n_fft": whole(2, 65_536),
    "win_length": real(0.001, 10_000),
    "hop_length": real(0.001, 10_000),
}
CLIP = {"clip_seconds": either(NOTHING, real(0.01, 3600))}
IMAGE = {"in_channels": whole(1, 16), "drop_path": RATE, "image_size": SIZE}
CODES = {
    "n_features": whole(1, 65_536),
    "n_classes": CLASSES,
    "n_codes": whole(1, 1 << 20),
    "n_shared": whole(0, 1 << 20),
}
ENCODER = made_by(FocalNet, ViT, Conv2dEncoder)
DECODER = made_by(LightDecoder, PaperDecoder)
HEAD: dict[str, Rule] = {
    "n_classes": CLASSES,
    "head": one_of("cosine", "linear"),
    "image_size": either(NOTHING, SIZE),
}
SCALE = real(1e-6, 1e6)
ARGUMENTS: dict[type[Any], dict[str, Rule]] = {
    Spectrogram: SOUND,
    ClipReader: {"sample_rate": SOUND["sample_rate"], **CLIP},
    FocalNet: {
        "dim": WIDTH,
        "depths": list_of(whole(1, 64), 1, 6),
        "focal_window": whole(1, 31),
        "focal_levels": whole(1, 8),
        "patch_size": whole(1, 64),
        "mlp_ratio": real(0.1, 16),
        "finest": either(NOTHING, whole(1, 6)),
        "width": WIDTH,
        **IMAGE,
    },
    ViT: {
        "dim": WIDTH,
        "depth": whole(1, 64),
        "n_heads": whole(1, 256),
        "patch_size": whole(1, 256),
        "mlp_ratio": real(0.1, 16),
        "norm_eps": real(0, 0.1),
        **IMAGE,
    },
    Conv2dEncoder: {"dim": WIDTH, **IMAGE},
    SoundClassifier: {"encoder": ENCODER, "scale": SCALE, **HEAD},
    LightDecoder: {**CODES, "width": WIDTH, "n_doublings": whole(0, 8)},
    PaperDecoder: {**CODES, "layout": one_of(*LAYOUTS)},
}
MAKERS = {name_of(k): Maker(k, rules) for k, rules in ARGUMENTS.items()}
STAGE = either(
    whole(-64, 63),
    Rule("a map's name", lambda v: isinstance(v, str) and v.isidentifier()),
)
OPTIONS: dict[str, Rule] = {  # of load_interpreter, and the method's name
    "method": one_of("by_design", "piq", *GRADIENTS, *REFERENCES),
    "quantile": real(0, 1),
    "stages": list_of(STAGE, 1, 64),
    "mask": one_of(*MASKS),
}
KEYS: dict[str, Rule] = {
    "format": whole(1, 1),
    **SOUND,
    **CLIP,
    "magnitude": one_of("log1p"),
    "in_channels": IMAGE["in_channels"],
    **HEAD,
    "logit_scale": SCALE,
    "spectrogram": made_by(Spectrogram),
    "reader": made_by(ClipReader),
    "encoder": ENCODER,
    "classifier": made_by(SoundClassifier),
    "interpretation": mapping_of(OPTIONS),
}
DECODER_KEYS: dict[str, Rule] = {
    "decoder": DECODER,
    "mask_threshold": real(0, 1),
}
