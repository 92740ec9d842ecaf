"""`history of a training -> figure`: loss and accuracy over epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from focalaudio.pictures.canvas import WIDTH, Style, new_figure

# Blue and vermilion of Okabe and Ito, told apart by everybody.
TRAIN: Style = {"color": "#0072B2", "marker": "o", "linestyle": "--"}
VALID: Style = {"color": "#D55E00", "marker": "s", "linestyle": "-"}
BEST: Style = {"color": "black", "linestyle": ":"}


def draw_learning_curve(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw loss and accuracy over the epochs of a training.

    Of several labels for a clip, the mean average precision is in place of the
    accuracy. The best epoch has the highest of it or, without any, the lowest
    validation loss; the earliest of equals.

    Arguments
    ---------
    rows : sequence of mapping
        One for each epoch: `epoch`, and as far as they are known
        `train_loss`, `valid_loss`, `valid_accuracy` or
        `valid_average_precision` (0 to 1). What is absent, None or not finite
        is left out.

    Returns
    -------
    matplotlib.figure.Figure
        Loss, and accuracy below it if there is any.

    Raises
    ------
    ValueError
        If there is no row.

    Example
    -------
    >>> rows = [
    ...     {"epoch": 1, "train_loss": 2.0, "valid_accuracy": 0.5},
    ...     {"epoch": 2, "train_loss": 1.5, "valid_accuracy": 0.7},
    ... ]
    >>> draw_learning_curve(rows).axes[1].get_legend_handles_labels()[1]
    ['valid', 'best: epoch 2 (70.0 %)']
    """
    if not rows:
        raise ValueError("rows=[] must hold at least one epoch.")
    loss = _series(rows, "valid_loss")
    name, accuracy = "Accuracy", _series(rows, "valid_accuracy")
    if precision := _series(rows, "valid_average_precision"):
        name, accuracy = "Average precision", precision
    n_panels = 2 if accuracy else 1
    figure = new_figure(WIDTH, 3.2 * n_panels)
    axes = list(figure.subplots(n_panels, sharex=True, squeeze=False).flat)
    _draw_line(axes[0], _series(rows, "train_loss"), label="train", **TRAIN)
    _draw_line(axes[0], loss, label="valid", **VALID)
    axes[0].set_ylabel("Loss")
    if accuracy:
        percent = {epoch: 100 * value for epoch, value in accuracy.items()}
        _draw_line(axes[1], percent, label="valid", **VALID)
        axes[1].set_ylabel(f"{name} (%)")
    _mark_best(axes, accuracy, loss)
    axes[-1].set_xlabel("Epoch")
    epochs = MaxNLocator(integer=True, min_n_ticks=1)
    axes[-1].xaxis.set_major_locator(epochs)
    return figure


def _series(rows: Sequence[Mapping[str, Any]], key: str) -> dict[int, float]:
    """Map epochs, in order, to the finite values of `key`."""
    known = {row["epoch"]: row.get(key) for row in rows}
    return {
        epoch: float(value)
        for epoch, value in sorted(known.items())
        if value is not None and math.isfinite(value)
    }


def _draw_line(axes: Axes, series: Mapping[int, float], **style: Any) -> None:
    if series:
        axes.plot(*zip(*series.items(), strict=True), markersize=4, **style)


def _mark_best(
    panels: Sequence[Axes],
    accuracy: Mapping[int, float],
    loss: Mapping[int, float],
) -> None:
    """Draw a line through the best epoch, and the legends."""
    if accuracy:
        best = max(accuracy, key=accuracy.__getitem__)
        label = f"best: epoch {best} ({100 * accuracy[best]:.1f} %)"
    elif loss:
        best = min(loss, key=loss.__getitem__)
        label = f"best: epoch {best} (loss {loss[best]:.3g})"
    for axes in panels:
        if accuracy or loss:
            axes.axvline(best, label=label, **BEST)
        if axes.lines:
            axes.legend()
        axes.grid(alpha=0.3)
