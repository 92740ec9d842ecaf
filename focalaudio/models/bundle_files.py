"""`files of a repository or folder -> those of a bundle`: names, sums.

A bundle is data in one folder. What has another name is not fetched, not
uploaded and not looked at.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from focalaudio.data.download import BLOCK_BYTES
from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.models.hub import HubFile

SUMS = "SHA256SUMS"
NEEDED = ("hyperparams.yaml", "model.safetensors", "label_encoder.txt")
DECODER = "decoder.safetensors"
OPTIONAL = (DECODER, "README.md", "example.png", SUMS)
EXAMPLE = re.compile(r"example[\w-]*\.wav", re.ASCII)
MAX_FILES = 64


def is_bundle_file(name: str) -> bool:
    """Whether a bundle may have a file of this name, in its root.

    Arguments
    ---------
    name : str
        Of the file.

    Returns
    -------
    bool
        True if so.

    Example
    -------
    >>> is_bundle_file("example_2.wav"), is_bundle_file("model.ckpt")
    (True, False)
    """
    return name in (*NEEDED, *OPTIONAL) or bool(EXAMPLE.fullmatch(name))


def choose_files(
    name: str, files: Sequence[HubFile], max_bytes: int
) -> tuple[HubFile, ...]:
    """Choose what is a bundle's of a repository's files.

    Arguments
    ---------
    name : str
        Of the repository, for the message.
    files : sequence of HubFile
        All its files.
    max_bytes : int
        The most that all chosen together may have.

    Returns
    -------
    tuple of HubFile
        The chosen.

    Raises
    ------
    ModelError
        If one is missing, or they are too large or too many.

    Example
    -------
    >>> choose_files("owner/name", [], 100)
    Traceback (most recent call last):
    focalaudio.errors.ModelError: owner/name lacks hyperparams.yaml, ...
    """
    chosen = tuple(file for file in files if is_bundle_file(file.name))
    lacking = [n for n in NEEDED if n not in {file.name for file in chosen}]
    if lacking:
        raise ModelError(
            f"{name} lacks {', '.join(lacking)}: it is no focalaudio bundle; "
            "choose a repository that `focalaudio export` wrote."
        )
    n_bytes = sum(file.n_bytes for file in chosen)
    if n_bytes > max_bytes or len(chosen) > MAX_FILES:
        raise ModelError(
            f"{name} has {n_bytes} bytes in {len(chosen)} files, more than "
            f"max_bytes={max_bytes} or {MAX_FILES} files; raise max_bytes if "
            "you trust it. Nothing was fetched."
        )
    return chosen


def check_sums(folder: Path) -> None:
    """Compare a folder's files with its SHA256SUMS, if it has one.

    Arguments
    ---------
    folder : pathlib.Path
        Of a bundle.

    Raises
    ------
    UnsafeModelError
        If it names a file outside the folder.
    ModelError
        If it is no such list, a bundle's file is missing or another, or one
        that is read is not in it.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / SUMS).write_text("0" * 64 + "  README.md")
    >>> check_sums(folder)
    Traceback (most recent call last):
    focalaudio.errors.ModelError: .../README.md does not have the digest ...
    """
    path = folder / SUMS
    if not path.is_file():
        return
    names = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        digest, name = _read_sum(path, line)
        names.append(name)
        if is_bundle_file(name) and digest_file(folder / name) != digest:
            raise ModelError(
                f"{folder / name} does not have the digest that {SUMS} gives "
                "it; fetch the bundle again, or ask its owner."
            )
    for name in (*NEEDED, DECODER):
        if (folder / name).is_file() and name not in names:
            raise ModelError(
                f"{path} does not list {name}; fetch the bundle again, or ask "
                "its owner."
            )


def _read_sum(path: Path, line: str) -> tuple[str, str]:
    """Split a line of `sha256sum`'s: digest, two spaces, name."""
    match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
    if match is None:
        raise ModelError(
            f"{path} has a line {line[:80]!r}, which is not `<sha256>  "
            "<name>`; write it with sha256sum."
        )
    digest, name = match[1].lower(), match[2]
    if re.search(r"[/\\]", name):
        raise UnsafeModelError(
            f"{path} names {name!r}, which is not in its folder; use another "
            "model."
        )
    return digest, name


def digest_file(path: Path) -> str | None:
    """Return a file's SHA-256.

    Arguments
    ---------
    path : pathlib.Path
        The file.

    Returns
    -------
    str or None
        64 hexadecimal digits; None if there is no such file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.txt"
    >>> _ = path.write_text("")
    >>> digest_file(path)[:8]
    'e3b0c442'
    """
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
