"""`what rules let through -> novelty.json, novelty.csv, novelty.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import if_main_process

from focalaudio.metrics.novelty import SCORES
from focalaudio.processes import meet
from focalaudio.report.tables import write_csv, write_json, write_markdown

AND = " and "  # between what several rules say


def write_novelty(folder: Path, measured: Mapping[str, Any]) -> None:
    """Write what every rule lets through, and the rules that were chosen.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `novelty.csv` and `novelty.md`, one row for each score and one for
        the rules, if they are several, and `novelty.json`, all of it.
    measured : mapping
        Of `focalaudio.inference.novelty.measure_novelty`.

    Example
    -------
    >>> row = {"score": "energy", "threshold": 2.5, "valid": 0.9, "noise": 0.0}
    >>> folder = getfixture("tmp_path")
    >>> write_novelty(folder, {"rows": [row]})
    >>> print((folder / "novelty.md").read_text())
    | score | known if | valid | noise |
    |---|---|---|---|
    | energy | >= 2.5 | 90.0 % | 0.0 % |
    <BLANKLINE>
    """
    rows = measured["rows"]
    if if_main_process():
        write_csv(rows, folder / "novelty.csv")
        rules = measured.get("novelty", ())
        words = [_format(row, rules) for row in rows]
        write_markdown(words, folder / "novelty.md")
        write_json(measured, folder / "novelty.json")
    meet()  # no process leaves before the files are there


def _format(
    row: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Write a row in words and percent; the one of several rules has theirs."""
    shares = {k: v for k, v in row.items() if k not in ("score", "threshold")}
    known = [
        f"{'>=' if SCORES[rule['score']].higher_is_known else '<='} "
        f"{rule['threshold']:.4g}"
        for rule in (rules if row["threshold"] is None else [row])
    ]
    return {
        "score": row["score"],
        "known if": AND.join(known),
        **{name: f"{100 * share:.1f} %" for name, share in shares.items()},
    }
