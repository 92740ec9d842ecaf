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
    """Make a figure without axes that lays itself out; sizes are in inches.

    Example
    -------
    >>> new_figure(4.0, 3.0).get_size_inches().tolist()
    [4.0, 3.0]
    """
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure((width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def count_columns(n_panels: int) -> int:
    """Return how many panels stand in a row, 1 to 3.

    Example
    -------
    >>> [count_columns(n_panels) for n_panels in (1, 2, 3, 4, 5)]
    [1, 2, 3, 2, 3]
    """
    return 2 if n_panels == 4 else min(n_panels, 3)


def make_grid(
    n_panels: int, xlabel: str, ylabel: str | None = None, *, margin: float
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels on one scale, labelled at the outer edge.

    Arguments
    ---------
    n_panels : int
        At least 1.
    xlabel : str
        Of all panels; their x axis is one.
    ylabel : str, optional
        Of all panels; without it each has a y axis of its own.
    margin : float
        Inches of height beside the rows of panels.

    Returns
    -------
    tuple
        The figure, and its panels by row.

    Example
    -------
    >>> figure, axes = make_grid(5, "Time (s)", margin=0.9)
    >>> [panel.get_xlabel() for panel in axes]
    ['', '', 'Time (s)', 'Time (s)', 'Time (s)']
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

    Arguments
    ---------
    figure : matplotlib.figure.Figure
        Any.
    path : str or pathlib.Path
        Where it goes; its folder is made if needed.
    dpi : int
        Pixels per inch.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "new" / "empty.png"
    >>> save_picture(new_figure(4.0, 3.0), path).read_bytes()[1:4]
    b'PNG'
    """
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)
    return Path(path)


def wrap(text: str, width: int, max_lines: int = 2) -> str:
    r"""Break a text into lines of at most `width` letters; a rest ends in dots.

    Example
    -------
    >>> wrap("a dog barks twice", 9)
    'a dog\nbarks...'
    """
    lines = textwrap.wrap(text, width)
    if len(lines) > max_lines:
        last = lines[max_lines - 1][: width - 3] + "..."
        lines[max_lines - 1 :] = [last]
    return "\n".join(lines)


def format_share(share: Tensor) -> str:
    """Format a share, 0 to 1, as a percentage with one decimal.

    Example
    -------
    >>> import torch
    >>> format_share(torch.tensor(0.5))
    '50.0 %'
    """
    return f"{100 * float(share):.1f} %"
