"""What the Brains that train have in common: to be killed and go on."""

from __future__ import annotations

from typing import Any

import speechbrain as sb

from focalaudio.errors import ModelError


class ResumableBrain(sb.Brain):
    """A Brain that resumes unchanged and tests only what was trained.

    Subclasses name the keys of a checkpoint's metadata that may select it in
    `SELECTABLE`.

    Arguments
    ---------
    modules, opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain; `hparams` has `select_by`, `history` and
        `train_logger`.

    Example
    -------
    >>> ResumableBrain.SELECTABLE
    ()
    """

    SELECTABLE: tuple[str, ...] = ()

    def make_dataloader(
        self, dataset: Any, stage: sb.Stage, *args: Any, **kwargs: Any
    ) -> Any:
        """See SpeechBrain; refuse an epoch without a single batch."""
        loader = super().make_dataloader(dataset, stage, *args, **kwargs)
        if len(loader) == 0:
            raise ValueError(
                f"batch_size={loader.batch_size} leaves no whole batch of the "
                f"{len(dataset)} clips to {stage.name.lower()} on; lower it."
            )
        return loader

    def on_fit_start(self) -> None:
        """Resume; forget what was logged after the resumed checkpoint."""
        if self.hparams.select_by not in self.SELECTABLE:
            raise ValueError(
                f"select_by={self.hparams.select_by!r} must be one of "
                f"{', '.join(self.SELECTABLE)}."
            )
        super().on_fit_start()
        if self.checkpointer is not None and not self.debug:
            rows = self.hparams.history.rows
            self.hparams.train_logger.rewind(rows[-1]["epoch"] if rows else 0)

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
