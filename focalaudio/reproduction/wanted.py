"""`reproduce.yaml -> what is wanted of it`: folds, systems, conditions.

A single value is a list of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ALL = "all"
Options = Mapping[str, Any]


def list_one(given: Any) -> list[Any]:
    """Return a list as it is, one of nothing for null, else of one.

    Example
    -------
    >>> list_one([5, 1]), list_one("theo"), list_one(None)
    ([5, 1], ['theo'], [])
    """
    if isinstance(given, (list, tuple)):
        return list(given)
    return [] if given is None else [given]


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
            f"{', '.join(named)}."
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
            f"{', '.join(map(str, known))}."
        )
    return tuple(fold for fold in known if fold in wanted)
