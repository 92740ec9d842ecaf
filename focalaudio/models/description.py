"""`what a model is made of -> hyperparams.yaml` of a bundle.

The file is data (see `focalaudio.models.safe_yaml`) and at the same time a
HyperPyYAML file: both readers make the same objects of it. It says how a
sound becomes an image and what the classifier is; nothing of where it was
trained, by what optimizer or from what seed.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import ENCODERS, resolve_name
from focalaudio.interpreters.decoders import DECODERS
from focalaudio.models.schema import name_of
from focalaudio.spectrogram import Spectrogram
from focalaudio.version import __version__

HEADER = f"""\
# A sound classifier and how it is explained; focalaudio {__version__} wrote it.
# Data, not code: focalaudio reads this file without running anything in it. It
# is a HyperPyYAML file too, so load_hyperpyyaml makes the same objects of it.
"""
UNITS = {
    "sample_rate": "Hz, one channel",
    "win_length": "ms, Hamming",
    "hop_length": "ms",
    "clip_seconds": "s, cropped or padded, then scaled to a peak of 1; "
    "null takes clips whole",
    "magnitude": "log(1 + |STFT|), resized to the image",
    "in_channels": "the image is repeated over them",
    "image_size": "[height (time), width (frequency)] in pixels",
    "logit_scale": "of the cosine head",
    "mask_threshold": "of a clip's largest log-magnitude: its loud cells",
}
SOUND = ("sample_rate", "n_fft", "win_length", "hop_length")
HEAD = ("head", "logit_scale", "image_size")


@dataclass(frozen=True)
class Description:
    """What a model is made of.

    Arguments
    ---------
    values : mapping
        Numbers and names: `sample_rate`, `n_fft`, `win_length`, `hop_length`,
        `clip_seconds`, `n_classes`, `head`, `logit_scale`, `image_size`.
    encoder : type
        Class of the encoder.
    encoder_arguments : mapping
        All its arguments.
    interpretation : mapping
        What `load_interpreter` is given unless a call says otherwise.
    decoder : type
        Class of PIQ's decoder, or None.
    decoder_arguments : mapping
        All its arguments.
    mask_threshold : float
        Of PIQ, 0 to 1.

    Example
    -------
    >>> values = {"sample_rate": 16000, "n_fft": 1024, "win_length": 23.2199}
    >>> values |= {"hop_length": 11.6099, "clip_seconds": 5.0, "n_classes": 2}
    >>> values |= {"head": "linear", "logit_scale": 1.0, "image_size": None}
    >>> encoder = variant("focalnet_test", in_channels=1)
    >>> print(Description(values, *encoder).to_yaml().splitlines()[4])
    format: 1
    """

    values: Mapping[str, Any]
    encoder: type[nn.Module]
    encoder_arguments: Mapping[str, Any]
    interpretation: Mapping[str, Any] = field(
        default_factory=lambda: {"method": "by_design"}
    )
    decoder: type[nn.Module] | None = None
    decoder_arguments: Mapping[str, Any] = field(default_factory=dict)
    mask_threshold: float = 0.35

    def to_yaml(self) -> str:
        """Return the text of `hyperparams.yaml`."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        values = dict(self.values)
        values["in_channels"] = self.encoder_arguments["in_channels"]
        yield from (HEADER, "format: 1")
        yield "\n# Sound"
        sound = (*SOUND, "clip_seconds")
        yield from _scalars({k: values[k] for k in sound})
        yield from _scalars({"magnitude": "log1p"})
        yield from _object("spectrogram", Spectrogram, _refs(*SOUND))
        reader = _refs("sample_rate", "clip_seconds")
        yield from _object("reader", ClipReader, reader)
        yield "\n# Classifier"
        keys = ("in_channels", "n_classes", *HEAD)
        yield from _scalars({k: values[k] for k in keys})
        arguments = dict(self.encoder_arguments) | _refs("in_channels")
        yield from _object("encoder", self.encoder, arguments)
        arguments = _refs("encoder", "n_classes", "head", "image_size")
        arguments["scale"] = _Reference("logit_scale")
        yield from _object("classifier", SoundClassifier, arguments)
        yield "\n# Interpretation, unless a call says otherwise"
        yield "interpretation:"
        yield from ("    " + row for row in _scalars(self.interpretation))
        if self.decoder is not None:
            yield from _scalars({"mask_threshold": self.mask_threshold})
            arguments = dict(self.decoder_arguments) | _refs("n_classes")
            yield from _object("decoder", self.decoder, arguments)


class _Reference(str):
    """A value that stands elsewhere in the file."""


def _refs(*keys: str) -> dict[str, Any]:
    return {key: _Reference(key) for key in keys}


def _scalars(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        unit = f"  # {UNITS[key]}" if key in UNITS else ""
        yield f"{key}: {_text(value)}{unit}"


def _object(key: str, kind: type, arguments: Mapping[str, Any]) -> list[str]:
    lines = [f"    {k}: {_text(value)}" for k, value in arguments.items()]
    return ["", f"{key}: !new:{name_of(kind)}", *lines]


def _text(value: Any) -> str:
    """One line of YAML: JSON, with words bare."""
    if isinstance(value, _Reference):
        return f"!ref <{value}>"
    if isinstance(value, str) and value.replace("_", "a").isalpha():
        return value
    return json.dumps(value)


def all_arguments(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a class, those with defaults too.

    Arguments
    ---------
    kind : type
        The class.
    given : mapping
        Those that are not left to their defaults.

    Returns
    -------
    dict
        A published file does not change its meaning with our defaults.

    Example
    -------
    >>> all_arguments(ClipReader, {"clip_seconds": None})
    {'sample_rate': 16000, 'clip_seconds': None}
    """
    parameters = inspect.signature(kind).parameters.values()
    defaults = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not parameter.empty
    }
    return defaults | dict(given)


def variant(
    name: str, **overrides: Any
) -> tuple[type[nn.Module], dict[str, Any]]:
    """Return the class of an encoder's variant and all its arguments.

    Arguments
    ---------
    name : str
        See `focalaudio.encoders.build_encoder`.
    **overrides : object
        Arguments that replace the variant's own.

    Returns
    -------
    tuple
        The class, and a mapping.

    Raises
    ------
    ValueError
        If there is no such variant.

    Example
    -------
    >>> kind, arguments = variant("focalnet_tiny", in_channels=1)
    >>> kind.__name__, arguments["dim"], arguments["in_channels"]
    ('FocalNet', 96, 1)
    """
    kind, arguments = ENCODERS[resolve_name(name)]
    return kind, all_arguments(kind, arguments | overrides)


def decoder_variant(
    name: str,
    n_features: int,
    n_classes: int,
    n_codes: int,
    n_shared: int,
    options: Mapping[str, Any],
) -> tuple[type[nn.Module], dict[str, Any]]:
    """Return the class of PIQ's decoder and all its arguments.

    Arguments
    ---------
    name, n_codes, n_shared, options
        See `focalaudio.interpreters.piq.build_decoder`.
    n_features, n_classes : int
        Of the classifier.

    Returns
    -------
    tuple
        The class, and a mapping.

    Example
    -------
    >>> decoder_variant("light", 8, 2, 16, 0, {})[1]["width"]
    64
    """
    kind = DECODERS[name]
    sizes = {"n_features": n_features, "n_classes": n_classes}
    codes = {"n_codes": n_codes, "n_shared": n_shared}
    return kind, all_arguments(kind, sizes | codes | dict(options))
