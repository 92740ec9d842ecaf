"""`argv -> hparams, run_opts, folder`: the start-up that recipes share."""

from __future__ import annotations

import atexit
import fcntl
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import speechbrain as sb
import torch.distributed
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.distributed import ddp_init_group, if_main_process
from speechbrain.utils.train_logger import (
    FileTrainLogger,
    TensorboardLogger,
    TrainLogger,
)

from focalaudio.errors import FocalAudioError
from focalaudio.files import replace_file


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
    lock : file
        Held open so that no second run writes the folder.

    Example
    -------
    >>> Experiment({"seed": 1}, {}, Path("results"), None).hparams["seed"]
    1
    """

    hparams: dict[str, Any]
    run_opts: Any
    folder: Path
    lock: IO[str] | None

    def brain(self, kind: type[sb.Brain]) -> sb.Brain:
        """Build a Brain from the YAML's objects, after checking its needs.

        Arguments
        ---------
        kind : type
            A Brain that declares `HPARAMS_NEEDED` and `MODULES_NEEDED`.

        Returns
        -------
        speechbrain.Brain
            Ready to fit or evaluate.

        Raises
        ------
        ValueError
            If the YAML lacks a key that the Brain reads.
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


def start_experiment(argv: Sequence[str]) -> Experiment:
    """Parse a recipe's command line, load its YAML, make its folder.

    Arguments
    ---------
    argv : sequence of str
        `file.yaml --key value ... --speechbrain_option`.

    Returns
    -------
    Experiment
        With the folder locked until the process ends.

    Raises
    ------
    FocalAudioError
        If another run is writing the same folder.
    """
    hparams_file, run_opts, overrides = sb.parse_arguments(list(argv))
    ddp_init_group(run_opts)
    atexit.register(leave_group)
    with open(hparams_file, encoding="utf-8") as stream:
        hparams = load_hyperpyyaml(stream, overrides)
    folder = Path(hparams["output_folder"])
    lock = lock_folder(folder) if if_main_process() else None
    sb.create_experiment_directory(
        experiment_directory=str(folder),
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )
    return Experiment(hparams, run_opts, folder, lock)


def leave_group() -> None:
    """Leave the group of processes, if there is one.

    A process that ends without may be aborted by its own threads, and
    torchrun then kills the others, whatever they are writing.

    Example
    -------
    >>> leave_group()
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def lock_folder(folder: Path) -> IO[str]:
    """Claim a folder for this process; the claim ends with the process.

    Arguments
    ---------
    folder : pathlib.Path
        Made if it does not exist.

    Returns
    -------
    file
        Keep it open as long as the claim should last.

    Raises
    ------
    FocalAudioError
        If another process holds the claim.

    Example
    -------
    >>> lock = lock_folder(getfixture("tmp_path"))
    >>> lock_folder(getfixture("tmp_path"))
    Traceback (most recent call last):
    focalaudio.errors.FocalAudioError: output_folder=... is being written by
    another run; wait for it, or give another experiment_name or seed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / ".lock", "w", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise FocalAudioError(
            f"output_folder={folder} is being written by another run; wait "
            "for it, or give another experiment_name or seed."
        ) from None
    return lock


class TrainLoggers(TrainLogger):
    """Pass statistics on to several of SpeechBrain's loggers.

    Arguments
    ---------
    loggers : sequence of TrainLogger
        Each gets every call.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train_log.txt"
    >>> logger = TrainLoggers([FileTrainLogger(str(path), precision=4)])
    >>> logger.log_stats({"epoch": 1}, train_stats={"loss": 2.0})
    >>> path.read_text().strip()
    'epoch: 1 - train loss: 2.0000'
    """

    def __init__(self, loggers: Sequence[TrainLogger]) -> None:
        self.loggers = list(loggers)

    def log_stats(self, *args: Any, **kwargs: Any) -> None:
        """See SpeechBrain's `TrainLogger.log_stats`."""
        for logger in self.loggers:
            logger.log_stats(*args, **kwargs)

    def rewind(self, epoch: int) -> None:
        """Forget the lines of later epochs, which a resumed run does again."""
        for logger in self.loggers:
            if isinstance(logger, FileTrainLogger) and if_main_process():
                forget_epochs(Path(logger.save_file), epoch)


def forget_epochs(path: Path, last: int) -> None:
    r"""Take the lines of later epochs out of a `train_log.txt`.

    Arguments
    ---------
    path : pathlib.Path
        The log, if there is one yet.
    last : int
        The last epoch whose line stays.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train_log.txt"
    >>> _ = path.write_text("epoch: 9, lr: 1\nepoch: 10, lr: 1\n")
    >>> forget_epochs(path, 9)
    >>> path.read_text()
    'epoch: 9, lr: 1\n'
    """
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    epochs = [re.match(r"epoch: (\d+)", line) for line in lines]
    later = [found is not None and int(found[1]) > last for found in epochs]
    if any(later):
        kept = [
            line for line, gone in zip(lines, later, strict=True) if not gone
        ]
        with replace_file(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")


def build_logger(
    output_folder: str, use_tensorboard: bool = False
) -> TrainLoggers:
    """Make the logger of a run: `train_log.txt`, and TensorBoard if wanted.

    Arguments
    ---------
    output_folder : str
        The run's folder.
    use_tensorboard : bool
        Write event files to `tensorboard/` too.

    Returns
    -------
    TrainLoggers
        SpeechBrain's interface.

    Example
    -------
    >>> logger = build_logger(str(getfixture("tmp_path")))
    >>> len(logger.loggers)
    1
    """
    folder = Path(output_folder)
    loggers: list[TrainLogger] = [
        FileTrainLogger(str(folder / "train_log.txt"), precision=4)
    ]
    if use_tensorboard:
        loggers.append(TensorboardLogger(str(folder / "tensorboard")))
    return TrainLoggers(loggers)
