"""`comparisons of several folds and systems -> tables`, pooled over clips."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from focalaudio.metrics.statistics import (
    Statistics,
    summarize,
    summarize_folds,
)
from focalaudio.metrics.table import METRICS
from focalaudio.report.classes import describe_classes, write_classes
from focalaudio.report.evaluation import (
    flatten,
    measure_calibration,
    tabulate,
)
from focalaudio.report.held_out import cross_fit, read_answers
from focalaudio.report.overview import split_name
from focalaudio.report.tables import (
    read_csv,
    rows_of,
    write_csv,
    write_json,
    write_markdown,
)

logger = logging.getLogger(__name__)

Place = tuple[int | str, str, Path]  # test fold, system, folder
COLUMNS = tuple(METRICS)
# what asks the classifier, and what asks the known sources
FAITHFUL = ("fidelity", "faithfulness", "average_drop")
TRUE = ("source_share", "auc", "pointing", "si_sdr_improvement")


def read_clips(places: Iterable[Place], name: str) -> pd.DataFrame:
    """Read a file of clips of every fold and system.

    Arguments
    ---------
    places : iterable
        Test fold, system, and the folder that holds the file.
    name : str
        Of the file.

    Returns
    -------
    pandas.DataFrame
        All rows, with the columns `fold` and `system`.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = write_csv([{"clip_id": "a"}], folder / "clips.csv")
    >>> read_clips([(5, "vit", folder)], "clips.csv").to_dict("records")
    [{'clip_id': 'a', 'fold': 5, 'system': 'vit'}]
    """
    parts = [
        pd.DataFrame(read_csv(folder / name)).assign(fold=fold, system=system)
        for fold, system, folder in places
    ]
    return pd.concat(parts, ignore_index=True)


def strip_quantile(name: str) -> str:
    """Return an interpreter's name without its quantile.

    Example
    -------
    >>> strip_quantile("stage_3, quantile 0.9, mask soft")
    'stage_3, mask soft'
    """
    return split_name(name)[0]


def at_quantile(clips: pd.DataFrame, quantile: float) -> pd.DataFrame:
    """Return the clips of interpreters at a quantile, or without one.

    Example
    -------
    >>> clips = pd.DataFrame({"quantile": [0.5, 0.9, None]})
    >>> len(at_quantile(clips, 0.9))
    2
    """
    return clips[clips["quantile"].isna() | (clips["quantile"] == quantile)]


def _pool(
    clips: pd.DataFrame,
) -> dict[tuple[str, str], dict[str, dict[str, Statistics]]]:
    """Summarize each system's interpreters over `clips` and over `folds`."""
    pooled = {}
    groups = clips.groupby(["system", "interpreter"], sort=False)
    for (system, interpreter), rows in groups:
        listed = rows_of(rows.dropna(axis=1, how="all"))
        pooled[str(system), str(interpreter)] = {
            "clips": summarize(listed, COLUMNS),
            "folds": summarize_folds(listed, COLUMNS),
        }
    return pooled


def write_condition(
    clips: pd.DataFrame, quantile: float, folder: Path, name: str
) -> None:
    """Write the table of one condition as CSV, Markdown and JSON.

    Arguments
    ---------
    clips : pandas.DataFrame
        Of `read_clips`, `comparison_clips.csv`.
    quantile : float
        Of the table; interpreters without one stand there too. Other
        quantiles belong to `read_sweep`.
    folder : pathlib.Path
        Gets `<name>.csv`, `<name>.md` and `<name>.json`.
    name : str
        Of the condition.
    """
    shown = at_quantile(clips, quantile)
    pooled = _pool(shown)
    counts = shown.groupby(["system", "interpreter"]).size()
    titles = {key: f"{key[0]}: {strip_quantile(key[1])}" for key in pooled}
    n_clips = {titles[key]: int(counts[key]) for key in pooled}
    statistics = {titles[key]: found["clips"] for key, found in pooled.items()}
    write_csv(
        [
            {"system": key[0]}
            | flatten(strip_quantile(key[1]), int(counts[key]), found["clips"])
            for key, found in pooled.items()
        ],
        folder / f"{name}.csv",
    )
    write_markdown(tabulate(n_clips, statistics), folder / f"{name}.md")
    write_json(
        {titles[key]: found for key, found in pooled.items()},
        folder / f"{name}.json",
    )


def read_sweep(clips: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row per interpreter and quantile, for a figure.

    Arguments
    ---------
    clips : pandas.DataFrame
        Of `read_clips`, `comparison_clips.csv`.

    Returns
    -------
    list of dict
        `interpreter` (with its system, without the quantile), `quantile`, and
        each column's mean, `<column>_low` and `<column>_high`; of interpreters
        that stand at more than one quantile.

    Example
    -------
    >>> rows = {"fold": 5, "system": "vit", "interpreter": ["a", "b"]}
    >>> rows |= {"quantile": [0.5, 0.9], "fidelity": [1.0, 0.0]}
    >>> read_sweep(pd.DataFrame(rows))
    []
    """
    swept = clips[clips["quantile"].notna()]
    swept = swept.assign(series=swept["interpreter"].map(strip_quantile))
    rows = []
    for (system, series), group in swept.groupby(["system", "series"]):
        if group["quantile"].nunique() < 2:
            continue
        for quantile, at in group.groupby("quantile"):
            found = summarize(rows_of(at), COLUMNS)
            row = flatten(f"{system}: {series}", len(at), found)
            rows.append(row | {"quantile": float(quantile)})
    return rows


def scale_across(clips: pd.DataFrame, places: Iterable[Place]) -> pd.DataFrame:
    """Scale what is said of each fold by what fits the other folds best.

    For a protocol without a validation fold: the temperature of a system's
    classifier of one fold is fitted to what its others said of their own folds
    (`focalaudio.report.held_out`).

    Arguments
    ---------
    clips : pandas.DataFrame
        Of `read_clips`, the `clips.csv` of training runs.
    places : iterable
        The same places.

    Returns
    -------
    pandas.DataFrame
        With another `probability_scaled`, where a system has more than one
        fold. Where an older version made one of them all stay as they are.
    """
    folders: dict[str, dict[int | str, Path]] = {}
    for fold, system, folder in places:
        folders.setdefault(system, {})[fold] = folder
    scaled = clips.copy()
    for system, by_fold in folders.items():
        found = {fold: read_answers(place) for fold, place in by_fold.items()}
        lacking = [str(fold) for fold, each in found.items() if each is None]
        if lacking:
            logger.warning(
                "%s: no temperature, since an older version made the folds %s.",
                system,
                ", ".join(lacking),
            )
        answers = [each for each in found.values() if each is not None]
        if lacking or len(answers) < 2:
            continue
        for fold, own, best in zip(
            by_fold, answers, cross_fit(answers), strict=True
        ):
            rows = (scaled["system"] == system) & (scaled["fold"] == fold)
            scaled.loc[rows, "probability_scaled"] = own.scaled(best).numpy()
    return scaled


def write_classifiers(clips: pd.DataFrame, folder: Path) -> None:
    """Write how right the classifiers are, and how sure.

    Over all clips and, if there are several folds, over those of each; and
    class by class, over all of them.

    Arguments
    ---------
    clips : pandas.DataFrame
        Of `read_clips`, the `clips.csv` of training runs.
    folder : pathlib.Path
        Gets `classifiers.csv`, `.md` and `.json`, `classes.csv` and `.md`.
    """
    results: dict[str, dict[str, Any]] = {}
    table, classes = [], []
    for name, rows in clips.groupby("system", sort=False):
        system = str(name)
        listed = rows_of(rows)
        folds = {
            str(fold): rows_of(part) for fold, part in rows.groupby("fold")
        }
        by_fold = {fold: _measure(part) for fold, part in folds.items()}
        results[system] = {
            **_measure(listed),
            "accuracy_of_folds": summarize_folds(listed, ["accuracy"])[
                "accuracy"
            ],
            "folds": by_fold,
        }
        parts = {"all": results[system]}
        parts |= by_fold if len(by_fold) > 1 else {}
        table += [
            {"system": system, "fold": fold} | _format_classifier(found)
            for fold, found in parts.items()
        ]
        found = describe_classes(
            listed, sorted({*rows["label"], *rows["predicted"]})
        )
        classes += [{"system": system} | row for row in found]
    write_csv(table, folder / "classifiers.csv")
    write_markdown(table, folder / "classifiers.md")
    write_json(results, folder / "classifiers.json")
    write_classes(classes, folder)


def _measure(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Say how right a classifier is on some clips, and how sure."""
    return {
        "n_clips": len(rows),
        "accuracy": summarize(rows, ["accuracy"])["accuracy"],
        **measure_calibration(rows),
    }


def _format_classifier(found: Mapping[str, Any]) -> dict[str, str]:
    """Format one row of the classifiers' table."""
    scaled = found.get("calibration_error_scaled")
    return {
        "n_clips": str(found["n_clips"]),
        "accuracy (up)": _format_interval(found["accuracy"]),
        "calibration error (down)": f"{found['calibration_error']:.3f}",
        "scaled (down)": "-" if scaled is None else f"{scaled:.3f}",
    }


def _format_interval(statistics: Mapping[str, float]) -> str:
    """Format a mean with its 95 % interval."""
    low, high = statistics["low"], statistics["high"]
    return f"{statistics['mean']:.3f} [{low:.3f}, {high:.3f}]"


def write_agreement(
    clips: pd.DataFrame, mixtures: pd.DataFrame, quantile: float, folder: Path
) -> None:
    """Write whether what is faithful to a classifier is true of the sound.

    Spearman's rank correlation, over all interpreters of a system, between the
    means of a score that asks the classifier and of one that asks the known
    sources (arXiv 2506.04391 finds that such scores contradict each other).
    Each is taken so that more is better: 1 if both rank interpreters alike.

    Arguments
    ---------
    clips, mixtures : pandas.DataFrame
        Of `read_clips`, `comparison_clips.csv`, of clips as they are and of
        mixtures whose sources are known.
    quantile : float
        As in `write_condition`.
    folder : pathlib.Path
        Gets `agreement.csv` and `agreement.md`.
    """
    scores = [
        _rank_scores(frame, quantile, names)
        for frame, names in ((clips, FAITHFUL), (mixtures, TRUE))
    ]
    both = pd.concat(scores, axis=1, join="inner")
    rows = []
    for system, group in both.groupby("system", sort=False):
        found = group.corr(method="spearman")
        for name in FAITHFUL:
            row = {"system": system, "score": name, "n": len(group)}
            rows.append(row | found.loc[name, list(TRUE)].round(2).to_dict())
    write_csv(rows, folder / "agreement.csv")
    write_markdown(
        [{key: str(value) for key, value in row.items()} for row in rows],
        folder / "agreement.md",
    )


def _rank_scores(
    clips: pd.DataFrame, quantile: float, names: Sequence[str]
) -> pd.DataFrame:
    """Return the mean of each score of each interpreter, more is better."""
    shown = at_quantile(clips, quantile)
    means = shown.groupby(["system", "interpreter"])[list(names)].mean()
    signs = [-1 if METRICS[n].direction == "down" else 1 for n in names]
    return means.dropna() * signs
