"""`reproduce.yaml -> what is wanted of it`: folds, systems, conditions.

A single value is a list of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from focalaudio.models.load import list_one

ALL = "all"
PLAN_KEYS = (  # of reproduce.yaml, that a plan is read from
    *("agreement", "columns", "compare", "conditions", "data_folder"),
    *("figure_2", "figure_3", "fold_names", "fold_seed", "folds", "interpret"),
    *("lmac", "manifest", "n_folds", "output_folder", "pattern", "piq"),
    *("protocol", "quantile", "seed", "seeds", "systems", "training"),
    *("wanted_conditions", "wanted_systems", "when_debugging"),
)
Options = Mapping[str, Any]


def choose(
    what: str, named: Mapping[str, Options], wanted: Any, at_least: int = 1
) -> dict[str, Options]:
    """Return the systems or conditions that are wanted.

    A mapping on the command line adds to that of the YAML file, so that names
    are the way to leave something out.

    Arguments
    ---------
    what : str
        `systems` or `conditions`, for messages.
    named : mapping
        All of them.
    wanted : str or sequence of str
        Names, or `all`.
    at_least : int
        How many there must be.

    Raises
    ------
    ValueError
        If there is none of a name, or they are too few.

    Example
    -------
    >>> choose("systems", {"vit": {}, "focalnet": {}}, "vit")
    {'vit': {}}
    """
    names = list(named) if wanted == ALL else list_one(wanted)
    if len(names) < at_least or not all(name in [*named] for name in names):
        raise ValueError(
            f"wanted_{what}={wanted} must be 'all' or names of "
            f"{', '.join(named)}, such as {_example(named)}."
        )
    return {name: named[name] for name in named if name in names}


def find_folds(folds: Any, known: Sequence[int | str]) -> tuple[int | str, ...]:
    """Return the test folds that are wanted, in the order of the `known`.

    `folds` are names, or `all`; a `ValueError` if there is none of a name.

    Example
    -------
    >>> find_folds(5, [1, 2, 3, 4, 5]), find_folds("all", ["theo", "anna"])
    ((5,), ('theo', 'anna'))
    """
    wanted = list(known) if folds == ALL else list_one(folds)
    if not wanted or not all(fold in known for fold in wanted):
        raise ValueError(
            f"folds={folds} must be 'all' or some of "
            f"{', '.join(map(str, known))}, such as {_example(known)}."
        )
    return tuple(fold for fold in known if fold in wanted)


def _example(names: Iterable[Any]) -> str:
    """Write the first two as a shell needs a list."""
    return f"'[{', '.join(map(str, islice(names, 2)))}]'"


def find_pair(agreement: Any) -> list[str] | None:
    """Return the two conditions whose scores are compared; None for none.

    A `ValueError` if they are not two.

    Example
    -------
    >>> find_pair(["clean", "overlap_0"])
    ['clean', 'overlap_0']
    """
    pair = list_one(agreement)
    if len(pair) not in (0, 2):
        raise ValueError(
            f"agreement={agreement} must be two conditions, such as "
            '"[clean, overlap_0]", or null.'
        )
    return pair or None
