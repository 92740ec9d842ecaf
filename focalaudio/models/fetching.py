"""`source -> folder of a bundle`: a path as it is, `owner/name` from a hub.

The cache is `<root>/<host>/<owner>--<name>/<commit>/`, whole or absent, real
files only; `<revision>.ref` beside the commits says which of them a branch or
tag was last, for work without network.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from tqdm import tqdm

from focalaudio.errors import HubError, ModelError
from focalaudio.files import replace_file, replace_folder
from focalaudio.models.bundle_files import (
    NEEDED,
    check_sums,
    choose_files,
    is_bundle_file,
)
from focalaudio.models.hub import (
    COMMIT,
    Listing,
    Repository,
    UnreachableError,
)

logger = logging.getLogger(__name__)

MAX_BYTES = 2_000_000_000  # the largest models here have 0.7 GB
REVISION = re.compile(r"\w[\w./-]{0,99}", re.ASCII)


@dataclass(frozen=True)
class HubSource:
    """A repository of a hub, at a revision.

    Arguments
    ---------
    name : str
        `owner/name`.
    revision : str
        Branch, tag or commit.

    Example
    -------
    >>> HubSource("owner/name", "main").name
    'owner/name'
    """

    name: str
    revision: str


def parse_source(
    source: str | os.PathLike[str], revision: str | None = None
) -> Path | HubSource:
    """Tell a path from a hub's name, by its form only.

    Arguments
    ---------
    source : str or os.PathLike
        `owner/name` or `owner/name@revision` is a hub's, whatever folders
        there are. All else is a path: `./x`, `/x`, more than one slash, or an
        `os.PathLike`.
    revision : str, optional
        Branch, tag or commit; `main` if neither says one.

    Returns
    -------
    pathlib.Path or HubSource
        What it is.

    Raises
    ------
    ValueError
        If the revision has no meaning here, or there are two.

    Example
    -------
    >>> parse_source("owner/name@v1")
    HubSource(name='owner/name', revision='v1')
    >>> isinstance(parse_source("./owner/name"), Path)
    True
    """
    name, at, pinned = str(source).partition("@")
    if isinstance(source, os.PathLike) or not is_hub_name(name, at, pinned):
        if revision is not None:
            raise ValueError(
                f"revision={revision!r} is for a hub's owner/name, but "
                f"{source} is a path; leave it out."
            )
        return Path(source).expanduser()
    if at and revision not in (None, pinned):
        raise ValueError(
            f"revision={revision!r} contradicts source={source!r}; give one."
        )
    chosen = pinned or revision or constants.DEFAULT_REVISION
    return HubSource(name, check_revision(chosen))


def is_hub_name(name: str, at: str = "", revision: str = "") -> bool:
    """Whether this has the form of a hub's `owner/name`, `@revision` apart.

    Arguments
    ---------
    name : str
        What stands before the `@`.
    at, revision : str
        The `@`, if there is one, and what follows.

    Returns
    -------
    bool
        True if so.

    Example
    -------
    >>> is_hub_name("owner/name"), is_hub_name("a/b/c"), is_hub_name("name")
    (True, False, False)
    """
    if name.count("/") != 1 or "/" in revision or bool(at) != bool(revision):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return all(part[:1].isalnum() for part in name.split("/"))


def check_revision(revision: str) -> str:
    """Refuse what cannot be a branch, a tag or a commit.

    Arguments
    ---------
    revision : str
        The name.

    Returns
    -------
    str
        The same.

    Raises
    ------
    ValueError
        If it has other characters than letters, digits and `_./-`.

    Example
    -------
    >>> check_revision("../x")
    Traceback (most recent call last):
    ValueError: revision='../x' must be a branch, a tag or a commit: ...
    """
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise ValueError(
            f"revision={revision!r} must be a branch, a tag or a commit: at "
            "most 100 letters, digits or _ . / -, with a letter first."
        )
    return revision


def fetch_bundle(
    source: str | os.PathLike[str],
    savedir: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    *,
    max_bytes: int = MAX_BYTES,
    timeout: float = 30.0,
    endpoint: str | None = None,
    progress: bool = True,
) -> Path:
    """Return the folder of a bundle, fetched if it is a hub's.

    Only a bundle's own files are fetched, never code or pickles. What is
    cached is not fetched again; without network, a branch or tag is what it
    was last.

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
    timeout : float
        Seconds without an answer after which the connection counts as cut.
    endpoint : str, optional
        The hub's address; HF_ENDPOINT's or huggingface.co if None.
    progress : bool
        Whether to show a bar on stderr.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    FileNotFoundError
        If `source` is a path without a folder.
    HubError
        If the hub refuses, is out of reach, or sends what it did not promise.
    ModelError
        If it is no bundle, too large, or contradicts its SHA256SUMS.
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
    hub = Repository(parsed.name, endpoint, timeout)
    root = savedir or Path(constants.HF_ASSETS_CACHE, "focalaudio")
    cache = _Cache(root, hub)
    cached = cache.find(parsed.revision)
    if cached and COMMIT.fullmatch(parsed.revision):
        return cached
    if local_files_only or constants.HF_HUB_OFFLINE:
        return cached or _refuse_offline(parsed, cache)
    try:
        listing = hub.list_files(parsed.revision)
    except UnreachableError as error:
        if cached is None:
            raise
        logger.warning("%s Using what is cached: %s", error, cached)
        return cached
    folder = cache.folder / listing.commit
    if not folder.is_dir():
        files = choose_files(hub.name, listing.files, max_bytes)
        _fetch_files(hub, Listing(listing.commit, files), folder, progress)
    cache.note(parsed.revision, listing.commit)
    return folder


def push_bundle(
    folder: str | os.PathLike[str],
    name: str,
    private: bool = False,
    revision: str | None = None,
    *,
    message: str = "Upload a focalaudio bundle",
    endpoint: str | None = None,
) -> str:
    """Upload a bundle to a hub, its own files only.

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
    message : str
        Of the commit.
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

    Example
    -------
    >>> push_bundle(getfixture("tmp_path"), "owner/name")
    Traceback (most recent call last):
    focalaudio.errors.ModelError: .../ lacks hyperparams.yaml, ...
    """
    if not is_hub_name(name):
        raise ValueError(f"{name=} must be a hub's owner/name.")
    if revision is not None:
        check_revision(revision)
    folder = _open_folder(Path(folder))
    names = sorted(p.name for p in folder.iterdir() if is_bundle_file(p.name))
    lacking = [need for need in NEEDED if need not in names]
    linked = [each for each in names if (folder / each).is_symlink()]
    if lacking or linked:
        problem = f"lacks {', '.join(lacking)}" if lacking else "has links"
        raise ModelError(
            f"{folder}/ {problem}; write the bundle with `focalaudio export`."
        )
    hub = Repository(name, endpoint)
    return hub.send(folder, names, private, revision, message)


class _Cache:
    """What was fetched of one repository."""

    def __init__(self, root: str | os.PathLike[str], hub: Repository) -> None:
        name = hub.name.replace("/", "--")
        self.folder = Path(root).expanduser().absolute() / hub.host / name

    def find(self, revision: str) -> Path | None:
        """Return the folder of a revision as it was last, if there."""
        commit = revision
        if not COMMIT.fullmatch(revision):
            note = self._note(revision)
            commit = note.read_text("ascii") if note.is_file() else ""
        folder = self.folder / commit
        return folder if COMMIT.fullmatch(commit) and folder.is_dir() else None

    def note(self, revision: str, commit: str) -> None:
        """Remember which commit a branch or tag is now."""
        if not COMMIT.fullmatch(revision):
            with replace_file(self._note(revision)) as temporary:
                temporary.write_text(commit, "ascii")

    def _note(self, revision: str) -> Path:
        return self.folder / f"{quote(revision, safe='')}.ref"


def _open_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder.absolute()} is no folder; give a bundle's folder, or a "
            "hub's owner/name."
        )
    check_sums(folder)
    return folder


def _refuse_offline(source: HubSource, cache: _Cache) -> Path:
    raise HubError(
        f"{source.name}@{source.revision} is not in {cache.folder} and may "
        "not be fetched (local_files_only or HF_HUB_OFFLINE); fetch it once "
        "with network, or give a folder."
    )


def _fetch_files(
    hub: Repository, listing: Listing, folder: Path, progress: bool
) -> None:
    """Fetch into a temporary folder, check, and rename."""
    total = sum(file.n_bytes for file in listing.files)
    bar = tqdm(
        total=total, unit="B", unit_scale=True, desc=hub.name,
        disable=not progress,
    )  # fmt: skip
    try:
        with bar, replace_folder(folder) as temporary:
            for file in listing.files:
                path = temporary / file.name
                hub.receive(file, listing.commit, path, bar.update)
            check_sums(temporary)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
