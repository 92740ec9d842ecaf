"""`labels or class ids -> class ids`: what a user asks to be explained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from torch import Tensor

Target = str | int | Sequence[str | int] | Tensor | np.ndarray


def find_targets(
    target: Target | None,
    labels: Sequence[str],
    batch: int,
    against: Iterable[int | None] = (),
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
    against : iterable of int
        Class ids that they are explained rather than; None says nothing.

    Returns
    -------
    list of int
        One for each clip.

    Raises
    ------
    ValueError
        If there is no such class, or not one for each clip; or one of them is
        explained against itself.

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
        target = [target] * batch
    asked: list[Any] = list(target)  # type: ignore[arg-type]
    if len(asked) != batch:
        raise ValueError(
            f"target has {len(asked)} classes for {batch} clips; give one for "
            "all, or one for each."
        )
    found = [find_class("target", one, labels) for one in asked]
    refuse_itself(found, against, labels)
    return found


def refuse_itself(
    targets: Iterable[int | None],
    against: Iterable[int | None],
    labels: Sequence[str],
) -> None:
    """Refuse, with a `ValueError`, what is explained against itself.

    All are class ids, or None, which says nothing.

    Example
    -------
    >>> refuse_itself([0], [0], ["dog", "rain"])
    Traceback (most recent call last):
    ValueError: target='dog' must be another class than against='dog'; leave \
one of them out, or name another.
    """
    others = {*against}
    for class_id in targets:
        if class_id is not None and class_id in others:
            label = labels[class_id]
            raise ValueError(
                f"target={label!r} must be another class than "
                f"against={label!r}; leave one of them out, or name another."
            )


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
