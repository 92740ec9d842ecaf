"""Whole files or none: written under a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from focalaudio.errors import FocalAudioError

LOCK = ".lock"
# of what becomes a file or a folder when it is whole
PART = re.compile(r"\.(.{1,32}-)?[0-9a-f]{12}\.part(\..*)?")


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well.

    It has the same folder, which is made if needed, and the same suffix. If
    the block fails, `path` is what it was before and nothing is left.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> with replace_file(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [file.name for file in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # short, so that it fits wherever the name itself fits
    temporary = path.with_name(f".{_draw_name()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is not None:  # a full disk names no file
            error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(beside: str | Path) -> Iterator[Path]:
    """Give an empty folder that is gone when the block ends.

    It stands beside `beside`, and so on one disk with it; the folder of both
    is made if needed.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> with temporary_folder(folder / "new") as temporary:
    ...     temporary.parent == folder, list(temporary.iterdir())
    (True, [])
    >>> list(folder.iterdir())
    []
    """
    beside = Path(beside)
    beside.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside.with_name(f"{_prefix(beside)}{_draw_name()}")
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _draw_name() -> str:
    return f"{uuid4().hex[:12]}.part"


def _prefix(beside: Path) -> str:
    return f".{beside.name[:32]}-"


def remove_leftovers(beside: str | Path) -> None:
    """Remove the temporary folders of processes that were killed.

    They stand beside `beside`, which nobody else may be making now.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / ".new-0123456789ab.part").mkdir()
    >>> remove_leftovers(folder / "new")
    >>> list(folder.iterdir())
    []
    """
    beside = Path(beside)
    for path in beside.parent.iterdir():
        if path.name.startswith(_prefix(beside)) and PART.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def replace_folder(folder: str | Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `folder` when the block ends well.

    `folder` must not exist yet, or be empty; an `OSError` if it holds anything
    when the block ends.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "new"
    >>> with replace_folder(folder) as temporary:
    ...     _ = (temporary / "a.txt").write_text("whole")
    >>> [file.name for file in folder.iterdir()]
    ['a.txt']
    """
    with temporary_folder(folder) as temporary:
        yield temporary
        with suppress(FileNotFoundError):
            os.rmdir(folder)  # not every system replaces empty folders
        os.replace(temporary, folder)


def lock_file(path: str | Path) -> FileLock:
    """Return a lock, to be held while a file is written by one of several.

    It waits for the others. The folder is made if needed, and beside the file
    there is then an empty one, `.<name>.lock`.

    Example
    -------
    >>> with lock_file(getfixture("tmp_path") / "a.csv") as lock:
    ...     lock.is_locked
    True
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}{LOCK}"))


@contextmanager
def claim_file(path: str | Path) -> Iterator[None]:
    """Claim a file for the block alone; nothing is left of the claim.

    The folder is made if needed. A `FocalAudioError` if another block, of this
    process or another, has claimed it.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> with claim_file(folder / "a.csv"):
    ...     [path.name for path in folder.iterdir()]
    ['.a.csv.lock']
    >>> list(folder.iterdir())
    []
    """
    lock = lock_file(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FocalAudioError(
            f"{path} is being written by another call; wait for it, or give "
            "another folder."
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # some systems keep what is open
            os.unlink(lock.lock_file)
        lock.release()


def lock_folder(folder: str | Path, name: str, other: str) -> FileLock:
    """Make a folder, if needed, and claim it for this process alone.

    What killed processes left half-written in it is removed. The claim, a file
    `.lock`, ends with the process or with `release`. A
    `FocalAudioError` that calls the folder `name` and proposes `other` if
    another process has claimed it, or if it cannot be written.

    Example
    -------
    >>> lock = lock_folder(getfixture("tmp_path"), "folder", "name")
    >>> lock.is_locked
    True
    """
    lock = FileLock(Path(folder) / LOCK, timeout=0)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise FocalAudioError(
            f"{name} is being written by another process; wait for it, or "
            f"give another {other}."
        ) from None
    except OSError as error:
        raise FocalAudioError(
            f"{name} cannot be written: {error.strerror}; give another {other}."
        ) from error
    _remove_parts(Path(folder))
    return lock


def _remove_parts(folder: Path) -> None:
    """Remove what nobody finished, but where others have their own claim."""
    for where, folders, files in os.walk(folder):
        for name in filter(PART.fullmatch, folders):
            shutil.rmtree(Path(where, name), ignore_errors=True)
        for name in filter(PART.fullmatch, files):
            Path(where, name).unlink(missing_ok=True)
        folders[:] = [
            name
            for name in folders
            if not PART.fullmatch(name) and not Path(where, name, LOCK).exists()
        ]


def digest_file(path: str | Path) -> str:
    """Return a file's SHA-256, 64 hexadecimal digits.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.txt"
    >>> _ = path.write_text("")
    >>> digest_file(path)[:8]
    'e3b0c442'
    """
    return _digest(hashlib.sha256(), path)


def digest_as_git(path: str | Path) -> str:
    """Return git's own digest of a file's content, 40 hexadecimal digits.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.txt"
    >>> _ = path.write_text("")
    >>> digest_as_git(path)[:8]
    'e69de29b'
    """
    size = Path(path).stat().st_size
    return _digest(hashlib.sha1(b"blob %d\0" % size), path)


def _digest(digest: Any, path: str | Path) -> str:
    """Digest a file in flat memory."""
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
