"""`name of a recipe -> process`: run the recipes that the package ships.

Under torchrun every process starts a recipe's share: the first one leads, the
others follow.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch.distributed as dist

from focalaudio.errors import FocalAudioError
from focalaudio.processes import gather

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
    if dist.is_initialized():
        command += ["--distributed_backend", dist.get_backend()]
        call = (command, _find_port())
        gather(call)
        _run_share(*call)
    else:
        subprocess.run(command, check=True)


def lead_or_follow(work: Callable[[], None]) -> None:
    """Let the first process work, and all others run the same recipes.

    Without torchrun there is one process, which just works.

    Arguments
    ---------
    work : callable
        Calls `run_recipe`, or not; only the first process calls it.

    Raises
    ------
    subprocess.CalledProcessError
        In the first process, if a process's share of a recipe fails.

    Example
    -------
    >>> lead_or_follow(lambda: print("worked"))
    worked
    """
    if not dist.is_initialized():
        work()
    elif dist.get_rank() == 0:
        try:
            work()
        finally:
            gather(None)
    else:
        _follow()


def _follow() -> None:
    while True:
        call = gather(None)[0]
        if call is None:
            return
        try:
            _run_share(*call)
        except subprocess.CalledProcessError:
            continue  # the first process knows, and says what comes next


def _find_port() -> int:
    """Find a port for the group of a recipe; that of its parents is in use."""
    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]


def _run_share(command: list[str], port: int) -> None:
    """Run a recipe in all processes at once; fail if one does."""
    group = {"MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "False"}
    done = subprocess.run(command, check=False, env=os.environ | group)
    codes = gather(done.returncode)
    if any(codes):
        raise subprocess.CalledProcessError(next(filter(None, codes)), command)


def _format_value(value: object) -> str:
    """Write a value as it stands in YAML, on one line."""
    if isinstance(value, (str, Path)):
        return str(value)
    return json.dumps(value, default=str)  # JSON is YAML
