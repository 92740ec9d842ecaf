"""`segments and boxes of a recording -> figure`: what was heard when."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from focalaudio.boxes import HeardBox
from focalaudio.errors import escape_text
from focalaudio.pictures.canvas import WIDTH, Style, new_figure, wrap
from focalaudio.report.timeline import Segment

# of the labels that last longest; the rest share the gray that is left out
COLORS = [colormaps["tab10"](place) for place in range(10) if place != 7]
MOST_DRAWN = 5000  # boxes, the highest scores; more are not told apart
LETTERS = 24  # of a label, in a line

Limits = tuple[float, float, float, float]  # left, right, bottom, top


def draw_timeline(
    segments: Sequence[Segment], boxes: Sequence[HeardBox], highest: float
) -> Figure:
    """Draw what a recording was classified as, and where that was heard.

    Arguments
    ---------
    segments : sequence of Segment
        Without gap, from the recording's start to its end; at least one.
    boxes : sequence of HeardBox
        In s from the recording's start.
    highest : float
        Hz, the highest frequency.

    Returns
    -------
    matplotlib.figure.Figure
        Boxes over probabilities; a class has one color in both. Where there is
        no evidence for any there is nothing.

    Raises
    ------
    ValueError
        If there is no segment.

    Example
    -------
    >>> figure = draw_timeline([Segment(0.0, 2.5, "rain", 0.9)], [], 8000.0)
    >>> figure.axes[1].get_xlabel()
    'Time (s)'
    """
    if not segments:
        raise ValueError("segments=[] must hold at least one segment.")
    figure = new_figure(WIDTH, 5.0)
    where, when = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    known = [one for one in segments if not math.isnan(one.probability)]
    colors = _choose_colors(known, boxes)
    told = sorted(boxes, key=lambda one: -one.score)[:MOST_DRAWN]
    limits = [(b.begin, b.end, b.low / 1000, b.high / 1000) for b in told]
    _fill(where, limits, [colors[box.label] for box in told], alpha=0.6)
    where.set(ylabel="Frequency (kHz)", ylim=(0, highest / 1000))
    limits = [(one.start, one.end, 0.0, one.probability) for one in known]
    _fill(when, limits, [colors[one.label] for one in known])
    end = segments[-1].end or 1.0
    when.set(ylabel="Probability", ylim=(0, 1), xlim=(0, end))
    when.set_xlabel("Time (s)")
    _draw_legend(figure, colors)
    return figure


def _choose_colors(
    segments: Sequence[Segment], boxes: Sequence[HeardBox]
) -> dict[str, object]:
    """Give the labels that last longest a color; the others are gray."""
    seconds: dict[str, float] = {box.label: 0.0 for box in boxes}
    for one in segments:
        seconds.setdefault(one.label, 0.0)
        seconds[one.label] += one.end - one.start
    ranked = sorted(seconds, key=lambda label: -seconds[label])
    return {
        label: COLORS[place] if place < len(COLORS) else "0.6"
        for place, label in enumerate(ranked)
    }


def _fill(
    axes: Axes,
    limits: Sequence[Limits],
    colors: Sequence[object],
    alpha: float | None = None,
) -> None:
    """Draw rectangles as one thing, which takes a tenth of their seconds."""
    corners = [
        [(left, low), (left, high), (right, high), (right, low)]
        for left, right, low, high in limits
    ]
    style: Style = {"facecolors": colors, "edgecolors": "none", "alpha": alpha}
    axes.add_collection(PolyCollection(corners, **style))


def _draw_legend(figure: Figure, colors: dict[str, object]) -> None:
    # one that is alone in the gray has a name too
    n_shown = len(colors) if len(colors) == len(COLORS) + 1 else len(COLORS)
    shown = list(colors)[:n_shown]
    names = [wrap(escape_text(label), LETTERS) for label in shown]
    keys = [Rectangle((0, 0), 1, 1, color=colors[label]) for label in shown]
    if len(colors) > len(shown):
        keys.append(Rectangle((0, 0), 1, 1, color="0.6"))
        names.append(f"{len(colors) - len(shown)} others")
    legend = figure.legend(keys, names, loc="outside upper center", ncols=5)
    for text in legend.get_texts():
        text.set_parse_math(False)
