"""What the Brains that train have in common: to be killed and go on."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import speechbrain as sb
import torch
from speechbrain.nnet.schedulers import update_learning_rate
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from focalaudio.brains.bars import EpochClock, Watched, WatchedBrain
from focalaudio.brains.checkpoints import WholeCheckpointer
from focalaudio.errors import FocalAudioError, ModelError

# of a YAML file, for who calls fit and evaluate; what Brains read they name
FIT_KEYS = (
    *("data", "epoch_counter", "eval_loader", "num_workers", "train_loader"),
)

logger = logging.getLogger(__name__)


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


class TrainingBrain(WatchedBrain):
    """A Brain that resumes unchanged and tests only what was trained.

    Subclasses name the keys of a checkpoint's metadata that may select it in
    `SELECTABLE`, and say which end is best in `LOWEST_IS_BEST`. The key
    `epoch` keeps the last one, whatever is measured, and is the only one that
    needs no validation.

    Arguments
    ---------
    modules, opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain; see `HPARAMS_NEEDED` for the keys of `hparams`.
    """

    HPARAMS_NEEDED: tuple[str, ...] = (
        "history",
        "schedule",
        "select_by",
        "train_logger",
    )
    MODULES_NEEDED: tuple[str, ...] = ()
    SELECTABLE: tuple[str, ...] = ()
    LOWEST_IS_BEST = True

    validates = True  # there are clips to validate on
    _epoch: int | None = None  # that is trained
    _words = ""  # of it, in the bars
    _clip_ids: Sequence[str] = ()  # of the batch
    _running: Sequence[tuple[Tensor, Tensor]] = ()  # statistics, before it too

    @property
    def selection(self) -> dict[str, str]:
        """What finds the best checkpoint: `min_key` or `max_key`, and it."""
        key = self.hparams.select_by
        lowest = self.LOWEST_IS_BEST and key != "epoch"
        return {"min_key" if lowest else "max_key": key}

    @property
    def _kept(self) -> dict[str, list[str]]:
        """The same for the checkpoints that are kept."""
        return {f"{end}s": [key] for end, key in self.selection.items()}

    def fit(
        self,
        epoch_counter: Any,
        train_set: Any,
        valid_set: Any = None,
        **kwargs: Any,
    ) -> None:
        """See SpeechBrain; with `valid_set` None nothing is validated."""
        self.validates = valid_set is not None
        # SpeechBrain's counter knows its last epoch; any iterable may count
        self._clock = EpochClock(getattr(epoch_counter, "limit", None))
        super().fit(epoch_counter, train_set, valid_set, **kwargs)

    def _fit_train(self, train_set: Any, epoch: int, enable: bool) -> None:
        """See SpeechBrain; the bar says which epoch is trained."""
        self._words = self._clock(epoch)
        watched = Watched(
            train_set,
            f"{self._words}, training",
            enable,
            lambda: f"loss {self.avg_train_loss:.3g}",
        )
        super()._fit_train(watched, epoch, False)

    def _fit_valid(self, valid_set: Any, epoch: int, enable: bool) -> None:
        """See SpeechBrain; the bar says which epoch is validated."""
        if valid_set is not None:
            words = f"{self._words}, validating"
            valid_set = Watched(valid_set, words, enable)
        super()._fit_valid(valid_set, epoch, False)

    def make_dataloader(
        self, dataset: Any, stage: sb.Stage, *args: Any, **kwargs: Any
    ) -> Any:
        """See SpeechBrain; refuse an epoch without a single batch."""
        loader = super().make_dataloader(dataset, stage, *args, **kwargs)
        # of few clips, a process may have none to evaluate
        is_shared = stage != sb.Stage.TRAIN and len(dataset) > 0
        if len(loader) == 0 and not is_shared:
            raise ValueError(
                f"batch_size={kwargs.get('batch_size', 1)} leaves no whole "
                f"batch of the {len(dataset)} clips to {stage.name.lower()} "
                "on; lower it."
            )
        return loader

    def trained(self, name: str) -> Any:
        """Return a module itself, never wrapped for several processes.

        A wrapped one waits for all of them whenever it is called, and in an
        evaluation they have shares of different lengths.
        """
        return getattr(self.modules[name], "module", self.modules[name])

    def _wrap_distributed(self) -> None:
        """See SpeechBrain; on the CPU each process normalizes its own share.

        torch synchronizes batch normalization on GPUs only.
        """
        if not self.distributed_launch or "cuda" in str(self.device):
            super()._wrap_distributed()
            return
        for name in list(self.modules):
            module = self.modules[name]
            if any(each.requires_grad for each in module.parameters()):
                self.modules[name] = DistributedDataParallel(
                    module, find_unused_parameters=self.find_unused_parameters
                )

    def on_fit_start(self) -> None:
        """Resume; forget what was logged after the resumed checkpoint.

        What the killed run would have deleted next is deleted.
        """
        if self.hparams.select_by not in self.SELECTABLE:
            raise ValueError(
                f"select_by={self.hparams.select_by!r} must be one of "
                f"{', '.join(self.SELECTABLE)}."
            )
        selects = self.checkpointer and self.hparams.select_by != "epoch"
        if selects and not self.validates:
            raise ValueError(
                f"select_by={self.hparams.select_by!r} needs a validation "
                "fold; give one as valid_folds, or select_by=epoch, which "
                "keeps the last epoch."
            )
        super().on_fit_start()
        if self.checkpointer is not None and not self.debug:
            if isinstance(self.checkpointer, WholeCheckpointer):
                self.checkpointer.keep_only(**self._kept)
            rows = self.hparams.history.rows
            done = rows[-1]["epoch"] if rows else 0
            if done:
                logger.info("Goes on after epoch %d, which is saved.", done)
            self.hparams.train_logger.rewind(done)

    def on_fit_batch_start(self, batch: Any, should_step: bool) -> None:
        """Remember whose loss is next, and what was normalized by so far."""
        self._clip_ids = getattr(batch, "id", ())
        self._running = [
            (running, running.clone())
            for name in self.modules
            for module in self.modules[name].modules()
            if isinstance(module, nn.modules.batchnorm._NormBase)
            for running in module.buffers(recurse=False)
        ]

    def check_loss_isfinite(self, loss: Tensor) -> None:
        """Name a loss that is not finite; too many in an epoch end the run."""
        if torch.isfinite(loss):
            return
        self.nonfinite_count += 1
        clips = ", ".join(map(repr, self._clip_ids[:3]))
        what = (
            f"loss={loss.item()} in batch {self.step} of epoch {self._epoch} "
            f"({clips}, ...)"
        )
        if self.nonfinite_count > self.nonfinite_patience:
            raise FocalAudioError(
                f"{what}: {self.nonfinite_count} of the epoch are not finite, "
                f"more than nonfinite_patience={self.nonfinite_patience}. "
                "Start again with a lower lr or more warmup_epochs."
            )
        logger.warning("%s: nothing is learnt from this batch.", what)

    def optimizers_step(self) -> None:
        """Step; `max_grad_norm` is of all weights together.

        SpeechBrain clips the first group alone, which are the vectors if these
        have no weight decay. Gradients that are not finite change no weight;
        they are the same in all processes, the losses are not.
        """
        weights = [
            weight
            for group in self.optimizer.param_groups
            for weight in group["params"]
        ]
        self.scaler.unscale_(self.optimizer)
        norm = clip_grad_norm_(weights, self.max_grad_norm)
        if self.scaler.is_enabled() or norm.isfinite():
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer_step += 1
        else:
            self._forget_batch()
        self.zero_grad(set_to_none=True)

    def on_fit_batch_end(
        self, batch: Any, outputs: Any, loss: Tensor, should_step: bool
    ) -> None:
        """Leave nothing of a batch whose loss is no number."""
        if not loss.isfinite():
            self._forget_batch()

    def _forget_batch(self) -> None:
        """Give what normalizes the values that it had before the batch."""
        for running, before in self._running:
            running.copy_(before)

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Set the epoch's learning rate."""
        if stage == sb.Stage.TRAIN:
            self._epoch = epoch
            update_learning_rate(self.optimizer, self.hparams.schedule(epoch))

    def close_epoch(
        self,
        epoch: int | None,
        train: Mapping[str, float],
        valid: Mapping[str, float],
        row: Mapping[str, float],
        meta: Mapping[str, float],
    ) -> None:
        """Log an epoch, add its row, keep its checkpoint if it is the best.

        `epoch` counts from 1, `train` and `valid` (empty without validation)
        are logged, `row` is added to the history, and `meta` has what the
        checkpoint is selected by, beside the epoch: what is not finite is the
        worst there is.
        """
        stats = {"epoch": epoch, "lr": self.hparams.schedule(epoch)}
        self.hparams.history.add({**stats, **row})
        self.hparams.train_logger.log_stats(
            stats, train_stats=train, valid_stats=valid or None
        )
        if self.checkpointer is not None:
            selected = {**meta, "epoch": epoch}
            if not math.isfinite(selected[self.hparams.select_by] or 0):
                worst = math.inf if self.LOWEST_IS_BEST else -math.inf
                selected[self.hparams.select_by] = worst
            self.checkpointer.save_and_keep_only(meta=selected, **self._kept)

    def on_evaluate_start(
        self, max_key: str | None = None, min_key: str | None = None
    ) -> None:
        """Load the best checkpoint; refuse to test what was never trained."""
        if self.checkpointer is not None and not self.debug:
            if (
                self.checkpointer.find_checkpoint(None, max_key, min_key)
                is None
            ):
                raise ModelError(
                    f"{self.checkpointer.checkpoints_dir} holds no checkpoint "
                    f"with {max_key or min_key!r}; train first."
                )
            if self.test_only:  # the last one knows the whole history
                self.checkpointer.recover_if_possible()
        super().on_evaluate_start(max_key, min_key)

    def _should_save_intra_epoch_ckpt(self, *args: Any) -> bool:
        """Never save within an epoch, whatever `--ckpt_interval_*` asks for.

        A run that went on from there would become another one: its loader
        draws from torch's generator when it starts anew, and what the Brain
        sums over the epoch is no part of a checkpoint.
        """
        return False
