"""`model <-> bundle`: the folder that is published, and read without trust.

`hyperparams.yaml` (data), `model.safetensors`, `label_encoder.txt`,
`README.md`, `example.wav` and its interpretation, `SHA256SUMS`; with PIQ also
`decoder.safetensors`, with L-MAC `lmac.safetensors`, with a rule of novelty
that knows spectra `spectral_shape.safetensors`, and `trained_on.txt` if it is
known. Whatever is in a
stranger's folder, reading it runs nothing of it, follows no link, and ends in
a model or in an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hyperpyyaml import load_hyperpyyaml

from focalaudio.data.labels import encode_labels
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.layouts import OURS
from focalaudio.encoders.weight_files import write_weights
from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.files import digest_file
from focalaudio.models.bundle_files import (
    DECODER_FILES,
    DECODERS,
    NEEDED,
    SHAPE_FILE,
    SUMS,
    WEIGHT_FILES,
    check_sums,
    list_files,
)
from focalaudio.models.description import (
    describe,
    read_parts,
    to_explanation,
    to_novelty,
)
from focalaudio.models.model import SoundModel
from focalaudio.models.run import read_labels
from focalaudio.models.safe_yaml import read_text

VALUES, WEIGHTS, LABELS = NEEDED
MAX_LABEL = 500  # characters of a line


def write_bundle(model: SoundModel, folder: Path) -> None:
    """Write what a bundle needs to be read again, and `SHA256SUMS` of it all.

    What is in `folder` already is summed too; a `ModelError` if a part of the
    model is of a class that a bundle may not hold.
    """
    (folder / VALUES).write_text(describe(model), encoding="utf-8")
    encode_labels(model.labels).save(str(folder / LABELS))
    write_weights(model.classifier, folder / WEIGHTS)
    for method, decoder in model.decoders.items():
        write_weights(decoder, folder / DECODER_FILES[DECODERS[method]])
    if model.spectral_shape is not None:
        write_weights(model.spectral_shape, folder / SHAPE_FILE)
    write_sums(folder)


def write_sums(folder: Path) -> None:
    """Write `SHA256SUMS` of all files, as `sha256sum -c` reads it."""
    paths = sorted(path for path in folder.iterdir() if path.name != SUMS)
    lines = [f"{digest_file(path)}  {path.name}\n" for path in paths]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def is_bundle(folder: Path) -> bool:
    """Return whether a folder looks like a bundle, or what is left of one.

    A finished run has its labels and weights in `save/`.
    """
    return any(os.path.lexists(folder / n) for n in (WEIGHTS, LABELS, SUMS))


def read_bundle(folder: Path, trust_remote_yaml: bool = False) -> SoundModel:
    """Read a bundle, whoever made it, to the CPU, its weights filled in.

    With `trust_remote_yaml`, HyperPyYAML loads `hyperparams.yaml`, which runs
    what it says. `UnsafeModelError` if a file asks for more than a model needs,
    `ModelError` if files are damaged or do not fit each other,
    `FileNotFoundError` if one is missing.
    """
    _check_files(folder)
    labels = _read_labels(folder / LABELS)
    weights = {"classifier": folder / WEIGHTS} | {
        key: folder / name
        for key, name in WEIGHT_FILES.items()
        if (folder / name).is_file()
    }
    path = folder / VALUES
    if trust_remote_yaml:
        parts = _run_yaml(path)
        _check_described(path, parts.keys(), weights)
    else:
        keys = re.findall(r"^(\w+):", read_text(path), re.MULTILINE)
        _check_described(path, keys, weights)
        parts = read_parts(path, weights)
    for key, file in weights.items():
        load_weights(parts[key], file, OURS)
        parts[key].requires_grad_(key == "classifier").eval()
    classifier = parts["classifier"]
    return SoundModel(
        classifier,
        parts["spectrogram"],
        parts["reader"],
        labels,
        to_explanation(parts, classifier),
        {m: parts[key] for m, key in DECODERS.items() if key in weights},
        parts.get("temperature", 1.0),
        to_novelty(parts),
        folder,
    )


def _check_files(folder: Path) -> None:
    """Check that a bundle's files are all there, whole, and in the folder."""
    list_files(folder)
    for name in NEEDED:
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{(folder / name).absolute()} is missing; a bundle has "
                f"{', '.join(NEEDED)}. Fetch it again."
            )
    check_sums(folder)


def _check_described(
    path: Path, keys: Collection[str], given: Collection[str]
) -> None:
    """Check that the weights of what a file describes are all there."""
    for key, name in WEIGHT_FILES.items():
        if (key in keys) != (key in given):
            here, absent = (path.name, name) if key in keys else (name, key)
            raise ModelError(
                f"{path.parent} has {here}, but no {absent}; fetch the bundle "
                "again."
            )


def _read_labels(path: Path) -> tuple[str, ...]:
    """Read `label_encoder.txt` of a stranger."""
    longest = max(map(len, read_text(path).splitlines()), default=0)
    if longest > MAX_LABEL:  # what reads it is no match for deep nesting
        raise UnsafeModelError(
            f"{path} has a line of {longest} characters; at most {MAX_LABEL}."
        )
    labels = read_labels(path)
    for label in labels:
        if not isinstance(label, str) or not label.isprintable():
            raise ModelError(
                f"{path}: the label {label!r} must be printable text."
            )
    if len(set(labels)) < len(labels):
        raise ModelError(f"{path} has the same label for two classes.")
    return labels


def _run_yaml(path: Path) -> dict[str, Any]:
    """Load a HyperPyYAML file that the caller trusts: it is code, and runs."""
    parts = dict(load_hyperpyyaml(read_text(path)))
    missing = [
        key
        for key in ("spectrogram", "reader", "classifier")
        if key not in parts
    ]
    if missing:
        raise ModelError(f"{path} makes no {', '.join(missing)}.")
    return parts
