"""`folder -> a bundle's files`: their names, their number, their sums.

A bundle is data in one folder. What has another name is not fetched, not
uploaded and not looked at.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from focalaudio.data.labels import LABELS_FILE
from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.files import digest_file

SUMS = "SHA256SUMS"
NEEDED = ("hyperparams.yaml", "model.safetensors", LABELS_FILE)
# a method that has a decoder -> its key in the YAML, the stem of its weights
DECODERS = {"piq": "decoder", "lmac": "lmac"}
DECODER_FILES = {key: f"{key}.safetensors" for key in DECODERS.values()}
# what a rule of novelty is measured from: its key, its file
SHAPE, SHAPE_FILE = "spectral_shape", "spectral_shape.safetensors"
TRAINED_ON = "trained_on.txt"  # fingerprints of the clips that trained it
WEIGHT_FILES = DECODER_FILES | {SHAPE: SHAPE_FILE}  # that a bundle may have
_OPTIONAL = (
    *WEIGHT_FILES.values(),
    *("README.md", "example.png", "folds.csv", TRAINED_ON, SUMS),
)
_EXAMPLE = re.compile(r"example[\w-]*\.wav", re.ASCII)
_MAX_FILES = 64
_MAX_SUMS = 50_000  # bytes of SHA256SUMS


def is_bundle_file(name: str) -> bool:
    """Whether a bundle may have a file of this name, in its root."""
    return name in (*NEEDED, *_OPTIONAL) or bool(_EXAMPLE.fullmatch(name))


def choose_files(
    name: str, sizes: Mapping[str, int], max_bytes: int
) -> list[str]:
    """Choose what is a bundle's of a repository's files; return their names.

    `sizes` are the bytes of each of them, `max_bytes` the most that all chosen
    together may have. A `ModelError` about `name`, the repository, if one is
    missing, or they are too large or too many.
    """
    chosen = [each for each in sizes if is_bundle_file(each)]
    lacking = [need for need in NEEDED if need not in sizes]
    if lacking:
        raise ModelError(
            f"{name} lacks {', '.join(lacking)}: it is no bundle; write one "
            "with `focalaudio export`."
        )
    n_bytes = sum(sizes[each] for each in chosen)
    if n_bytes > max_bytes or len(chosen) > _MAX_FILES:
        raise ModelError(
            f"{name} has {n_bytes} bytes in {len(chosen)} files, more than "
            f"{max_bytes=} or {_MAX_FILES} files; raise max_bytes if you trust "
            "it."
        )
    return chosen


def list_files(folder: Path) -> dict[str, int]:
    """Return the bytes of each file in a bundle's folder, sorted by name.

    `UnsafeModelError` if one is a link, or no regular file; `ModelError` if
    they are too many.
    """
    with os.scandir(folder) as found:
        entries = list(islice(found, _MAX_FILES + 1))
    if len(entries) > _MAX_FILES:
        raise ModelError(
            f"{folder} holds more than {_MAX_FILES} files; a bundle has about "
            "ten: choose its own folder."
        )
    sizes = {}
    for entry in sorted(entries, key=lambda entry: entry.name):
        info = entry.stat(follow_symlinks=False)
        sizes[entry.name] = info.st_size
        if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
            raise UnsafeModelError(
                f"{entry.path} is a link or no regular file; a bundle holds "
                "its files themselves."
            )
    return sizes


def check_sums(folder: Path, digests: Mapping[str, str] | None = None) -> None:
    """Compare a folder's files with its SHA256SUMS, if it has one.

    `digests` are the SHA-256 of each of its files, where they are known; else
    each file is read, once. `UnsafeModelError` if it names a file outside the
    folder; `ModelError` if it is no such list, or a bundle's file is missing,
    another one, or not in it. What has another name is never read.
    """
    path = folder / SUMS
    if not path.is_file():
        return
    sums = _read_sums(path)
    for name, digest in sums.items():
        if is_bundle_file(name) and digest != _digest(folder / name, digests):
            raise ModelError(
                f"{folder / name} does not have the digest that {SUMS} gives "
                "it; fetch the bundle again, or ask its owner."
            )
    for name in sorted({*list_files(folder)} - {*sums, SUMS}):
        if is_bundle_file(name) and (folder / name).is_file():
            raise ModelError(
                f"{path} does not list {name}; fetch the bundle again, or ask "
                "its owner."
            )


def _digest(path: Path, digests: Mapping[str, str] | None) -> str | None:
    if digests is not None:
        return digests.get(path.name)
    return digest_file(path) if path.is_file() else None


def _read_sums(path: Path) -> dict[str, str]:
    """Read `sha256sum`'s list: name -> digest, each name once."""
    with path.open("rb") as file:
        data = file.read(_MAX_SUMS + 1)
    lines = data.decode("utf-8", errors="replace").splitlines()
    if len(data) > _MAX_SUMS or len(lines) > _MAX_FILES:
        raise ModelError(
            f"{path} has more than {_MAX_FILES} lines or {_MAX_SUMS} bytes; "
            "write it with sha256sum, for the bundle's files only."
        )
    sums = dict(_read_sum(path, line) for line in lines)
    if len(sums) < len(lines):
        raise ModelError(f"{path} names a file twice; write it with sha256sum.")
    return sums


def _read_sum(path: Path, line: str) -> tuple[str, str]:
    """Split a line: digest, two spaces, name."""
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
    return name, digest
