"""`arguments of a step -> the same`, refused if out of their range."""

from __future__ import annotations

from math import inf, isfinite
from numbers import Real


def check_range(least: float, most: float = inf, **values: float) -> None:
    """Refuse arguments that are no finite numbers from `least` to `most`.

    Each of `values` is called as the caller's argument. A `ValueError` names
    the argument, its value and its range.

    Example
    -------
    >>> check_range(0, 1, probability=0.5)
    >>> check_range(0, 1, probability=5.0)
    Traceback (most recent call last):
    ValueError: probability=5.0 must be a number from 0 to 1.
    """
    rule = f"from {least:g}" + ("" if most == inf else f" to {most:g}")
    for name, value in values.items():
        is_number = isinstance(value, Real) and isfinite(value)
        if not (is_number and least <= value <= most):
            raise ValueError(f"{name}={value!r} must be a number {rule}.")
