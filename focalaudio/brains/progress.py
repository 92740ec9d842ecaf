"""`columns of a batch -> lines of a file`: an evaluation that can go on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import run_on_main

from focalaudio.brains.settings import RunSettings
from focalaudio.processes import count_processes

SETTINGS = "settings.json"
Found = dict[str, dict[str, list[Any]]]  # by interpreter, by column


class Progress:
    """Keep what was found of each clip, so that nothing is found twice.

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
    >>> list(Progress(folder).read())
    [(['a', 'b'], {'random': {'fidelity': [0.0, 1.0]}})]
    """

    def __init__(
        self, folder: str | Path, settings: RunSettings | None = None
    ) -> None:
        self.folder = Path(folder)
        self.settings = settings

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

    def read(self) -> Iterator[tuple[list[str], Found]]:
        """Yield the clips of every batch, and what was found of them."""
        for path in sorted(self.folder.glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    batch = json.loads(line)
                except ValueError:  # empty, or cut short
                    continue
                yield batch["clip_ids"], batch["found"]

    def add(self, clip_ids: Sequence[str], found: Mapping[str, Any]) -> None:
        """Append what was found of a batch: columns by interpreter."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"rows_{count_processes()[0]}.jsonl"
        line = json.dumps({"clip_ids": list(clip_ids), "found": found})
        with path.open("a", encoding="utf-8") as file:
            # on a line of its own, whatever a killed process left
            file.write(f"\n{line}\n")
