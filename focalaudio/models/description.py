"""`model <-> hyperparams.yaml` of a bundle: what a model is made of.

The file is data (see `focalaudio.models.safe_yaml`) and at the same time a
HyperPyYAML file: both readers make the same objects of it. It says how a
sound becomes an image and what the classifier is; nothing of where it was
trained, by what optimizer or from what seed. Objects remember the arguments
that they were made with (`focalaudio.arguments`), so nothing is said twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from focalaudio.classifier import SoundClassifier
from focalaudio.errors import ModelError
from focalaudio.interpreters.maps import choose_maps
from focalaudio.models.bundle_files import DECODERS, SHAPE, WEIGHT_FILES
from focalaudio.models.model import Explanation, SoundModel
from focalaudio.models.novelty import Novelty, read_rules
from focalaudio.models.safe_yaml import read_objects
from focalaudio.models.schema import KEYS, MAKERS, name_of
from focalaudio.version import __version__

HEADER = f"""\
# A sound classifier and how it is explained; focalaudio {__version__} wrote it.
# Data, not code: focalaudio reads this file without running anything in it. It
# is a HyperPyYAML file too, so load_hyperpyyaml makes the same objects of it.

format: 2
"""
PARTS = ("spectrogram", "reader", "encoder")  # beside the classifier
FILLS = {  # what initial weights are drawn and scaled by
    *("fill_", "zero_", "uniform_", "normal_"),
    *("erfinv_", "mul_", "add_", "clamp_"),
}
OWNED = ("encoder", "share_decoder", "axis")  # by the classifier
NO_WEIGHTS = set(KEYS) - {"classifier", *WEIGHT_FILES}
UNITS = {
    "sample_rate": "Hz, one channel",
    "win_length": "ms, Hamming",
    "hop_length": "ms",
    "clip_seconds": "s, cropped or padded, then scaled to a peak of 1; "
    "null takes clips whole",
    "in_channels": "the image, log(1 + |STFT|), is repeated over them",
    "image_size": "[height (time), width (frequency)] in pixels",
    "image_frames": "of the STFT fill the height; null stretches clips",
    "scale": "of the cosine head",
    "labels_per_clip": "one: a softmax; several: a sigmoid for each class",
    "quantile": "of a clip's cells that are dropped",
}


def describe(model: SoundModel) -> str:
    """Write what a model is made of: the text of its `hyperparams.yaml`.

    A `ModelError` if a part is of a class that a bundle may not hold.
    """
    classifier = model.classifier
    if not isinstance(classifier, SoundClassifier):
        raise ModelError(
            f"classifier is a {name_of(type(classifier))}, which no bundle may "
            "hold; a foreign classifier is code: see docs/publish.md."
        )
    parts: dict[str, Any] = {
        "spectrogram": model.spectrogram,
        "reader": model.reader,
        **{k: v for k, v in _owned(classifier).items() if v is not None},
        "classifier": classifier,
    }
    parts |= {DECODERS[method]: d for method, d in model.decoders.items()}
    if model.spectral_shape is not None:
        parts[SHAPE] = model.spectral_shape
    own = asdict(model.explanation)
    if own["method"] == "by_design":
        own["maps"] = list(choose_maps(classifier, own["maps"]))
    return "".join(
        (
            HEADER,
            *describe_parts(parts),
            "\n# How it is explained, unless a call says otherwise\n",
            "explanation:\n",
            *_lines({k: v for k, v in own.items() if v is not None}),
            *_temperature(model.temperature),
            *_novelty(model.novelty),
        )
    )


def _temperature(value: float) -> Iterator[str]:
    """Yield the lines of a temperature that changes anything."""
    if value != 1:
        yield "\n# Logits are divided by it where probabilities are told\n"
        yield f"temperature: {value!r}\n"


def _novelty(novelty: Novelty | None) -> Iterator[str]:
    """Yield the lines of rules, if there are any."""
    if novelty is not None:
        yield "\n# When a sound is like any class at all: all must say so.\n"
        yield "# Each threshold is between the last clip that it keeps and the "
        yield "next\nnovelty:\n"
        for rule in novelty.rules:
            limit = f"threshold: {rule.threshold!r}"
            yield f"    - {{score: {rule.score}, {limit}}}\n"


def _owned(classifier: SoundClassifier) -> dict[str, Any]:
    """Return the parts of a classifier that are described by themselves."""
    parts = (
        classifier.encoder,
        classifier.share_decoder,
        classifier.layout.axis,
    )
    return dict(zip(OWNED, parts, strict=True))


def describe_parts(parts: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines of YAML: objects, with all arguments they were made with.

    `parts` maps a key of the file to an object; one that stands before another
    is referred to.
    """
    keys = {id(part): f"!ref <{key}>" for key, part in parts.items()}
    for key, part in parts.items():
        name = name_of(type(part))
        if name not in MAKERS:
            raise ModelError(
                f"{key} is a {name}, which no bundle may hold; see "
                "docs/publish.md."
            )
        yield f"\n{key}: !new:{name}\n"
        yield from _lines(part.arguments, keys)


def _lines(
    values: Mapping[str, Any], keys: Mapping[int, str] | None = None
) -> Iterator[str]:
    for key, value in values.items():
        unit = f"  # {UNITS[key]}" if key in UNITS else ""
        text = (keys or {}).get(id(value)) or _text(value)
        yield f"    {key}: {text}{unit}\n"


def _text(value: Any) -> str:
    """One line of YAML: JSON, with words bare."""
    if isinstance(value, str) and value.replace("_", "a").isalpha():
        return value
    return json.dumps(value)


class _Unfilled(TorchFunctionMode):
    """Fills no tensor: on the device `meta` torch loads its compiler for it."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if function.__name__ in FILLS:
            return args[0] if args else given["tensor"]
        return function(*args, **given)


def read_parts(path: Path, weights: Mapping[str, Path]) -> dict[str, Any]:
    """Make the values and objects of a description, running nothing of it.

    `weights` maps `classifier`, or a decoder's key, to the file of its
    weights, which must be large enough for it before memory is taken.
    `UnsafeModelError` if the file says anything but what a model needs,
    `ModelError` if a part is missing, or larger than its weights.
    """
    rules = {key: KEYS[key] for key in KEYS if key in {*weights, *NO_WEIGHTS}}
    needed = [*weights, *(PARTS if "classifier" in weights else ())]
    # takes no memory, whatever sizes it names
    with torch.device("meta"), _Unfilled():
        parts = read_objects(path, rules, MAKERS)
    missing = [key for key in needed if key not in parts]
    if missing:
        raise ModelError(f"{path} has no {', '.join(missing)}.")
    for key, file in weights.items():
        _check_size(parts[key], file)
    owned = _owned(parts["classifier"]) if "classifier" in parts else {}
    for key in OWNED:
        if parts.get(key) is not owned.get(key):
            raise ModelError(f"{path}: the {key} is not the classifier's.")
    return read_objects(path, rules, MAKERS)


def _check_size(module: torch.nn.Module, path: Path) -> None:
    """Check that a file is large enough for a module's weights."""
    n_values = sum(value.numel() for value in module.state_dict().values())
    size = path.stat().st_size
    if 2 * n_values > size:  # two bytes each, at the very least
        raise ModelError(
            f"{path} has {size} bytes, but its description is of a "
            f"{type(module).__name__} of {n_values} weights; fetch it again."
        )


def to_explanation(
    parts: Mapping[str, Any], classifier: SoundClassifier
) -> Explanation:
    """Read how a model is explained, as any version wrote it.

    `parts` are those of `read_parts`; the defaults hold where they are silent.
    """
    if "explanation" in parts:
        return Explanation(**parts["explanation"])
    # format 1 called it so, and took positions for maps
    old = dict(parts.get("interpretation", {}))
    stages = old.pop("stages", None)
    return Explanation(**old, maps=stages and _name_stages(stages, classifier))


def to_novelty(parts: Mapping[str, Any]) -> Novelty | None:
    """Read the rules of what is like any class at all; None if there are none.

    A `ModelError` if half of one is missing, or what it needs.
    """
    if "novelty" not in parts and SHAPE not in parts:
        return None
    try:
        return Novelty(read_rules(parts["novelty"]), parts.get(SHAPE))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            "novelty must say both score and threshold, and a rule of "
            f"spectrum needs {SHAPE}; ask the model's author."
        ) from error


def _name_stages(
    stages: Sequence[int | str], classifier: SoundClassifier
) -> list[str]:
    names = classifier.encoder.map_names
    count = len(names)
    return [
        names[stage]
        if isinstance(stage, int) and -count <= stage < count
        else str(stage)
        for stage in stages
    ]
