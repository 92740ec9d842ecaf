"""`a finished run's folder -> model`, without running its YAML.

A run's `hyperparams.yaml` is HyperPyYAML, which is code. What the model is made
of stands beside the checkpoints as data, `save/model.yaml` (of a decoder's run
`save/decoder.yaml`), in the form of a bundle's file.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechbrain.utils.checkpoints import METAFNAME, Checkpoint
from speechbrain.utils.distributed import run_on_main
from torch import nn

from focalaudio.contract import Classifier
from focalaudio.data.labels import LABELS_FILE, load_labels
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.layouts import OURS
from focalaudio.encoders.weight_files import digest_weights, read_state_dict
from focalaudio.errors import DataError, ModelError
from focalaudio.files import replace_file
from focalaudio.models.bundle_files import DECODERS
from focalaudio.models.checkpoints import CheckedCheckpointer
from focalaudio.models.description import (
    describe,
    describe_parts,
    read_parts,
    to_explanation,
    to_novelty,
)
from focalaudio.models.model import SoundModel
from focalaudio.models.safe_yaml import is_number, read_plain, read_text
from focalaudio.models.schema import KEYS

MODEL = "save/model.yaml"
DECODER = "save/decoder.yaml"
LABELS = f"save/{LABELS_FILE}"
DEPTH = 2  # of the folders in a run: save/CKPT+...
SETTINGS = "settings.ckpt"  # of a checkpoint: what the run depends on


def save_model(model: SoundModel, folder: str | Path) -> None:
    """Write into a run's folder what its model is made of; one process does.

    Its weights are the checkpoints' affair. A `ModelError` if it has a rule of
    spectra, whose weights no checkpoint has.
    """
    if model.spectral_shape is not None:
        raise ModelError(
            "A run has no place for a spectral shape: choose rules by "
            "novelty.py when it is trained."
        )
    run_on_main(_write, args=[Path(folder) / MODEL, describe(model)])


def save_decoder(method: str, decoder: nn.Module, folder: str | Path) -> None:
    """Write, as `save_model` does, what the decoder of a method is made of."""
    text = "".join(describe_parts({DECODERS[method]: decoder}))
    run_on_main(_write, args=[Path(folder) / DECODER, text])


def _write(path: Path, text: str) -> None:
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def load_run(source: str | Path) -> SoundModel:
    """Load the best checkpoint of a finished run, to the CPU.

    `source` is its folder, `results/<experiment_name>/<seed>`.
    `FileNotFoundError` if a file is missing, `ModelError` if files are damaged,
    or do not fit each other.
    """
    folder = Path(source)
    best = best_checkpoint(folder, "min_key")
    weights = Path(best.path) / "classifier.ckpt"
    labels = read_labels(folder / LABELS)
    _check_described(folder / MODEL)
    parts = _read_part(folder / MODEL, "classifier", weights)
    classifier = parts["classifier"].eval()
    return SoundModel(
        classifier,
        parts["spectrogram"],
        parts["reader"],
        labels,
        to_explanation(parts, classifier),
        temperature=_read_temperature(best),
        novelty=to_novelty(parts),
        folder=folder,
    )


def _read_temperature(checkpoint: Checkpoint) -> float:
    """Return that of the validation fold; 1 if there was none."""
    value, rule = checkpoint.meta.get("temperature", 1.0), KEYS["temperature"]
    if not rule.accepts(value):
        raise ModelError(
            f"{checkpoint.path / METAFNAME}: temperature={reprlib.repr(value)} "
            f"must be {rule.text}; train again."
        )
    return value


def load_decoder(
    method: str, source: str | Path, classifier: Classifier
) -> nn.Module:
    """Load the best decoder of a run of `train_<method>.py`, frozen.

    To the CPU. Errors as in `load_run`; a `ModelError` too if it is another
    classifier's, or the run trained another method.
    """
    key = DECODERS[method]
    folder = Path(source)
    refuse_part(folder)
    _check_described(folder / DECODER)
    _check_method(folder / DECODER, method)
    best = Path(best_checkpoint(folder, "max_key").path)
    _check_classifier(best / SETTINGS, classifier)
    parts = _read_part(folder / DECODER, key, best / "decoder.ckpt")
    return parts[key].requires_grad_(False).eval()


def add_decoders(
    model: SoundModel, runs: Mapping[str, str | Path]
) -> SoundModel:
    """Return a model with the decoders of runs of `train_<method>.py` on it.

    `runs` maps a method, `piq` or `lmac`, to a run's folder.
    """
    loaded = {
        method: load_decoder(method, run, model.classifier)
        for method, run in runs.items()
    }
    return replace(model, decoders={**model.decoders, **loaded})


def _check_method(path: Path, method: str) -> None:
    """Compare what a run trained with what it is given for."""
    keys = re.findall(r"^(\w+):", read_text(path), re.MULTILINE)
    others = [m for m, key in DECODERS.items() if key in keys and m != method]
    if others:
        raise ModelError(
            f"{path.parent.parent} trained {others[0]}, not {method}; give "
            f"a run of train_{method}.py, or method={others[0]!r}."
        )


def _check_classifier(path: Path, classifier: Classifier) -> None:
    """Compare the digest in a decoder's checkpoint with its classifier."""
    try:
        digest = json.loads(read_text(path))["classifier_digest"]
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} does not say which classifier the decoder was trained "
            "on; train it again."
        ) from error
    if digest != digest_weights(classifier):
        raise ModelError(
            f"{path.parent} holds a decoder of another classifier than the "
            "one that is given; give its own, or train one for this."
        )


def _check_described(path: Path) -> None:
    """Say what to do about a run that has no description."""
    if existing(path.parent.parent) and not path.exists():
        raise ModelError(
            f"{path.absolute()} is missing: an older version made this run, or "
            "it trained something else. Give the command that trained it once "
            "more: it trains nothing anew, and writes what is missing."
        )


def _read_part(path: Path, key: str, weights: Path) -> dict[str, Any]:
    """Make what a file describes, with the weights of one part filled in."""
    state = read_state_dict(existing(weights))
    parts = read_parts(path, {key: weights})
    try:
        load_weights(parts[key], state, OURS)
    except ModelError as error:
        raise ModelError(f"{weights}: {error}") from error
    return parts


def refuse_part(folder: Path) -> None:
    """Refuse a folder that lies in a run, such as its `save`; name the run.

    `FileNotFoundError`, as of a folder without a model.
    """
    if (folder / "hyperparams.yaml").exists():
        return
    for above in folder.absolute().parents[:DEPTH]:
        if any((above / name).is_file() for name in (MODEL, DECODER)):
            raise FileNotFoundError(
                f"{folder} is a part of a run; give the run's own folder, "
                f"{above}."
            )


def existing(path: Path) -> Path:
    """Return the path, or raise `FileNotFoundError` that says what to do."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path.absolute()} is missing; give a bundle, or the folder of a "
            "run that reached its end, results/<experiment_name>/<seed>."
        )
    return path


def read_values(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Return the plain values of a run's `hyperparams.yaml`; nothing is run.

    `FileNotFoundError` if it is not there; `ModelError` if it is not YAML, or
    lacks one of `keys`.
    """
    values = read_plain(existing(path))
    missing = [key for key in keys if key not in values]
    if missing:
        raise ModelError(
            f"{path} has no {', '.join(missing)}; it is not the file of a run "
            "of the recipe that is asked for here."
        )
    return values


def read_labels(path: Path) -> tuple[str, ...]:
    """Read `label_encoder.txt`: labels in the order of their class ids.

    `FileNotFoundError` if it is not there, `ModelError` if it is damaged.
    """
    try:
        return load_labels(existing(path))
    except DataError as error:
        raise ModelError(str(error)) from error


def best_checkpoint(folder: Path, kind: str) -> Checkpoint:
    """Return a run's best checkpoint, by its `select_by`.

    `kind` is `min_key` if lower is better, else `max_key`; of `epoch` the
    highest is the best, whatever `kind` says. `FileNotFoundError` if there is
    no checkpoint with a finite value, `ModelError` if the run does not say what
    it selected by, or a checkpoint has no number there.
    """
    path = folder / "hyperparams.yaml"
    key = read_values(path, ["select_by"])["select_by"]
    if not isinstance(key, str):
        shown = reprlib.repr(key)
        raise ModelError(f"{path}: select_by={shown} must be a metric's name.")
    saved = existing(folder / "save")
    end = "max_key" if key == "epoch" else kind
    checkpointer = CheckedCheckpointer(saved)
    for each in checkpointer.list_checkpoints():
        value = each.meta.get(key, 0)
        if type(value) not in (int, float):
            raise ModelError(
                f"{each.path / METAFNAME}: {key}={reprlib.repr(value)} must be "
                "a number; remove this checkpoint, or train again."
            )
    best = checkpointer.find_checkpoint(
        ckpt_predicate=lambda each: is_number(each.meta.get(key)),
        **{end: key},
    )
    if best is None:
        raise FileNotFoundError(
            f"{saved.absolute()} holds no CKPT+... with a finite {key!r}; "
            "train first."
        )
    return best
