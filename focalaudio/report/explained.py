"""`Interpretation -> rows of clips.csv`, and a folder of all that is written.

What is said of a clip is said here for the command, for Python and for the
report alike.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.report.boxes import write_boxes
from focalaudio.report.clips import InterpretationExporter
from focalaudio.report.page import TOP, PageClip, View, make_clip, make_view
from focalaudio.report.tables import write_table
from focalaudio.report.timeline import NO_EVIDENCE

KNOWN = "known"  # else NO_EVIDENCE
COLUMNS = (  # of clips.csv, in this order; of them a row has what is known
    "clip_id",
    "path",
    "seconds",
    "predicted",
    "probability",
    *(f"best_{n}{what}" for n in range(1, TOP + 1) for what in ("", "_p")),
    "explained",
    "explained_probability",
    "kept_probability",
    "removed_probability",
    "kept_fraction",
    "kept_energy",
    "level_db",
    "known",
    "n_boxes",
    "n_windows",
    "warnings",
)
DIGITS = 6  # of numbers in a row
SILENCE_DB = -200.0  # of what has no level


def describe_clip(
    interpretation: Interpretation, row: int, clip: PageClip, view: View
) -> dict[str, Any]:
    """Say in one row what a clip is classified as, and by what.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    row : int
        Which clip of the batch, from 0.
    clip, view : PageClip, View
        What a report shows of it.

    Returns
    -------
    dict
        Columns of `COLUMNS`: probabilities, shares 0 to 1, the level in dB
        below full scale, and what not to trust.

    Example
    -------
    >>> import torch
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum = spectrogram(torch.rand(1, 1000))
    >>> cells = torch.rand(spectrum.log_magnitude.shape)
    >>> parts = torch.zeros(1, 2), torch.tensor([1]), cells, cells > 0.5
    >>> found = Interpretation(*parts, spectrum, spectrogram)
    >>> row = describe_clip(found, 0, *show_clip(found, 0, "a", "stage_3"))
    >>> row["predicted"], row["explained"], row["probability"]
    ('class 0', 'class 1', 0.5)
    """
    known = interpretation.is_known
    explained = interpretation.probs[row, interpretation.class_ids[row]]
    level = float(clip.wav.square().mean().sqrt())
    best = {
        f"best_{place}{what}": value
        for place, pair in enumerate(clip.probabilities, 1)
        for what, value in zip(("", "_p"), pair, strict=True)
    }
    numbers = {
        "kept_fraction": float(interpretation.kept_fraction[row]),
        "kept_energy": float(interpretation.kept_energy[row]),
        "level_db": 20 * math.log10(level) if level else SILENCE_DB,
    }
    return _round(
        {
            "clip_id": clip.clip_id,
            "seconds": len(clip.wav) / interpretation.synthesis.sample_rate,
            "predicted": clip.predicted,
            "probability": clip.probabilities[0][1],
            **best,
            "explained": view.explained,
            "explained_probability": float(explained),
            **{
                name: view.scores[name]
                for name in ("kept_probability", "removed_probability")
                if name in view.scores
            },
            **numbers,
            "known": KNOWN if known is None or known[row] else NO_EVIDENCE,
            "n_boxes": len(view.boxes),
            "warnings": " ".join((*clip.warnings, *view.warnings)),
        }
    )


def _round(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, DIGITS) if isinstance(value, float) else value
        for name, value in values.items()
    }


def show_clip(
    interpretation: Interpretation,
    row: int,
    clip_id: str,
    method: str,
    quantile: float | None = None,
    scores: Mapping[str, float] | None = None,
) -> tuple[PageClip, View]:
    """Take a row of an interpretation as what a report shows of it.

    `clip_id`, `method`, `quantile` and `scores` as in
    `focalaudio.report.page`; the boxes are the interpretation's own.
    """
    labels = _list_labels(interpretation)
    boxes = [box for box in interpretation.boxes() if box.clip == row]
    view = make_view(
        interpretation, row, labels, method, quantile, scores, boxes
    )
    return make_clip(interpretation, row, labels, clip_id, [view]), view


def write_rows(
    rows: Iterable[Mapping[str, Any]],
    path: str | Path,
    columns: Sequence[str] = COLUMNS,
) -> Path:
    """Write rows as CSV, one after the other; what a row has not is empty.

    Arguments
    ---------
    rows : iterable of mapping
        Gone through once, so that they may be very many.
    path : str or pathlib.Path
        Replaced if it exists.
    columns : sequence of str
        Of the table.

    Returns
    -------
    pathlib.Path
        The file. Bytes of file names that are no text are as they were.

    Example
    -------
    >>> path = getfixture("tmp_path") / "clips.csv"
    >>> rows = [{"clip_id": "a", "seconds": 5.0}]
    >>> write_rows(rows, path).read_text().splitlines()[1][:8]
    'a,,5.0,,'
    """
    cells = ([row.get(name, "") for name in columns] for row in rows)
    return write_table(columns, cells, path)


def save_interpretation(
    interpretation: Interpretation,
    folder: str | Path,
    clip_ids: Sequence[str] | None = None,
) -> Path:
    """Write sounds, pictures and tables of all clips into a folder.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    folder : str or pathlib.Path
        Made if needed; files of the same names are replaced.
    clip_ids : sequence of str
        What the files of each clip are called; `clip_1`, `clip_2` ... if None.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        If there is not one name, of its own, for each clip; or one is a path.
    OSError
        If the disk refuses.
    """
    n_clips = len(interpretation.class_ids)
    names = [f"clip_{number}" for number in range(1, n_clips + 1)]
    clip_ids = [clip_ids] if isinstance(clip_ids, str) else clip_ids
    names = names if clip_ids is None else list(clip_ids)
    if len(names) != n_clips or len(set(names)) != n_clips:
        raise ValueError(
            f"clip_ids={names} must be {n_clips} different names, one for each "
            "clip."
        )
    for name in names:
        if not name.strip(".") or {"/", os.sep, "\0"} & set(name):
            raise ValueError(
                f"clip_ids={name!r} must be the name of a file, not a path."
            )
    folder, labels = Path(folder), _list_labels(interpretation)
    exporter = InterpretationExporter(
        folder, interpretation.synthesis, labels, tables=True
    )
    exporter(interpretation, names, [None] * n_clips)
    shown = [
        show_clip(interpretation, row, name, "")
        for row, name in enumerate(names)
    ]
    rows = [
        describe_clip(interpretation, row, *pair)
        for row, pair in enumerate(shown)
    ]
    write_rows(rows, folder / "clips.csv")
    boxes = ((names[box.clip], box) for box in interpretation.boxes())
    write_boxes(boxes, folder / "boxes.csv")
    return folder


def _list_labels(interpretation: Interpretation) -> list[str]:
    n_classes = interpretation.logits.shape[1]
    return [interpretation.label_of(index) for index in range(n_classes)]
