"""`interpretations of several systems -> the figures of arXiv 2402.02754`."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from focalaudio.audio import load_wav
from focalaudio.errors import DataError
from focalaudio.metrics.table import METRICS
from focalaudio.models import load_model
from focalaudio.pictures import draw_spectrograms, draw_sweep, save_picture
from focalaudio.report.tables import rows_of, write_csv
from focalaudio.reproduction.tables import Place, read_clips, read_sweep
from focalaudio.spectrogram import Spectrogram

logger = logging.getLogger(__name__)


def write_sweep_figure(places: Sequence[Place], folder: Path) -> Path:
    """Draw every metric against the quantile (Figure 3 of arXiv 2402.02754).

    Arguments
    ---------
    places : sequence of tuple
        Test fold, system, and the folder of its interpretations under the
        condition that was swept.
    folder : pathlib.Path
        Gets the figure.

    Returns
    -------
    pathlib.Path
        `figure_3.png`; `figure_3.csv` beside it has the numbers.

    Raises
    ------
    DataError
        If the condition was not interpreted at several quantiles.
    """
    rows = read_sweep(read_clips(places, "comparison_clips.csv"))
    if not rows:
        raise DataError(
            f"{places[0][2]} has no interpreter at two quantiles; give its "
            "condition quantiles, such as [0.5, 0.7, 0.9]."
        )
    write_csv(rows, folder / "figure_3.csv")
    of_parts = [each.name for each in METRICS.values() if each.needs == "parts"]
    figure = draw_sweep(rows, [name for name in of_parts if name in rows[0]])
    return save_picture(figure, folder / "figure_3.png")


def write_mixture_figures(places: Sequence[Place], folder: Path) -> list[Path]:
    """Draw sources, mixture and interpretation (Figure 2), sounds beside it.

    For each system the first mixture in which it hears the class of a source,
    of those whose sounds were written.

    Arguments
    ---------
    places : sequence of tuple
        Test fold, system, and the folder of its interpretations under a
        condition with known sources, beside that of its `classifier`.
    folder : pathlib.Path
        Gets the figures.

    Returns
    -------
    list of pathlib.Path
        `figure_2_<system>.png`; `figure_2_<system>/` has the wavs.
    """
    figures = []
    for place in places:
        _, system, made = place
        sounds = made / "interpretations"
        heard = [
            row
            for row in rows_of(read_clips([place], "clips.csv"))
            if row["source_found"] == 1
            and (sounds / f"{row['clip_id']}_source_1.wav").exists()
        ]
        if not heard:
            logger.warning(
                "%s hears no source of the mixtures in %s; give the condition "
                "a larger max_clips.",
                system,
                sounds,
            )
            continue
        spectrogram = load_model(made.with_name("classifier")).spectrogram
        out = folder / f"figure_2_{system}"
        figures.append(_draw_mixture(heard[0], sounds, spectrogram, out))
    return figures


def _draw_mixture(
    row: Mapping[str, Any], sounds: Path, spectrogram: Spectrogram, out: Path
) -> Path:
    """Draw one mixture as one system hears it; copy what is heard."""
    other = row["other_label"]  # empty where it is none of the classes
    titles = {
        "source_1": f"source: {row['label']}",
        "source_2": f"source: {other or 'added'}",
        "input": "mixture",
        "kept": f"interpretation: {row['predicted']}",
    }
    out.mkdir(parents=True, exist_ok=True)
    panels = []
    for number, (part, title) in enumerate(titles.items(), 1):
        path = sounds / f"{row['clip_id']}_{part}.wav"
        shutil.copy(path, out / f"{number}_{part}.wav")
        wav = load_wav(path, spectrogram.sample_rate)
        panels.append((title, spectrogram(wav[None]).log_magnitude[0]))
    return save_picture(
        draw_spectrograms(panels, spectrogram), out.with_suffix(".png")
    )
