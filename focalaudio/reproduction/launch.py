"""`name of a recipe -> process`: run the recipes that the package ships."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from focalaudio.errors import FocalAudioError

PACKAGE = Path(__file__).parents[1]


def shipped(name: str) -> Path:
    """Return a folder that comes with the package: `recipes` or `hparams`.

    Arguments
    ---------
    name : str
        Its name.

    Returns
    -------
    pathlib.Path
        Inside the installed package, or beside it in a clone.

    Raises
    ------
    FocalAudioError
        If it is in neither place.

    Example
    -------
    >>> (shipped("hparams") / "interpret.yaml").exists()
    True
    """
    for folder in (PACKAGE / name, PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FocalAudioError(
        f"{name}/ is neither in {PACKAGE} nor beside it; install the package "
        "from its repository, or run the demo in a clone."
    )


def run_recipe(
    name: str, folder: Path, flags: Sequence[str] = (), **options: object
) -> None:
    """Run one of the recipes in a process of its own.

    Arguments
    ---------
    name : str
        Of the script and of its YAML file, without ending.
    folder : pathlib.Path
        Becomes `output_folder`.
    flags : sequence of str
        Options of SpeechBrain that stand alone, or with their value.
    **options
        Keys of the YAML file.

    Raises
    ------
    subprocess.CalledProcessError
        If the recipe fails; it has said why.
    """
    command = [
        sys.executable,
        str(shipped("recipes") / "ESC50" / f"{name}.py"),
        str(shipped("hparams") / f"{name}.yaml"),
        "--output_folder",
        str(folder),
        *flags,
    ]
    for key, value in options.items():
        command += [f"--{key}", format_value(value)]
    subprocess.run(command, check=True)


def format_value(value: object) -> str:
    """Write a value as it stands in YAML, on one line.

    Arguments
    ---------
    value : object
        Plain values, lists and mappings of them.

    Returns
    -------
    str
        For a command line.

    Example
    -------
    >>> format_value({"method": "random", "maps": ["stage_1"], "piq": None})
    '{"method": "random", "maps": ["stage_1"], "piq": null}'
    >>> format_value("focalnet_nano"), format_value(0.9), format_value(None)
    ('focalnet_nano', '0.9', 'null')
    """
    if isinstance(value, (str, Path)):
        return str(value)
    return json.dumps(value, default=str)  # JSON is YAML
