"""`source -> model`: a bundle, a finished run, or a name on the hub.

A path is a path: `./name`, an absolute path, a `Path`, or text with more than
one slash or none. Text of the form `owner/name` is a name on the hub, never a
folder that happens to be called so; `owner/name@revision` pins a revision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from focalaudio.contract import Classifier
from focalaudio.errors import ModelError
from focalaudio.interpreters import Interpreter
from focalaudio.models.bundle import is_bundle, read_bundle
from focalaudio.models.bundle_files import DECODERS
from focalaudio.models.hub import fetch_bundle
from focalaudio.models.hub_names import parse_source
from focalaudio.models.model import SoundModel
from focalaudio.models.run import add_decoders, existing, load_run, refuse_part
from focalaudio.models.shipped import default_model
from focalaudio.spectrogram import Spectrogram

# the arguments of load_interpreter, and keys of YAML files
CHOICE = ("method", "maps", "mask", "quantile", "options", *DECODERS)


def load_model(
    source: str | Path | None = None,
    savedir: str | Path | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    trust_remote_yaml: bool = False,
) -> SoundModel:
    """Find a model, fetch it if need be, and read it.

    Arguments
    ---------
    source : str or pathlib.Path
        A finished run's folder, a bundle's, or a name on the hub; the model
        that comes with the package if None.
    savedir, revision, local_files_only
        See `focalaudio.models.fetch_bundle`.
    trust_remote_yaml : bool
        Load a bundle's `hyperparams.yaml` with HyperPyYAML, which runs what it
        says. For models of your own only.

    Returns
    -------
    SoundModel
        On the CPU.

    Raises
    ------
    FileNotFoundError
        If the folder, or a file that belongs there, is not there.
    HubError
        If the hub does not have it, or cannot be reached.
    UnsafeModelError
        If a file asks for more than a model needs.
    ModelError
        If files are damaged, or do not fit each other.
    """
    source = default_model() if source is None else source
    folder = _locate(source, savedir, revision, local_files_only)
    refuse_part(existing(folder))
    if is_bundle(folder):
        return read_bundle(folder, trust_remote_yaml)
    return load_run(folder)


def _locate(
    source: str | Path,
    savedir: str | Path | None,
    revision: str | None,
    local_files_only: bool,
) -> Path:
    """Return the folder of a source, fetched if it is a name on the hub."""
    parsed = parse_source(source, revision)
    if isinstance(parsed, Path):
        return parsed
    return fetch_bundle(source, savedir, revision, local_files_only)


def load_interpreter(
    model: SoundModel,
    method: str | None = None,
    maps: Sequence[str] | str | None = None,
    mask: str | None = None,
    quantile: float | None = None,
    options: Mapping[str, Any] | None = None,
    **runs: str | Path | None,
) -> Interpreter:
    """Build an interpreter of a model; what is None is the model's own.

    Arguments
    ---------
    model : SoundModel
        Its classifier is frozen.
    method, maps, mask, quantile, options
        See `SoundModel.interpreter`.
    **runs
        `piq`, `lmac`: the folder of a run of `train_<method>.py`; the model's
        own decoder if None.

    Raises
    ------
    ValueError
        If a value is out of range, a name is unknown, or the method has no use
        for an argument.
    ModelError
        If there is no decoder, or it is another classifier's.
    """
    _check_keys(runs)
    given = {name: run for name, run in runs.items() if run is not None}
    for name, run in given.items():
        if (method or model.explanation.method) != name:
            raise ValueError(
                f"{name}={str(run)!r} goes with method={name!r} only; leave it "
                "out."
            )
    model = add_decoders(model, given)
    return model.interpreter(method, maps, mask, quantile, options)


def load_judge(
    model: SoundModel, source: str | Path | None = None
) -> Classifier:
    """Load another classifier, which judges what a model's explanations keep.

    Arguments
    ---------
    model : SoundModel
        Whose explanations are judged.
    source : str or pathlib.Path
        As in `load_model`; the model's own classifier judges if None.

    Returns
    -------
    Classifier
        Frozen, on the CPU.

    Raises
    ------
    ModelError
        If it has other labels, or another spectrogram; see also `load_model`.
    """
    if source is None:
        return model.classifier
    judge = load_model(source)
    other = [
        f"{name} {theirs} instead of {own}"
        for name, theirs, own in (
            ("labels", list(judge.labels), list(model.labels)),
            *compare_analyses(judge.spectrogram, model.spectrogram),
        )
        if theirs != own
    ]
    if other:
        raise ModelError(
            f"judge={str(source)!r} has {'; '.join(other)}. Give a model that "
            "was trained on the same classes, with the same spectrogram."
        )
    return judge.classifier.freeze()


def compare_analyses(
    one: Spectrogram, other: Spectrogram
) -> Iterator[tuple[str, int, int]]:
    """Yield what a spectrogram is made of, of both: name, one's, other's.

    Example
    -------
    >>> list(compare_analyses(Spectrogram(), Spectrogram(n_fft=512)))[1]
    ('n_fft', 1024, 512)
    """
    for name in ("sample_rate", "n_fft", "window_samples", "hop_samples"):
        yield name, getattr(one, name), getattr(other, name)


def load_compared(
    model: SoundModel,
    interpreter: Interpreter,
    others: Sequence[Mapping[str, Any] | str] | Mapping[str, Any] | str = (),
    quantiles: Sequence[float] | float = (),
) -> nn.ModuleList:
    """Build interpreters that are compared with one, on the same first pass.

    Arguments
    ---------
    model : SoundModel
        Whose classifier all of them explain.
    interpreter : Interpreter
        What the others are compared with.
    others : sequence of mapping, or of str
        Arguments of `load_interpreter`, or a method; those that have a quantile
        take the first one's unless they say otherwise. One stands for a list.
    quantiles : sequence of float
        All that have a quantile are compared at each of these, too; one stands
        for a list.

    Returns
    -------
    torch.nn.ModuleList
        Of interpreters, no two of a name, none that is the first one again.

    Raises
    ------
    ValueError
        If one of `others` says nothing of an explanation, or one of `quantiles`
        is no number; see also `load_interpreter`.
    """
    points = list_numbers("quantiles", quantiles, "[0.5, 0.9]")
    listed = []
    for other in _list_others(others):
        made = load_interpreter(model, **other)
        own = other.get("quantile")
        listed.append(_at(made, interpreter.quantile) if own is None else made)
    swept = [
        _at(each, point)
        for point in points
        for each in (interpreter, *listed)
        if each.quantile is not None
    ]
    named = {each.name: each for each in (*listed, *swept)}
    named.pop(interpreter.name, None)
    return nn.ModuleList(named.values())


def list_numbers(name: str, given: Any, example: str) -> list[float]:
    """Return numbers as a list; one is a list of one, None of nothing.

    A `ValueError` with an `example` if they are none.

    Example
    -------
    >>> list_numbers("quantiles", 0.9, "[0.5, 0.9]")
    [0.9]
    >>> list_numbers("quantiles", "0.5,0.9", "[0.5, 0.9]")
    Traceback (most recent call last):
    ValueError: quantiles='0.5,0.9' must be numbers, such as "[0.5, 0.9]".
    """
    numbers = list_one(given)
    if not all(type(number) in (int, float) for number in numbers):
        raise ValueError(
            f'{name}={given!r} must be numbers, such as "{example}".'
        )
    return numbers


def list_one(given: Any) -> list[Any]:
    """Return a list as it is, one of nothing for None, else of one.

    Example
    -------
    >>> list_one([5, 1]), list_one("theo"), list_one(None)
    ([5, 1], ['theo'], [])
    """
    if isinstance(given, (list, tuple)):
        return list(given)
    return [] if given is None else [given]


def _list_others(others: Any) -> Iterator[Mapping[str, Any]]:
    """Yield how each other interpreter is chosen; a word is a method."""
    for other in list_one(others):
        choice = {"method": other} if isinstance(other, str) else other
        if not isinstance(choice, Mapping):
            raise ValueError(
                f"compare={others!r} must be methods, or mappings, such as "
                '"[random, {maps: [class_share]}]".'
            )
        yield choice


def _check_keys(choice: Mapping[str, Any]) -> None:
    """Refuse what says nothing of an explanation."""
    unknown = sorted(set(choice) - set(CHOICE))
    if unknown:
        renamed = "; stages is called maps now" if "stages" in unknown else ""
        raise ValueError(
            f"{', '.join(unknown)}: an explanation is chosen by "
            f"{', '.join(CHOICE)}{renamed}."
        )


def _at(interpreter: Interpreter, quantile: float | None) -> Interpreter:
    """Return an interpreter at a quantile, if both have one."""
    if quantile is None or interpreter.quantile is None:
        return interpreter
    return interpreter.at_quantile(quantile)
