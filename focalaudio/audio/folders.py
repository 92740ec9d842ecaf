"""`folder -> its files of sound`, by their names: nothing is opened."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from focalaudio.audio.files import AUDIO_SUFFIXES, AnyPath
from focalaudio.errors import DataError

HIDDEN, OTHERS, LINKED = "hidden", "others", "linked"  # what is left out


def walk_sounds(
    folder: AnyPath,
    suffixes: Collection[str] = AUDIO_SUFFIXES,
    skips: Callable[[str], bool] | None = None,
    left_out: Counter[str] | None = None,
) -> Iterator[Path]:
    """Yield the files of sound in a folder, at any depth.

    Arguments
    ---------
    folder : str or os.PathLike
        Its own files come first, by name, then each folder in it.
    suffixes : collection of str
        How sounds end, in small letters.
    skips : callable
        Which folders below are not looked into; none but hidden and linked
        ones if None.
    left_out : collections.Counter
        Counts hidden files, files that are no sounds by their names, and
        linked folders.

    Yields
    ------
    pathlib.Path
        The files; no hidden one, such as `._a.wav`.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for each in ("b.WAV", "._b.WAV", "notes.txt"):
    ...     (folder / each).touch()
    >>> left_out = Counter()
    >>> [path.name for path in walk_sounds(folder, left_out=left_out)]
    ['b.WAV']
    >>> left_out["hidden"], left_out["others"]
    (1, 1)
    """
    counts: Counter[str] = Counter() if left_out is None else left_out
    for place, folders, names in os.walk(folder):
        below = {
            name: os.path.join(place, name)
            for name in sorted(folders)
            if not name.startswith(".")
        }
        wanted = [n for n, p in below.items() if not (skips and skips(p))]
        folders[:] = [n for n in wanted if not os.path.islink(below[n])]
        counts[LINKED] += len(wanted) - len(folders)
        for name in sorted(names):
            if name.startswith("."):
                counts[HIDDEN] += 1
            elif os.path.splitext(name)[1].lower() not in suffixes:
                counts[OTHERS] += 1
            else:
                yield Path(place) / name


def list_sounds(folder: AnyPath, name: str) -> list[Path]:
    """Return what `walk_sounds` finds in a folder, sorted by path.

    None is a `DataError` of the argument `name`.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for each in ("b.WAV", "a.aif", "notes.txt"):
    ...     (folder / each).touch()
    >>> [path.name for path in list_sounds(folder, "folder")]
    ['a.aif', 'b.WAV']
    """
    found = sorted(walk_sounds(folder))
    if not found:
        raise DataError(
            f"{name}={folder} holds no sound; give a folder with files that "
            f"end in {', '.join(sorted(AUDIO_SUFFIXES))}."
        )
    return found
