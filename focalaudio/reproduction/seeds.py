"""`seeds -> reproductions -> one table`: how far does chance go?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from focalaudio.metrics.statistics import describe_seeds
from focalaudio.metrics.table import METRICS
from focalaudio.report.tables import write_csv, write_markdown
from focalaudio.reproduction.plan import Plan, reproduce
from focalaudio.reproduction.tables import (
    COLUMNS,
    FAITHFUL,
    TRUE,
    at_quantile,
    read_clips,
    strip_quantile,
)


def reproduce_seeds(plan: Plan, seeds: Sequence[int]) -> None:
    """Reproduce with each of several seeds in turn, then pool their tables.

    Arguments
    ---------
    plan : Plan
        All of it but the seed; its folder gets one folder for each seed, and
        `seeds.csv`, `seeds.md` (explanations), `seeds_classifiers.csv` and
        `.md`.
    seeds : sequence of int
        At least one, each once.

    Raises
    ------
    ValueError
        If there is no seed, or one stands twice.
    """
    plans = plan.with_seeds(seeds)
    plan.claim()
    for each in plans:
        reproduce(each)
    trained = [
        read_clips(each.places("classifier"), "clips.csv").assign(
            seed=each.seed
        )
        for each in plans
    ]
    write_seeds_of_classifiers(trained, plan.folder)
    if not plan.conditions:
        return
    explained = [
        read_clips(each.places(name), "comparison_clips.csv").assign(
            seed=each.seed, condition=name
        )
        for name in plan.conditions
        for each in plans
    ]
    write_seeds(explained, plan.quantile, plan.folder)


def pool_seeds(
    clips: pd.DataFrame, keys: Sequence[str], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Average over seeds, and say how far seeds and clips differ.

    Arguments
    ---------
    clips : pandas.DataFrame
        One row per clip and seed: `seed`, `fold`, `clip_id`, `keys`, and some
        of `columns`.
    keys : sequence of str
        One row is made of each combination of these.
    columns : sequence of str
        What is averaged; those that no clip has are left out.

    Returns
    -------
    list of dict
        `keys`, `n_seeds`, `n_clips`, and of each column the mean over seeds of
        the means over clips, `<column>_std` over seeds (with n - 1, `nan` of
        one), `<column>_low` and `<column>_high`, the ends of its 95 % bootstrap
        interval over clips, each drawn with all its seeds; see
        `describe_seeds`.

    Example
    -------
    >>> rows = {"system": "vit", "fold": 5, "clip_id": ["a", "b", "a", "b"]}
    >>> rows |= {"seed": [1, 1, 2, 2], "fidelity": [1.0, 0.0, 1.0, 1.0]}
    >>> (row,) = pool_seeds(pd.DataFrame(rows), ["system"], ["fidelity"])
    >>> row["fidelity"], row["fidelity_low"], row["fidelity_high"]
    (0.75, 0.5, 1.0)
    """
    return [
        dict(zip(keys, values, strict=True))
        | {
            "n_seeds": group["seed"].nunique(),
            "n_clips": len(group[["fold", "clip_id"]].drop_duplicates()),
        }
        | _pool_columns(group, [c for c in columns if c in group])
        for values, group in clips.groupby(list(keys), sort=False)
    ]


def _pool_columns(
    clips: pd.DataFrame, columns: Sequence[str]
) -> dict[str, float]:
    """Pool some columns of one interpreter; see `pool_seeds`."""
    row = {}
    of_clips = clips.set_index(["fold", "clip_id", "seed"])
    for name in columns:
        found = describe_seeds(
            of_clips[name].astype(float).unstack().to_numpy()
        )
        row[name] = found["mean"]
        row |= {f"{name}_{end}": found[end] for end in ("std", "low", "high")}
    return row


def write_seeds(
    clips: Sequence[pd.DataFrame], quantile: float, folder: Path
) -> None:
    """Write what several seeds say of explanations.

    Arguments
    ---------
    clips : sequence of pandas.DataFrame
        Of `read_clips`, `comparison_clips.csv`, each with its `seed` and
        `condition`.
    quantile : float
        As in `write_condition`.
    folder : pathlib.Path
        Gets `seeds.csv`, with every column of `pool_seeds`, and `seeds.md`,
        with the main ones: mean, standard deviation over seeds, and interval.
    """
    shown = at_quantile(pd.concat(clips, ignore_index=True), quantile)
    names = shown["interpreter"].map(strip_quantile)
    keys = ["condition", "system", "interpreter"]
    rows = pool_seeds(shown.assign(interpreter=names), keys, COLUMNS)
    write_csv(rows, folder / "seeds.csv")
    _write_seeds_table(rows, keys, FAITHFUL + TRUE, folder / "seeds.md")


def write_seeds_of_classifiers(
    clips: Sequence[pd.DataFrame], folder: Path
) -> None:
    """Write how right the classifiers of several seeds are.

    Arguments
    ---------
    clips : sequence of pandas.DataFrame
        Of `read_clips`, the `clips.csv` of training runs, each with its `seed`.
    folder : pathlib.Path
        Gets `seeds_classifiers.csv` and `seeds_classifiers.md`.
    """
    rows = pool_seeds(pd.concat(clips), ["system"], ["accuracy"])
    path = folder / "seeds_classifiers.csv"
    write_csv(rows, path)
    _write_seeds_table(rows, ["system"], ["accuracy"], path.with_suffix(".md"))


def _write_seeds_table(
    rows: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    columns: Sequence[str],
    path: Path,
) -> None:
    """Write some columns of `pool_seeds` as Markdown."""
    shown = [name for name in columns if any(name in row for row in rows)]
    write_markdown(
        [
            {key: str(row[key]) for key in (*keys, "n_seeds", "n_clips")}
            | {METRICS[name].header: _format_seeds(row, name) for name in shown}
            for row in rows
        ],
        path,
    )


def _format_seeds(row: Mapping[str, Any], name: str) -> str:
    """Format a mean over seeds, its deviation, and its interval."""
    mean, std, low, high = (
        row[f"{name}{end}"] for end in ("", "_std", "_low", "_high")
    )
    if math.isnan(mean):
        return "-"
    spread = "" if math.isnan(std) else f" \u00b1 {std:.3f}"  # of one seed
    return f"{mean:.3f}{spread} [{low:.3f}, {high:.3f}]"
