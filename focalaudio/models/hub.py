"""`source <-> hub`: a path as it is, `owner/name` fetched whole or not at all.

huggingface_hub's settings hold: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE. The
cache is `<root>/<host>/<owner>--<name>/<commit>/`, real files only, and
`<revision>.ref` beside the commits says which of them a branch or tag was
last, for work without network.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import validate_repo_id
from huggingface_hub.utils.sha import git_hash
from tqdm import tqdm

from focalaudio.data.transfer import TransferError, alone, check_url, receive
from focalaudio.errors import HubError, ModelError, UnsafeModelError
from focalaudio.files import replace_file, temporary_folder
from focalaudio.models.bundle_files import (
    MAX_FILES,
    NEEDED,
    check_sums,
    is_bundle_file,
    list_files,
)

logger = logging.getLogger(__name__)

MAX_BYTES = 2_000_000_000  # the largest models here have 0.7 GB
MAX_LISTING = 10_000_000  # bytes
COMMIT = re.compile("[0-9a-f]{40}")
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
    if isinstance(source, os.PathLike) or not _is_hub_name(name, at, pinned):
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
    return HubSource(name, _check_revision(chosen))


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
    hub = _Repository(parsed.name, endpoint or constants.ENDPOINT)
    root = Path(savedir or Path(constants.HF_ASSETS_CACHE, "focalaudio"))
    cache = root.expanduser().absolute() / hub.folder
    cached = _find(cache, parsed.revision)
    if cached and COMMIT.fullmatch(parsed.revision):
        return cached
    try:
        if local_files_only or constants.HF_HUB_OFFLINE:
            return cached or _refuse_offline(parsed, cache)
        return _update(hub, parsed.revision, cache, max_bytes, progress)
    except HubError as error:
        if cached and isinstance(error, _UnreachableError):
            logger.warning("%s Using what is cached: %s", error, cached)
            return cached
        if Path(source).exists():
            hint = f"For the folder, write ./{source}."
            raise HubError(f"{error} {hint}") from error
        raise


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
    if not _is_hub_name(name):
        raise ValueError(f"{name=} must be a hub's owner/name.")
    if revision is not None:
        _check_revision(revision)
    folder = _open_folder(Path(folder))
    names = [each for each in list_files(folder) if is_bundle_file(each)]
    lacking = [need for need in NEEDED if need not in names]
    if lacking:
        raise ModelError(
            f"{folder}/ lacks {', '.join(lacking)}; write the bundle with "
            "`focalaudio export`."
        )
    hub = _Repository(name, endpoint or constants.ENDPOINT)
    api = HfApi(endpoint=hub.endpoint)
    try:
        api.create_repo(name, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            allow_patterns=names,
            revision=revision,
            commit_message=message,
        )
    except (HTTPError, OfflineModeIsEnabled, ValueError) as error:
        raise HubError(
            f"{hub.endpoint}/{name} did not take {folder}: "
            f"{error or type(error).__name__}"
        ) from error
    return commit.commit_url


class _UnreachableError(HubError):
    """A hub does not answer, or is in trouble: later it may be there."""


@dataclass(frozen=True)
class _HubFile:
    """One file of a repository, as its listing promises it."""

    name: str
    n_bytes: int
    sha256: str | None  # where the hub stores it outside git
    blob_id: str | None  # git's own digest, SHA-1


class _Repository:
    """One repository of a hub, and what is asked of it."""

    def __init__(self, name: str, endpoint: str) -> None:
        self.name, self.endpoint = name, endpoint.rstrip("/")
        try:
            check_url(self.endpoint)
        except TransferError as error:
            raise HubError(f"HF_ENDPOINT: {error} Or unset it.") from error

    @property
    def folder(self) -> Path:
        """Its place in a cache: host, port and name."""
        host = urlsplit(self.endpoint).netloc.replace(":", "_")
        return Path(host, self.name.replace("/", "--"))

    def list_files(self, revision: str) -> tuple[str, list[_HubFile]]:
        """Ask for the commit of a revision, and all files in it."""
        url = (
            f"{self.endpoint}/api/models/{self.name}/revision/"
            f"{quote(revision, safe='')}?blobs=true"
        )
        listing = io.BytesIO()
        self._receive(url, listing, MAX_LISTING, revision)
        is_commit = COMMIT.fullmatch(revision) is not None
        try:
            found = json.loads(listing.getvalue())
            commit = str(found["sha"])
            files = [self._read_file(each) for each in found["siblings"]]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._nonsense(repr(error)) from error
        if not COMMIT.fullmatch(commit) or (is_commit and commit != revision):
            raise self._nonsense(f"commit={commit[:80]!r} for {revision!r}")
        return commit, files

    def fetch(
        self,
        file: _HubFile,
        commit: str,
        folder: Path,
        report: Callable[[int], object],
    ) -> str:
        """Bring one file, whole and as promised; return its SHA-256."""
        url = hf_hub_url(
            self.name, file.name, revision=commit, endpoint=self.endpoint
        )
        path = folder / file.name
        with path.open("xb") as out:
            sha256 = self._receive(url, out, file.n_bytes, commit, report)
            n_bytes = out.tell()
        promised, found = file.sha256, sha256
        if promised is None:
            promised, found = file.blob_id, git_hash(path.read_bytes())
        if n_bytes != file.n_bytes or found != promised:
            raise HubError(
                f"{self.name} sent {n_bytes} of {file.n_bytes} bytes of "
                f"{file.name}, with digest {found}, not the promised "
                f"{promised}; nothing was kept: try again, and tell its owner "
                "if it stays so."
            )
        return sha256

    def _receive(
        self,
        url: str,
        out: BinaryIO,
        max_bytes: int,
        revision: str,
        report: Callable[[int], object] = int,
    ) -> str:
        try:
            return receive(url, out, max_bytes, token=True, report=report)
        except TransferError as error:
            raise self._explain(error, revision) from error

    def _read_file(self, sibling: dict[str, Any]) -> _HubFile:
        """Read one entry of a listing, before anything is done with it."""
        name, size = str(sibling["rfilename"]), sibling["size"]
        if name.startswith("/") or {"..", ""} & set(re.split(r"[/\\]", name)):
            raise UnsafeModelError(
                f"{self.name} lists a file {name!r}, which reaches outside "
                "its folder; use another model."
            )
        sha256 = (sibling.get("lfs") or {}).get("sha256")
        blob_id = sibling.get("blobId")
        if not isinstance(size, int) or not (sha256 or blob_id):
            raise self._nonsense(f"{name!r} without size or digest")
        return _HubFile(name, size, sha256, blob_id)

    def _nonsense(self, what: str) -> HubError:
        return HubError(
            f"{self.endpoint} gives no listing of {self.name} that makes "
            f"sense ({what}); does HF_ENDPOINT name a hub?"
        )

    def _explain(self, error: TransferError, revision: str) -> HubError:
        """Say what a failure means, and what to do about it."""
        if not error.status:
            kind = _UnreachableError if error.passes else HubError
            return kind(f"{self.name}: {error}")
        if error.passes:
            return _UnreachableError(
                f"{error}: the hub is in trouble or busy; try again later."
            )
        if error.code == "RevisionNotFound":
            return HubError(
                f"{error}: {self.name} has no {revision=}; look at its "
                "branches, tags and commits."
            )
        if error.status in (401, 403) or error.code == "GatedRepo":
            return HubError(
                f"{error}: {self.name} is private, gated, or not there. Ask "
                "its owner for access, then set HF_TOKEN or run `hf auth "
                "login`."
            )
        remedy = "check the name" if error.status == 404 else "see its page"
        return HubError(f"{error}; {remedy}.")


def _is_hub_name(name: str, at: str = "", revision: str = "") -> bool:
    """Whether this has the form of `owner/name`, `@revision` apart."""
    if name.count("/") != 1 or "/" in revision or bool(at) != bool(revision):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return all(part[:1].isalnum() for part in name.split("/"))


def _check_revision(revision: str) -> str:
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise ValueError(
            f"{revision=} must be a branch, a tag or a commit: at most 100 "
            "letters, digits or _ . / -, with a letter first."
        )
    return revision


def _open_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder.absolute()} is no folder; give a bundle's folder, or a "
            "hub's owner/name."
        )
    list_files(folder)
    check_sums(folder)
    return folder


def _note(cache: Path, revision: str) -> Path:
    """Where a cache says which commit a branch or tag was last."""
    return cache / f"{quote(revision, safe='')}.ref"


def _find(cache: Path, revision: str) -> Path | None:
    """Return the folder of a revision as it was last, if there."""
    commit, note = revision, _note(cache, revision)
    if not COMMIT.fullmatch(revision):
        commit = note.read_text("ascii") if note.is_file() else ""
    is_there = COMMIT.fullmatch(commit) and (cache / commit).is_dir()
    return cache / commit if is_there else None


def _refuse_offline(source: HubSource, cache: Path) -> Path:
    raise HubError(
        f"{source.name}@{source.revision} is not in {cache} and may not be "
        "fetched (local_files_only or HF_HUB_OFFLINE); fetch it once with "
        "network, or give a folder."
    )


def _update(
    hub: _Repository, revision: str, cache: Path, max_bytes: int, progress: bool
) -> Path:
    """Ask what the revision is now; fetch it if it is not there."""
    commit, files = hub.list_files(revision)
    folder = cache / commit
    if not folder.is_dir():
        files = _choose(hub.name, files, max_bytes)
        with alone(cache):
            if not folder.is_dir():
                _fetch_files(hub, commit, files, folder, progress)
    if revision != commit:
        with replace_file(_note(cache, revision)) as temporary:
            temporary.write_text(commit, "ascii")
    return folder


def _choose(
    name: str, files: Sequence[_HubFile], max_bytes: int
) -> list[_HubFile]:
    """Choose what is a bundle's of a repository's files."""
    chosen = [file for file in files if is_bundle_file(file.name)]
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
            f"{max_bytes=} or {MAX_FILES} files; raise max_bytes if you trust "
            "it. Nothing was fetched."
        )
    return chosen


def _fetch_files(
    hub: _Repository,
    commit: str,
    files: Sequence[_HubFile],
    folder: Path,
    progress: bool,
) -> None:
    """Fetch into a temporary folder, check, and rename."""
    total = sum(file.n_bytes for file in files)
    bar = tqdm(
        total=total, unit="B", unit_scale=True, desc=hub.name,
        disable=not progress,
    )  # fmt: skip
    with bar, temporary_folder(folder.parent) as temporary:
        digests = {
            file.name: hub.fetch(file, commit, temporary, bar.update)
            for file in files
        }
        check_sums(temporary, digests)
        folder.parent.mkdir(exist_ok=True)
        os.replace(temporary, folder)
