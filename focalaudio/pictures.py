"""Tensors -> figures with seconds, kHz and dB on the axes.

The only place that imports matplotlib. Figures are plain objects: no pyplot,
no backend, no global setting is touched, and nothing is kept open.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from focalaudio.files import replace_file
from focalaudio.interpreters.base import Interpretation
from focalaudio.masks import CONSTANT_RANGE
from focalaudio.spectrogram import Spectrogram

Style = dict[str, Any]

WIDTH, ROW_HEIGHT = 10.0, 2.9  # inches, of figures and rows of spectrograms
CELL, LETTER = 0.25, 0.065  # inches, of a count's cell (at least), a letter
DPI = 120
TITLE_LETTERS, LABEL_LETTERS = 80, 30  # that fit across a figure, an axis
FLOOR_DB = -80.0  # below the loudest cell; softer cells look like silence
# About the magnitude of a tone 100 dB below full scale. A clip without a louder
# cell is drawn dark: the STFT gives 1e-7 for silence, nothing to look at.
QUIETEST = 1e-3

LEVEL_COLORS = colormaps["magma"].with_extremes(bad="0.8")
LEVELS: Style = {"vmin": FLOOR_DB, "vmax": 0.0}
SALIENCY: Style = {"cmap": "viridis", "alpha": 0.7}
SHARES: Style = {"cmap": "Blues", "vmin": 0.0, "vmax": 100.0}
# Blue and vermilion of Okabe and Ito, told apart by everybody.
TRAIN: Style = {"color": "#0072B2", "marker": "o", "linestyle": "--"}
VALID: Style = {"color": "#D55E00", "marker": "s", "linestyle": "-"}
BEST: Style = {"color": "black", "linestyle": ":"}


def draw_interpretation(
    interpretation: Interpretation,
    row: int,
    *,
    spectrogram: Spectrogram,
    labels: Sequence[str],
    title: str | None = None,
    target_label: str | None = None,
) -> Figure:
    """Draw what a classifier was given, looked at, kept and left out.

    Four panels: the clip, its saliency laid over it, the kept and the removed
    part. Levels are relative to the loudest cell of the clip.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch of clips.
    row : int
        Which clip of the batch, from 0.
    spectrogram : Spectrogram
        The analysis that the interpreter used; gives seconds and kHz.
    labels : sequence of str
        Name of each class, in the order of the logits.
    title : str, optional
        A first line, for instance the clip's name.
    target_label : str, optional
        Name of the true class, if it is known.

    Returns
    -------
    matplotlib.figure.Figure
        Of the clip's own frames only.

    Raises
    ------
    ValueError
        If there is no such row, or not one label for each class.

    Example
    -------
    >>> import torch
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.interpreters import ByDesignInterpreter
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> interpreter = ByDesignInterpreter(classifier, Spectrogram())
    >>> figure = draw_interpretation(
    ...     interpreter(torch.rand(1, 8000)),
    ...     0,
    ...     spectrogram=interpreter.spectrogram,
    ...     labels=("rain", "dog"),
    ... )
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['Input', 'Saliency over the input']
    """
    _check_row(interpretation, row, labels)
    n_frames = int(interpretation.spectrum.n_frames[row])
    whole, kept, removed, mask, saliency = (
        part[row, :n_frames].detach().cpu().float()
        for part in (
            interpretation.log_magnitude,
            interpretation.kept,
            interpretation.removed,
            interpretation.mask,
            interpretation.saliency,
        )
    )
    kept = kept.masked_fill(mask == 0, math.nan)
    removed = removed.masked_fill(mask == 1, math.nan)
    levels = _levels((whole, kept, removed), spectrogram)
    share = _percent(mask.mean())
    titles = "Input", f"Kept: {share} of the cells (gray: the rest)", "Removed"
    figure, axes = _grid(4)
    _draw_levels(figure, [axes[0], *axes[2:]], titles, levels, spectrogram)
    _draw_saliency(axes[1], saliency, levels[0], spectrogram)
    verdict = _verdict(interpretation, row, labels, target_label)
    text = f"{_wrap(title, TITLE_LETTERS)}\n{verdict}" if title else verdict
    figure.suptitle(text, parse_math=False, fontsize=12)
    return figure


def draw_spectrograms(
    panels: Sequence[tuple[str, Tensor]], spectrogram: Spectrogram
) -> Figure:
    """Draw spectrograms beside each other, on one scale of time and level.

    Levels are relative to the loudest cell of all panels.

    Arguments
    ---------
    panels : sequence of tuple
        Title, and log1p magnitude `[time, freq]`, any number of frames; NaN
        where something is left out, which is drawn gray.
    spectrogram : Spectrogram
        The analysis they come from; gives seconds and kHz.

    Returns
    -------
    matplotlib.figure.Figure
        With at most three panels in a row.

    Raises
    ------
    ValueError
        If there is no panel, or one that is not from this analysis.

    Example
    -------
    >>> import torch
    >>> spectrogram = Spectrogram()
    >>> clips = spectrogram(torch.rand(2, 8000)).log_magnitude
    >>> panels = [("Rain", clips[0]), ("Dog", clips[1])]
    >>> figure = draw_spectrograms(panels, spectrogram)
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('Time (s)', 'Frequency (kHz)')
    """
    if not panels:
        raise ValueError("panels=[] must hold at least one spectrogram.")
    levels = _levels([part for _, part in panels], spectrogram)
    figure, axes = _grid(len(panels))
    letters = TITLE_LETTERS // (2 if len(panels) in (2, 4) else 3)
    titles = [_wrap(title, letters) for title, _ in panels]
    _draw_levels(figure, axes, titles, levels, spectrogram)
    return figure


def draw_learning_curve(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw loss and accuracy over the epochs of a training.

    The best epoch has the highest accuracy or, without any, the lowest
    validation loss; the earliest of equals.

    Arguments
    ---------
    rows : sequence of mapping
        One for each epoch: `epoch`, and as far as they are known
        `train_loss`, `valid_loss`, `valid_accuracy` (0 to 1). What is absent,
        None or not finite is left out.

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
    accuracy = _series(rows, "valid_accuracy")
    n_panels = 2 if accuracy else 1
    figure = _new_figure(WIDTH, 3.2 * n_panels)
    axes = list(figure.subplots(n_panels, sharex=True, squeeze=False).flat)
    _draw_line(axes[0], _series(rows, "train_loss"), label="train", **TRAIN)
    _draw_line(axes[0], loss, label="valid", **VALID)
    axes[0].set_ylabel("Loss")
    if accuracy:
        percent = {epoch: 100 * value for epoch, value in accuracy.items()}
        _draw_line(axes[1], percent, label="valid", **VALID)
        axes[1].set_ylabel("Accuracy (%)")
    _mark_best(axes, accuracy, loss)
    axes[-1].set_xlabel("Epoch")
    epochs = MaxNLocator(integer=True, min_n_ticks=1)
    axes[-1].xaxis.set_major_locator(epochs)
    return figure


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
    names = [_wrap(label, LABEL_LETTERS, max_lines=1) for label in labels]
    margin = LETTER * max(map(len, names)) + 1.0
    side = cell * n_classes
    figure = _new_figure(side + margin + 1.0, side + 0.7 * margin + 0.5)
    axes = figure.subplots()
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    _draw_shares(axes, 100 * shares, names)
    _write_counts(axes, counts, shares, fontsize=min(10, 100 * cell / digits))
    right, total = counts.trace(), counts.sum()
    rate = _percent(right / total.clamp(min=1))
    axes.set_title(f"{right:.0f} of {total:.0f} clips right ({rate})", size=11)
    return figure


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
    >>> figure = draw_learning_curve([{"epoch": 1, "train_loss": 2.0}])
    >>> path = getfixture("tmp_path") / "new" / "curve.png"
    >>> save_picture(figure, path).read_bytes()[1:4]
    b'PNG'
    """
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)
    return Path(path)


def _new_figure(width: float, height: float) -> Figure:
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure((width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _grid(n_panels: int) -> tuple[Figure, list[Axes]]:
    """Make axes of time and frequency, labelled at the outer edge."""
    n_columns = 2 if n_panels == 4 else min(n_panels, 3)
    n_rows = math.ceil(n_panels / n_columns)
    figure = _new_figure(WIDTH, ROW_HEIGHT * n_rows + 0.9)
    grid = figure.subplots(
        n_rows, n_columns, sharex=True, sharey=True, squeeze=False
    )
    axes = list(grid.flat)
    for unused in axes[n_panels:]:
        unused.remove()
    for panel in axes[:n_panels:n_columns]:
        panel.set_ylabel("Frequency (kHz)")
    for panel in axes[n_panels - n_columns : n_panels]:
        panel.set_xlabel("Time (s)")
        panel.tick_params(labelbottom=True)
    return figure, axes[:n_panels]


def _levels(parts: Sequence[Tensor], spectrogram: Spectrogram) -> list[Tensor]:
    """Turn log1p magnitudes into dB relative to the loudest cell of all."""
    for part in parts:
        _check_panel(part, spectrogram)
    magnitudes = [part.detach().cpu().float().expm1() for part in parts]
    peak = max(part.nan_to_num().max().item() for part in magnitudes)
    peak = max(peak, QUIETEST)
    floor = 10 ** (FLOOR_DB / 20)
    return [20 * (part / peak).clamp(min=floor).log10() for part in magnitudes]


def _check_panel(log_magnitude: Tensor, spectrogram: Spectrogram) -> None:
    shape, n_bins = tuple(log_magnitude.shape), spectrogram.n_frequencies
    if len(shape) != 2 or shape[0] == 0 or shape[1] != n_bins:
        raise ValueError(
            f"log_magnitude has shape {shape}; it must be [time, {n_bins}], "
            "a clip analyzed by the same Spectrogram."
        )


def _check_row(
    interpretation: Interpretation, row: int, labels: Sequence[str]
) -> None:
    batch, n_classes = interpretation.logits.shape
    if not 0 <= row < batch:
        raise ValueError(f"row={row} must be from 0 to {batch - 1}.")
    if len(labels) != n_classes:
        raise ValueError(
            f"labels has {len(labels)} names but the classifier has "
            f"{n_classes} classes; give one name for each."
        )


def _draw_levels(
    figure: Figure,
    axes: Sequence[Axes],
    titles: Sequence[str],
    levels: Sequence[Tensor],
    spectrogram: Spectrogram,
) -> None:
    """Show dB on one scale of time; their bar spans the figure."""
    for panel, title, part in zip(axes, titles, levels, strict=True):
        image = _show(panel, part, spectrogram, cmap=LEVEL_COLORS, **LEVELS)
        panel.set_title(title, parse_math=False, fontsize=11)
    # the panel with the most frames sets the scale
    axes[0].set_xlim(right=max(panel.dataLim.x1 for panel in axes))
    figure.colorbar(
        image,
        ax=figure.axes,
        location="bottom",
        label="Level (dB, 0 = the loudest cell)",
        fraction=0.3 / figure.get_figheight(),
        aspect=60,
    )


def _draw_saliency(
    axes: Axes, saliency: Tensor, levels: Tensor, spectrogram: Spectrogram
) -> None:
    """Lay saliency over a gray spectrogram, with its own color bar."""
    _show(axes, levels, spectrogram, cmap="gray_r", **LEVELS)
    low, high = saliency.min().item(), saliency.max().item()
    if high - low <= CONSTANT_RANGE * high:
        low, high = 0.0, 2 * high or 1.0  # rounding must not look like a map
    scale: Style = {"vmin": low, "vmax": high}
    image = _show(axes, saliency, spectrogram, **SALIENCY, **scale)
    axes.set_title("Saliency over the input", fontsize=11)
    axes.figure.colorbar(image, ax=axes, label="Saliency (no unit)")


def _show(
    axes: Axes, values: Tensor, spectrogram: Spectrogram, **style: Any
) -> AxesImage:
    """Show `[time, freq]` with each cell's middle at its second and kHz."""
    step = spectrogram.hop_samples / spectrogram.sample_rate
    band = spectrogram.sample_rate / spectrogram.n_fft / 1000
    right, top = (len(values) - 0.5) * step, (values.shape[1] - 0.5) * band
    style |= {"extent": (-0.5 * step, right, -0.5 * band, top)}
    return axes.imshow(values.T.numpy(), origin="lower", aspect="auto", **style)


def _verdict(
    interpretation: Interpretation,
    row: int,
    labels: Sequence[str],
    target_label: str | None,
) -> str:
    score, index = interpretation.probs[row].max(dim=0)
    parts = [
        f"Predicted: {labels[int(index)]} ({_percent(score)})",
        f"Explained: {labels[int(interpretation.class_ids[row])]}",
    ]
    if target_label is not None:
        parts.append(f"True: {target_label}")
    line = "   |   ".join(parts)
    if len(line) <= TITLE_LETTERS:
        return line
    return "\n".join(_wrap(part, TITLE_LETTERS) for part in parts)


def _percent(share: Tensor) -> str:
    return f"{100 * float(share):.1f} %"


def _wrap(text: str, width: int, max_lines: int = 2) -> str:
    """Break a text into lines; what does not fit ends in dots."""
    lines = textwrap.wrap(text, width)
    if len(lines) > max_lines:
        last = lines[max_lines - 1][: width - 3] + "..."
        lines[max_lines - 1 :] = [last]
    return "\n".join(lines)


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
