"""`somebody else's classifier -> SoundModel`: what the doors are made of."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from focalaudio.data.pipelines import ClipReader
from focalaudio.errors import TRACEBACK, ModelError, name_type
from focalaudio.foreign import ForeignClassifier
from focalaudio.models.load import load_model
from focalaudio.models.model import Explanation, SoundModel
from focalaudio.spectrogram import Spectrogram
from focalaudio.waveforms import fit_length

N_FFT = 1024  # points, or as many more as the window needs
WINDOW_MS = 23.2199
METHOD = "rise"  # needs no gradient, no inside, and no other package


class LevelReader(ClipReader):
    """Read clips at the level that they have.

    Ours are scaled to a peak of 1, for classifiers that learnt so; whether a
    foreign one hears levels is not known.

    Arguments
    ---------
    sample_rate, clip_seconds
        As in `ClipReader`.

    Example
    -------
    >>> import torch
    >>> LevelReader(8000, clip_seconds=None).prepare(torch.tensor([0.25, -0.5]))
    tensor([ 0.2500, -0.5000])
    """

    def prepare(self, wav: Tensor) -> Tensor:
        """Crop or pad a waveform `[samples]`."""
        if self.clip_seconds is None:
            return wav
        return fit_length(wav, round(self.clip_seconds * self.sample_rate))


def fit_spectrogram(sample_rate: int) -> Spectrogram:
    """Build the default analysis for a sample rate, in Hz.

    The window lasts as long at every rate; the transform grows with it.

    Example
    -------
    >>> fit_spectrogram(16000).n_fft, fit_spectrogram(96000).n_fft
    (1024, 4096)
    """
    window = round(sample_rate * WINDOW_MS / 1000)
    points = 2 ** math.ceil(math.log2(window))
    hop_ms = 1000 * (window // 2) / sample_rate
    return Spectrogram(sample_rate, max(N_FFT, points), WINDOW_MS, hop_ms)


def wrap_classifier(
    classify: Callable[[Tensor], Any],
    labels: Sequence[str],
    sample_rate: int,
    clip_seconds: float | None = None,
    scale_peak: bool = False,
    takes: str = "sound",
    differentiable: bool | None = None,
    spectrogram: Spectrogram | None = None,
    explanation: Explanation | None = None,
    decoders: Mapping[str, nn.Module] | None = None,
    labels_per_clip: str = "one",
) -> SoundModel:
    """Make a model of somebody else's classifier.

    Arguments
    ---------
    classify, takes, differentiable, labels_per_clip
        See `focalaudio.foreign.ForeignClassifier`.
    labels : sequence of str
        In the order of the logits.
    sample_rate : int
        Hz, of the waveforms that it reads.
    clip_seconds : float
        Clips are cropped or padded to this, in seconds, for a classifier that
        reads one length; None takes them whole.
    scale_peak : bool
        Whether clips are scaled to a peak of 1, as ours are.
    spectrogram : Spectrogram
        What masks are made for; `fit_spectrogram` if None.
    explanation : Explanation
        How it is explained unless a call says otherwise; by `rise` if None.
    decoders : mapping
        From `lmac` to its trained decoder.

    Returns
    -------
    SoundModel
        On the CPU, or where the classifier's own weights are.

    Raises
    ------
    ModelError, ValueError
        If the labels or the sample rate do not fit, or the classifier does not
        do what it should.
    """
    spectrogram = spectrogram or fit_spectrogram(sample_rate)
    if spectrogram.sample_rate != sample_rate:
        raise ValueError(
            f"sample_rate={sample_rate} Hz is not the spectrogram's, "
            f"{spectrogram.sample_rate} Hz; make them equal."
        )
    labels = [labels] if isinstance(labels, str) else labels
    names = [str(label) for label in labels]
    if len(set(names)) < len(names) or not names:
        raise ModelError(
            f"labels has {len(names)} names, {len(set(names))} of them "
            "different; give one for each logit, all different."
        )
    reader = (ClipReader if scale_peak else LevelReader)(
        sample_rate, clip_seconds
    )
    length = None
    if clip_seconds is not None:
        length = round(clip_seconds * sample_rate)
    classifier = ForeignClassifier(
        classify,
        len(names),
        spectrogram,
        takes,
        differentiable,
        length,
        labels_per_clip,
    )
    return SoundModel(
        classifier,
        spectrogram,
        reader,
        names,
        explanation or Explanation(METHOD),
        decoders or {},
    )


def open_model(
    source: str | Path | None = None, classifier_from: str | None = None
) -> SoundModel:
    """Load one of our models, or have the user's own Python file make one.

    Arguments
    ---------
    source : str or pathlib.Path
        See `focalaudio.models.load_model`.
    classifier_from : str
        `module:function`, or `folder/file.py:function`: a function of the
        user's own, without arguments, that returns a `SoundInterpreter` (such
        as `SoundInterpreter.from_classifier` makes) or a `SoundModel`. It is
        code, and it is run: nothing but this argument ever names it.

    Returns
    -------
    SoundModel
        Whoever made it.

    Raises
    ------
    ValueError
        If not exactly one of both is given, or the name has another form.
    ModelError
        If there is no such function, it fails, or it returns something else;
        see `load_model` for the rest.
    """
    if (source is None) == (classifier_from is None):
        raise ValueError(
            f"classifier={source} and classifier_from={classifier_from}: give "
            "exactly one, the folder of a run or bundle, or module:function."
        )
    if classifier_from is None:
        return load_model(source)
    name, _, function = classifier_from.rpartition(":")
    if not name or not function.isidentifier():
        raise ValueError(
            f"classifier_from={classifier_from!r} must be module:function, "
            "such as my_module:make, or folder/file.py:make."
        )
    made = _call(classifier_from, name, function)
    model = getattr(made, "model", made)
    if not isinstance(model, SoundModel):
        raise ModelError(
            f"classifier_from={classifier_from!r} returned {name_type(made)}; "
            "it must return what SoundInterpreter.from_classifier returns."
        )
    return model


def _call(asked: str, name: str, function: str) -> Any:
    """Call the function that makes a model; what goes wrong is a sentence."""
    make = getattr(_import(asked, name), function, None)
    if not callable(make):
        raise ModelError(
            f"classifier_from={asked!r}: {name} has no function {function}."
        )
    needed = _list_needed(make)
    if needed:
        raise ModelError(
            f"classifier_from={asked!r} must take no arguments, but it needs "
            f"{', '.join(needed)}; give defaults, or name a function that "
            "calls it."
        )
    with _telling_faults(asked):
        return make()


def _list_needed(make: Callable[..., Any]) -> list[str]:
    """Name the arguments that a function cannot be called without."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # one of C may not say
        return []
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in many
    ]


@contextmanager
def _telling_faults(asked: str) -> Iterator[None]:
    """Say where the user's own code failed; its traceback is the cause's."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModelError(
            f"classifier_from={asked!r}: there is no module {error.name!r} "
            "here or among the installed ones."
        ) from error
    except Exception as error:
        raise ModelError(
            f"classifier_from={asked!r} failed{_find_place(error)}: "
            f"{type(error).__name__}: {error}; mend it, {TRACEBACK}=1 shows "
            "the way there."
        ) from error


def _find_place(error: Exception) -> str:
    """Say which line of the user's own file an error came by, if any did."""
    ours = (__file__, importlib.__file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in ours and not frame.filename.startswith("<")
    ]
    lines = [
        frame.lineno for frame in frames if frame.filename == frames[0].filename
    ]
    return f" in {frames[0].filename}, line {lines[-1]}" if lines else ""


def _import(asked: str, name: str) -> ModuleType:
    """Import a module by its name or its file; the current folder counts."""
    path = Path(name)
    if path.suffix != ".py":
        if "" not in sys.path:
            sys.path.insert(0, "")
        with _telling_faults(asked):
            return importlib.import_module(name)
    if not path.is_file():
        raise ModelError(f"classifier_from: {path.absolute()} is missing.")
    # what no import statement can name; a dot would make it part of a package
    name = str(path.absolute()).replace(".", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"classifier_from: {path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    try:
        with _telling_faults(asked):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
