"""`log-magnitude, mask, saliency -> figures` with seconds, kHz and dB."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.masks import CONSTANT_RANGE
from focalaudio.pictures.canvas import (
    TITLE_LETTERS,
    Style,
    count_columns,
    format_share,
    make_grid,
    wrap,
)
from focalaudio.spectrogram import Spectrogram

AXES = "Time (s)", "Frequency (kHz)"
BAR = 0.9  # inches, of the bar of levels and its words
FLOOR_DB = -80.0  # below the loudest cell; softer cells look like silence
# About the magnitude of a tone 100 dB below full scale. A clip without a louder
# cell is drawn dark: the STFT gives 1e-7 for silence, nothing to look at.
QUIETEST = 1e-3

LEVEL_COLORS = colormaps["magma"].with_extremes(bad="0.8")
LEVELS: Style = {"vmin": FLOOR_DB, "vmax": 0.0}
SALIENCY: Style = {"cmap": "viridis", "alpha": 0.7}


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
    share = format_share(mask.mean())
    titles = "Input", f"Kept: {share} of the cells (gray: the rest)", "Removed"
    figure, axes = make_grid(4, *AXES, margin=BAR)
    _draw_levels(figure, [axes[0], *axes[2:]], titles, levels, spectrogram)
    _draw_saliency(axes[1], saliency, levels[0], spectrogram)
    verdict = _verdict(interpretation, row, labels, target_label)
    text = f"{wrap(title, TITLE_LETTERS)}\n{verdict}" if title else verdict
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
    """
    if not panels:
        raise ValueError("panels=[] must hold at least one spectrogram.")
    levels = _levels([part for _, part in panels], spectrogram)
    figure, axes = make_grid(len(panels), *AXES, margin=BAR)
    letters = TITLE_LETTERS // count_columns(len(panels))
    titles = [wrap(title, letters) for title, _ in panels]
    _draw_levels(figure, axes, titles, levels, spectrogram)
    return figure


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
    parts = [
        _tell_answer(interpretation, row, labels),
        _tell_explained(interpretation, row, labels),
    ]
    if target_label is not None:
        parts.append(f"True: {target_label}")
    parts = [part for part in parts if part]
    line = "   |   ".join(parts)
    if len(line) <= TITLE_LETTERS:
        return line
    return "\n".join(wrap(part, TITLE_LETTERS) for part in parts)


def _tell_answer(
    interpretation: Interpretation, row: int, labels: Sequence[str]
) -> str:
    """Say which classes were heard, or that none was."""
    probs, present = interpretation.probs[row], interpretation.present[row]
    ranked = probs.argsort(descending=True).tolist()
    refused = interpretation.refuse(row)
    if refused:
        share = format_share(probs[ranked[0]])
        return f"{refused.capitalize()} (closest: {labels[ranked[0]]}, {share})"
    heard = (index for index in ranked if present[index])
    told = (f"{labels[each]} ({format_share(probs[each])})" for each in heard)
    return f"Predicted: {', '.join(told)}"


def _tell_explained(
    interpretation: Interpretation, row: int, labels: Sequence[str]
) -> str:
    """Say which class is explained, if that is not only the closest one."""
    explained = int(interpretation.class_ids[row])
    is_closest = explained == int(interpretation.probs[row].argmax())
    if interpretation.refuse(row) and is_closest:
        return ""
    other = interpretation.against
    against = "" if other is None else f", against {labels[other]}"
    return f"Explained: {labels[explained]}{against}"
