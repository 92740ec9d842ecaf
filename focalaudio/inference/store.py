"""`what was found of a file <-> a line`: a folder of results that can go on."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from operator import ne
from pathlib import Path
from typing import IO, Any, NamedTuple

from filelock import FileLock

from focalaudio.errors import DataError
from focalaudio.files import lock_folder
from focalaudio.inference.answers import to_number
from focalaudio.processes import count_processes, on_first

PROGRESS = "progress.jsonl"  # of the first process, progress_1.jsonl ...
NUMBERED = re.compile(r"progress(?:_(\d+))?\.jsonl")
MOST_SHOWN = 80  # letters of a setting in an error
Record = dict[str, Any]


class _Place(NamedTuple):
    """Where a line stands: the latest of a file counts."""

    at: int  # ns
    number: int  # of the process
    start: int  # byte
    gone: bool  # it says that nothing is known any more


class ClipStore:
    """Keep what was found of each file, so that nothing is found twice.

    A line of settings, then a line for each file that is done. A line that was
    cut short when the process was killed counts for nothing. Of the lines only
    their places are in memory. Of several processes each has a file of its own,
    and all know what stands in the others' when they start, and after
    `refresh`.

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
        self.folder = Path(folder)
        self.names: dict[str, str] = {}  # clip ids by absolute path
        self._places: dict[str, _Place] = {}
        self._number, _ = count_processes()
        self._lock: FileLock | None = None
        self._files: dict[int, IO[bytes]] = {}
        self._known: Record | None = None  # what the folder was made with
        self._asked = json.loads(json.dumps(dict(settings), default=to_number))
        try:
            on_first(self._claim)
            if self._number > 0:
                self.refresh()
            _refuse_others(self.folder, self._known or {}, self._asked)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ClipStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the folder to others."""
        for file in self._files.values():
            file.close()
        if self._lock is not None:
            self._lock.release()

    def __len__(self) -> int:
        """Return of how many files something is known."""
        return sum(not place.gone for place in self._places.values())

    def find(self, path: str | Path) -> Record | None:
        """Return what is known of a file; None if nothing, or it changed."""
        record = self._last(path)
        state = _state_of(path)
        same = record and state and record["state"] == state
        return record if same else None

    def add(
        self, path: str | Path, clip_id: str, record: Mapping[str, Any]
    ) -> None:
        """Append what was found of a file; it is on the disk then."""
        key = os.path.abspath(path)
        head = {"key": key, "clip_id": clip_id, "state": _state_of(path)}
        self._append({**head, "at": time.time_ns(), **record})
        self.names[key] = clip_id

    def reserve(
        self, path: str | Path, clip_id: str, sounds: Iterable[str]
    ) -> None:
        """Name a file that has no name yet, before anything is written of it.

        `sounds` are those that may be written, below the folder: they are no
        inputs of later calls (`list_written`).
        """
        key = os.path.abspath(path)
        if key not in self.names:
            head = {"key": key, "clip_id": clip_id, "at": time.time_ns()}
            self._append({**head, "gone": True, "sounds": [*sounds]})
            self.names[key] = clip_id

    def forget(self, path: str | Path) -> Record | None:
        """Let nothing be known of a file, but its name; return what was."""
        record = self._last(path)
        if record is not None:
            head = {name: record[name] for name in ("key", "clip_id")}
            self._append({**head, "at": time.time_ns(), "gone": True})
        return record

    def records(self) -> Iterator[Record]:
        """Yield all records by their files' paths, one in memory at a time."""
        for key in sorted(self._places):
            if not self._places[key].gone:
                yield self._load(self._places[key])

    def refresh(self) -> None:
        """Find what other processes have added."""
        for number, _ in _find_files(self.folder):
            self._read(number)

    def _claim(self) -> None:
        """Lock the folder; write the settings, if it has none."""
        self._lock = lock_folder(self.folder, str(self.folder), "folder")
        self.refresh()
        if self._known is None:
            self._append({"settings": self._asked})
            self._known = self._asked

    def _append(self, values: Mapping[str, Any]) -> None:
        # on a line of its own, whatever a killed process left
        file = self._file_of(self._number)
        place = file.seek(0, os.SEEK_END) + 1
        file.write(b"\n" + json.dumps(values).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        if "key" in values:
            where = values["at"], self._number, place
            self._places[values["key"]] = _Place(*where, "gone" in values)

    def _file_of(self, number: int) -> IO[bytes]:
        """Return the file of a process; only one's own is ever made."""
        if number not in self._files:
            name = PROGRESS.replace(".", f"_{number}.") if number else PROGRESS
            mode = "a+b" if number == self._number else "rb"
            self._files[number] = open(self.folder / name, mode)  # noqa: SIM115
        return self._files[number]

    def _last(self, path: str | Path) -> Record | None:
        """Return what was found of a file, even if it has changed since."""
        place = self._places.get(os.path.abspath(path))
        return None if place is None or place.gone else self._load(place)

    def _load(self, place: _Place) -> Record:
        file = self._file_of(place.number)
        file.seek(place.start)
        return json.loads(file.readline())

    def _read(self, number: int) -> None:
        """Find the places of all whole lines of a process."""
        file = self._file_of(number)
        file.seek(0)
        place = 0
        while line := file.readline():
            start, place = place, place + len(line)
            try:
                values = json.loads(line)
            except ValueError:  # empty, or cut short
                continue
            if "settings" in values:
                self._known = values["settings"]
                continue
            key, at = values["key"], values.get("at", 0)
            if key not in self._places or self._places[key].at <= at:
                where = at, number, start
                self._places[key] = _Place(*where, "gone" in values)
                self.names[key] = values["clip_id"]


def list_written(folder: str | Path) -> set[str]:
    """Return the sounds that calls may have written of their clips.

    Absolute paths; none of a folder that holds no results.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> with ClipStore(folder, {}) as store:
    ...     store.reserve("a.wav", "a", ["a_kept.wav"])
    >>> [os.path.basename(path) for path in list_written(folder)]
    ['a_kept.wav']
    """
    found: set[str] = set()
    for _, path in _find_files(Path(folder)):
        with path.open("rb") as file:
            for line in file:
                try:
                    sounds = json.loads(line).get("sounds", ())
                except ValueError:  # empty, or cut short
                    continue
                joined = (os.path.join(folder, name) for name in sounds)
                found.update(map(os.path.abspath, joined))
    return found


def _find_files(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield the number of each process that wrote into a folder, and where."""
    for path in folder.glob(PROGRESS.replace(".", "*.")):
        if number := NUMBERED.fullmatch(path.name):
            yield int(number[1] or 0), path


def _state_of(path: str | Path) -> list[int] | None:
    """Return what tells that a file is the one that was read; None if gone."""
    try:
        status = os.stat(path)
    except OSError:  # reading it will say what is wrong
        return None
    return [status.st_size, status.st_mtime_ns]


def _refuse_others(folder: Path, known: Record, asked: Record) -> None:
    """Name the first setting that differs, with both values."""
    if known != asked:
        name, was, now = _find_difference("", known, asked)
        raise DataError(
            f"{folder} holds results with {name}={_short(was)}, not "
            f"{_short(now)}; give the same settings or another folder."
        )


def _find_difference(name: str, was: Any, now: Any) -> tuple[str, Any, Any]:
    """Return the first of nested values that differ: its key, and both."""
    if isinstance(was, dict) and isinstance(now, dict):
        keys = sorted({*was, *now})
        key = next(each for each in keys if was.get(each) != now.get(each))
        return _find_difference(key, was.get(key), now.get(key))
    if isinstance(was, list) and isinstance(now, list):
        if len(was) != len(now):  # what only one of them has, to be seen
            return name, _less(was, now), _less(now, was)
        pairs = zip(was, now, strict=True)
        return _find_difference(name, *next(p for p in pairs if ne(*p)))
    return name, was, now


def _less(one: list[Any], other: list[Any]) -> list[Any]:
    """Return the items that the other list has not."""
    return [item for item in one if item not in other]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
