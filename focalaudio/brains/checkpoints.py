"""What a killed run needs, beside weights and optimizer, to go on unchanged."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speechbrain.utils.checkpoints import (
    Checkpoint,
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import (
    ddp_barrier,
    if_main_process,
    main_process_only,
)

from focalaudio.brains.settings import RunSettings
from focalaudio.errors import FocalAudioError
from focalaudio.models.checkpoints import CheckedCheckpointer, seal
from focalaudio.report.tables import write_csv


class WholeCheckpointer(CheckedCheckpointer):
    """SpeechBrain's checkpointer, whose checkpoints are whole or absent.

    A checkpoint is written into a hidden folder that gets its name when
    everything is in it, and loses it before it is deleted; what a killed
    process left is cleared away. The last two are kept beside the best: should
    one be damaged, there is another.

    Arguments
    ---------
    checkpoints_dir, recoverables
        As in SpeechBrain.
    settings : RunSettings
        Part of each checkpoint, as `settings.ckpt`. Checkpoints of older runs
        have none and are loaded all the same.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> checkpointer = WholeCheckpointer(folder, {"history": History()})
    >>> path = checkpointer.save_checkpoint({"error": 0.5}).path
    >>> path.name.startswith("CKPT+"), (path / "history.ckpt").exists()
    (True, True)
    """

    def __init__(
        self,
        checkpoints_dir: str | Path,
        recoverables: dict[str, Any] | None = None,
        settings: RunSettings | None = None,
    ) -> None:
        super().__init__(checkpoints_dir, recoverables)
        self.settings = settings
        if settings is not None:
            self.add_recoverable("settings", settings, optional_load=True)

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> Checkpoint | None:
        """See SpeechBrain's `Checkpointer.save_checkpoint`."""
        self._remove_hidden()
        with self._refusals_named():
            hidden = super().save_checkpoint(*args, **kwargs)
        ddp_barrier()  # every process has written its part
        with self._refusals_named():
            whole = None if hidden is None else _publish(hidden)
        if whole is not None:
            self.damage[whole.path] = ""  # just written
        ddp_barrier()  # every process sees the checkpoint
        return whole

    @contextmanager
    def _refusals_named(self) -> Iterator[None]:
        """Say what a full disk means for a run."""
        try:
            yield
        except (OSError, RuntimeError) as error:  # the latter are torch's
            words = getattr(error, "strerror", None) or error
            raise FocalAudioError(
                f"{self.checkpoints_dir} takes no checkpoint ({words}); what "
                "was saved before is there: make room, then give the same "
                "command again."
            ) from error

    def save_and_keep_only(
        self,
        meta: dict[str, Any],
        max_keys: Sequence[str] = (),
        min_keys: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        """Save a checkpoint, then `keep_only`.

        Arguments
        ---------
        meta : dict
            Metadata of the checkpoint.
        max_keys, min_keys : sequence of str
            See `keep_only`.
        **kwargs
            Of SpeechBrain's `Checkpointer.save_checkpoint`.
        """
        self.save_checkpoint(meta, **kwargs)
        self.keep_only(max_keys, min_keys)

    def keep_only(
        self, max_keys: Sequence[str] = (), min_keys: Sequence[str] = ()
    ) -> None:
        """Delete all checkpoints but the last two and the best.

        One loses its name before its files: a process that is killed meanwhile
        leaves none that looks damaged. What it left is deleted, too.

        Arguments
        ---------
        max_keys, min_keys : sequence of str
            Of the metadata: the checkpoint with the highest, or the lowest,
            value of each is kept.
        """
        if if_main_process():
            kept = self.find_checkpoints(max_num_checkpoints=2)
            kept += [self.find_checkpoint(max_key=key) for key in max_keys]
            kept += [self.find_checkpoint(min_key=key) for key in min_keys]
            for checkpoint in self.list_checkpoints():
                if checkpoint not in kept:
                    name = f".{checkpoint.path.name}"
                    checkpoint.path.rename(checkpoint.path.with_name(name))
            self._remove_hidden()
        ddp_barrier()

    def _remove_hidden(self) -> None:
        """Remove what has no name yet, or none any more."""
        if if_main_process():
            for remains in self.checkpoints_dir.glob(".CKPT+*"):
                shutil.rmtree(remains)

    def _new_checkpoint_dirpath(self) -> Path:
        path = super()._new_checkpoint_dirpath()
        return path.with_name(f".{path.name}")


def _publish(checkpoint: Checkpoint) -> Checkpoint:
    """Take the dot from the name of a checkpoint's folder, if it has one."""
    path = checkpoint.path.with_name(checkpoint.path.name.lstrip("."))
    seal(checkpoint.path)
    checkpoint.path.rename(path)
    files = {k: path / v.name for k, v in checkpoint.paramfiles.items()}
    return Checkpoint(path, checkpoint.meta, files)


@register_checkpoint_hooks
class RandomState:
    """The state of Python's, NumPy's and torch's generators, for checkpoints.

    Example
    -------
    >>> path, state = getfixture("tmp_path") / "random.pt", RandomState()
    >>> state.save(path)
    >>> drawn = torch.rand(3)
    >>> state.load(path)
    >>> bool((torch.rand(3) == drawn).all())
    True
    """

    @mark_as_saver
    @main_process_only
    def save(self, path: str | Path) -> None:
        """Write the state of all generators; processes draw alike."""
        name, keys, *rest = np.random.get_state(legacy=True)
        torch.save(
            {
                "python": random.getstate(),
                "numpy": [name, np.asarray(keys).tolist(), *rest],
                "torch": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all(),
            },
            path,
        )

    @mark_as_loader
    def load(self, path: str | Path, end_of_epoch: bool = True) -> None:
        """Set the state of all generators."""
        state = torch.load(path, weights_only=True, map_location="cpu")
        random.setstate(state["python"])
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
        torch.set_rng_state(state["torch"])
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])


@register_checkpoint_hooks
class History:
    """One row of numbers per epoch, restored when a run is resumed.

    Rows are never forgotten: testing loads the best checkpoint, and the
    epochs after it have happened all the same.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Append a row."""
        self.rows.append(row)

    @main_process_only
    def write_table(self, path: str | Path) -> None:
        """Write the rows as CSV, for people; one process does."""
        write_csv(self.rows, path)

    @mark_as_saver
    @main_process_only
    def save(self, path: str | Path) -> None:
        """Write the rows as JSON."""
        Path(path).write_text(json.dumps(self.rows), encoding="utf-8")

    @mark_as_loader
    def load(self, path: str | Path, end_of_epoch: bool = True) -> None:
        """Read the rows, if there are more of them than are known."""
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        self.rows = max(self.rows, rows, key=len)
