"""`nothing -> model`: the one that comes with the package.

A bundle like any other, in the folder `default/` beside this file: another one
takes its place when the folder is replaced by what `focalaudio export` made.
"""

from __future__ import annotations

from pathlib import Path

DEFAULT = Path(__file__).parent / "default"


def default_model() -> Path:
    """Return the folder of the model that comes with the package.

    Returns
    -------
    pathlib.Path
        A bundle, for `load_model`.

    Raises
    ------
    FileNotFoundError
        If this installation has none.

    Example
    -------
    >>> default_model().name
    'default'
    """
    if not DEFAULT.is_dir():
        raise FileNotFoundError(
            f"{DEFAULT} is missing: this installation has no model of its own. "
            "Install focalaudio again, or give a model: a bundle's or a run's "
            "folder, or owner/name on the hub."
        )
    return DEFAULT
