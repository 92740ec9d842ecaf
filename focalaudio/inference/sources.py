"""`files, folders, patterns -> sound files`: what a user points at."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import takewhile
from pathlib import Path

from focalaudio.audio import AUDIO_SUFFIXES, walk_sounds
from focalaudio.audio.folders import HIDDEN, LINKED, OTHERS
from focalaudio.inference.store import PROGRESS, list_written

# Of what is taken for sound in a folder. What is added cannot be read, and is
# told with the way out rather than left out without a word.
SUFFIXES = AUDIO_SUFFIXES | {".m4a", ".aac", ".amr", ".wma", ".webm", ".mp4"}
WRITTEN = "written"  # left out, too
BESIDE_REPORT = ("report_files", "report.parts")  # of results, with sounds
MOST_BYTES = 200  # of a clip's name; file systems take 255 with its endings


@dataclass(frozen=True)
class Sources:
    """Sound files, and what was left out.

    Arguments
    ---------
    files : list of pathlib.Path
        In the order that they were asked for, folders by name; each once.
    n_hidden, n_others, n_linked, n_written : int
        What was left out: of folders, hidden files, files that are no sounds by
        their name, and links to folders; sounds that earlier calls wrote among
        what they were asked of. Folders of results are not counted.
    """

    files: list[Path]
    n_hidden: int
    n_others: int
    n_linked: int = 0
    n_written: int = 0

    def describe(self) -> str:
        """Say what was left out; nothing if nothing was."""
        counts = {
            "hidden": self.n_hidden,
            "not of sound": self.n_others,
            "linked": self.n_linked,
            "written by earlier calls": self.n_written,
        }
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
        Where results go: a folder below what is asked is not looked into, and
        what earlier calls wrote into it is not taken.

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
    left_out: Counter[str] = Counter()
    out = None if apart is None else os.path.abspath(apart)
    skips = cache(partial(_is_of_results, apart=out))
    own = set() if out is None else list_written(out)
    written: set[str] = set()
    for one in asked:
        root = _find_root(Path(one))
        results = own if root is None else own | list_written(root)
        for path in _expand(Path(one), root, skips, left_out):
            key = os.path.abspath(path)
            if key in results:
                written.add(key)
            else:
                files.setdefault(key, path)
    left_out[WRITTEN] = len(written)
    names = HIDDEN, OTHERS, LINKED, WRITTEN
    return Sources(list(files.values()), *(left_out[name] for name in names))


def need_sounds(
    asked: Iterable[str | Path], apart: str | Path, name: str
) -> Sources:
    """Find sounds as `find_sounds` does; none is a `ValueError` of `name`.

    So is an empty text, which would stand for the current folder.
    """
    asked = list(asked)
    if not all(map(str, asked)):
        raise ValueError(
            f"{name} holds an empty path; write . for this folder."
        )
    sources = find_sounds(asked, apart=apart)
    if not sources.files:
        given = " ".join(map(str, asked))
        said = [
            f"{name}={given} holds no sound; give sound files, a folder of "
            "them, or a pattern.",
            "In a pattern [1] stands for 1; write [[]1] for the name [1]."
            if "[" in given
            else "",
            sources.describe(),
        ]
        raise ValueError(" ".join(filter(None, said)))
    return sources


def _find_root(path: Path) -> Path | None:
    """Return the folder that a folder or a pattern is about; else None."""
    if path.is_dir():
        return path
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return None
    # what is there is meant, though its name may look like a pattern
    *_, root = takewhile(_is_folder, reversed(path.parents))
    return root


def _is_folder(path: Path) -> bool:
    """Whether a part of a pattern is a folder's name and no pattern."""
    return os.path.isdir(path) or not glob.has_magic(path.name)


def _expand(
    path: Path,
    root: Path | None,
    skips: Callable[[str], bool],
    left_out: Counter[str],
) -> Iterator[Path]:
    """Yield the files that a path or a pattern stands for."""
    if root is None:
        yield path
    elif root == path:
        yield from walk_sounds(path, SUFFIXES, skips, left_out)
    else:
        below = str(path.relative_to(root))
        pattern = os.path.join(glob.escape(str(root)), below)
        for match in sorted(glob.glob(pattern, recursive=True)):
            between = _folders_between(root, Path(match))
            if not os.path.isdir(match) and not any(map(skips, between)):
                yield Path(match)


def _folders_between(root: Path, path: Path) -> Iterator[str]:
    """Yield the folders below a root that a file is in."""
    depth = len(root.parts)
    for n_parts in range(depth + 1, len(path.parts)):
        yield str(Path(*path.parts[:n_parts]))


def _is_of_results(folder: str, apart: str | None) -> bool:
    """Whether a folder is where results go, or holds those of a call.

    So do those beside its report, which may lie among the sounds.
    """
    if os.path.abspath(folder) == apart:
        return True
    above, name = os.path.split(os.path.abspath(folder))
    if name in BESIDE_REPORT and os.path.exists(os.path.join(above, PROGRESS)):
        return True
    return os.path.exists(os.path.join(folder, PROGRESS))


def name_clips(
    paths: Iterable[Path],
    known: dict[str, str],
    is_taken: Callable[[str], bool] = lambda name: False,
) -> list[str]:
    """Name clips by their files; files of one name get numbers.

    Arguments
    ---------
    paths : iterable of pathlib.Path
        The files.
    known : dict
        Names that were given before, by a file's absolute path: they stay.
    is_taken : callable
        Whether results of a new name would replace what is somebody else's.

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
        stem = _shorten(name_results(path))
        while name is None or (
            key not in known and (name in given or is_taken(name))
        ):
            last[stem] = number = last.get(stem, 0) + 1
            name = stem if number == 1 else f"{stem}-{number}"
        given.add(name)
        names.append(name)
    return names


def name_results(path: str | Path) -> str:
    """Return what the results of a file are called: as it is, without ending.

    What has dots only would be a folder.

    Example
    -------
    >>> name_results("a/dog.1.wav"), name_results("...wav")
    ('dog.1', '_')
    """
    stem = Path(path).stem
    return stem if stem.strip(".") else "_"


def _shorten(stem: str) -> str:
    """Cut a name, so that there is room for the endings of results."""
    whole = os.fsencode(stem)
    if len(whole) <= MOST_BYTES:
        return stem
    return whole[:MOST_BYTES].decode("utf-8", "ignore")
