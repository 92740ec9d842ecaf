"""`interpretations of several systems -> the figures of arXiv 2402.02754`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from focalaudio.audio import write_wav
from focalaudio.data.conditions import build_condition
from focalaudio.data.pipelines import open_esc50
from focalaudio.errors import DataError
from focalaudio.models import load_interpreter, load_model
from focalaudio.pictures import draw_spectrograms, draw_sweep, save_picture
from focalaudio.report.evaluation import DIRECTIONS
from focalaudio.report.tables import write_csv
from focalaudio.reproduction.tables import Place, read_clips, read_sweep
from focalaudio.waveforms import common_gain

logger = logging.getLogger(__name__)

SWEPT = (  # the panels of Figure 3
    "fidelity",
    "faithfulness",
    "faithfulness_of_kept",
    "average_increase",
    "average_drop",
    "average_gain",
)
# keys of interpret.yaml that are arguments
INTERPRETER = ("method", "quantile", "maps", "mask", "piq", "options")
CONDITION = ("condition", "snr", "n_partners")


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
    metrics = [name for name in SWEPT if name in rows[0]]
    figure = draw_sweep(rows, metrics, DIRECTIONS)
    return save_picture(figure, folder / "figure_3.png")


def write_mixture_figures(places: Sequence[Place], folder: Path) -> list[Path]:
    """Draw sources, mixture and interpretation (Figure 2), sounds beside it.

    For each system the first mixture in which it hears the class of a source.

    Arguments
    ---------
    places : sequence of tuple
        Test fold, system, and the folder of its interpretations under a
        condition with known sources.
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
        options = json.loads((made / "options.json").read_text("utf-8"))
        clips = read_clips([place], "clips.csv")
        heard = clips[clips["source_found"] == 1]
        if heard.empty:
            logger.warning("%s hears no source of any mixture.", system)
            continue
        out = folder / f"figure_2_{system}"
        figures.append(draw_mixture(options, heard.iloc[0]["clip_id"], out))
    return figures


def draw_mixture(options: Mapping[str, Any], clip_id: str, out: Path) -> Path:
    """Draw one mixture as one system hears it; write what is heard."""
    model = load_model(options["classifier"])
    interpreter = load_interpreter(
        model, **{key: options[key] for key in INTERPRETER if key in options}
    )
    data = open_esc50(
        options["data_folder"],
        options["train_folds"],
        options["valid_folds"],
        options["test_folds"],
        reader=model.reader,
        labels=model.labels,
    )
    chosen = {key: options[key] for key in CONDITION if key in options}
    mixed = build_condition(
        data.test, model.reader, data.label_encoder, **chosen
    )
    clip = mixed[mixed.data_ids.index(clip_id)]
    with torch.no_grad():
        interpretation = interpreter(clip["sig"][None])
    said = model.labels[interpretation.class_ids[0]]
    other = clip["other_target"]
    sounds = {
        f"source: {clip['label']}": clip["first"],
        f"source: {model.labels[other] if other >= 0 else 'added'}": (
            clip["second"]
        ),
        "mixture": clip["sig"],
        f"interpretation: {said}": interpretation.wavs[0],
    }
    gain = common_gain(*sounds.values())
    for number, (title, wav) in enumerate(sounds.items(), 1):
        name = f"{number}_{title.replace(': ', '_')}.wav"
        write_wav(out / name, wav, model.reader.sample_rate, gain=gain)
    spectra = (model.spectrogram(wav[None]) for wav in sounds.values())
    panels = zip(sounds, (s.log_magnitude[0] for s in spectra), strict=True)
    figure = draw_spectrograms(list(panels), model.spectrogram)
    return save_picture(figure, out.with_suffix(".png"))
