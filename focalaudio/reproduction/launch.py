"""`name of a recipe -> process`: run the recipes that the package ships."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from focalaudio.errors import FocalAudioError

PACKAGE = Path(__file__).parents[1]


def _shipped(name: str) -> Path:
    """Return `recipes` or `hparams`, in the installed package or a clone."""
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
        str(_shipped("recipes") / "ESC50" / f"{name}.py"),
        str(_shipped("hparams") / f"{name}.yaml"),
        "--output_folder",
        str(folder),
        *flags,
    ]
    for key, value in options.items():
        command += [f"--{key}", _format_value(value)]
    subprocess.run(command, check=True)


def _format_value(value: object) -> str:
    """Write a value as it stands in YAML, on one line."""
    if isinstance(value, (str, Path)):
        return str(value)
    return json.dumps(value, default=str)  # JSON is YAML
