"""`what was found of a file <-> a line`: a folder of results that can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from focalaudio.errors import DataError
from focalaudio.files import lock_folder

PROGRESS = "progress.jsonl"
MOST_SHOWN = 80  # letters of a setting in an error
Record = dict[str, Any]


class ClipStore:
    """Keep what was found of each file, so that nothing is found twice.

    A line of settings, then a line for each file that is done. A line that was
    cut short when the process was killed counts for nothing. Of the lines only
    their places are in memory.

    Arguments
    ---------
    folder : str or pathlib.Path
        Of the results; made if needed, and claimed until `close`.
    settings : mapping
        All that results depend on.

    Raises
    ------
    DataError
        If the folder holds results of other settings.
    FocalAudioError
        If another process is writing it.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> path = folder / "a.wav"
    >>> _ = path.write_bytes(b"sound")
    >>> with ClipStore(folder, {"quantile": 0.9}) as store:
    ...     store.add(path, "a", {"row": {"predicted": "dog"}})
    >>> with ClipStore(folder, {"quantile": 0.9}) as store:
    ...     store.find(path)["row"]
    {'predicted': 'dog'}
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]) -> None:
        self.path = Path(folder) / PROGRESS
        self.names: dict[str, str] = {}  # clip ids by absolute path
        self._places: dict[str, int] = {}
        self._lock = lock_folder(folder, str(folder), "folder")
        self._file: IO[bytes] = open(self.path, "a+b")  # noqa: SIM115
        try:
            self._read(json.loads(json.dumps(dict(settings))))
        except DataError:
            self.close()
            raise

    def __enter__(self) -> ClipStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the folder to others."""
        self._file.close()
        self._lock.release()

    def __len__(self) -> int:
        """Return of how many files something is known."""
        return len(self._places)

    def find(self, path: str | Path) -> Record | None:
        """Return what is known of a file, None if nothing, or it changed."""
        place = self._places.get(os.path.abspath(path))
        if place is None:
            return None
        record = self._load(place)
        return record if record["state"] == _state_of(path) else None

    def add(
        self, path: str | Path, clip_id: str, record: Mapping[str, Any]
    ) -> None:
        """Append what was found of a file; it is on the disk then."""
        key = os.path.abspath(path)
        head = {"key": key, "clip_id": clip_id, "state": _state_of(path)}
        self._append({**head, **record})
        self.names[key] = clip_id

    def records(self) -> Iterator[Record]:
        """Yield all records by their files' paths, one in memory at a time."""
        for key in sorted(self._places):
            yield self._load(self._places[key])

    def _append(self, values: Mapping[str, Any]) -> None:
        # on a line of its own, whatever a killed process left
        place = self._file.seek(0, os.SEEK_END) + 1
        self._file.write(b"\n" + json.dumps(values).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        if "key" in values:
            self._places[values["key"]] = place

    def _load(self, place: int) -> Record:
        self._file.seek(place)
        return json.loads(self._file.readline())

    def _read(self, settings: Record) -> None:
        """Find the places of all whole lines; refuse other settings."""
        self._file.seek(0)
        known = None
        place = 0
        while line := self._file.readline():
            start, place = place, place + len(line)
            try:
                values = json.loads(line)
            except ValueError:  # empty, or cut short
                continue
            if "settings" in values:
                known = values["settings"]
            else:
                self._places[values["key"]] = start
                self.names[values["key"]] = values["clip_id"]
        if known is None:
            self._append({"settings": settings})
        else:
            _refuse_others(self.path.parent, known, settings)


def _state_of(path: str | Path) -> list[int]:
    """Return what tells that a file is the one that was read."""
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _refuse_others(folder: Path, known: Record, asked: Record) -> None:
    """Name the first setting that differs, with both values."""
    for name in sorted({*known, *asked}):
        was, now = known.get(name), asked.get(name)
        if was != now:
            raise DataError(
                f"{folder} holds results with {name}={_short(was)}, not "
                f"{_short(now)}; give the same settings or another folder."
            )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
