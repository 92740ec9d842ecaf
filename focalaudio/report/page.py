"""What a listening report is made of: records of clips, and how to fill them.

A `Page` holds what is known of a whole run. Each of its clips is a `PageClip`,
with one `View` per explained class, quantile and method, and its nearest
training clips, each a `Neighbor`. `make_view` and `make_clip` fill them from
an `Interpretation`, row by row; `focalaudio.report.writer.PageWriter` takes
them one at a time and writes `report.html`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from focalaudio.boxes import HeardBox
from focalaudio.decisions import ONE, Decision
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.masks import CONSTANT_RANGE
from focalaudio.report.words import (
    doubt_answer,
    doubt_mask,
    doubt_sound,
    tell_scores,
)

AUDIBLE = 2.0**-16  # half a step of 16 bits: less is silence
TOP = 5  # probabilities that are shown of a clip
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class View:
    """One explanation of a clip: of a class, by a method, at a quantile.

    Arguments
    ---------
    explained : str
        The class.
    method : str
        What tables call the interpreter, without its quantile.
    quantile : float
        Fraction of the cells that is dropped; None if there is no threshold.
    saliency, mask : torch.Tensor
        `[time, freq]` of the clip's own frames: non-negative, and 0 to 1.
    kept, removed : torch.Tensor
        `[samples]`, the two parts as sound; they add up to the clip.
    scores : mapping
        Numbers of this view by their column's name, such as `probability`,
        `kept_probability` and `removed_probability` of the class.
    boxes : sequence of HeardBox
        The best first.
    is_against_itself : bool
        Whether the class is explained rather than itself, which keeps nothing.

    Example
    -------
    >>> cells, wav = torch.ones(2, 3), torch.zeros(8)
    >>> View("dog", "stage_3", 0.9, cells, cells, wav, wav).warnings
    ['The saliency is the same everywhere: it says nothing.',
     'Mask nearly full: 100.0 % of the clip is kept.']
    """

    explained: str
    method: str
    quantile: float | None
    saliency: Tensor
    mask: Tensor
    kept: Tensor
    removed: Tensor
    scores: Mapping[str, float] = field(default_factory=dict)
    boxes: Sequence[HeardBox] = ()
    is_against_itself: bool = False

    @property
    def kept_fraction(self) -> float:
        """Share of the cells that is kept, 0 to 1."""
        return float(self.mask.float().mean())

    @property
    def sentences(self) -> list[str]:
        """The scores in plain words."""
        return tell_scores(self.explained, self.scores)

    @property
    def warnings(self) -> list[str]:
        """What not to trust in this view."""
        low, high = (float(end) for end in self.saliency.aminmax())
        is_telling = high - low > CONSTANT_RANGE * abs(high)
        own = self.kept_fraction, is_telling, self.is_against_itself
        return doubt_mask(*own)


@dataclass(frozen=True)
class Neighbor:
    """A training clip that the classifier finds alike.

    Arguments
    ---------
    relation : str
        `predicted` or `true`: which class of the clip it shows.
    label : str
        Its own class.
    distance : float
        In the classifier's embedding: 1 less the cosine, 0 (same) to 2.
    path : pathlib.Path
        Its sound.

    Example
    -------
    >>> Neighbor("true", "dog", 0.125, Path("1-100032-A-0.wav")).path.stem
    '1-100032-A-0'
    """

    relation: str
    label: str
    distance: float
    path: Path


@dataclass(frozen=True)
class PageClip:
    """All that a page shows of a clip.

    Arguments
    ---------
    clip_id : str
        Any text.
    label : str
        The true class; None if it is not known.
    probabilities : sequence of tuple
        Labels and probabilities of the most probable classes, falling.
    wav : torch.Tensor
        `[samples]`, the whole sound.
    log_magnitude : torch.Tensor
        `[time, freq]`, of what the classifier was shown.
    views : sequence of View
        The first is what is shown first.
    warnings : sequence of str
        What not to trust, in sentences.
    neighbors : sequence of Neighbor
        The nearest first.
    start : float
        Seconds from the start of the recording that it is a window of.
    refused : str
        Why it is given no class; empty if it is given one.
    """

    clip_id: str
    label: str | None
    probabilities: Sequence[tuple[str, float]]
    wav: Tensor
    log_magnitude: Tensor
    views: Sequence[View]
    warnings: Sequence[str] = ()
    neighbors: Sequence[Neighbor] = ()
    start: float = 0.0
    refused: str = ""

    @property
    def predicted(self) -> str:
        """The most probable class."""
        return self.probabilities[0][0]


@dataclass(frozen=True)
class Page:
    """What a page says beyond its clips.

    Arguments
    ---------
    title : str
        Any text.
    labels : sequence of str
        In the order of the class ids.
    rows : mapping
        From a method's name to its rows of `clips.csv`, for the table of
        scores, the curves and the confusion matrix; the first is the main one.
        Empty where there are no scores.
    settings : mapping
        Names and values that the head of the page lists.
    listening_test : bool
        Whether the page asks what is heard instead of saying it.
    links : mapping
        From names to addresses of other pages, relative to this one.
    decision : Decision
        Of one label for a clip, or several (between semicolons, as in rows).
    swept : mapping
        As `rows`, for the curves, if they are of others than the table.

    Example
    -------
    >>> Page("My clips", ["dog", "rain"]).listening_test
    False
    """

    title: str
    labels: Sequence[str]
    rows: Mapping[str, Rows] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    listening_test: bool = False
    links: Mapping[str, str] = field(default_factory=dict)
    decision: Decision = ONE
    swept: Mapping[str, Rows] | None = None


def make_view(
    interpretation: Interpretation,
    row: int,
    labels: Sequence[str],
    method: str,
    quantile: float | None = None,
    scores: Mapping[str, float] | None = None,
    boxes: Sequence[HeardBox] = (),
) -> View:
    """Take a row of an interpretation as a view.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    row : int
        Which clip of the batch, from 0.
    labels : sequence of str
        In the order of the class ids.
    method, quantile, boxes
        See `View`.
    scores : mapping
        See `View`; `score_parts` makes those that can be said in words.

    Returns
    -------
    View
        On the CPU, of the clip's own frames and samples.

    Example
    -------
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum = spectrogram(torch.rand(1, 1000))
    >>> cells = torch.rand(spectrum.log_magnitude.shape)
    >>> parts = torch.zeros(1, 2), torch.tensor([1]), cells, cells > 0.5
    >>> record = Interpretation(*parts, spectrum, spectrogram)
    >>> make_view(record, 0, ["dog", "rain"], "stage_3", 0.5).explained
    'rain'
    """
    frames = int(interpretation.spectrum.n_frames[row])
    saliency, mask = (
        part[row, :frames].detach().cpu()
        for part in (interpretation.saliency, interpretation.mask)
    )
    class_id = int(interpretation.class_ids[row])
    return View(
        labels[class_id],
        method,
        quantile,
        saliency.float(),
        mask,
        _own_sound(interpretation.wavs, interpretation, row),
        _own_sound(interpretation.removed_wavs, interpretation, row),
        dict(scores or {}),
        boxes,
        class_id == interpretation.against,
    )


def score_parts(
    interpretation: Interpretation, parts: tuple[Tensor, Tensor], row: int
) -> dict[str, float]:
    """Return the probabilities of the explained class that words are made of.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    parts : tuple of torch.Tensor
        Logits of the kept and of the removed parts, `[batch, n_classes]`, of
        `Interpreter.classify_parts`.
    row : int
        Which clip of the batch, from 0.

    Returns
    -------
    dict
        `probability`, `kept_probability`, `removed_probability` and
        `faithfulness`.

    Example
    -------
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum, ids = spectrogram(torch.rand(1, 1000)), torch.tensor([0])
    >>> cells, even = torch.ones(1, 6, 513), torch.zeros(1, 2)
    >>> record = Interpretation(even, ids, cells, cells, spectrum, spectrogram)
    >>> score_parts(record, (even, even), 0)["faithfulness"]
    0.0
    """
    class_id, degrees = (
        int(interpretation.class_ids[row]),
        interpretation.temperature,
    )
    whole, kept, removed = (
        float(interpretation.decision.probs(logits[row] / degrees)[class_id])
        for logits in (interpretation.logits, *parts)
    )
    return {
        "probability": whole,
        "kept_probability": kept,
        "removed_probability": removed,
        "faithfulness": whole - removed,
    }


def make_clip(
    interpretation: Interpretation,
    row: int,
    labels: Sequence[str],
    clip_id: str,
    views: Sequence[View],
    label: str | None = None,
    neighbors: Sequence[Neighbor] = (),
    start: float = 0.0,
) -> PageClip:
    """Take a row of an interpretation as a clip.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch; any of those that the views are made of.
    row : int
        Which clip of the batch, from 0.
    labels : sequence of str
        In the order of the class ids.
    clip_id, views, label, neighbors, start
        See `PageClip`.

    Returns
    -------
    PageClip
        With the five most probable classes, and what not to trust.

    Example
    -------
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum = spectrogram(torch.rand(1, 1000))
    >>> cells = torch.rand(spectrum.log_magnitude.shape)
    >>> parts = torch.zeros(1, 2), torch.tensor([1]), cells, cells > 0.5
    >>> record = Interpretation(*parts, spectrum, spectrogram)
    >>> make_clip(record, 0, ["dog", "rain"], "a", ()).warnings
    ['Close call: dog 0.50, rain 0.50.']
    """
    frames = int(interpretation.spectrum.n_frames[row])
    wav = _own_sound(
        interpretation.wavs + interpretation.removed_wavs, interpretation, row
    )
    highest = interpretation.probs[row].topk(min(TOP, len(labels)))
    probabilities = [
        (labels[index], probability)
        for probability, index in zip(
            highest.values.tolist(), highest.indices.tolist(), strict=True
        )
    ]
    known = interpretation.is_known
    is_known = known is None or bool(known[row])
    rate = interpretation.synthesis.sample_rate
    seen = (frames - 1) * interpretation.synthesis.hop_samples / rate
    seconds = len(wav) / rate
    level = math.sqrt(float(wav.square().mean()))
    return PageClip(
        clip_id,
        label,
        probabilities,
        wav,
        interpretation.log_magnitude[row, :frames].detach().cpu().float(),
        views,
        [
            *doubt_answer(
                probabilities,
                is_known,
                interpretation.decision.is_several,
            ),
            *doubt_sound(level, seconds, seen, _find_end(wav, rate)),
        ],
        neighbors,
        start,
        interpretation.refuse(row),
    )


def _find_end(wav: Tensor, sample_rate: int) -> float | None:
    """Return when a waveform's last sound ends, in s; None without any."""
    heard = (wav.abs() > AUDIBLE).nonzero()
    return float(heard[-1] + 1) / sample_rate if len(heard) else None


def _own_sound(
    wavs: Tensor, interpretation: Interpretation, row: int
) -> Tensor:
    """Return a clip's own samples, on the CPU."""
    length = int(interpretation.spectrum.n_samples[row])
    return wavs[row, :length].detach().cpu().float()


def choose_classes(
    interpretation: Interpretation, targets: Sequence[int | None] = ()
) -> list[Tensor]:
    """Choose which classes are worth a view: "why dog, why not rooster".

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    targets : sequence of int
        The true classes, None or -1 where they are not known.

    Returns
    -------
    list of torch.Tensor
        Two of `[batch]`, int64: the predicted classes, and what to compare
        each with: the true class if it is another one, else the runner-up.

    Example
    -------
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum, ids = spectrogram(torch.rand(1, 1000)), torch.tensor([0])
    >>> cells, logits = torch.ones(1, 6, 513), torch.tensor([[3.0, 1.0, 2.0]])
    >>> parts = logits, ids, cells, cells, spectrum, spectrogram
    >>> choose_classes(Interpretation(*parts), [1])
    [tensor([0]), tensor([1])]
    """
    ranked = interpretation.logits.argsort(dim=1, descending=True)
    predicted, second = ranked[:, 0], ranked[:, min(1, ranked.shape[1] - 1)]
    known = [-1 if target is None else target for target in targets]
    true = second.new_tensor(known) if known else predicted
    is_other = (true >= 0) & (true != predicted)
    return [predicted, torch.where(is_other, true, second)]
