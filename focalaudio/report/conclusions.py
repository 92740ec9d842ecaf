"""`measured -> the last lines of a run`: what was found, what to open."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from focalaudio.report.novelty import AND

TRAINED = {  # files of a run, the first to open first
    "confusion.png": "which classes are taken for which",
    "learning_curve.png": "how it learnt",
    "classes.md": "how well each class is recognized",
    "clips.csv": "all test clips",
}
INTERPRETED = {
    "report.html": "look and listen, in any browser",
    "interpretations": "pictures and sounds of clips",
    "comparison.md": "the methods side by side",
    "history.csv": "what each epoch reached",
    "clips.csv": "all test clips",
}
REPRODUCED = {
    "report.html": "look and listen, in any browser",
    "*.md": "a table",
    "figure_*.png": "a figure",
}
SORTED_OUT = {"novelty.md": "all scores", "novelty.json": "the chosen rules"}


def conclude_training(
    folder: Path, metrics: Mapping[str, Any] | None = None
) -> list[str]:
    """Say how often a classifier was right, and what to do with it.

    Arguments
    ---------
    folder : pathlib.Path
        Of the run; only files that are there are told of.
    metrics : mapping
        Of `focalaudio.report.evaluation.write_evaluation`; None if nothing was
        measured.

    Returns
    -------
    list of str
        Lines in plain words.

    Example
    -------
    >>> found = {"mean": 0.5, "low": 0.25, "high": 0.75}
    >>> metrics = {"n_clips": 8, "statistics": {"accuracy": found}}
    >>> lines = conclude_training(getfixture("tmp_path"), metrics)
    >>> lines[0]
    'Right on 50.0 % of the 8 test clips (95 % interval 25.0 to 75.0 %).'
    >>> conclude_training(Path("bare/run"), metrics)[-1]
    '  focalaudio explain FILE --model ./bare/run'
    """
    first = "Trained; nothing was measured, since no fold tests."
    if metrics is not None:
        share = _tell_share(metrics, "accuracy")
        first = (
            f"Right on {share[0]} of the {metrics['n_clips']} test clips "
            f"(95 % interval {share[1]})."
        )
    return [
        first,
        *tell_files(folder, TRAINED),
        "To explain a file with it:",
        f"  focalaudio explain FILE --model {_as_source(folder)}",
    ]


def conclude_interpretation(
    folder: Path, metrics: Mapping[str, Any]
) -> list[str]:
    """Say what a classifier needs of what was kept of the clips.

    Arguments and result as in `conclude_training`.

    Example
    -------
    >>> found = {"mean": 0.5, "low": 0.25, "high": 0.75}
    >>> metrics = {"n_clips": 8, "kept_fraction": 0.1, "faithfulness": 0.4}
    >>> metrics |= {"statistics": {"fidelity": found}}
    >>> conclude_interpretation(Path("none"), metrics)[-1]
    'Without what is kept the probability of its answer is 0.40 lower.'
    """
    share = _tell_share(metrics, "fidelity")
    lost = metrics["faithfulness"]
    lower = "lower" if lost >= 0 else "higher"
    return [
        f"Given only what is kept, {100 * metrics['kept_fraction']:.1f} % of "
        f"the spectrogram, the classifier says the same on {share[0]} of the "
        f"{metrics['n_clips']} test clips (95 % interval {share[1]}).",
        "Without what is kept the probability of its answer is "
        f"{abs(lost):.2f} {lower}.",
        *tell_files(folder, INTERPRETED),
    ]


def conclude_novelty(folder: Path, measured: Mapping[str, Any]) -> list[str]:
    """Say which sounds get an answer by the rules that were chosen.

    Arguments
    ---------
    folder : pathlib.Path
        Of the run.
    measured : mapping
        Of `focalaudio.inference.novelty.measure_novelty`.

    Returns
    -------
    list of str
        Lines in plain words.

    Example
    -------
    >>> row = {"score": "energy", "test": 0.9, "silence": 0.0}
    >>> measured = {"novelty": [{"score": "energy"}], "rows": [row]}
    >>> measured |= {"n_clips": {"test": 80, "silence": 2}}
    >>> conclude_novelty(Path("none"), measured)
    ['By energy an answer gets: test 90.0 % of 80, silence 0.0 % of 2.']
    """
    score = AND.join(rule["score"] for rule in measured["novelty"])
    (row,) = (row for row in measured["rows"] if row["score"] == score)
    shares = ", ".join(
        f"{name} {100 * row[name]:.1f} % of {count}"
        for name, count in measured["n_clips"].items()
    )
    first = f"By {score} an answer gets: {shares}."
    return [first, *tell_files(folder, SORTED_OUT)]


def conclude_reproduction(folder: Path) -> list[str]:
    """Say where the tables and figures are.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "seeds.md").touch()
    >>> lines = conclude_reproduction(folder)
    >>> lines[0], lines[1].endswith("seeds.md  (a table)")
    ('Open:', True)
    """
    return tell_files(folder, REPRODUCED)


def tell_files(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return lines that say which files to open, of those that are there.

    `files` maps names, or patterns, to what they are.

    Example
    -------
    >>> tell_files(Path("none"), {"a.png": "a picture"})
    []
    """
    there = [
        f"  {path}  ({words})"
        for name, words in files.items()
        for path in sorted(folder.glob(name))
    ]
    return ["Open:", *there] if there else []


def _as_source(folder: Path) -> str:
    """Write a folder for a shell, and so that it is no name on the hub."""
    is_name = len(folder.parts) == 2 and not folder.is_absolute()
    return shlex.quote(f"./{folder}" if is_name else str(folder))


def _tell_share(metrics: Mapping[str, Any], column: str) -> tuple[str, str]:
    """Return a column's mean, and its interval, in percent."""
    found = metrics["statistics"][column]
    mean, low, high = (100 * found[name] for name in ("mean", "low", "high"))
    return f"{mean:.1f} %", f"{low:.1f} to {high:.1f} %"
