"""What a run logs of its epochs: `train_log.txt`, and TensorBoard's files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.train_logger import (
    FileTrainLogger,
    TensorboardLogger,
    TrainLogger,
)

from focalaudio.files import replace_file


class TrainLoggers(TrainLogger):
    """Pass statistics on to several of SpeechBrain's loggers."""

    def __init__(self, loggers: Sequence[TrainLogger]) -> None:
        self.loggers = list(loggers)

    def log_stats(self, *args: Any, **kwargs: Any) -> None:
        """See SpeechBrain's `TrainLogger.log_stats`."""
        for logger in self.loggers:
            logger.log_stats(*args, **kwargs)

    def rewind(self, epoch: int) -> None:
        """Forget later epochs, and tests: a resumed run does them again."""
        for logger in self.loggers:
            if isinstance(logger, FileTrainLogger) and if_main_process():
                _forget_epochs(Path(logger.save_file), epoch)


def _forget_epochs(path: Path, last: int) -> None:
    """Keep the lines of epochs up to the last in a `train_log.txt`."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    epochs = [re.match(r"epoch: (\d+)", line) for line in lines]
    later = [found is None or int(found[1]) > last for found in epochs]
    if any(later):
        kept = [
            line for line, gone in zip(lines, later, strict=True) if not gone
        ]
        with replace_file(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")


class _LateTensorboard(TrainLogger):
    """SpeechBrain's, which opens its file at once, opened at first use."""

    def __init__(self, folder: Path) -> None:
        import_module("torch.utils.tensorboard")  # fail now if it is missing
        self.folder = folder

    @cached_property
    def _logger(self) -> TrainLogger:
        return TensorboardLogger(str(self.folder))

    def log_stats(self, *args: Any, **kwargs: Any) -> None:
        self._logger.log_stats(*args, **kwargs)


def build_logger(
    output_folder: str, use_tensorboard: bool = False
) -> TrainLoggers:
    """Make the logger of a run: `train_log.txt` in its folder.

    With `use_tensorboard`, event files are written to `tensorboard/` too.
    """
    folder = Path(output_folder)
    loggers: list[TrainLogger] = [
        FileTrainLogger(str(folder / "train_log.txt"), precision=4)
    ]
    if use_tensorboard:
        loggers.append(_LateTensorboard(folder / "tensorboard"))
    return TrainLoggers(loggers)
