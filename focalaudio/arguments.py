"""Objects that remember how they were made, so that a file can say it."""

from __future__ import annotations

import functools
import inspect
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound=type)


def remember_arguments(kind: Kind) -> Kind:
    """Make a class's objects keep all arguments of their constructor.

    `kind` is changed in place: its objects have `arguments`, a dict that holds
    those with defaults too. A subclass remembers its own only if decorated.

    Example
    -------
    >>> @remember_arguments
    ... class Window:
    ...     def __init__(self, length, hop=2):
    ...         self.n = length // hop
    >>> Window(8).arguments
    {'length': 8, 'hop': 2}
    """
    made: Any = kind
    init = made.__init__
    signature = inspect.signature(init)

    @functools.wraps(init)
    def remember(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if type(self) is made:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            _, *given = bound.arguments.items()
            vars(self)["arguments"] = dict(given)

    made.__init__ = remember
    return kind
