"""`loader -> the same loader`, with a bar that says of what and how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import speechbrain as sb
from speechbrain.utils.distributed import if_main_process
from tqdm import tqdm

from focalaudio.brains.loaders import share_clips


class Watched:
    """A loader that shows how much of it is done, and what is left.

    The bar is there while somebody looks, on a terminal; it leaves nothing.

    Arguments
    ---------
    loader : iterable
        With a length.
    words : str
        Of what it is.
    enable : bool
        Whether there is a bar at all.
    note : callable
        Returns what stands at the bar's end, after each batch.

    Example
    -------
    >>> list(Watched([1, 2], "Testing"))
    [1, 2]
    """

    def __init__(
        self,
        loader: Any,
        words: str,
        enable: bool = True,
        note: Callable[[], str] | None = None,
    ) -> None:
        self.loader = loader
        self.words = words
        self.enable = enable
        self.note = note

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        with tqdm(
            self.loader,
            desc=self.words,
            unit="batch",
            leave=False,
            dynamic_ncols=True,
            disable=None if self.enable else True,  # None: not on a terminal
        ) as bar:
            for batch in bar:
                yield batch
                if self.note is not None:
                    bar.set_postfix_str(self.note())


class EpochClock:
    """Says which epoch it is, and how long those that follow will take.

    Arguments
    ---------
    n_epochs : int
        Of the whole training, of which a run that goes on has done some; None
        if nobody knows, and then no time is told.
    clock : callable
        Returns seconds.

    Example
    -------
    >>> times = iter([100.0, 130.0])
    >>> tell = EpochClock(12, lambda: next(times))
    >>> tell(9), tell(10)
    ('Epoch 9 of 12', 'Epoch 10 of 12 (01:30 left)')
    >>> EpochClock(None)(3)
    'Epoch 3'
    """

    def __init__(
        self, n_epochs: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.n_epochs = n_epochs
        self.clock = clock
        self._start: tuple[int, float] | None = None  # an epoch, its seconds

    def __call__(self, epoch: int) -> str:
        """Return the words at the start of an epoch, counted from 1."""
        if self.n_epochs is None:
            return f"Epoch {epoch}"
        words, now = f"Epoch {epoch} of {self.n_epochs}", self.clock()
        if self._start is None:
            self._start = epoch, now
            return words
        first, start = self._start
        each = (now - start) / (epoch - first)
        left = tqdm.format_interval(round(each * (self.n_epochs - epoch + 1)))
        return f"{words} ({left} left)"


class WatchedBrain(sb.Brain):
    """A Brain whose bars say what is tested, and whose processes share it.

    Of several processes each validates and tests its share of the clips (see
    `focalaudio.brains.loaders`); what they found has to be gathered, as
    `ClipTracker` does.

    Arguments
    ---------
    modules, opt_class, hparams, run_opts, checkpointer
        As in SpeechBrain.
    """

    TESTING = "Testing"

    _shows_test = False

    def evaluate(
        self,
        test_set: Any,
        max_key: str | None = None,
        min_key: str | None = None,
        progressbar: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """See SpeechBrain."""
        wanted = not self.noprogressbar if progressbar is None else progressbar
        self._shows_test = wanted and if_main_process()
        return super().evaluate(test_set, max_key, min_key, False, **kwargs)

    def make_dataloader(
        self, dataset: Any, stage: sb.Stage, *args: Any, **kwargs: Any
    ) -> Any:
        """See SpeechBrain; what is tested is watched, and shared."""
        if stage != sb.Stage.TRAIN:
            kwargs = share_clips(dataset, kwargs, self.find_done(dataset))
        loader = super().make_dataloader(dataset, stage, *args, **kwargs)
        if stage != sb.Stage.TEST:
            return loader
        return Watched(loader, self.TESTING, self._shows_test)

    def find_done(self, dataset: Any) -> Iterable[str]:
        """Return the ids of clips that need no evaluation; here none."""
        return ()
