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
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from huggingface_hub import constants, hf_hub_url
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from tqdm import tqdm

from focalaudio.data.transfer import TransferError, alone, check_url, receive
from focalaudio.errors import (
    HubError,
    ModelError,
    UnsafeModelError,
    escape_text,
)
from focalaudio.files import (
    digest_as_git,
    replace_file,
    temporary_folder,
)
from focalaudio.models.bundle_files import (
    check_sums,
    choose_files,
    list_files,
)
from focalaudio.models.upload import upload_files

logger = logging.getLogger(__name__)

MAX_BYTES = 2_000_000_000  # the largest models here have 0.7 GB
_MAX_LISTING = 10_000_000  # bytes
_COMMIT = re.compile("[0-9a-f]{40}")
_NO_LISTING = (AttributeError, KeyError, RecursionError, TypeError, ValueError)
_REVISION = re.compile(r"\w[\w./-]{0,99}", re.ASCII)
_PAGE = re.compile(  # of a model, as a browser shows its address
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([^/?#@]+/[^/?#@]+?)"
    r"(?:/tree/([^/?#]+))?/?(?:[?#].*)?"
)


@dataclass(frozen=True)
class _HubSource:
    """A repository of a hub, `owner/name`, at a branch, tag or commit."""

    name: str
    revision: str


def parse_source(
    source: str | os.PathLike[str], revision: str | None = None
) -> Path | _HubSource:
    """Tell a path from a hub's name, by its form only.

    `owner/name` or `owner/name@revision` is a hub's, whatever folders there
    are, and so is the address of its page, `https://huggingface.co/owner/name`.
    All else is a path: `./x`, `/x`, more than one slash, or an `os.PathLike`.
    The revision is `main` if neither argument says one; a
    `ValueError` if it has no meaning here, or there are two.

    Example
    -------
    >>> parse_source("owner/name@v1")
    _HubSource(name='owner/name', revision='v1')
    >>> isinstance(parse_source("./owner/name"), Path)
    True
    """
    if isinstance(source, str):
        source = _from_page(source)
    name, at, pinned = str(source).partition("@")
    if isinstance(source, os.PathLike) or not _is_hub_name(name, at, pinned):
        if revision is not None:
            raise ValueError(
                f"{revision=} is for a hub's owner/name, but {source} is a "
                "path; leave it out."
            )
        return Path(source).expanduser()
    if at and revision not in (None, pinned):
        raise ValueError(f"{revision=} contradicts {source=}; give one.")
    revision = pinned or revision or constants.DEFAULT_REVISION
    return _HubSource(name, _check_revision(revision))


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
    hub = _Repository(parsed.name, endpoint or constants.ENDPOINT)
    root = Path(savedir or Path(constants.HF_ASSETS_CACHE, "focalaudio"))
    cache = root.expanduser().absolute() / hub.folder
    cached = _find(cache, parsed.revision)
    is_offline = local_files_only or constants.HF_HUB_OFFLINE
    if cached and (is_offline or _COMMIT.fullmatch(parsed.revision)):
        damage = _find_damage(cached)
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
        return _update(hub, parsed.revision, cache, max_bytes, progress)
    except TransferError as error:
        if not (cached and error.passes) or _find_damage(cached):
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
        _check_revision(revision)
    folder = _open_folder(Path(folder))
    sizes = list_files(folder)
    names = choose_files(f"{folder}/", sizes, sum(sizes.values()))
    hub = _Repository(name, endpoint or constants.ENDPOINT)
    return upload_files(hub.endpoint, name, folder, names, private, revision)


def check_hub_name(name: str) -> None:
    """Refuse what cannot be a repository's name, by a `ValueError`.

    Example
    -------
    >>> check_hub_name("owner/name")
    >>> check_hub_name("name")
    Traceback (most recent call last):
    ValueError: name='name' must be a hub's owner/name.
    """
    if not _is_hub_name(name):
        raise ValueError(f"{name=} must be a hub's owner/name.")


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

    def list_files(self, revision: str) -> tuple[str, dict[str, _HubFile]]:
        """Ask for the commit of a revision, and all files in it."""
        quoted = quote(revision, safe="")
        path = f"api/models/{self.name}/revision/{quoted}?blobs=true"
        listing = io.BytesIO()
        receive(f"{self.endpoint}/{path}", listing, _MAX_LISTING, token=True)
        try:
            found = json.loads(listing.getvalue())
            commit = str(found["sha"])
            files = [self._read_file(each) for each in found["siblings"]]
        except _NO_LISTING as error:
            raise self._nonsense(repr(error)) from error
        allowed = revision if _COMMIT.fullmatch(revision) else _COMMIT
        if not re.fullmatch(allowed, commit):
            raise self._nonsense(f"commit={commit[:80]!r} for {revision!r}")
        return commit, {file.name: file for file in files}

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
            sha256 = receive(url, out, file.n_bytes, True, report)
            n_bytes = out.tell()
        promised, found = file.sha256, sha256
        if promised is None:
            promised, found = file.blob_id, digest_as_git(path)
        if n_bytes != file.n_bytes or found != promised:
            raise HubError(
                f"{self.name} sent {n_bytes} of {file.n_bytes} bytes of "
                f"{file.name}, with digest {found}, not {promised} as was "
                "promised; nothing was kept: try again, or tell its owner."
            )
        return sha256

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
        # a size below 0 would let others pass the cap on their sum
        is_size = isinstance(size, int) and size >= 0
        if not is_size or not (sha256 or blob_id):
            raise self._nonsense(f"{name!r} without size or digest")
        return _HubFile(name, size, sha256, blob_id)

    def _nonsense(self, what: str) -> HubError:
        return HubError(
            f"{self.endpoint} gives no listing of {self.name} that makes "
            f"sense ({what}); does HF_ENDPOINT name a hub?"
        )


def _explain(error: TransferError, source: _HubSource) -> str:
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


def _from_page(source: str) -> str:
    """Return what a model's page is called; other text as it is."""
    page = _PAGE.fullmatch(source.strip())
    if page:
        return f"{page[1]}@{page[2]}" if page[2] else page[1]
    if re.match(r"\w+://", source):
        raise ValueError(
            f"{source=} is no address of a model on the hub; give owner/name, "
            "or a folder."
        )
    return source


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
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise ValueError(
            f"{revision=} must be a branch, a tag or a commit: at most 100 "
            "letters, digits or _ . / -, with a letter first."
        )
    return revision


def _open_folder(folder: Path) -> Path:
    if not folder.is_dir():
        path = folder.absolute()
        raise FileNotFoundError(f"{path} is no folder; give a bundle's.")
    list_files(folder)
    check_sums(folder)
    return folder


def _note(cache: Path, revision: str) -> Path:
    """Where a cache says which commit a branch or tag was last."""
    return cache / f"{quote(revision, safe='')}.ref"


def _find(cache: Path, revision: str) -> Path | None:
    """Return the folder of a revision as it was last, if there."""
    commit, note = revision, _note(cache, revision)
    if not _COMMIT.fullmatch(revision):
        commit = note.read_text("ascii") if note.is_file() else ""
    is_there = _COMMIT.fullmatch(commit) and (cache / commit).is_dir()
    return cache / commit if is_there else None


def _find_damage(folder: Path) -> str:
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


def _update(
    hub: _Repository, revision: str, cache: Path, max_bytes: int, progress: bool
) -> Path:
    """Ask what the revision is now; fetch it if it is not there, whole."""
    commit, files = hub.list_files(revision)
    folder = cache / commit
    if _find_damage(folder):
        sizes = {name: file.n_bytes for name, file in files.items()}
        chosen = choose_files(hub.name, sizes, max_bytes)
        with alone(cache):
            if _find_damage(folder):
                with suppress(FileNotFoundError):
                    shutil.rmtree(folder)
                wanted = [files[name] for name in chosen]
                _fetch_files(hub, wanted, folder, progress)
    if revision != commit:
        with replace_file(_note(cache, revision)) as temporary:
            temporary.write_text(commit, "ascii")
    return folder


def _fetch_files(
    hub: _Repository, files: Sequence[_HubFile], folder: Path, progress: bool
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
