"""`mask -> boxes`: where in a clip a class was heard, in seconds and Hz.

The kept cells that touch, or nearly, are one part; a part's box is the smallest
that holds it. Connected parts are scipy's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from torch import Tensor

from focalaudio.spectrogram import Spectrogram

KEPT = 0.5  # of a cell: at least so much of it is kept in a part
NEIGHBORS = np.ones((3, 3))  # cells that touch at a corner touch
EPS_HELD = 1e-12  # protects the division by what an empty mask keeps
EPS_CELL = 1e-6  # of a cell: a gap of whole cells is not rounded down


@dataclass(frozen=True)
class HeardBox:
    """A part of a clip in which a class was heard.

    Arguments
    ---------
    begin, end : float
        s from the recording's start.
    low, high : float
        Hz.
    score : float
        Share of what the clip's mask keeps that this part holds, 0 to 1.
    class_id : int
        The class that was heard.
    label : str
        Its name.
    clip : int
        Row of the batch, from 0.

    Example
    -------
    >>> HeardBox(0.5, 1.0, 200.0, 4000.0, 0.8, 3, "dog").label
    'dog'
    """

    begin: float
    end: float
    low: float
    high: float
    score: float
    class_id: int = 0
    label: str = ""
    clip: int = 0

    def move(self, seconds: float) -> HeardBox:
        """Return the box so much later, as a part of a longer recording."""
        return replace(self, begin=self.begin + seconds, end=self.end + seconds)


@dataclass(frozen=True)
class BoxRules:
    """What is one box, and which boxes are told.

    Arguments
    ---------
    gap_seconds, gap_hertz : float
        Parts with no more than this between them, in time and in frequency,
        are one; at least 0.
    least_score : float
        Parts that hold less of what the mask keeps are dropped, 0 to 1.
    most : int
        So many boxes of a clip at most, those with the highest score; from 1.

    Raises
    ------
    ValueError
        If a number is out of range.

    Example
    -------
    >>> BoxRules(most=3).gap_hertz
    200.0
    """

    gap_seconds: float = 0.1
    gap_hertz: float = 200.0
    least_score: float = 0.02
    most: int = 10

    def __post_init__(self) -> None:
        for name in ("gap_seconds", "gap_hertz"):
            if not getattr(self, name) >= 0:
                value = getattr(self, name)
                raise ValueError(f"{name}={value} must be at least 0.")
        if not 0 <= self.least_score <= 1:
            raise ValueError(
                f"least_score={self.least_score} must be between 0 and 1."
            )
        if self.most < 1:
            raise ValueError(f"most={self.most} must be at least 1.")


RULES = BoxRules()


def find_boxes(
    mask: Tensor,
    weight: Tensor,
    spectrogram: Spectrogram,
    n_samples: int,
    rules: BoxRules = RULES,
) -> list[HeardBox]:
    """Find the boxes of one clip's mask.

    A cell belongs to a part if at least half of it is kept, and reaches half
    a hop and half a bin to either side of its center, as in
    `focalaudio.metrics.boxes`.

    Arguments
    ---------
    mask : torch.Tensor
        `[time, freq]`, bool or 0 to 1.
    weight : torch.Tensor
        `[time, freq]`, non-negative: what a part is ranked by, such as the
        saliency or the energy of its cells.
    spectrogram : Spectrogram
        The analysis that both are of.
    n_samples : int
        Of the clip: what follows holds no box.
    rules : BoxRules
        What is merged and what is dropped.

    Returns
    -------
    list of HeardBox
        The highest score first; of no class yet.

    Example
    -------
    >>> import torch
    >>> mask = torch.zeros(100, 513)
    >>> mask[20:40, 64:128] = 1
    >>> (box,) = find_boxes(mask, mask, Spectrogram(), 16000)
    >>> f"{box.begin:.3f} to {box.end:.3f} s, {box.low:.0f} to {box.high:.0f}"
    '0.227 to 0.459 s, 992 to 1992'
    """
    hop = spectrogram.hop_samples / spectrogram.sample_rate  # s
    bin_width = spectrogram.sample_rate / spectrogram.n_fft  # Hz
    duration = n_samples / spectrogram.sample_rate
    n_frames = math.ceil(duration / hop + 0.5)  # those that begin before it
    kept = _to_numpy(mask[:n_frames])
    held = kept * _to_numpy(weight[:n_frames])
    gaps = (
        _in_cells(rules.gap_seconds, hop),
        _in_cells(rules.gap_hertz, bin_width),
    )
    in_parts = kept >= KEPT
    parts, n_parts = _connect(in_parts, gaps)
    sums = np.bincount(parts[in_parts], held[in_parts], n_parts + 1)[1:]
    whole = max(held.sum(dtype=np.float64), EPS_HELD)
    found = [
        HeardBox(
            *_edges(times, hop, duration),
            *_edges(bins, bin_width, spectrogram.sample_rate / 2),
            float(share),
        )
        for (times, bins), share in zip(
            ndimage.find_objects(parts),
            np.minimum(sums / whole, 1.0),  # they add up in another order
            strict=True,
        )
        if share > 0 and share >= rules.least_score
    ]
    found.sort(key=lambda box: -box.score)
    return found[: rules.most]


def _to_numpy(cells: Tensor) -> np.ndarray:
    return cells.detach().cpu().float().numpy()


def _in_cells(gap: float, width: float) -> int:
    """How many whole cells fit into a gap."""
    return int(gap / width + EPS_CELL)


def _connect(
    cells: np.ndarray, gaps: tuple[int, int]
) -> tuple[np.ndarray, int]:
    """Number the parts of `[time, freq]`, bool, from 1; 0 is none.

    Each cell is stretched over as many as a gap may have: two cells that are
    no further apart touch then.
    """
    size = [gap + 1 for gap in gaps]
    stretched = ndimage.maximum_filter(cells, size, mode="constant")
    parts, n_parts = ndimage.label(stretched, NEIGHBORS)
    return np.where(cells, parts, 0), n_parts


def _edges(cells: slice, width: float, most: float) -> tuple[float, float]:
    """Return where cells, centered at multiples of a width, begin and end."""
    begin, end = (cells.start - 0.5) * width, (cells.stop - 0.5) * width
    return max(0.0, begin), min(most, end)


def join_boxes(boxes: Iterable[HeardBox], gap: float) -> Iterator[HeardBox]:
    """Join boxes of one class that go on from window to window.

    Arguments
    ---------
    boxes : iterable of HeardBox
        Of neighboring windows of one recording, by their begin.
    gap : float
        s that may lie between two boxes that are one.

    Yields
    ------
    HeardBox
        By their end; a box that was joined has the highest score of its parts.

    Example
    -------
    >>> first = HeardBox(0.0, 2.0, 100.0, 300.0, 0.5)
    >>> second = HeardBox(2.0, 3.0, 200.0, 400.0, 0.7)
    >>> [(b.begin, b.end, b.high) for b in join_boxes([first, second], 0.01)]
    [(0.0, 3.0, 400.0)]
    """
    open_boxes: list[HeardBox] = []
    for box in boxes:
        past = [one for one in open_boxes if one.end + gap < box.begin]
        yield from sorted(past, key=lambda one: one.end)
        open_boxes = [one for one in open_boxes if one not in past]
        same = [one for one in open_boxes if _goes_on(one, box, gap)]
        open_boxes = [one for one in open_boxes if one not in same]
        open_boxes.append(_unite([*same, box]))
    yield from sorted(open_boxes, key=lambda one: one.end)


def _goes_on(one: HeardBox, other: HeardBox, gap: float) -> bool:
    """Whether the other begins where one ends, in its band and class."""
    return (
        one.class_id == other.class_id
        and abs(other.begin - one.end) <= gap
        and one.low < other.high
        and other.low < one.high
    )


def _unite(boxes: list[HeardBox]) -> HeardBox:
    """Return the box around boxes."""
    return replace(
        boxes[-1],
        begin=min(box.begin for box in boxes),
        end=max(box.end for box in boxes),
        low=min(box.low for box in boxes),
        high=max(box.high for box in boxes),
        score=max(box.score for box in boxes),
    )
