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
KEPT: Style = {"color": "black", "linestyle": ":"}


def draw_learning_curve(
    rows: Sequence[Mapping[str, Any]], kept: int | None = None
) -> Figure:
    """Draw loss and accuracy over the epochs of a training.

    Of several labels for a clip, the mean average precision is in place of the
    accuracy.

    Arguments
    ---------
    rows : sequence of mapping
        One for each epoch: `epoch`, and as far as they are known
        `train_loss`, `valid_loss`, `valid_accuracy` or
        `valid_average_precision` (0 to 1). What is absent, None or not finite
        is left out.
    kept : int
        The epoch that was kept and tested, which is marked; none if None.

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
    >>> draw_learning_curve(rows, 2).axes[1].get_legend_handles_labels()[1]
    ['valid', 'kept: epoch 2 (70.0 %)']
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
    _mark_kept(axes, kept, accuracy, loss)
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


def _mark_kept(
    panels: Sequence[Axes],
    kept: int | None,
    accuracy: Mapping[int, float],
    loss: Mapping[int, float],
) -> None:
    """Draw a line through the epoch that was kept, and the legends."""
    for axes in panels:
        if kept is not None:
            label = f"kept: epoch {kept}{_tell(kept, accuracy, loss)}"
            axes.axvline(kept, label=label, **KEPT)
        if axes.lines:
            axes.legend()
        axes.grid(alpha=0.3)


def _tell(
    epoch: int, accuracy: Mapping[int, float], loss: Mapping[int, float]
) -> str:
    """Say what an epoch reached, as far as it is known."""
    if epoch in accuracy:
        return f" ({100 * accuracy[epoch]:.1f} %)"
    return f" (loss {loss[epoch]:.3g})" if epoch in loss else ""
