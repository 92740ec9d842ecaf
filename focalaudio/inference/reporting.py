"""`sound -> clip of a page`: everything that a listening report shows of it.

The classifier is asked once for the whole clip; quantiles and classes are cut
from what it said, and kept and removed parts are classified for the words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.interpreters.base import Interpreter
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.report.explained import show_clip
from focalaudio.report.overview import split_name
from focalaudio.report.page import PageClip, View, choose_classes, score_parts

Explain = Callable[[Interpreter, Tensor | None], Interpretation]
QUANTILES = (0.5, 0.7, 0.9)  # that a page can be switched to


def look_further(
    interpreter: Interpreter, explain: Explain, other_ids: Sequence[Tensor]
) -> Iterator[tuple[Interpreter, Interpretation]]:
    """Interpret clips at other quantiles, and other classes of theirs.

    Only of the classifier's own maps, where neither costs a pass. A class that
    the others are explained against is left out.

    Arguments
    ---------
    interpreter : Interpreter
        The one whose interpretation is known.
    explain : callable
        From an interpreter and class ids, None for those that are explained
        already, to its interpretation of clips that were looked at.
    other_ids : sequence of torch.Tensor
        Each `[batch]`, int64, such as `list_others` chooses.

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
            yield other, explain(other, None)
    against = interpreter.against
    for ids in other_ids:
        if against is not None and bool((ids == against).all()):
            continue
        yield interpreter, explain(interpreter, ids)


def list_others(found: Interpretation, target: int | None) -> list[Tensor]:
    """Choose which other classes of a clip a report shows.

    Of several labels all that are said to be there; else, or if there are no
    others, what `focalaudio.report.page.choose_classes` compares with.

    Arguments
    ---------
    found : Interpretation
        Of a batch of one.
    target : int
        The true class; None if it is not known.

    Returns
    -------
    list of torch.Tensor
        Each `[1]`, int64.
    """
    explained = int(found.class_ids[0])
    present = found.present[0].nonzero()[:, 0]
    others = [index[None] for index in present if int(index) != explained]
    return others or choose_classes(found, [target])[1:]


def show_scored(
    found: Interpretation, way: Interpreter, clip_id: str
) -> tuple[PageClip, View]:
    """Return what a report shows of one clip, with the scores of its parts.

    `found` is by `way`, of a batch of one; both parts are classified.
    """
    with torch.no_grad():
        scores = score_parts(found, way.classify_parts(found), 0)
    return show_clip(found, 0, clip_id, *split_name(way.name), scores)


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
        How it is explained, see `SoundInterpreter.explain_batch`.

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
    seen = model.look(wav)
    interpreter = model.interpreter(**choice)

    def explain(way: Interpreter, ids: Tensor | None) -> Interpretation:
        return model.explain_with([way], seen, ids)[0]

    first = explain(interpreter, None)
    target = model.labels.index(label) if label in model.labels else None
    other_ids = list_others(first, target)
    clip, view = show_scored(first, interpreter, clip_id)
    further = [
        show_scored(each, way, clip_id)[1]
        for way, each in look_further(interpreter, explain, other_ids)
    ]
    return replace(clip, label=label, views=[view, *further])
