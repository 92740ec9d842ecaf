"""What a killed run needs, beside weights and optimizer, to go on unchanged."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speechbrain.utils.checkpoints import (
    Checkpoint,
    Checkpointer,
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import (
    ddp_barrier,
    if_main_process,
    main_process_only,
)


class WholeCheckpointer(Checkpointer):
    """SpeechBrain's checkpointer, whose checkpoints are whole or absent.

    A checkpoint is written into a hidden folder that gets its name when
    everything is in it; what a killed process left is cleared away. Arguments
    as in SpeechBrain.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> checkpointer = WholeCheckpointer(folder, {"history": History()})
    >>> path = checkpointer.save_checkpoint({"error": 0.5}).path
    >>> path.name.startswith("CKPT+"), (path / "history.ckpt").exists()
    (True, True)
    """

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> Checkpoint | None:
        """See SpeechBrain's `Checkpointer.save_checkpoint`."""
        if if_main_process():
            for remains in self.checkpoints_dir.glob(".CKPT+*"):
                shutil.rmtree(remains)
        hidden = super().save_checkpoint(*args, **kwargs)
        ddp_barrier()  # every process has written its part
        whole = None if hidden is None else publish(hidden)
        ddp_barrier()  # every process sees the checkpoint
        return whole

    def _new_checkpoint_dirpath(self) -> Path:
        path = super()._new_checkpoint_dirpath()
        return path.with_name(f".{path.name}")


def publish(checkpoint: Checkpoint) -> Checkpoint:
    """Take the dot from the name of a checkpoint's folder, if it has one.

    Arguments
    ---------
    checkpoint : Checkpoint
        SpeechBrain's record of a checkpoint.

    Returns
    -------
    Checkpoint
        Of the renamed folder.

    Example
    -------
    >>> hidden = getfixture("tmp_path") / ".CKPT+1"
    >>> hidden.mkdir()
    >>> publish(Checkpoint(hidden, {}, {})).path.name
    'CKPT+1'
    """
    path = checkpoint.path.with_name(checkpoint.path.name.lstrip("."))
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

    Example
    -------
    >>> history = History()
    >>> history.add({"epoch": 1, "train_loss": 2.0})
    >>> history.rows
    [{'epoch': 1, 'train_loss': 2.0}]
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Append a row."""
        self.rows.append(row)

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


class WarmupCosine:
    """A learning rate that rises linearly, then falls as a half cosine.

    It depends on the epoch alone, so that there is nothing to save.

    Arguments
    ---------
    peak : float
        Learning rate at the end of the warm-up.
    n_epochs : int
        Epochs of the whole training.
    warmup_epochs : int
        Epochs of the rise.

    Raises
    ------
    ValueError
        If the warm-up is longer than the training.

    Example
    -------
    >>> schedule = WarmupCosine(1.0, n_epochs=10, warmup_epochs=2)
    >>> [round(schedule(epoch), 2) for epoch in (1, 2, 3, 6, 10)]
    [0.5, 1.0, 0.97, 0.59, 0.03]
    """

    def __init__(
        self, peak: float, n_epochs: int, warmup_epochs: int = 5
    ) -> None:
        if not 0 <= warmup_epochs <= n_epochs:
            raise ValueError(
                f"warmup_epochs={warmup_epochs} must be between 0 and "
                f"n_epochs={n_epochs}."
            )
        self.peak = peak
        self.n_epochs = n_epochs
        self.warmup_epochs = warmup_epochs

    def __call__(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 1."""
        if epoch <= self.warmup_epochs:
            return self.peak * epoch / self.warmup_epochs
        left = self.n_epochs - self.warmup_epochs + 1
        done = (epoch - self.warmup_epochs) / left
        return self.peak * 0.5 * (1 + float(np.cos(np.pi * done)))
