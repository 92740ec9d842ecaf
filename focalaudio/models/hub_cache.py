"""`repository at a revision -> folder in a cache`, fetched if it is not whole.

The cache is `<root>/<host>/<owner>--<name>/<commit>/`, real files only, and
`<revision>.ref` beside the commits says which of them a branch or tag was
last, for work without network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from tqdm import tqdm

from focalaudio.data.transfer import alone
from focalaudio.errors import ModelError
from focalaudio.files import replace_file, temporary_folder
from focalaudio.models.bundle_files import (
    check_sums,
    choose_files,
    list_files,
)
from focalaudio.models.hub_names import COMMIT
from focalaudio.models.repository import HubFile, Repository


def find_cached(cache: Path, revision: str) -> Path | None:
    """Return the folder of a revision as it was last; None if it is not there.

    `cache` is the folder of a repository; nobody is asked.
    """
    commit, note = revision, _note(cache, revision)
    if not COMMIT.fullmatch(revision):
        commit = note.read_text("ascii") if note.is_file() else ""
    is_there = COMMIT.fullmatch(commit) and (cache / commit).is_dir()
    return cache / commit if is_there else None


def find_damage(folder: Path) -> str:
    """Say what is wrong with a bundle in the cache; nothing if it is whole."""
    if not folder.is_dir():
        return f"{folder} is not there."
    try:
        sizes = list_files(folder)
        choose_files(str(folder), sizes, sum(sizes.values()))
        check_sums(folder)
    except ModelError as error:
        return str(error)
    return ""


def update_cache(
    hub: Repository, revision: str, cache: Path, max_bytes: int, progress: bool
) -> Path:
    """Ask what the revision is now; fetch it if it is not there, whole.

    Arguments
    ---------
    hub : Repository
        Is asked.
    revision : str
        A branch, a tag or a commit.
    cache : pathlib.Path
        The repository's folder.
    max_bytes : int
        Of the bundle's own files, no others of which are fetched.
    progress : bool
        Whether to show a bar on stderr.

    Returns
    -------
    pathlib.Path
        The commit's folder.

    Raises
    ------
    TransferError
        If the hub is out of reach, or refuses.
    HubError
        If it sends what it did not promise.
    ModelError
        If it is no bundle, too large, or contradicts its SHA256SUMS.
    """
    commit, files = hub.list_files(revision)
    folder = cache / commit
    if find_damage(folder):
        sizes = {name: file.n_bytes for name, file in files.items()}
        chosen = choose_files(hub.name, sizes, max_bytes)
        with alone(cache):
            if find_damage(folder):
                with suppress(FileNotFoundError):
                    shutil.rmtree(folder)
                wanted = [files[name] for name in chosen]
                _fetch_files(hub, wanted, folder, progress)
    if revision != commit:
        with replace_file(_note(cache, revision)) as temporary:
            temporary.write_text(commit, "ascii")
    return folder


def _fetch_files(
    hub: Repository, files: Sequence[HubFile], folder: Path, progress: bool
) -> None:
    """Fetch into a temporary folder, check, and rename."""
    commit = folder.name
    total = sum(file.n_bytes for file in files)
    options = {"total": total, "desc": hub.name, "disable": not progress}
    bar = tqdm(unit="B", unit_scale=True, **options)
    with bar, temporary_folder(folder.parent) as temporary:
        digests = {
            file.name: hub.fetch(file, commit, temporary, bar.update)
            for file in files
        }
        check_sums(temporary, digests)
        folder.parent.mkdir(exist_ok=True)
        os.replace(temporary, folder)


def _note(cache: Path, revision: str) -> Path:
    """Where a cache says which commit a branch or tag was last."""
    return cache / f"{quote(revision, safe='')}.ref"
