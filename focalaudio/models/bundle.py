"""`model <-> bundle`: the folder that is published, and read without trust.

`hyperparams.yaml` (data), `model.safetensors`, `label_encoder.txt`,
`README.md`, `example.wav` and its interpretation, `SHA256SUMS`; with PIQ also
`decoder.safetensors`. Whatever is in a stranger's folder, reading it runs
nothing of it, follows no link, and ends in a model or in an error.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hyperpyyaml import load_hyperpyyaml
from safetensors.torch import save
from torch import nn

from focalaudio.data.pipelines import encode_labels
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.layouts import Layout
from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.models.bundle_files import (
    DECODER,
    NEEDED,
    SUMS,
    check_sums,
    digest_file,
)
from focalaudio.models.run import SoundModel, read_labels
from focalaudio.models.safe_yaml import read_objects, read_text
from focalaudio.models.schema import DECODER_KEYS, KEYS, MAKERS

VALUES, WEIGHTS, LABELS = NEEDED
MAX_LABEL = 500  # characters of a line
OURS = (Layout("focalaudio", ""),)


@dataclass(frozen=True)
class Bundle:
    """A classifier, what belongs to it, and how it is explained by default.

    Arguments
    ---------
    model : SoundModel
        In evaluation mode, on the CPU.
    interpretation : mapping
        What `load_interpreter` is given unless a call says otherwise.
    decoder : torch.nn.Module
        PIQ's, or None.
    mask_threshold : float
        Of PIQ, 0 to 1.

    Example
    -------
    >>> from focalaudio.models.load import open_source
    >>> open_source(Path("no/such/bundle"))
    Traceback (most recent call last):
    FileNotFoundError: .../no/such/bundle is missing; ...
    """

    model: SoundModel
    interpretation: Mapping[str, Any] = field(
        default_factory=lambda: {"method": "by_design"}
    )
    decoder: nn.Module | None = None
    mask_threshold: float = 0.35


def write_files(folder: Path, bundle: Bundle, values: str) -> None:
    """Write what a bundle needs to be read again.

    Arguments
    ---------
    folder : pathlib.Path
        Exists; temporary, so that nothing half-written is met.
    bundle : Bundle
        The model.
    values : str
        Text of its `hyperparams.yaml`.
    """
    (folder / VALUES).write_text(values, encoding="utf-8")
    encode_labels(bundle.model.labels).save(str(folder / LABELS))
    save_weights(bundle.model.classifier, folder / WEIGHTS)
    if bundle.decoder is not None:
        save_weights(bundle.decoder, folder / DECODER)


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's weights as safetensors.

    Arguments
    ---------
    module : torch.nn.Module
        On any device.
    path : pathlib.Path
        The file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "model.safetensors"
    >>> save_weights(nn.Linear(2, 1), path)
    >>> path.exists()
    True
    """
    state = module.state_dict().items()
    tensors = {key: value.detach().cpu().clone() for key, value in state}
    # written by us, since save_file lets nobody but its owner read it
    path.write_bytes(save(tensors, metadata={"format": "pt"}))


def write_sums(folder: Path) -> None:
    """Write `SHA256SUMS` of all files, as `sha256sum -c` reads it.

    Arguments
    ---------
    folder : pathlib.Path
        A bundle that is complete.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.txt").write_text("a")
    >>> write_sums(folder)
    >>> (folder / "SHA256SUMS").read_text().split()[1]
    'a.txt'
    """
    paths = sorted(path for path in folder.iterdir() if path.name != SUMS)
    lines = [f"{digest_file(path)}  {path.name}\n" for path in paths]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def is_bundle(folder: Path) -> bool:
    """Return whether a folder looks like a bundle, or what is left of one.

    Arguments
    ---------
    folder : pathlib.Path
        Any.

    Returns
    -------
    bool
        A finished run has its labels and weights in `save/`.

    Example
    -------
    >>> is_bundle(Path("no/such/folder"))
    False
    """
    return any(os.path.lexists(folder / n) for n in (WEIGHTS, LABELS, SUMS))


def read_bundle(folder: Path, trust_remote_yaml: bool = False) -> Bundle:
    """Read a bundle, whoever made it.

    Arguments
    ---------
    folder : pathlib.Path
        The bundle.
    trust_remote_yaml : bool
        Load `hyperparams.yaml` with HyperPyYAML, which runs the code that it
        names.

    Returns
    -------
    Bundle
        On the CPU.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    UnsafeModelError
        If a file asks for code to be run, or lies elsewhere.
    ModelError
        If files are damaged, or do not fit each other.
    """
    check_files(folder)
    labels = read_bundle_labels(folder / LABELS)
    if trust_remote_yaml:
        parts = run_yaml(folder / VALUES)
    else:
        parts = read_parts(folder)
    classifier, decoder = parts["classifier"], parts.get("decoder")
    if len(labels) != classifier.n_classes:
        raise ModelError(
            f"{folder / LABELS} has {len(labels)} labels but the classifier "
            f"has {classifier.n_classes} classes."
        )
    load_weights(classifier, folder / WEIGHTS, OURS)
    if decoder is not None:
        load_weights(decoder, folder / DECODER, OURS)
        decoder.requires_grad_(False).eval()
    model = SoundModel(
        classifier.eval(), parts["spectrogram"], parts["reader"], labels
    )
    return Bundle(
        model,
        parts.get("interpretation", {"method": "by_design"}),
        decoder,
        parts.get("mask_threshold", 0.35),
    )


def check_files(folder: Path) -> None:
    """Check that a bundle's files are all there, whole, and in the folder.

    Arguments
    ---------
    folder : pathlib.Path
        The bundle.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    UnsafeModelError
        If one is a link or no regular file, or `SHA256SUMS` names a file
        elsewhere.
    ModelError
        If one is not what `SHA256SUMS` says.
    """
    for entry in os.scandir(folder):
        mode = entry.stat(follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UnsafeModelError(
                f"{entry.path} is a link or no regular file; a bundle holds "
                "its files themselves."
            )
    for name in NEEDED:
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{(folder / name).absolute()} is missing; a bundle has "
                f"{', '.join(NEEDED)}. Fetch it again."
            )
    check_sums(folder)


def read_bundle_labels(path: Path) -> tuple[str, ...]:
    """Read `label_encoder.txt` of a stranger.

    Arguments
    ---------
    path : pathlib.Path
        The file.

    Returns
    -------
    tuple of str
        Labels in the order of their class ids, distinct.

    Raises
    ------
    ModelError
        If it is damaged, too large, or holds anything but names.
    """
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


def read_parts(folder: Path) -> dict[str, Any]:
    """Make a bundle's objects, after checking that they fit its files.

    Arguments
    ---------
    folder : pathlib.Path
        The bundle.

    Returns
    -------
    dict
        What `hyperparams.yaml` holds; weights are random.

    Raises
    ------
    UnsafeModelError, ModelError
        If the file is not what `focalaudio export` writes.
    """
    has_decoder = (folder / DECODER).is_file()
    rules = KEYS | DECODER_KEYS if has_decoder else KEYS
    path = folder / VALUES
    with torch.device("meta"):  # takes no memory, whatever sizes it names
        parts = read_objects(path, rules, MAKERS)
    missing = [key for key in rules if key not in parts]
    if missing:
        raise ModelError(f"{path} has no {', '.join(missing)}.")
    check_size(parts["classifier"], folder / WEIGHTS)
    if has_decoder:
        check_size(parts["decoder"], folder / DECODER)
    return read_objects(path, rules, MAKERS)


def check_size(module: nn.Module, path: Path) -> None:
    """Check that a file is large enough for a module's weights.

    Arguments
    ---------
    module : torch.nn.Module
        On any device.
    path : pathlib.Path
        Its weights.

    Raises
    ------
    ModelError
        If it is not: the memory is not filled for nothing.
    """
    n_values = sum(value.numel() for value in module.state_dict().values())
    size = path.stat().st_size
    if 2 * n_values > size:  # two bytes each, at the very least
        raise ModelError(
            f"{path} has {size} bytes, but {VALUES} describes a "
            f"{type(module).__name__} of {n_values} weights; fetch it again."
        )


def run_yaml(
    path: Path, load: Callable[..., Any] = load_hyperpyyaml
) -> dict[str, Any]:
    """Load a HyperPyYAML file that the caller trusts: it is code, and runs.

    Arguments
    ---------
    path : pathlib.Path
        Must make `spectrogram`, `reader` and `classifier`.
    load : callable
        HyperPyYAML's reader.

    Returns
    -------
    dict
        Its objects.

    Raises
    ------
    ModelError
        If it makes no model.
    """
    parts = load(read_text(path))
    keys = ("spectrogram", "reader", "classifier")
    missing = [key for key in keys if key not in parts]
    if missing:
        raise ModelError(f"{path} makes no {', '.join(missing)}.")
    return dict(parts)
