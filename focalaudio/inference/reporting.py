"""`sound -> clip of a page`: everything that a listening report shows of it.

The classifier is asked once for the whole clip; quantiles and classes are cut
from what it said, and kept and removed parts are classified for the words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from focalaudio.classifier import ClassifierOutput
from focalaudio.inference.clips import restore_interpretation
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.interpreters.base import Interpretation, Interpreter
from focalaudio.report.overview import split_name
from focalaudio.report.page import (
    PageClip,
    choose_classes,
    make_clip,
    make_view,
    score_parts,
)
from focalaudio.spectrogram import Spectrum

QUANTILES = (0.5, 0.7, 0.9)  # that a page can be switched to

Seen = tuple[Spectrum, ClassifierOutput]


def look_further(
    interpreter: Interpreter, seen: Seen, other_ids: Tensor
) -> Iterator[tuple[Interpreter, Interpretation]]:
    """Interpret clips at other quantiles, and another class of theirs.

    Only of the classifier's own maps, where neither costs a pass.

    Arguments
    ---------
    interpreter : Interpreter
        The one whose interpretation is known.
    seen : tuple
        What `Interpreter.look` returned of the clips.
    other_ids : torch.Tensor
        `[batch]`, int64, of `focalaudio.report.page.choose_classes`.

    Yields
    ------
    tuple
        An interpreter, and its interpretation.
    """
    if interpreter.settings["method"] != "by_design":
        return
    for quantile in QUANTILES:
        if interpreter.quantile not in (None, quantile):
            other = interpreter.at_quantile(quantile)
            yield other, other.interpret(*seen)
    yield interpreter, interpreter.interpret(*seen, other_ids)


@torch.no_grad()
def explain_for_page(
    model: SoundInterpreter,
    wav: Tensor,
    clip_id: str,
    label: str | None = None,
    **choice: Any,
) -> PageClip:
    """Explain a sound in all the ways that a page can be switched to.

    Arguments
    ---------
    model : SoundInterpreter
        Explains.
    wav : torch.Tensor
        `[samples]`, at the model's rate, any level.
    clip_id : str
        What the page calls it.
    label : str
        The true class; None if it is not known.
    **choice
        How it is explained, see `SoundModel.interpreter`.

    Returns
    -------
    PageClip
        For `focalaudio.report.writer.PageWriter.add`.

    Raises
    ------
    AudioError, ModelError, ValueError
        If the sound, the model or an argument will not do.

    Example
    -------
    >>> from focalaudio.data.examples import list_examples
    >>> from focalaudio.audio import load_wav
    >>> model, example = SoundInterpreter.from_hparams(), list_examples()[1]
    >>> wav = load_wav(example.path, model.sample_rate)
    >>> clip = explain_for_page(model, wav, "cry", example.label)
    >>> clip.predicted, [view.quantile for view in clip.views]
    ('crying_baby', [0.9, 0.5, 0.7, 0.9])
    """
    clips = model.prepare(wav)
    interpreter = model.model.interpreter(**choice)
    seen = interpreter.look(clips.wavs, clips.lens)
    first = interpreter.interpret(*seen)
    known: dict[str, Any] = {
        "temperature": model.model.temperature,
        "labels": tuple(model.labels),
        "is_known": model.model.is_known(*seen) & ~clips.silent,
    }
    target = model.labels.index(label) if label in model.labels else None
    _, other_ids = choose_classes(first, [target])
    found = [
        (interpreter, first),
        *look_further(interpreter, seen, other_ids),
    ]
    views, restored = [], []
    for one, each in found:
        whole = restore_interpretation(replace(each, **known), clips)
        parts = one.classify_parts(whole)
        scores = score_parts(whole, parts, 0)
        name = split_name(one.name)
        boxes = whole.boxes()
        views.append(make_view(whole, 0, model.labels, *name, scores, boxes))
        restored.append(whole)
    return make_clip(restored[0], 0, model.labels, clip_id, views, label)
