"""`a finished run's folder -> model`, without running its YAML.

A run's `hyperparams.yaml` is HyperPyYAML, which is code. Only its plain values
are read here; the objects are built by this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.checkpoints import Checkpointer
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.encoders.weight_files import read_state_dict
from focalaudio.errors import ModelError
from focalaudio.models.safe_yaml import PlainLoader, read_text
from focalaudio.spectrogram import Spectrogram

SPECTROGRAM_KEYS = ("sample_rate", "n_fft", "win_length", "hop_length")
CLASSIFIER_KEYS = (
    *SPECTROGRAM_KEYS,
    "clip_seconds",
    "encoder_name",
    "in_channels",
    "head",
    "logit_scale",
    "image_size",
    "select_by",
)


@dataclass(frozen=True)
class SoundModel:
    """A trained classifier with everything that belongs to it.

    Arguments
    ---------
    classifier : SoundClassifier
        In evaluation mode.
    spectrogram : Spectrogram
        The analysis it was trained with.
    reader : ClipReader
        Reads files as it was trained with.
    labels : tuple of str
        In the order of the class ids.

    Example
    -------
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> labels = ("dog", "rain")
    >>> SoundModel(classifier, Spectrogram(), ClipReader(), labels).labels
    ('dog', 'rain')
    """

    classifier: SoundClassifier
    spectrogram: Spectrogram
    reader: ClipReader
    labels: tuple[str, ...]


def load_run(source: str | Path) -> SoundModel:
    """Load the best checkpoint of a finished run.

    Arguments
    ---------
    source : str or pathlib.Path
        The run's folder, `results/<experiment_name>/<seed>`.

    Returns
    -------
    SoundModel
        On the CPU.

    Raises
    ------
    FileNotFoundError
        If the folder, or a file that a finished run leaves, is not there.
    ModelError
        If the files are damaged, or do not fit each other.
    """
    folder = Path(source)
    values = read_values(folder / "hyperparams.yaml", CLASSIFIER_KEYS)
    labels = read_labels(folder / "save" / "label_encoder.txt")
    try:
        model = build_model(values, labels)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{folder / 'hyperparams.yaml'} describes no classifier: {error}"
        ) from error
    best = best_checkpoint(folder / "save", min_key=values["select_by"])
    fill_weights(model.classifier, best / "classifier.ckpt")
    return model


def default_interpretation(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run's classifier is explained by unless a call says more.

    Arguments
    ---------
    values : mapping
        The run's own.

    Returns
    -------
    dict
        Arguments of `load_interpreter`: the encoder's last map, as in the
        paper, or the cells' own verdicts if these were trained
        (`evidence_weight`); see docs/evidence.md.

    Example
    -------
    >>> default_interpretation({"evidence_weight": 3.0})["stages"]
    ['class_probability']
    """
    trained = (values.get("evidence_weight") or 0) > 0
    stages: list[int | str] = ["class_probability"] if trained else [-1]
    return {"method": "by_design", "quantile": 0.9, "stages": stages}


def build_model(values: Mapping[str, Any], labels: Sequence[str]) -> SoundModel:
    """Build a classifier and what belongs to it, with random weights.

    Arguments
    ---------
    values : mapping
        At least `CLASSIFIER_KEYS`.
    labels : sequence of str
        In the order of the class ids.

    Returns
    -------
    SoundModel
        In evaluation mode, on the CPU.

    Example
    -------
    >>> values = {"sample_rate": 16000, "n_fft": 1024, "win_length": 23.2199}
    >>> values |= {"hop_length": 11.6099, "clip_seconds": 5.0, "head": "linear"}
    >>> values |= {"encoder_name": "focalnet_test", "in_channels": 1}
    >>> values |= {"logit_scale": 15.0, "image_size": None}
    >>> build_model(values, ["dog", "rain"]).classifier.n_classes
    2
    """
    encoder = build_encoder(
        values["encoder_name"], in_channels=values["in_channels"]
    )
    classifier = SoundClassifier(
        encoder,
        len(labels),
        head=values["head"],
        scale=values["logit_scale"],
        image_size=values["image_size"],
    )
    return SoundModel(
        classifier.eval(),
        Spectrogram(**{key: values[key] for key in SPECTROGRAM_KEYS}),
        ClipReader(values["sample_rate"], values["clip_seconds"]),
        tuple(labels),
    )


def fill_weights(module: nn.Module, path: Path) -> None:
    """Load a file of weights into a classifier or decoder.

    Arguments
    ---------
    module : torch.nn.Module
        Filled in place.
    path : pathlib.Path
        Written by a training run.

    Raises
    ------
    ModelError
        If the file is damaged, does not fit, or holds NaN or infinity.

    Example
    -------
    >>> path = getfixture("tmp_path") / "classifier.ckpt"
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> torch.save(classifier.state_dict(), path)
    >>> fill_weights(classifier, path)
    """
    state = read_state_dict(existing(path))
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"{path} does not fit its run's hyperparams.yaml and "
            f"label_encoder.txt: {error}"
        ) from error
    broken = [name for name, value in state.items() if not is_finite(value)]
    if broken:
        raise ModelError(
            f"{path} holds NaN or infinity in {', '.join(broken)}; the "
            "training diverged: lower its lr."
        )


def is_finite(values: torch.Tensor) -> bool:
    """Return whether a tensor is free of NaN and infinity.

    Arguments
    ---------
    values : torch.Tensor
        Any shape.

    Returns
    -------
    bool
        True if so.

    Example
    -------
    >>> is_finite(torch.tensor([1.0, float("nan")]))
    False
    """
    return bool(torch.isfinite(values).all())


def existing(path: Path) -> Path:
    """Return the path, or say that it is not there.

    Arguments
    ---------
    path : pathlib.Path
        A file that a finished run leaves.

    Returns
    -------
    pathlib.Path
        The same.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    Example
    -------
    >>> existing(Path("no/such/run"))
    Traceback (most recent call last):
    FileNotFoundError: .../no/such/run is missing; ...
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path.absolute()} is missing; give a bundle, or the folder of a "
            "run that reached its end, results/<experiment_name>/<seed>."
        )
    return path


def read_values(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Read the plain values of a run's `hyperparams.yaml`; nothing is executed.

    Arguments
    ---------
    path : pathlib.Path
        The file.
    keys : sequence of str
        What it must have.

    Returns
    -------
    dict
        All plain values.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelError
        If a key is missing, or the file is not YAML.
    """
    try:
        text = read_text(existing(path))
        values = yaml.load(text, Loader=PlainLoader)  # noqa: S506
    except (RecursionError, ValueError, yaml.YAMLError) as error:
        raise ModelError(f"{path} is not a YAML file: {error}") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} holds no keys; is it a run's own file?")
    missing = [key for key in keys if key not in values]
    if missing:
        raise ModelError(
            f"{path} has no {', '.join(missing)}; it is not the file of a run "
            "of the recipe that is asked for here."
        )
    return values


def read_labels(path: Path) -> tuple[str, ...]:
    """Read SpeechBrain's `label_encoder.txt`.

    Arguments
    ---------
    path : pathlib.Path
        The file.

    Returns
    -------
    tuple of str
        Labels in the order of their class ids.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelError
        If it is damaged.
    """
    encoder = CategoricalEncoder()
    try:
        encoder.load(str(existing(path)))
        return tuple(encoder.ind2lab[i] for i in range(len(encoder.ind2lab)))
    except (KeyError, SyntaxError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} must have lines like 'label' => 0, numbered from 0 "
            f"without gaps: {error!r}"
        ) from error


def best_checkpoint(
    folder: Path, min_key: str | None = None, max_key: str | None = None
) -> Path:
    """Return the folder of the best checkpoint.

    Arguments
    ---------
    folder : pathlib.Path
        Holds `CKPT+...` folders.
    min_key, max_key : str
        Key of the checkpoints' metadata that is best when lowest or highest.

    Returns
    -------
    pathlib.Path
        One of the folders.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint.
    """
    best = Checkpointer(existing(folder)).find_checkpoint(
        min_key=min_key, max_key=max_key
    )
    if best is None:
        raise FileNotFoundError(
            f"{folder.absolute()} holds no CKPT+... with "
            f"{min_key or max_key!r}; train first."
        )
    return Path(best.path)
