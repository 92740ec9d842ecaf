"""`files, folders, patterns -> sound files`: what a user points at."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from focalaudio.audio import AUDIO_SUFFIXES
from focalaudio.inference.store import PROGRESS

# Of what is taken for sound in a folder. What is added cannot be read, and is
# told with the way out rather than left out without a word.
SUFFIXES = AUDIO_SUFFIXES | {".m4a", ".aac", ".amr", ".wma", ".webm", ".mp4"}
MOST_BYTES = 200  # of a clip's name; file systems take 255 with its endings


@dataclass(frozen=True)
class Sources:
    """Sound files, and what was left out.

    Arguments
    ---------
    files : list of pathlib.Path
        In the order that they were asked for, folders by name; each once.
    n_hidden, n_others : int
        Hidden files, and files that are no sounds by their name, that were
        left out of folders. Results of earlier calls are not counted.
    """

    files: list[Path]
    n_hidden: int
    n_others: int

    def describe(self) -> str:
        """Say what was left out; nothing if nothing was."""
        counts = {"hidden": self.n_hidden, "not of sound": self.n_others}
        told = [f"{n} {what}" for what, n in counts.items() if n]
        return f"Left out of folders: {', '.join(told)}." if told else ""


def find_sounds(
    asked: Iterable[str | Path], apart: str | Path | None = None
) -> Sources:
    """Find the sound files of files, folders and patterns.

    Arguments
    ---------
    asked : iterable of str or pathlib.Path
        A file is taken whatever it is called, and even if it is not there; of
        a folder all that has a sound's ending, at any depth; a pattern such
        as `recordings/*.wav` or `**/*.flac` stands for what it matches.
    apart : str or pathlib.Path
        A folder that is not looked into: where results go.

    Returns
    -------
    Sources
        What was found.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("b.wav", "a.WAV", ".a.wav", "notes.txt"):
    ...     (folder / name).touch()
    >>> found = find_sounds([folder])
    >>> [path.name for path in found.files], found.describe()
    (['a.WAV', 'b.wav'], 'Left out of folders: 1 hidden, 1 not of sound.')
    """
    files: dict[str, Path] = {}
    counts = {"hidden": 0, "others": 0}
    skipped = None if apart is None else os.path.abspath(apart)
    for one in asked:
        for path in _expand(Path(one), skipped, counts):
            files.setdefault(os.path.abspath(path), path)
    return Sources(list(files.values()), counts["hidden"], counts["others"])


def need_sounds(
    asked: Iterable[str | Path], apart: str | Path, name: str
) -> Sources:
    """Find sounds as `find_sounds` does; none is a `ValueError` of `name`."""
    asked = list(asked)
    sources = find_sounds(asked, apart=apart)
    if not sources.files:
        raise ValueError(
            f"{name}={' '.join(map(str, asked))} holds no sound; give sound "
            f"files, a folder of them, or a pattern. {sources.describe()}"
        )
    return sources


def _expand(
    path: Path, skipped: str | None, counts: dict[str, int]
) -> Iterator[Path]:
    """Yield the files that a path or a pattern stands for."""
    if path.is_dir():
        yield from _walk(path, skipped, counts)
    elif not os.path.lexists(path) and glob.has_magic(str(path)):
        matches = sorted(glob.glob(str(path), recursive=True))
        yield from (Path(m) for m in matches if not os.path.isdir(m))
    else:
        yield path


def _walk(
    folder: Path, skipped: str | None, counts: dict[str, int]
) -> Iterator[Path]:
    """Yield the sounds of a folder and those below it, by name."""
    for place, folders, names in os.walk(folder):
        if PROGRESS in names and Path(place) != folder:
            folders.clear()  # what an earlier call wrote
            continue
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and os.path.abspath(os.path.join(place, name)) != skipped
        )
        for name in sorted(names):
            if name.startswith("."):
                counts["hidden"] += 1
            elif os.path.splitext(name)[1].lower() not in SUFFIXES:
                counts["others"] += 1
            else:
                yield Path(place) / name


def name_clips(paths: Iterable[Path], known: dict[str, str]) -> list[str]:
    """Name clips by their files; files of one name get numbers.

    Arguments
    ---------
    paths : iterable of pathlib.Path
        The files.
    known : dict
        Names that were given before, by a file's absolute path: they stay.

    Returns
    -------
    list of str
        One for each file, all different.

    Example
    -------
    >>> name_clips([Path("a.wav"), Path("b/a.wav")], {})
    ['a', 'a-2']
    """
    given, names = set(known.values()), []
    last: dict[str, int] = {}  # number of each stem, or the search is long
    for path in paths:
        key = os.path.abspath(path)
        name = known.get(key)
        stem = _shorten(path.stem)
        while name is None or (key not in known and name in given):
            last[stem] = number = last.get(stem, 0) + 1
            name = stem if number == 1 else f"{stem}-{number}"
        given.add(name)
        names.append(name)
    return names


def _shorten(stem: str) -> str:
    """Cut a name, so that there is room for the endings of results."""
    whole = os.fsencode(stem)
    if len(whole) <= MOST_BYTES:
        return stem
    return whole[:MOST_BYTES].decode("utf-8", "ignore")
