"""`labels or class ids -> class ids`: what a user asks to be explained."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from torch import Tensor

Target = str | int | Sequence[str | int] | Tensor | np.ndarray


def find_targets(
    target: Target | None, labels: Sequence[str], batch: int
) -> list[int] | None:
    """Return the class id of each clip that targets mean; None for None.

    Arguments
    ---------
    target : str, int, or one for each clip
        Labels or class ids, also as a tensor or an array.
    labels : sequence of str
        In the order of the class ids.
    batch : int
        How many clips there are.

    Returns
    -------
    list of int
        One for each clip.

    Raises
    ------
    ValueError
        If there is no such class, or not one for each clip.

    Example
    -------
    >>> find_targets("rain", ["dog", "rain"], 2)
    [1, 1]
    """
    if target is None:
        return None
    if isinstance(target, Tensor | np.ndarray):
        target = target.tolist()
    if isinstance(target, str | Integral):
        return [find_class("target", target, labels)] * batch
    asked: list[Any] = list(target)  # type: ignore[arg-type]
    if len(asked) != batch:
        raise ValueError(
            f"target has {len(asked)} classes for {batch} clips; give one for "
            "all, or one for each."
        )
    return [find_class("target", one, labels) for one in asked]


def find_class(name: str, value: Any, labels: Sequence[str]) -> int:
    """Return the class id that a label or an id means.

    A text of digits is an id, as a command line gives it, unless it is a label.
    `name` is what the `ValueError` calls the argument if there is no such
    class.

    Example
    -------
    >>> find_class("against", "rain", ["dog", "rain"])
    1
    """
    if isinstance(value, str) and value in labels:
        return labels.index(value)
    is_digits = isinstance(value, str) and value.isdecimal()
    is_id = isinstance(value, Integral) and not isinstance(value, bool)
    if (is_id or is_digits) and 0 <= int(value) < len(labels):
        return int(value)
    raise ValueError(
        f"{name}={value!r} is no class of this model; it knows "
        f"{', '.join(labels)} (or their ids, from 0)."
    )
