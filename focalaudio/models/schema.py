"""The closed table of what a bundle's `hyperparams.yaml` may say.

`MAKERS` is all that `!new:` can make, with the arguments that it takes and
what they must be; `KEYS` are the file's keys. The limits are far from what
anybody trains, and near enough that a file cannot fill the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.decisions import DECISIONS
from focalaudio.encoders.conv2d import Conv2dEncoder
from focalaudio.encoders.focalnet import FocalNet
from focalaudio.encoders.timm_models import PLAIN, TimmEncoder
from focalaudio.encoders.vit import ViT
from focalaudio.interpreters.decoders import (
    LAYOUTS,
    LightDecoder,
    LMACDecoder,
    PaperDecoder,
    SpectrogramDecoder,
)
from focalaudio.interpreters.threshold import METHODS
from focalaudio.masks import MASKS, RATIO
from focalaudio.mel import MelAxis
from focalaudio.metrics.novelty import STORABLE
from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.models.bundle_files import DECODERS, SHAPE
from focalaudio.models.model import TEMPERATURES
from focalaudio.models.safe_yaml import Maker, Rule
from focalaudio.shares import ShareDecoder
from focalaudio.spectrogram import Spectrogram


def _whole(low: int, high: int) -> Rule:
    """Make the rule of a whole number."""
    return Rule(
        f"a whole number from {low} to {high}",
        lambda value: type(value) is int and low <= value <= high,
    )


def _real(low: float, high: float) -> Rule:
    """Make the rule of a finite number."""
    return Rule(
        f"a number from {low} to {high}",
        lambda value: type(value) in (int, float) and low <= value <= high,
    )


def _one_of(*choices: str) -> Rule:
    """Make the rule of a name among several."""
    return Rule(
        " or ".join(choices),
        lambda value: isinstance(value, str) and value in choices,
    )


def _list_of(rule: Rule, low: int, high: int) -> Rule:
    """Make the rule of a list."""
    return Rule(
        f"a list of {low} to {high} items, each {rule.text}",
        lambda value: (
            isinstance(value, list)
            and low <= len(value) <= high
            and all(rule.accepts(item) for item in value)
        ),
    )


def _either(*rules: Rule) -> Rule:
    """Make the rule of a value that keeps one of several."""
    return Rule(
        " or ".join(rule.text for rule in rules),
        lambda value: any(rule.accepts(value) for rule in rules),
    )


def _made_by(*kinds: type) -> Rule:
    """Make the rule of an object."""
    return Rule(
        f"a {' or '.join(kind.__name__ for kind in kinds)}",
        lambda value: type(value) in kinds,
    )


def _mapping_of(rules: Mapping[str, Rule]) -> Rule:
    """Make the rule of a mapping."""
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


# a class that has moved is called in all bundles as it was in the first ones
FIRST_NAMES: dict[type, str] = {MelAxis: "focalaudio.image.MelAxis"}


def name_of(kind: type) -> str:
    """Return what `!new:` calls a class: its dotted name, the first it had."""
    own = f"{kind.__module__}.{kind.__qualname__}"
    return FIRST_NAMES.get(kind, own)


NOTHING = Rule("null", lambda value: value is None)
WIDTH = _whole(1, 4096)
RATE = _real(0, 0.99)
SIZE = _list_of(_whole(1, 4096), 2, 2)
CLASSES = _whole(1, 100_000)
SOUND: dict[str, Rule] = {
    "sample_rate": _whole(1000, 768_000),
    "n_fft": _whole(2, 65_536),
    "win_length": _real(0.001, 10_000),
    "hop_length": _real(0.001, 10_000),
}
CLIP = {"clip_seconds": _either(NOTHING, _real(0.01, 3600))}
IMAGE = {"in_channels": _whole(1, 16), "drop_path": RATE, "image_size": SIZE}
CODES = {
    "n_features": _whole(1, 65_536),
    "n_classes": CLASSES,
    "n_codes": _whole(1, 1 << 20),
    "n_shared": _whole(0, 1 << 20),
}
ENCODER = _made_by(FocalNet, ViT, Conv2dEncoder, TimmEncoder)
DECODER = _made_by(LightDecoder, PaperDecoder)
# a name of timm's own list; never an address that it would fetch from
TIMM_NAME = Rule(
    "the name of a model of timm",
    lambda value: isinstance(value, str) and bool(PLAIN.fullmatch(value)),
)
HEAD: dict[str, Rule] = {
    "n_classes": CLASSES,
    "head": _one_of("cosine", "linear"),
    "image_size": _either(NOTHING, SIZE),
}
SCALE = _real(1e-6, 1e6)
ARGUMENTS: dict[type[Any], dict[str, Rule]] = {
    Spectrogram: SOUND,
    ClipReader: {"sample_rate": SOUND["sample_rate"], **CLIP},
    FocalNet: {
        "dim": WIDTH,
        "depths": _list_of(_whole(1, 64), 1, 6),
        "focal_window": _whole(1, 31),
        "focal_levels": _whole(1, 8),
        "patch_size": _whole(1, 64),
        "mlp_ratio": _real(0.1, 16),
        "finest": _either(NOTHING, _whole(1, 6)),
        "width": WIDTH,
        **IMAGE,
    },
    ViT: {
        "dim": WIDTH,
        "depth": _whole(1, 64),
        "n_heads": _whole(1, 256),
        "patch_size": _whole(1, 256),
        "mlp_ratio": _real(0.1, 16),
        "norm_eps": _real(0, 0.1),
        **IMAGE,
    },
    Conv2dEncoder: {"dim": WIDTH, **IMAGE},
    TimmEncoder: {
        **IMAGE,
        "name": TIMM_NAME,
        "image_size": _either(NOTHING, SIZE),
    },
    SoundClassifier: {
        "encoder": ENCODER,
        "scale": SCALE,
        "dropout": RATE,
        "pooling": _one_of("mean", "loudness"),
        "share_decoder": _either(NOTHING, _made_by(ShareDecoder)),
        "image_frames": _either(NOTHING, _whole(1, 100_000)),
        "axis": _either(NOTHING, _made_by(MelAxis)),
        "labels_per_clip": _one_of(*DECISIONS),
        **HEAD,
    },
    MelAxis: {
        "n_bands": _whole(2, 1024),
        "sample_rate": SOUND["sample_rate"],
        "n_fft": _whole(2, 16_384),
        "lowest": _real(0, 384_000),
    },
    SpectralShape: {
        "sample_rate": SOUND["sample_rate"],
        "n_fft": SOUND["n_fft"],
        "n_bands": _whole(2, 256),
        "n_classes": CLASSES,
    },
    ShareDecoder: {
        "n_classes": CLASSES,
        "n_features": CODES["n_features"],
        "n_fine": CODES["n_features"],
        "in_channels": IMAGE["in_channels"],
        "stride": _whole(1, 64),
        "width": WIDTH,
        "narrow": WIDTH,
        "n_blocks": _whole(0, 16),
    },
    LMACDecoder: {
        "n_features": CODES["n_features"],
        "n_classes": CLASSES,
        "width": WIDTH,
        "n_doublings": _whole(0, 8),
    },
    SpectrogramDecoder: {
        "n_classes": CLASSES,
        "width": WIDTH,
        "n_doublings": _whole(0, 8),
    },
    LightDecoder: {**CODES, "width": WIDTH, "n_doublings": _whole(0, 8)},
    PaperDecoder: {**CODES, "layout": _one_of(*LAYOUTS)},
}


def _make_spectrogram(**arguments: Any) -> Spectrogram:
    """Make one, which is small, on the CPU.

    On the device `meta` torch loads its compiler to draw the window: seconds.
    """
    with torch.device("cpu"):
        return Spectrogram(**arguments)


MAKERS = {name_of(k): Maker(k, rules) for k, rules in ARGUMENTS.items()}
MAKERS[name_of(Spectrogram)] = Maker(_make_spectrogram, SOUND)
NAME = Rule(
    "a map's name",
    lambda value: isinstance(value, str) and value.isidentifier(),
)
EXPLANATION: dict[str, Rule] = {
    "method": _one_of(*DECODERS, *METHODS),
    "maps": _either(NOTHING, _list_of(NAME, 1, 64)),
    "mask": _one_of(*MASKS, RATIO),
    "quantile": _real(0, 1),
}
NOVELTY = _mapping_of(
    {"score": _one_of(*STORABLE), "threshold": _real(-1e9, 1e9)}
)
OLD_EXPLANATION = {
    **{key: EXPLANATION[key] for key in ("method", "mask", "quantile")},
    "stages": _list_of(_either(_whole(-64, 63), NAME), 1, 64),
}
KEYS: dict[str, Rule] = {
    "format": _whole(1, 2),
    "spectrogram": _made_by(Spectrogram),
    "reader": _made_by(ClipReader),
    "encoder": ENCODER,
    "share_decoder": _made_by(ShareDecoder),
    "axis": _made_by(MelAxis),
    "classifier": _made_by(SoundClassifier),
    "decoder": DECODER,
    "lmac": _made_by(LMACDecoder, SpectrogramDecoder),
    "explanation": _mapping_of(EXPLANATION),
    "temperature": _real(*TEMPERATURES),
    "novelty": _either(NOVELTY, _list_of(NOVELTY, 1, len(STORABLE))),
    SHAPE: _made_by(SpectralShape),
    # of format 1: numbers that its objects refer to
    **SOUND,
    **CLIP,
    "magnitude": _one_of("log1p"),
    "in_channels": IMAGE["in_channels"],
    **HEAD,
    "logit_scale": SCALE,
    "mask_threshold": _real(0, 1),
    "interpretation": _mapping_of(OLD_EXPLANATION),
}
