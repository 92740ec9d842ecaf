"""`counts -> figure`: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from focalaudio.pictures.canvas import (
    LETTER,
    Style,
    format_share,
    new_figure,
    wrap,
)

CELL = 0.25  # inches, of a count's cell (at least)
LABEL_LETTERS = 30  # that fit along an axis
SHARES: Style = {"cmap": "Blues", "vmin": 0.0, "vmax": 100.0}


def draw_confusion(counts: Tensor, labels: Sequence[str]) -> Figure:
    """Draw which classes are taken for which.

    Colors are shares of each true class; the counts are written in the cells,
    except zeros.

    Arguments
    ---------
    counts : torch.Tensor
        `[n_classes, n_classes]`, number of clips: true class by row,
        predicted class by column.
    labels : sequence of str
        Name of each class.

    Returns
    -------
    matplotlib.figure.Figure
        As large as the classes and the digits need.

    Raises
    ------
    ValueError
        If `counts` is not square, or there is not one label for each class.

    Example
    -------
    >>> import torch
    >>> counts = torch.tensor([[8, 2], [0, 10]])
    >>> draw_confusion(counts, ["rain", "dog"]).axes[0].get_title()
    '18 of 20 clips right (90.0 %)'
    """
    n_classes = len(labels)
    if n_classes == 0 or counts.shape != (n_classes, n_classes):
        raise ValueError(
            f"counts has shape {tuple(counts.shape)} but there are "
            f"{n_classes} labels; it must be [n_classes, n_classes]."
        )
    counts = counts.detach().cpu().double()
    digits = len(f"{counts.max():.0f}")
    cell = max(CELL, 0.07 * digits, 4.0 / n_classes)
    names = [wrap(label, LABEL_LETTERS, max_lines=1) for label in labels]
    margin = LETTER * max(map(len, names)) + 1.0
    side = cell * n_classes
    figure = new_figure(side + margin + 1.0, side + 0.7 * margin + 0.5)
    axes = figure.subplots()
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    _draw_shares(axes, 100 * shares, names)
    _write_counts(axes, counts, shares, fontsize=min(10, 100 * cell / digits))
    right, total = counts.trace(), counts.sum()
    rate = format_share(right / total.clamp(min=1))
    axes.set_title(f"{right:.0f} of {total:.0f} clips right ({rate})", size=11)
    return figure


def _draw_shares(axes: Axes, percent: Tensor, names: Sequence[str]) -> None:
    image = axes.imshow(percent.numpy(), **SHARES)
    ticks = range(len(names))
    text: Style = {"fontsize": 9, "parse_math": False}
    slanted: Style = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(ticks, names, **text, **slanted)
    axes.set_yticks(ticks, names, **text)
    axes.set(xlabel="Predicted class", ylabel="True class")
    between = [tick + 0.5 for tick in ticks[:-1]]
    axes.set_xticks(between, minor=True)
    axes.set_yticks(between, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    label = "Share of the true class (%)"
    axes.figure.colorbar(image, ax=axes, label=label, fraction=0.045, aspect=30)


def _write_counts(
    axes: Axes, counts: Tensor, shares: Tensor, **style: Any
) -> None:
    style |= {"ha": "center", "va": "center"}
    for row, column in counts.nonzero().tolist():
        color = "white" if shares[row, column] > 0.6 else "black"
        text = f"{counts[row, column]:.0f}"
        axes.text(column, row, text, color=color, **style)
