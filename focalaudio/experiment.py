"""`argv -> hparams, run_opts, folder`: the start-up that recipes share."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import speechbrain as sb
import torch
from filelock import FileLock
from hyperpyyaml import load_hyperpyyaml, resolve_references
from speechbrain.utils.distributed import (
    ddp_init_group,
    if_main_process,
    infer_device,
)

from focalaudio.brains.heard import refuse_heard
from focalaudio.console import CONSOLE
from focalaudio.endings import Ending
from focalaudio.errors import FocalAudioError, escape_text
from focalaudio.files import lock_folder
from focalaudio.inference.run_opts import find_device
from focalaudio.interrupts import obey_signals
from focalaudio.memory import keep_freed_memory
from focalaudio.overrides import name_keys, take_overrides
from focalaudio.processes import leave_at_exit, on_first
from focalaudio.values import fit_values, read_file

DEBUG = "--debug"  # SpeechBrain's; shows tracebacks, too
CPU = torch.device("cpu")
GO_ON = ("progress", "systems")  # keys of recipes that do not train, but go on

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experiment:
    """What a recipe starts with.

    Arguments
    ---------
    hparams : dict
        The loaded YAML, with the command line's overrides.
    run_opts : dict
        SpeechBrain's run options.
    folder : pathlib.Path
        The run's own output folder, `hparams["output_folder"]`.
    lock : filelock.FileLock
        Held so that no second run writes the folder.
    device : torch.device
        Where a Brain computes, for recipes without one.
    """

    hparams: dict[str, Any]
    run_opts: Any
    folder: Path
    lock: FileLock | None = None
    device: torch.device = CPU

    def brain(self, kind: type[sb.Brain]) -> sb.Brain:
        """Build a Brain from the YAML's objects, ready to fit or evaluate.

        Raises
        ------
        ValueError
            If the YAML lacks a key that the Brain declares as needed.
        """
        modules = self.hparams.get("modules", {})
        for needed, given, where in (
            (kind.HPARAMS_NEEDED, self.hparams, "the YAML file"),
            (kind.MODULES_NEEDED, modules, "modules"),
        ):
            missing = sorted(set(needed) - set(given))
            if missing:
                raise ValueError(
                    f"{kind.__name__} needs {', '.join(missing)} in {where}; "
                    "compare with the file of the same name in hparams/."
                )
        return kind(
            modules=modules,
            opt_class=self.hparams.get("opt_class"),
            hparams=self.hparams,
            run_opts=self.run_opts,
            checkpointer=self.hparams.get("checkpointer"),
        )

    def conclude(self, lines: Iterable[str]) -> None:
        """Say the last lines of a run: what was found, what to open."""
        if if_main_process():
            for line in lines:
                logger.info("%s", escape_text(line))


def start_experiment(
    argv: Sequence[str], own: str = "", needed: Collection[str] = ()
) -> Experiment:
    """Parse a recipe's command line, load its YAML, make its folder.

    From here on a mistake that the user can mend ends the process in one line;
    Ctrl-C and SIGTERM do, too, and say how to go on. FOCALAUDIO_TRACEBACK=1 in
    the environment, or SpeechBrain's `--debug`, shows tracebacks.

    Arguments
    ---------
    argv : sequence of str
        `file.yaml --key value ... --speechbrain_option`.
    own : str
        The recipe's own file, for who gives another one's.
    needed : collection of str
        The keys of it that the recipe reads.

    Raises
    ------
    FocalAudioError
        If another run is writing the same folder, or if the folder holds a
        run with other settings. Nothing is written then.
    ValueError
        If the file is not there, or lacks a key; if an option is no key of it,
        or its value no YAML, or none of the kind that the file has there; if
        the device is not there.
    """
    command = shlex.join([sys.executable, sys.argv[0], *argv])
    end = Ending(command, traced=DEBUG in argv)
    sys.excepthook = end.hook(sys.excepthook)
    obey_signals()
    keep_freed_memory()
    options, overrides = take_overrides(argv)
    hparams_file, run_opts, rest = sb.parse_arguments(options)
    if rest:
        raise ValueError(f"{rest}: an option begins with --, as in --seed 1.")
    text, name = read_file(hparams_file, own), Path(hparams_file).name
    needed = {"output_folder", *needed}
    overrides, values = fit_values(name, text, overrides, own, needed)
    device = find_device(run_opts.device or infer_device())
    ddp_init_group(run_opts)
    leave_at_exit()
    hparams = _load(text, overrides, values)
    resolved = resolve_references(text, overrides).read()
    refuse_heard(hparams)
    folder = Path(hparams["output_folder"])
    lock = on_first(partial(_claim, folder, hparams, resolved, run_opts))
    sb.create_experiment_directory(
        experiment_directory=str(folder),
        hyperparams_to_save=hparams_file,
        overrides=overrides,
        log_config=str(CONSOLE),
    )
    checkpointer = hparams.get("checkpointer")
    # paths only: what the hook knew of models would outlive the interpreter,
    # and with them the threads of a group of processes
    saved = checkpointer and checkpointer.checkpoints_dir
    goes_on = any(key in hparams for key in GO_ON)
    end = replace(end, folder=folder, checkpoints=saved, goes_on=goes_on)
    sys.excepthook = end.hook(sys.excepthook)
    if if_main_process() and _converts(run_opts):
        logger.warning(
            "This processor has no bf16 of its own: what is computed in it "
            "takes up to ten times as long as in fp32."
        )
    return Experiment(hparams, run_opts, folder, lock, device)


def _load(text: str, overrides: str, values: dict[str, Any]) -> dict[str, Any]:
    """Make what a YAML file says; say what it cannot in the file's words."""
    try:
        return load_hyperpyyaml(text, overrides)
    except (FocalAudioError, ValueError) as error:
        said = name_keys(str(error), text, values)
        is_own = isinstance(error, FocalAudioError) or type(error) is ValueError
        if not is_own or said == str(error):
            raise
        raise type(error)(said) from error


def _converts(run_opts: Any) -> bool:
    """Return whether the CPU can compute bf16 only by converting it."""
    wanted = {run_opts.precision, run_opts.eval_precision}
    is_here = "bf16" in wanted and run_opts.device == "cpu"
    return is_here and torch.backends.cpu.get_cpu_capability() == "AVX2"


def _claim(
    folder: Path, hparams: dict[str, Any], resolved: str, run_opts: Any
) -> FileLock:
    """Lock a folder, and make sure that it holds no other run."""
    name = f"output_folder={folder}"
    lock = lock_folder(folder, name, "experiment_name, seed or output_folder")
    if "settings" in hparams:
        settings = hparams["settings"]
        settings.complete(resolved, run_opts)
        if "progress" in hparams:
            hparams["progress"].refuse_others()
        else:
            saved = hparams["checkpointer"].list_checkpoints()
            settings.refuse_others(folder, saved, run_opts.test_only)
            if not saved and not run_opts.test_only:
                # of a try with --debug: no result of what starts now
                (folder / "metrics.json").unlink(missing_ok=True)
    return lock
