"""`explained windows <-> a file`: what a stream has done, to go on from."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from focalaudio.boxes import BoxRules
from focalaudio.errors import escape_text
from focalaudio.inference.answers import to_number
from focalaudio.interpreters import Interpretation

logger = logging.getLogger(__name__)

LIMITS = ("begin", "end", "low", "high", "score")  # that are kept of a box


class WindowStore:
    """Explained windows in a file: a line of settings, a record for each.

    Arguments
    ---------
    path : pathlib.Path
        The file; what it holds of the same settings is found again, in whole
        batches.
    settings : mapping
        All that the records depend on.
    n_window, batch_size, most_boxes : int
        Samples of a window, windows of a batch, and boxes of a window.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.unfinished"
    >>> store = WindowStore(path, {}, 4, 2, 1)
    >>> store.append(np.zeros(3, store.record))
    >>> WindowStore(path, {}, 4, 2, 1).n_found
    2
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        n_window: int,
        batch_size: int,
        most_boxes: int,
    ) -> None:
        self.path = path
        self.record = np.dtype(
            [
                ("wav", "<f4", (n_window,)),
                ("n_samples", "<i8"),
                ("class_id", "<i8"),
                ("probability", "<f8"),
                ("explained", "<i8"),
                ("boxes", "<f8", (most_boxes, len(LIMITS))),
            ]
        )
        head = json.dumps(settings, sort_keys=True, default=to_number)
        self._head = head.encode() + b"\n"
        self.n_found = self._open(batch_size)

    def _open(self, batch_size: int) -> int:
        """Cut off what is no whole batch, or of other settings; count."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            file.seek(0)
            if (head := file.read(len(self._head))) != self._head:
                if head:
                    logger.warning(
                        "%s is of another stream: starting again.",
                        escape_text(self.path),
                    )
                file.truncate(0)
                file.write(self._head)
                return 0
            n_bytes = file.seek(0, os.SEEK_END) - len(head)
            n_batches = n_bytes // (batch_size * self.record.itemsize)
            n_found = n_batches * batch_size
            file.truncate(len(head) + n_found * self.record.itemsize)
            return n_found

    def append(self, records: np.ndarray) -> None:
        """Add a batch; it is on the disk when this returns."""
        with self.path.open("ab") as file:
            file.write(records.tobytes())
            file.flush()
            os.fsync(file.fileno())

    def __iter__(self) -> Iterator[np.void]:
        with self.path.open("rb") as file:
            file.seek(len(self._head))
            while len(one := np.fromfile(file, self.record, 1)):
                yield one[0]


def list_limits(
    found: Interpretation, empty: np.ndarray, rules: BoxRules
) -> np.ndarray:
    """Return the limits of each clip's boxes; of no box they are all 0."""
    limits = np.zeros_like(empty)
    rows = groupby(found.boxes(rules=rules), lambda box: box.clip)
    for row, boxes in rows:
        for place, box in enumerate(boxes):
            limits[row, place] = [getattr(box, name) for name in LIMITS]
    return limits
