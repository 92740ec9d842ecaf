"""`values per clip -> rows -> means`: collect a stage's clips, right under DDP.

Every clip counts once, whatever the batch size, the order, and the number of
processes; averages of batches of unequal size never occur.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from focalaudio.processes import gather


class ClipTracker:
    """Collect one row per clip, then reduce over clips.

    Example
    -------
    >>> import torch
    >>> tracker = ClipTracker()
    >>> tracker.update(["b", "a"], {"error": torch.tensor([1.0, 0.0])})
    >>> tracker.update(["a"], {"error": torch.tensor([0.0])})
    >>> tracker.rows()
    [{'clip_id': 'a', 'error': 0.0}, {'clip_id': 'b', 'error': 1.0}]
    >>> tracker.mean("error")
    0.5
    """

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}

    def update(
        self,
        clip_ids: Sequence[str],
        columns: Mapping[str, Tensor | Sequence[Any]],
    ) -> None:
        """Add a batch; a clip that was seen before is replaced.

        Arguments
        ---------
        clip_ids : sequence of str
            One per clip.
        columns : mapping
            From a column's name to one value per clip.

        Raises
        ------
        ValueError
            If a column does not have one value per clip.
        """
        listed = {
            name: column.detach().tolist()
            if isinstance(column, Tensor)
            else list(column)
            for name, column in columns.items()
        }
        for name, column in listed.items():
            if len(column) != len(clip_ids):
                raise ValueError(
                    f"column {name!r} has {len(column)} values for "
                    f"{len(clip_ids)} clips; give one per clip."
                )
        for position, clip_id in enumerate(clip_ids):
            row = {name: column[position] for name, column in listed.items()}
            self._rows[clip_id] = {"clip_id": clip_id, **row}

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of all processes, one per clip, sorted by clip."""
        gathered: dict[str, dict[str, Any]] = {}
        for rows in gather(self._rows):
            gathered.update(rows)
        return [gathered[clip_id] for clip_id in sorted(gathered)]

    def mean(self, name: str) -> float:
        """Return the mean of a column over clips, `nan` if there are none."""
        values = [row[name] for row in self.rows()]
        return sum(values) / len(values) if values else math.nan
