"""`interpretations of several systems -> report.html`, one that collects."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from focalaudio.report.page import Page
from focalaudio.report.tables import rows_of
from focalaudio.report.writer import PageWriter
from focalaudio.reproduction.tables import Place, at_quantile, read_clips
from focalaudio.spectrogram import Spectrogram


def write_page(
    places: Mapping[str, Sequence[Place]],
    quantile: float,
    folder: Path,
    swept: str | None = None,
) -> Path:
    """Write a page with the scores of all systems, and the way to their pages.

    Arguments
    ---------
    places : mapping
        From a condition's name to where its results are; the first condition
        is the main one.
    quantile : float
        Of the table; interpreters without one stand there too.
    folder : pathlib.Path
        Gets `report.html`.
    swept : str
        The condition that was interpreted at several quantiles, for the
        curves; None if there is none.

    Returns
    -------
    pathlib.Path
        The page.
    """
    main, *_ = places
    rows = _read_rows(places[main], quantile)
    labels = sorted({str(r["label"]) for own in rows.values() for r in own})
    settings, curves = {"scores": f"condition {main}"}, None
    if swept is not None and swept in places:
        curves = _read_rows(places[swept], None)
        settings["curves"] = f"condition {swept}"
    page = Page(
        f"Systems side by side: {folder.name}",
        labels,
        rows,
        settings,
        swept=curves,
        links=_find_pages(places, folder),
    )
    return PageWriter(folder / "report.html", Spectrogram()).finish(page)


def _read_rows(
    places: Sequence[Place], quantile: float | None
) -> dict[str, list[dict[str, object]]]:
    """Return the clips of each system's interpreters, at a quantile or all."""
    clips = read_clips(places, "comparison_clips.csv")
    if quantile is not None:
        clips = at_quantile(clips, quantile)
    groups = clips.groupby(["system", "interpreter"], sort=False)
    return {
        f"{system}: {interpreter}": rows_of(own.dropna(axis=1, how="all"))
        for (system, interpreter), own in groups
    }


def _find_pages(
    places: Mapping[str, Sequence[Place]], folder: Path
) -> dict[str, str]:
    """Return the pages that the steps left, relative to the folder."""
    return {
        f"fold {fold}, {system}, {condition}": quote(
            Path(os.path.relpath(made / "report.html", folder)).as_posix()
        )
        for condition, listed in places.items()
        for fold, system, made in listed
        if (made / "report.html").exists()
    }
