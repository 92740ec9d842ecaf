"""`rows of a run -> what a page says of it`: scores, curves, confusions."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from focalaudio.errors import escape_text
from focalaudio.metrics.statistics import Statistics, summarize
from focalaudio.metrics.table import METRICS
from focalaudio.report.page import Page, Rows

FLOORS = ("random", "loudest")  # what such names begin with
CEILINGS = ("cleanest", "ideal")  # oracles, which know the sources
QUANTILE = re.compile(r", quantile ([0-9.e-]+)")
ROW_SCORES = ("faithfulness", "fidelity")  # that a list of clips is sorted by
Encoded = dict[str, Any]


def split_name(name: str) -> tuple[str, float | None]:
    """Split an interpreter's name into the rest and its quantile.

    Example
    -------
    >>> split_name("stage_3, quantile 0.9, mask soft"), split_name("piq")
    (('stage_3, mask soft', 0.9), ('piq', None))
    """
    found = QUANTILE.search(name)
    if found is None:
        return name, None
    return name.replace(found[0], ""), float(found[1])


def describe_run(page: Page) -> Encoded:
    """Say what a run amounts to, for a page.

    Arguments
    ---------
    page : Page
        With the rows of each method.

    Returns
    -------
    dict
        `metrics` (name, words, direction and formula of each column);
        `methods` (name, kind, number of clips, and of each metric the mean,
        both ends of its interval and on how many clips it is not defined);
        `curves` (means by series and quantile); `confusion` (true class,
        predicted class, number of clips; none where a clip has several).

    Example
    -------
    >>> row = {"clip_id": "a", "label": "dog", "predicted": "cat"}
    >>> rows = {"random, quantile 0.9": [row | {"fidelity": 1.0}]}
    >>> run = describe_run(Page("", ["dog", "cat"], rows))
    >>> run["methods"][0]["kind"], run["confusion"]
    ('floor', [['dog', 'cat', 1]])
    """
    statistics = _summarize(page.rows)
    swept = statistics if page.swept is None else _summarize(page.swept)
    used = {column for found in statistics.values() for column in found}
    main = next(iter(page.rows.values()), ())
    return {
        "metrics": [
            {
                "name": metric.name,
                "words": metric.words,
                "direction": metric.direction,
                "formula": metric.formula,
            }
            for metric in METRICS.values()
            if metric.name in used
        ],
        "methods": [
            _describe_method(name, len(page.rows[name]), found)
            for name, found in statistics.items()
        ],
        "curves": _describe_curves(swept),
        "confusion": []
        if page.decision.is_several
        else _count_confusions(main),
    }


def _summarize(
    methods: Mapping[str, Rows],
) -> dict[str, dict[str, Statistics]]:
    """Summarize every column of each method that has clips."""
    return {
        name: summarize(rows, tuple(METRICS))
        for name, rows in methods.items()
        if rows
    }


def _describe_method(
    name: str, n_clips: int, found: Mapping[str, Statistics]
) -> Encoded:
    return {
        "name": escape_text(name),
        "kind": _kind_of(name),
        "n_clips": n_clips,
        "scores": {
            column: [
                _finite(each[key])
                for key in ("mean", "low", "high", "undefined")
            ]
            for column, each in found.items()
        },
    }


def _kind_of(name: str) -> str:
    name = name.rpartition(": ")[2]  # without the system
    if name.startswith(FLOORS):
        return "floor"
    return "ceiling" if name.startswith(CEILINGS) else ""


def _describe_curves(
    statistics: Mapping[str, Mapping[str, Statistics]],
) -> list[Encoded]:
    """Return the series that stand at several quantiles."""
    series: dict[str, list[Encoded]] = {}
    for name, found in statistics.items():
        short, quantile = split_name(name)
        if quantile is not None:
            means = {
                column: [_finite(each[k]) for k in ("mean", "low", "high")]
                for column, each in found.items()
            }
            point = {"quantile": quantile, "scores": means}
            series.setdefault(short, []).append(point)
    return [
        {
            "name": escape_text(name),
            "points": sorted(points, key=lambda point: point["quantile"]),
        }
        for name, points in series.items()
        if len(points) > 1
    ]


def _count_confusions(rows: Rows) -> list[list[Any]]:
    """Count clips by true and predicted class, where both are known."""
    pairs = Counter(
        (escape_text(row["label"]), escape_text(row["predicted"]))
        for row in rows
        if row.get("label") is not None and "predicted" in row
    )
    return [[*pair, count] for pair, count in sorted(pairs.items())]


def list_clips(
    clips: Iterable[Encoded], rows: Rows = ()
) -> tuple[list[Encoded], int]:
    """List clips for the index of a page, those without a sound of theirs too.

    Arguments
    ---------
    clips : iterable of dict
        As `encode_clip` made them.
    rows : sequence of mapping
        Of `clips.csv`.

    Returns
    -------
    list of dict
        By the order in which clips were added, then that of the rows: `id`,
        `label`, `predicted`, `probability`, `refused` (why it is given no
        class, if its details say so), `faithfulness`, `fidelity`, `warnings`
        (how many), and `block`, the number of the clip's details, None without
        any.
    int
        How many have details.

    Example
    -------
    >>> row = {"clip_id": "a", "label": "dog", "predicted": "dog"}
    >>> list_clips([], [row])[0][0]["block"] is None
    True
    """
    by_id = {escape_text(row["clip_id"]): row for row in rows}
    listed = []
    for block, clip in enumerate(clips):
        row = by_id.pop(clip["id"], {})
        scores = clip["views"][0]["scores"] if clip["views"] else {}
        predicted, probability = clip["top"][0]
        n_warnings = len(clip["warnings"])
        n_warnings += sum(len(view["warnings"]) for view in clip["views"][:1])
        listed.append(
            {
                "id": clip["id"],
                "label": clip["label"],
                "predicted": predicted,
                "probability": probability,
                "refused": clip.get("refused", ""),
                **_pick({**scores, **row}, ROW_SCORES),
                "warnings": n_warnings,
                "block": block,
            }
        )
    n_blocks = len(listed)
    listed += [_list_row(clip_id, row) for clip_id, row in by_id.items()]
    return listed, n_blocks


def _list_row(clip_id: str, row: Mapping[str, Any]) -> Encoded:
    """List a clip of which there is a row only."""
    label = row.get("label")
    return {
        "id": clip_id,
        "label": None if label is None else escape_text(label),
        "predicted": escape_text(row.get("predicted", "")),
        **_pick(row, ("probability", *ROW_SCORES)),
        "refused": "",
        "warnings": 0,
        "block": None,
    }


def _pick(row: Mapping[str, Any], names: Sequence[str]) -> Encoded:
    return {name: _finite(row.get(name, math.nan)) for name in names}


def _finite(value: float | None) -> float | None:
    """Round a number; what is not finite, or not there, is null."""
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    return round(float(value), 5) if is_number and value is not None else None
