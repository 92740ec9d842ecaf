"""`source <-> hub`: a path as it is, `owner/name` fetched whole or not at all.

huggingface_hub's settings hold: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from huggingface_hub import constants

from focalaudio.data.transfer import TransferError
from focalaudio.errors import HubError, ModelError, escape_text
from focalaudio.models.bundle_files import (
    check_sums,
    choose_files,
    list_files,
)
from focalaudio.models.hub_cache import find_cached, find_damage, update_cache
from focalaudio.models.hub_names import (
    COMMIT,
    HubSource,
    check_hub_name,
    check_revision,
    parse_source,
)
from focalaudio.models.repository import Repository
from focalaudio.models.upload import upload_files

logger = logging.getLogger(__name__)

MAX_BYTES = 2_000_000_000  # the largest models here have 0.7 GB


def fetch_bundle(
    source: str | os.PathLike[str],
    savedir: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    *,
    max_bytes: int = MAX_BYTES,
    endpoint: str | None = None,
    progress: bool = True,
) -> Path:
    """Return the folder of a bundle, fetched if it is a hub's.

    Only a bundle's own files are fetched, never code or pickles. What is
    cached is not fetched again unless it is damaged; without network, a branch
    or tag is what it was last.

    Arguments
    ---------
    source : str or os.PathLike
        A folder, or a hub's `owner/name` or `owner/name@revision`; see
        `parse_source`. A folder is used where it is.
    savedir : str or os.PathLike, optional
        The cache; HF_ASSETS_CACHE's `focalaudio` if None.
    revision : str, optional
        Branch, tag or commit; the main branch if None.
    local_files_only : bool
        Whether to use what is cached and ask nobody, as HF_HUB_OFFLINE does.
    max_bytes : int
        Refuse a bundle with more bytes than this, before any is fetched.
    endpoint : str, optional
        The hub's address; HF_ENDPOINT's or huggingface.co if None.
    progress : bool
        Whether to show a bar on stderr.

    Raises
    ------
    FileNotFoundError
        If `source` is a path without a folder.
    HubError
        If the hub refuses, is out of reach, or sends what it did not promise.
    ModelError
        If it is no bundle, too large, or contradicts its SHA256SUMS; what is
        cached is removed then and fetched again, if there is network.
    ValueError
        If an argument is out of range.

    Example
    -------
    >>> fetch_bundle("./no/such/folder")
    Traceback (most recent call last):
    FileNotFoundError: .../no/such/folder is no folder; ...
    """
    parsed = parse_source(source, revision)
    if isinstance(parsed, Path):
        return _open_folder(parsed)
    hub = Repository(parsed.name, endpoint or constants.ENDPOINT)
    root = Path(savedir or Path(constants.HF_ASSETS_CACHE, "focalaudio"))
    cache = root.expanduser().absolute() / hub.folder
    cached = find_cached(cache, parsed.revision)
    is_offline = local_files_only or constants.HF_HUB_OFFLINE
    if cached and (is_offline or COMMIT.fullmatch(parsed.revision)):
        damage = find_damage(cached)
        if not damage:
            return cached
        if is_offline:
            raise ModelError(
                f"{damage} It is of the cache: remove {cached}, and fetch it "
                "again with network."
            )
    elif is_offline:
        raise HubError(
            f"{parsed.name}@{parsed.revision} is not in {cache}, and offline "
            "it cannot be fetched; fetch it once with network, or give a "
            f"folder.{_hint(source)}"
        )
    try:
        return update_cache(hub, parsed.revision, cache, max_bytes, progress)
    except TransferError as error:
        if not (cached and error.passes) or find_damage(cached):
            what = _explain(error, parsed)
            raise HubError(f"{what}{_hint(source)}") from error
        path = escape_text(cached)
        logger.warning("%s Using what is cached: %s", error, path)
        return cached


def find_local(source: str | Path) -> Path | None:
    """Return the folder that a model's name stands for; nothing is fetched.

    A folder's path stands for itself, whether it is there or not; a name on the
    hub for what was fetched before, None if nothing was.
    """
    place = parse_source(source)
    if isinstance(place, Path):
        return place
    try:
        return fetch_bundle(source, local_files_only=True)
    except HubError:
        return None


def push_bundle(
    folder: str | os.PathLike[str],
    name: str,
    private: bool = False,
    revision: str | None = None,
    *,
    endpoint: str | None = None,
) -> str:
    """Upload a bundle to a hub, its own files only, in one commit.

    A bundle that is there already is replaced: files that the new one lacks
    are removed.

    Arguments
    ---------
    folder : str or os.PathLike
        The bundle.
    name : str
        `owner/name` of the repository, which is made if needed.
    private : bool
        Whether a new repository is for its owner only.
    revision : str, optional
        Branch, made if needed; the main one if None.
    endpoint : str, optional
        The hub's address; HF_ENDPOINT's or huggingface.co if None.

    Returns
    -------
    str
        URL of the commit.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ModelError
        If it is no bundle, or contradicts its SHA256SUMS.
    HubError
        If the hub refuses or is out of reach.
    ValueError
        If `name` or `revision` is not one.
    """
    check_hub_name(name)
    if revision is not None:
        check_revision(revision)
    folder = _open_folder(Path(folder))
    sizes = list_files(folder)
    names = choose_files(f"{folder}/", sizes, sum(sizes.values()))
    hub = Repository(name, endpoint or constants.ENDPOINT)
    return upload_files(hub.endpoint, name, folder, names, private, revision)


def _explain(error: TransferError, source: HubSource) -> str:
    """Say what a failure means, and what to do about it."""
    if not error.status:
        return f"{source.name}: {error}"
    if error.passes:
        return f"{error}: the hub is in trouble or busy; try again later."
    if error.code == "RevisionNotFound":
        return (
            f"{error}: {source.name} has no revision={source.revision!r}; "
            "look at its branches, tags and commits."
        )
    if error.status in (401, 403) or error.code == "GatedRepo":
        return (
            f"{error}: {source.name} is private, gated, or not there. Ask its "
            "owner for access, then set HF_TOKEN or run `hf auth login`."
        )
    remedy = "check the name" if error.status == 404 else "see its page"
    return f"{error}; {remedy}."


def _hint(source: str | os.PathLike[str]) -> str:
    is_there = Path(source).exists()
    return f" For the folder, write ./{source}." if is_there else ""


def _open_folder(folder: Path) -> Path:
    if not folder.is_dir():
        path = folder.absolute()
        raise FileNotFoundError(f"{path} is no folder; give a bundle's.")
    list_files(folder)
    check_sums(folder)
    return folder
