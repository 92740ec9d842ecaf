"""`tensors -> figures`: what all figures share, from their size to their file.

Figures are plain objects: no pyplot, no backend, no global setting is touched,
and nothing is kept open.
"""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from focalaudio.files import replace_file

Style = dict[str, Any]

WIDTH, ROW_HEIGHT = 10.0, 2.9  # inches, of figures and rows of panels
LETTER = 0.065  # inches, of a letter
DPI = 120
TITLE_LETTERS = 80  # that fit across a figure


def new_figure(width: float, height: float) -> Figure:
    """Make a figure without axes that lays itself out; sizes are in inches."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure((width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def count_columns(n_panels: int) -> int:
    """Return how many panels stand in a row, 1 to 3."""
    return 2 if n_panels == 4 else min(n_panels, 3)


def make_grid(
    n_panels: int, xlabel: str, ylabel: str | None = None, *, margin: float
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels on one scale, labelled at the outer edge.

    Without `ylabel` each panel has a y axis of its own; `margin` is inches of
    height beside the rows of panels. Returns the figure, and its panels by row.
    """
    n_columns = count_columns(n_panels)
    n_rows = math.ceil(n_panels / n_columns)
    figure = new_figure(WIDTH, ROW_HEIGHT * n_rows + margin)
    grid = figure.subplots(
        n_rows,
        n_columns,
        sharex=True,
        sharey=ylabel is not None,
        squeeze=False,
    )
    axes = list(grid.flat)
    for unused in axes[n_panels:]:
        unused.remove()
    for panel in axes[:n_panels:n_columns]:
        panel.set_ylabel(ylabel or "")
    for panel in axes[n_panels - n_columns : n_panels]:
        panel.set_xlabel(xlabel)
        panel.tick_params(labelbottom=True)
    return figure, axes[:n_panels]


def save_picture(figure: Figure, path: str | Path, *, dpi: int = DPI) -> Path:
    """Write a figure as PNG, whole or not at all.

    Missing folders are made; `dpi` is pixels per inch.
    """
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)
    return Path(path)


def wrap(text: str, width: int, max_lines: int = 2) -> str:
    """Break a text into lines of `width` letters at most; a rest gets dots."""
    lines = textwrap.wrap(text, width)
    if len(lines) > max_lines:
        last = lines[max_lines - 1][: width - 3] + "..."
        lines[max_lines - 1 :] = [last]
    return "\n".join(lines)


def format_share(share: Tensor) -> str:
    """Format a share, 0 to 1, as a percentage with one decimal."""
    return f"{100 * float(share):.1f} %"
