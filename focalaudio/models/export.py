"""`a finished run -> bundle`, with a card, an example and a check."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from focalaudio.audio import load_wav
from focalaudio.data.folders import WHERE, read_clips
from focalaudio.data.folds import FOLDS_CSV, copy_folds, read_folds
from focalaudio.data.synthetic import synthesize_clip
from focalaudio.data.voices import CLASSES
from focalaudio.encoders import resolve_name
from focalaudio.errors import AudioError, DataError, ModelError
from focalaudio.files import replace_folder, temporary_folder
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models.bundle import read_bundle, write_bundle
from focalaudio.models.bundle_files import SUMS, check_sums
from focalaudio.models.card import (
    TITLES,
    Card,
    Measurement,
    measure_held_out,
    read_measurements,
)
from focalaudio.models.model import SoundModel
from focalaudio.models.novelty import read_novelty
from focalaudio.models.run import add_decoders, load_run, read_values
from focalaudio.models.trained_on import read_trained_on, write_trained_on
from focalaudio.report.clips import InterpretationExporter
from focalaudio.report.held_out import fit_temperature, read_held_out
from focalaudio.report.tables import read_csv
from focalaudio.waveforms import resample

EXAMPLE_RATE = 16000  # Hz, the lowest that the synthesizer knows
EXAMPLE_SECONDS = 5.0
SPLITS = ("train", "valid", "test")
# the data is gone, or is not what it was
_NO_CLIP = (AudioError, DataError, FileNotFoundError, KeyError, ValueError)


def export_run(
    run: str | Path,
    folder: str | Path,
    decoders: Mapping[str, str | Path | None] | None = None,
    license_name: str = "apache-2.0",
    novelty: str | Path | None = None,
    held_out: str | Path | Sequence[str | Path] = (),
) -> Path:
    """Make a bundle of a finished run.

    Arguments
    ---------
    run : str or pathlib.Path
        The folder of a run of `train_classifier.py`.
    folder : str or pathlib.Path
        Becomes the bundle; must not exist yet, or be empty.
    decoders : mapping
        From a method, `piq` or `lmac`, to the folder of a run of
        `train_<method>.py` on that classifier, if its decoder shall be in the
        bundle.
    license_name : str
        Of the weights, for the card.
    novelty : str or pathlib.Path
        The folder of a run of `novelty.py` on that classifier, if the rules
        that it chose shall be in the bundle.
    held_out : sequence of str or pathlib.Path
        Of a run that all clips trained: the folders of runs of the same recipe
        that each left some out, such as those of `reproduce.py` under `4/1`, or
        copies without checkpoints. What they said of these clips chooses the
        temperature, and stands in the card.

    Returns
    -------
    pathlib.Path
        The bundle's folder: complete, and read back.

    Raises
    ------
    FileNotFoundError
        If a file of a run is missing.
    ModelError
        If the folder is not empty, the run is damaged, the decoder or the rule
        is another classifier's, or what was written does not give the run's
        own answers.
    DataError
        If a run of `held_out` knows other classes, or there are some though
        the run itself left clips out.
    """
    run, folder = Path(run), Path(folder)
    held_out = [held_out] if isinstance(held_out, str | Path) else held_out
    check_free(folder)
    given = {m: Path(p) for m, p in (decoders or {}).items() if p is not None}
    model = add_decoders(load_run(run), given)
    if novelty is not None:
        rules = read_novelty(novelty, model.classifier)
        model = replace(model, novelty=rules)
    values = read_values(run / "hyperparams.yaml", ["encoder_name"])
    left = [
        f"{part}_folds" for part in SPLITS[1:] if values.get(f"{part}_folds")
    ]
    if held_out and left:
        raise DataError(
            f"held_out is of a run that all clips trained; {run} has "
            f"{' and '.join(left)}, which say more of it."
        )
    decision = model.classifier.decision
    answers = read_held_out(held_out, model.labels, decision)
    if answers:
        model = replace(model, temperature=fit_temperature(answers))
    wav, example = _choose_example(run, held_out, values, model)
    made = run / FOLDS_CSV
    folds = read_folds(made) if made.is_file() else {}
    card = Card(
        resolve_name(values["encoder_name"]),
        model.labels,
        describe_sound(model),
        _describe_training(values, folds) + _describe_precision(run),
        example,
        license_name,
        measure_held_out(answers) if answers else _measure(run, given),
        len(answers),
        tuple(model.decoders),
        model.novelty.rules if model.novelty else (),
        model.classifier.decision.is_several,
    )
    runs = (run, *given.values())
    trained = frozenset().union(
        *(read_trained_on(one).all_clips() for one in runs)
    )
    return save_bundle(model, folder, card, wav, folds, trained)


def is_export(folder: str | Path, run: str | Path, *how: Any) -> bool:
    """Return whether a folder is what `export_run` makes, byte by byte.

    `run` and `how` are its other arguments; their bundle is made once more, to
    compare, but for the example's sounds and picture, which another library may
    write otherwise. Errors are those of `export_run`, and of a folder that is
    damaged.
    """
    folder = Path(folder)
    if not (folder / SUMS).is_file():
        return False
    with temporary_folder(folder) as temporary:
        made = export_run(run, temporary / "bundle", *how)
        same = _list_made(made) == _list_made(folder)
    if same:
        check_sums(folder)
    return same


def _list_made(folder: Path) -> list[str]:
    """Return the lines of a bundle's sums that its run alone decides on."""
    lines = (folder / SUMS).read_text("utf-8", "replace").splitlines()
    return [line for line in lines if " example" not in line]


def _measure(run: Path, decoders: Mapping[str, Path]) -> list[Measurement]:
    """Read what a run measured, and what its decoders' runs add to it."""
    measured = read_measurements(run)
    known = {one.name for one in measured}
    for method, place in decoders.items():
        measured += [
            replace(one, name=f"{TITLES[method]}: {one.name}")
            for one in read_measurements(place)
            if one.name not in known
        ]
    return measured


def check_free(folder: Path) -> None:
    """Refuse, with a `ModelError`, a folder that is there and not empty.

    And one that cannot be there, since it would lie in a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(
            f"out={folder} is there and not empty; give a new folder."
        )
    for above in folder.parents:
        if above.exists() and not above.is_dir():
            raise ModelError(
                f"out={folder} cannot be made, since {above} is no folder; "
                "give another one."
            )


def save_bundle(
    model: SoundModel,
    folder: Path,
    card: Card,
    wav: Tensor,
    folds: Mapping[str, str] | None = None,
    trained: Iterable[str] = (),
) -> Path:
    """Write a bundle, whole and read back, or nothing.

    `folder` must not exist yet, or be empty; the example is `wav` `[samples]`,
    a clip as the classifier reads it. `folds` are those that were made for the
    data, by the clips' names, if they were: who is given the bundle's folder
    finds them again. `trained` are the fingerprints of the clips that trained
    the model, if they are known. A `ModelError` if what was written
    does not give the model's own answers.
    """
    with replace_folder(folder) as temporary:
        text = card.to_markdown()
        (temporary / "README.md").write_text(text, encoding="utf-8")
        _write_example(temporary, model, wav)
        if folds:
            copy_folds(folds, temporary)
        if trained:
            write_trained_on(trained, temporary)
        write_bundle(model, temporary)
        _check_answers(model, read_bundle(temporary), wav)
    return folder


def _check_answers(model: SoundModel, read: SoundModel, wav: Tensor) -> None:
    """Compare what two models say of a clip, and keep of it, bit for bit."""
    for method in ("by_design", *model.decoders):
        ours, theirs = (
            SoundInterpreter(one).explain_batch(wav, method=method)
            for one in (model, read)
        )
        for name in ("logits", "saliency", "mask", "is_known"):
            if not torch.equal(getattr(ours, name), getattr(theirs, name)):
                raise ModelError(
                    f"{name} of {method} differ between the bundle and the "
                    "model it is of; nothing was written. Please report this."
                )


def describe_sound(model: SoundModel) -> str:
    """Say in words what a classifier reads: length, rate and channels."""
    seconds = model.reader.clip_seconds
    length = "any length" if seconds is None else f"{seconds:g} s"
    return f"{length}, {model.reader.sample_rate} Hz, one channel"


def _describe_precision(run: Path) -> str:
    """Say how well several labels are found, if that was measured."""
    path = run / "metrics.json"
    metrics = json.loads(path.read_text("utf-8")) if path.exists() else {}
    precision = metrics.get("average_precision")
    if precision is None:
        return ""
    return (
        f" Mean average precision of the classes on the test folds: "
        f"{precision:.3f}."
    )


def _describe_training(
    values: Mapping[str, Any], made: Mapping[str, str]
) -> str:
    """Say in words how a run was trained."""
    data = Path(str(values.get("data_folder") or "unknown")).name
    named = {part: values.get(f"{part}_folds") for part in SPLITS}
    folds = [
        f"{part} folds {', '.join(map(str, _as_list(given)))}"
        for part, given in named.items()
        if given
    ]
    if made:
        folds.append(f"the folds of its {len(made)} clips are in `{FOLDS_CSV}`")
    start = values.get("pretrained")
    weights = f"; started from `{Path(str(start)).name}`" if start else ""
    epochs = values.get("number_of_epochs")
    length = f"; {epochs} epochs" if epochs else ""
    return "; ".join((f"Data: `{data}`", *folds)) + length + weights + "."


def _as_list(given: Any) -> list[Any]:
    """Return what may be one name, or several, as a list."""
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _choose_example(
    run: Path,
    held_out: Sequence[str | Path],
    values: Mapping[str, Any],
    model: SoundModel,
) -> tuple[Tensor, str]:
    """Take a clip that was tested, by another run if need be, if it is there.

    In that case this run has heard it.
    """
    place = Path(held_out[-1]) if held_out else run
    try:
        tested = read_csv(place / "clips.csv")
        # the first that is classified right, or else the first
        first = max(tested, key=lambda row: row["accuracy"])["clip_id"]
        where = {key: values[key] for key in WHERE if key in values}
        clips, _ = read_clips(**where)
        clip = clips.set_index("clip_id").loc[first]
        wav = load_wav(clip["path"], model.reader.sample_rate)
    except _NO_CLIP:
        return synthesize_example(model)
    origin = "that it was trained on" if held_out else "of the test fold"
    example = f"clip {first} {origin} ({clip['label']})"
    return model.reader.prepare(wav), example


def synthesize_example(model: SoundModel) -> tuple[Tensor, str]:
    """Make a clip of a class of the model, or of any if it knows none.

    Returns it as the classifier reads it, `[samples]`, and what it is.
    """
    known = [label for label in model.labels if label in CLASSES]
    category = (known or list(CLASSES))[0]
    wav = synthesize_clip(
        category, 0, 0, sample_rate=EXAMPLE_RATE, seconds=EXAMPLE_SECONDS
    ).wav
    wav = resample(wav, EXAMPLE_RATE, model.reader.sample_rate)
    return model.reader.prepare(wav), f"synthesized ({category})"


def _write_example(folder: Path, model: SoundModel, wav: Tensor) -> None:
    """Write a clip, its interpretation, and their picture."""
    exporter = InterpretationExporter(folder, model.spectrogram, model.labels)
    exporter(SoundInterpreter(model).explain_batch(wav), ["example"], [None])
    (folder / "example_input.wav").rename(folder / "example.wav")
    (folder / "example_removed.wav").unlink()
