"""`a finished run -> bundle`, with a card, an example and a check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from focalaudio.audio import load_wav
from focalaudio.data.esc50 import read_metadata
from focalaudio.data.synthetic import synthesize_clip
from focalaudio.data.voices import CLASSES
from focalaudio.encoders import resolve_name
from focalaudio.errors import AudioError, DataError, ModelError
from focalaudio.files import replace_folder
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models.bundle import Bundle, write_files, write_sums
from focalaudio.models.card import Card, read_measurements
from focalaudio.models.description import (
    Description,
    decoder_variant,
    variant,
)
from focalaudio.models.methods import DECODER_KEYS, load_piq
from focalaudio.models.parity import check_parity
from focalaudio.models.run import (
    CLASSIFIER_KEYS,
    default_interpretation,
    load_run,
    read_values,
)
from focalaudio.report.clips import InterpretationExporter
from focalaudio.report.tables import read_csv
from focalaudio.waveforms import resample

EXAMPLE_RATE = 16000  # Hz, the lowest that the synthesizer knows
EXAMPLE_SECONDS = 5.0


def export_run(
    run: str | Path,
    folder: str | Path,
    piq: str | Path | None = None,
    license_name: str = "apache-2.0",
) -> Path:
    """Make a bundle of a finished run.

    Arguments
    ---------
    run : str or pathlib.Path
        Folder of a run of `train_classifier.py`.
    folder : str or pathlib.Path
        Of the bundle; must not exist, or be empty.
    piq : str or pathlib.Path
        Folder of a run of `train_piq.py` on this classifier.
    license_name : str
        Of the weights, for the card.

    Returns
    -------
    pathlib.Path
        The bundle, whole, and checked in a fresh process.

    Raises
    ------
    FileNotFoundError
        If a run, or a file that a finished run leaves, is not there.
    ModelError
        If files do not fit each other, the folder is not empty, or the bundle
        does not say what the run says; nothing is left then.
    """
    run = Path(run)
    check_free(Path(folder))
    values = read_values(run / "hyperparams.yaml", CLASSIFIER_KEYS)
    bundle = Bundle(load_run(run), default_interpretation(values))
    description = describe_run(values, len(bundle.model.labels))
    measured = read_measurements(run)
    if piq is not None:
        bundle, description = add_piq(bundle, description, Path(piq))
        names = {one.name for one in measured}
        more = read_measurements(Path(piq))
        measured += [one for one in more if one.name not in names]
    wav, example = choose_example(run, values, bundle)
    card = Card(
        resolve_name(values["encoder_name"]),
        bundle.model.labels,
        describe_sound(values),
        describe_training(values),
        example,
        license_name,
        measured,
        bundle.decoder is not None,
    )
    return save_bundle(Path(folder), bundle, description, card, wav)


def save_bundle(
    folder: Path,
    bundle: Bundle,
    description: Description,
    card: Card,
    wav: Tensor,
) -> Path:
    """Write a bundle, whole and checked, or nothing.

    Arguments
    ---------
    folder : pathlib.Path
        Must not exist, or be empty.
    bundle : Bundle
        The model.
    description : Description
        What it is made of.
    card : Card
        Its card.
    wav : torch.Tensor
        `[samples]`, the example.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ModelError
        If a fresh process reads another model from it.
    """
    with replace_folder(folder) as temporary:
        write_files(temporary, bundle, description.to_yaml())
        write_example(temporary, bundle, wav)
        text = card.to_markdown()
        (temporary / "README.md").write_text(text, encoding="utf-8")
        write_sums(temporary)
        check_parity(temporary, bundle, wav)
    return folder


def check_free(folder: Path) -> None:
    """Check that a bundle can be made at a folder.

    Arguments
    ---------
    folder : pathlib.Path
        Made or not.

    Raises
    ------
    ModelError
        If there is something.

    Example
    -------
    >>> check_free(Path("no/such/folder"))
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(
            f"out={folder} is there and not empty; give a new folder."
        )


def describe_run(values: Mapping[str, Any], n_classes: int) -> Description:
    """Say what the classifier of a run is made of.

    Arguments
    ---------
    values : mapping
        The run's own, at least `CLASSIFIER_KEYS`.
    n_classes : int
        Number of its labels.

    Returns
    -------
    Description
        Without paths, optimizer and seed.
    """
    kind, arguments = variant(
        values["encoder_name"], in_channels=values["in_channels"]
    )
    return Description(
        {**values, "n_classes": n_classes},
        kind,
        arguments,
        default_interpretation(values),
    )


def add_piq(
    bundle: Bundle, description: Description, run: Path
) -> tuple[Bundle, Description]:
    """Add the decoder of a run of `train_piq.py`.

    Arguments
    ---------
    bundle, description
        Of the classifier.
    run : pathlib.Path
        The run's folder.

    Returns
    -------
    tuple
        Both, with PIQ.

    Raises
    ------
    ModelError
        If it was trained on another classifier, as far as shapes tell.
    """
    model = bundle.model
    interpreter = load_piq(model, run)
    values = read_values(run / "hyperparams.yaml", DECODER_KEYS)
    kind, arguments = decoder_variant(
        values["decoder_name"],
        model.classifier.encoder.n_features,
        model.classifier.n_classes,
        values["n_codes"],
        values["n_shared"],
        values["decoder_options"] or {},
    )
    threshold = interpreter.threshold
    return (
        replace(bundle, decoder=interpreter.decoder, mask_threshold=threshold),
        replace(
            description,
            decoder=kind,
            decoder_arguments=arguments,
            mask_threshold=threshold,
        ),
    )


def describe_sound(values: Mapping[str, Any]) -> str:
    """Say in words what a classifier reads.

    Arguments
    ---------
    values : mapping
        At least `sample_rate` and `clip_seconds`.

    Returns
    -------
    str
        For the card.

    Example
    -------
    >>> describe_sound({"sample_rate": 16000, "clip_seconds": None})
    'any length, 16000 Hz, one channel'
    """
    seconds = values["clip_seconds"]
    length = "any length" if seconds is None else f"{seconds:g} s"
    return f"{length}, {values['sample_rate']} Hz, one channel"


def describe_training(values: Mapping[str, Any]) -> str:
    """Say in words how a run was trained.

    Arguments
    ---------
    values : mapping
        The run's own.

    Returns
    -------
    str
        Markdown; names the data's folder, not its path.

    Example
    -------
    >>> describe_training({"data_folder": "/home/me/ESC-10", "test_folds": [5]})
    'Data: `ESC-10`; test folds 5.'
    """
    data = Path(str(values.get("data_folder") or "unknown")).name
    folds = [
        f"{part} folds {', '.join(map(str, values[f'{part}_folds']))}"
        for part in ("train", "valid", "test")
        if isinstance(values.get(f"{part}_folds"), Sequence)
    ]
    start = values.get("pretrained")
    weights = f"; started from `{Path(str(start)).name}`" if start else ""
    epochs = values.get("number_of_epochs")
    length = f"; {epochs} epochs" if epochs else ""
    return "; ".join((f"Data: `{data}`", *folds)) + length + weights + "."


def choose_example(
    run: Path, values: Mapping[str, Any], bundle: Bundle
) -> tuple[Tensor, str]:
    """Take a clip of the test fold, if the data is still there.

    Arguments
    ---------
    run : pathlib.Path
        Holds `clips.csv`, if it was evaluated.
    values : mapping
        The run's own.
    bundle : Bundle
        The classifier.

    Returns
    -------
    tuple
        `[samples]`, prepared for the classifier, and where it is from.
    """
    reader = bundle.model.reader
    try:
        tested = read_csv(run / "clips.csv")
        # the first that is classified right, or else the first
        first = max(tested, key=lambda row: row["accuracy"])["clip_id"]
        clips = read_metadata(str(values.get("data_folder")))
        clip = clips.set_index("clip_id").loc[first]
        wav = load_wav(clip["path"], reader.sample_rate)
    except (AudioError, DataError, FileNotFoundError, KeyError, ValueError):
        return synthesize_example(bundle)
    example = f"clip {first} of the test fold ({clip['label']})"
    return reader.prepare(wav), example


def synthesize_example(bundle: Bundle) -> tuple[Tensor, str]:
    """Make a clip of a class of the model, or of any if it knows none.

    Arguments
    ---------
    bundle : Bundle
        The classifier.

    Returns
    -------
    tuple
        `[samples]`, prepared for the classifier, and what it is.
    """
    reader = bundle.model.reader
    known = [label for label in bundle.model.labels if label in CLASSES]
    category = (known or list(CLASSES))[0]
    wav = synthesize_clip(
        category, 0, 0, sample_rate=EXAMPLE_RATE, seconds=EXAMPLE_SECONDS
    ).wav
    wav = resample(wav, EXAMPLE_RATE, reader.sample_rate)
    return reader.prepare(wav), f"synthesized ({category})"


def write_example(folder: Path, bundle: Bundle, wav: Tensor) -> None:
    """Write a clip, its interpretation, and their picture.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `example.wav`, `example_kept.wav` and `example.png`.
    bundle : Bundle
        The model.
    wav : torch.Tensor
        `[samples]`.
    """
    model = bundle.model
    exporter = InterpretationExporter(folder, model.spectrogram, model.labels)
    exporter(SoundInterpreter(bundle).explain_batch(wav), ["example"], [None])
    (folder / "example_input.wav").rename(folder / "example.wav")
    (folder / "example_removed.wav").unlink()
