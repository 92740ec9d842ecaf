"""`means at several quantiles -> figure`: each metric against the quantile.

Figure 3 of arXiv 2402.02754.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from focalaudio.masks import check_quantile
from focalaudio.metrics.table import METRICS
from focalaudio.pictures.canvas import (
    TITLE_LETTERS,
    WIDTH,
    Style,
    count_columns,
    make_grid,
    wrap,
)

Row = Mapping[str, Any]

XLABEL = "quantile (share of cells dropped)"
WAYS = {"up": "higher is better", "down": "lower is better", "": ""}
# Okabe and Ito's, told apart by everybody, the pale ones last. As 7 colors, 8
# markers and 4 kinds of lines have no common cycle below 56, so many series
# differ, and the first 8 do without their color.
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#000000",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
MARKERS = "osD^vPX*"
LINES = ("-", "--", "-.", ":")
BAND: Style = {"alpha": 0.15, "linewidth": 0}
WHISKER: Style = {"alpha": 0.5, "linewidth": 1}
LETTERS = 111  # that fit across a figure, of titles of panels
KEY, KEY_LETTER, KEY_LINE = 0.7, 0.085, 0.25  # inches, of the legend


def draw_sweep(rows: Sequence[Row], metrics: Sequence[str]) -> Figure:
    """Draw each metric against the quantile, one line per interpreter.

    Arguments
    ---------
    rows : sequence of mapping
        `interpreter` (without its quantile), `quantile` (0 to 1), each
        metric's mean and, where they are known, the ends of its 95 % interval
        as `<metric>_low` and `<metric>_high`. What is absent, None or not
        finite is a gap.
    metrics : sequence of str
        What to draw, one panel each; those of `METRICS` say which way is
        better.

    Returns
    -------
    matplotlib.figure.Figure
        With at most three panels in a row, and one legend.

    Raises
    ------
    ValueError
        If there is no row or no metric, a metric that no row has, a quantile
        outside 0 to 1, or two rows for one point.

    Example
    -------
    >>> rows = [
    ...     {"interpreter": "random", "quantile": 0.5, "fidelity": 0.4},
    ...     {"interpreter": "random", "quantile": 0.9, "fidelity": 0.1},
    ... ]
    >>> figure = draw_sweep(rows, ["fidelity"])
    >>> figure.axes[0].get_title()
    'fidelity, higher is better'
    """
    _check_metrics(rows, metrics)
    series = _split(rows)
    names = [wrap(name, TITLE_LETTERS) for name in series]
    n_columns = _legend_columns(names)
    lines = sum(name.count("\n") + 1 for name in names) / n_columns
    margin = 0.4 + KEY_LINE * math.ceil(lines)
    figure, axes = make_grid(len(metrics), XLABEL, margin=margin)
    letters = LETTERS // count_columns(len(metrics))
    for panel, metric in zip(axes, metrics, strict=True):
        for index, points in enumerate(series.values()):
            _draw_series(panel, points, metric, _style(index))
        title = _title(metric, letters)
        panel.set_title(title, parse_math=False, fontsize=11)
        panel.grid(alpha=0.3)
    legend = figure.legend(
        axes[0].lines, names, loc="outside lower center", ncols=n_columns
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _check_metrics(rows: Sequence[Row], metrics: Sequence[str]) -> None:
    if not rows:
        raise ValueError("rows=[] must hold at least one mean.")
    if not metrics:
        raise ValueError("metrics=[] must name at least one.")
    known = {key: None for row in rows for key in row}
    for metric in metrics:
        if metric not in known:
            raise ValueError(
                f"metric={metric!r} is in no row; they have {', '.join(known)}."
            )


def _split(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Map interpreters, as they come, to their rows by rising quantile."""
    series: dict[str, dict[float, Row]] = {}
    for row in rows:
        name, quantile = row["interpreter"], row["quantile"]
        check_quantile(quantile)
        if quantile in series.setdefault(name, {}):
            raise ValueError(
                f"rows has two at quantile={quantile} for {name!r}; give each "
                "interpreter a name of its own."
            )
        series[name][quantile] = row
    return {
        name: [points[quantile] for quantile in sorted(points)]
        for name, points in series.items()
    }


def _values(points: Sequence[Row], key: str) -> list[float]:
    values = (point.get(key) for point in points)
    return [
        math.nan if value is None or not math.isfinite(value) else float(value)
        for value in values
    ]


def _draw_series(
    axes: Axes, points: Sequence[Row], metric: str, style: Style
) -> None:
    """Draw means, and their intervals as bands or, of lone points, as lines."""
    quantiles = _values(points, "quantile")
    low, high = (_values(points, f"{metric}_{end}") for end in ("low", "high"))
    color = style["color"]
    axes.plot(quantiles, _values(points, metric), markersize=5, **style)
    axes.fill_between(quantiles, low, high, color=color, **BAND)
    ends = list(zip(quantiles, low, high, strict=True))
    known = [False, *(math.isfinite(sum(end)) for end in ends), False]
    for index, end in enumerate(ends):
        if known[index : index + 3] == [False, True, False]:
            axes.vlines(*end, color=color, **WHISKER)


def _style(index: int) -> Style:
    return {
        "color": COLORS[index % len(COLORS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[index % len(LINES)],
    }


def _title(metric: str, letters: int) -> str:
    """Name a metric and the better way, in two lines if one is too short."""
    name = wrap(metric.replace("_", " "), letters, max_lines=1)
    way = WAYS[METRICS[metric].direction if metric in METRICS else ""]
    if not way:
        return name
    fits = len(name) + len(way) + 2 <= letters
    return f"{name}, {way}" if fits else f"{name},\n{way}"


def _legend_columns(names: Sequence[str]) -> int:
    """Return how many entries of a legend fit beside each other."""
    longest = max(len(line) for name in names for line in name.split("\n"))
    fitting = int((WIDTH - 0.5) / (KEY + KEY_LETTER * longest))
    return max(1, min(len(names), fitting))
