"""`columns of a batch -> lines of a file`: an evaluation that can go on."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import get_rank, run_on_main

from focalaudio.brains.settings import RunSettings

logger = logging.getLogger(__name__)

SETTINGS = "settings.json"
Found = dict[str, dict[str, list[Any]]]  # by interpreter, by column


class Progress:
    """Keep what was found of each batch, so that nothing is found twice.

    Each process appends a line per batch to a file of its own. A line that was
    cut short when the process was killed counts for nothing.

    Arguments
    ---------
    folder : str or pathlib.Path
        In the output folder; made when the evaluation starts.
    settings : RunSettings
        Saved there, so that no rows of others are taken for these.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "progress"
    >>> Progress(folder).add(["a", "b"], {"random": {"fidelity": [0.0, 1.0]}})
    >>> again = Progress(folder)
    >>> again.find(["a", "b"]), again.find(["a"])
    ({'random': {'fidelity': [0.0, 1.0]}}, None)
    """

    def __init__(
        self, folder: str | Path, settings: RunSettings | None = None
    ) -> None:
        self.folder = Path(folder)
        self.settings = settings

    @cached_property
    def _found(self) -> dict[tuple[str, ...], Found]:
        found: dict[tuple[str, ...], Found] = {}
        for path in sorted(self.folder.glob("*.jsonl")):
            found |= _read_lines(path)
        if found:
            n_clips = len({clip for clip_ids in found for clip in clip_ids})
            logger.info("%d clips are read back from %s.", n_clips, self.folder)
        return found

    def refuse_others(self) -> None:
        """Refuse an output folder that holds results of other settings."""
        record, out = self.folder / SETTINGS, self.folder.parent
        has_results = record.exists() or (out / "metrics.json").exists()
        if self.settings is not None and has_results:
            known = record if record.exists() else None
            self.settings.compare(out, known, testing=True)

    def start(self) -> None:
        """Save the settings before any process has rows."""
        if self.settings is not None:
            path = self.folder / SETTINGS
            path.parent.mkdir(parents=True, exist_ok=True)
            run_on_main(self.settings.save, args=[path])

    def find(self, clip_ids: Sequence[str]) -> Found | None:
        """Return what was found of exactly this batch, None if nothing."""
        return self._found.get(tuple(clip_ids))

    def add(self, clip_ids: Sequence[str], found: Mapping[str, Any]) -> None:
        """Append what was found of a batch: columns by interpreter."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"rows_{get_rank() or 0}.jsonl"
        line = json.dumps({"clip_ids": list(clip_ids), "found": found})
        with path.open("a", encoding="utf-8") as file:
            # on a line of its own, whatever a killed process left
            file.write(f"\n{line}\n")


def _read_lines(path: Path) -> dict[tuple[str, ...], Found]:
    """Read the whole lines of a file."""
    batches = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            batch = json.loads(line)
        except ValueError:  # empty, or cut short
            continue
        batches[tuple(batch["clip_ids"])] = batch["found"]
    return batches
