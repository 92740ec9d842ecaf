"""`what rules let through -> novelty.json, novelty.csv, novelty.md`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import if_main_process

from focalaudio.metrics.novelty import SCORES
from focalaudio.processes import meet
from focalaudio.report.tables import write_csv, write_json, write_markdown


def write_novelty(folder: Path, measured: Mapping[str, Any]) -> None:
    """Write what every rule lets through, and the rule that was chosen.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `novelty.csv` and `novelty.md`, one row for each score, and
        `novelty.json`, all of it.
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
        write_markdown([_format(row) for row in rows], folder / "novelty.md")
        write_json(measured, folder / "novelty.json")
    meet()  # no process leaves before the files are there


def _format(row: Mapping[str, Any]) -> dict[str, str]:
    """Write a row in words and percent."""
    shares = {k: v for k, v in row.items() if k not in ("score", "threshold")}
    sign = ">=" if SCORES[row["score"]].higher_is_known else "<="
    return {
        "score": row["score"],
        "known if": f"{sign} {row['threshold']:.4g}",
        **{name: f"{100 * share:.1f} %" for name, share in shares.items()},
    }
