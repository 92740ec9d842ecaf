"""`hub <-> files`: what is asked of a hub, with its refusals as `HubError`.

huggingface_hub's own client asks, so HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE
hold. What a listing promises (commit, sizes, digests) is held to, byte by byte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from huggingface_hub import HfApi, constants, get_session, hf_hub_url
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
)
from huggingface_hub.hf_api import ModelInfo, RepoSibling
from huggingface_hub.utils import build_hf_headers

from focalaudio.data.download import BLOCK_BYTES, LOOPBACK
from focalaudio.errors import HubError, UnsafeModelError

COMMIT = re.compile("[0-9a-f]{40}")
MAX_REDIRECTS = 5
TRIES = 5  # connections for one file, when they are cut
BUSY = 429  # and from 500 on: the hub's trouble, which passes


class UnreachableError(HubError):
    """A hub does not answer, or is in trouble: later it may be there.

    Example
    -------
    >>> issubclass(UnreachableError, HubError)
    True
    """


@dataclass(frozen=True)
class HubFile:
    """One file of a repository, as its listing promises it.

    Arguments
    ---------
    name : str
        Relative to the repository.
    n_bytes : int
        Its size.
    sha256 : str, optional
        Digest of its bytes, where the hub stores it outside git.
    blob_id : str, optional
        Git's own digest of it, SHA-1, where the hub stores it in git.

    Example
    -------
    >>> HubFile("README.md", 0, None, "e69de29").digest([])[:7]
    'e69de29'
    """

    name: str
    n_bytes: int
    sha256: str | None
    blob_id: str | None

    @property
    def promised(self) -> str | None:
        """The digest that its bytes must have."""
        return self.sha256 or self.blob_id

    def digest(self, blocks: Iterable[bytes]) -> str:
        """Return the digest of the promised kind, hexadecimal."""
        if self.sha256:
            digest = hashlib.sha256()
        else:
            digest = hashlib.sha1(f"blob {self.n_bytes}\0".encode())
        for block in blocks:
            digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True)
class Listing:
    """What a repository holds at a revision.

    Arguments
    ---------
    commit : str
        The revision's commit, 40 hexadecimal digits.
    files : tuple of HubFile
        All its files.

    Example
    -------
    >>> Listing("0" * 40, ()).files
    ()
    """

    commit: str
    files: tuple[HubFile, ...]


@dataclass(frozen=True)
class Repository:
    """One repository of a hub.

    Arguments
    ---------
    name : str
        `owner/name`.
    endpoint : str, optional
        The hub's address; HF_ENDPOINT's or huggingface.co if None.
    timeout : float
        Seconds without an answer after which the connection counts as cut.

    Raises
    ------
    HubError
        If the address is neither https nor this very machine.

    Example
    -------
    >>> Repository("owner/name", "http://example.org")
    Traceback (most recent call last):
    focalaudio.errors.HubError: http://example.org is not https; ...
    """

    name: str
    endpoint: str | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        endpoint = (self.endpoint or constants.ENDPOINT).rstrip("/")
        object.__setattr__(self, "endpoint", endpoint)
        self._check_url(endpoint)

    @property
    def host(self) -> str:
        """Host and port of the hub, usable as a file name."""
        return urlsplit(str(self.endpoint)).netloc.replace(":", "_")

    def list_files(self, revision: str) -> Listing:
        """Ask what the repository holds.

        Arguments
        ---------
        revision : str
            Branch, tag or commit.

        Returns
        -------
        Listing
            With sizes and digests.

        Raises
        ------
        HubError
            If the hub refuses, is out of reach, or promises too little.
        UnsafeModelError
            If a name reaches outside the repository.
        """
        api = HfApi(endpoint=self.endpoint)
        with self._explained(revision):
            try:
                info = api.model_info(
                    self.name,
                    revision=revision,
                    files_metadata=True,
                    timeout=self.timeout,
                )
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise HubError(
                    f"{self.endpoint} answered no listing of {self.name} "
                    f"({error!r}); does HF_ENDPOINT name a hub?"
                ) from error
        return self._read_listing(info, revision)

    def receive(
        self,
        file: HubFile,
        commit: str,
        path: Path,
        report: Callable[[int], object] = int,
    ) -> None:
        """Bring one file, whole and as promised.

        Arguments
        ---------
        file : HubFile
            Of a listing of this repository.
        commit : str
            The listing's.
        path : pathlib.Path
            Where it goes; must not exist.
        report : callable
            Gets the number of bytes of each block that came.

        Raises
        ------
        HubError
            If the hub refuses, the connection is cut again and again, or the
            bytes are not those that were promised.
        """
        with path.open("xb") as out:
            self._fetch(file, commit, out, report, TRIES)
        with path.open("rb") as whole:
            found = file.digest(iter(lambda: whole.read(BLOCK_BYTES), b""))
        if found != file.promised:
            raise HubError(
                f"{self.name} sent {file.name} with digest {found}, not the "
                f"promised {file.promised}; nothing was kept: try again, and "
                "tell its owner if it stays so."
            )

    def send(
        self,
        folder: Path,
        names: Sequence[str],
        private: bool,
        revision: str | None,
        message: str,
    ) -> str:
        """Upload files of a folder in one commit; makes what is not there.

        Arguments
        ---------
        folder : pathlib.Path
            Holds the files.
        names : sequence of str
            Of the files.
        private : bool
            Whether a new repository is for its owner only.
        revision : str, optional
            Branch; the main one if None.
        message : str
            Of the commit.

        Returns
        -------
        str
            URL of the commit.

        Raises
        ------
        HubError
            If the hub refuses or is out of reach.
        """
        api = HfApi(endpoint=self.endpoint)
        with self._explained(revision or constants.DEFAULT_REVISION):
            api.create_repo(self.name, private=private, exist_ok=True)
            if revision is not None:
                api.create_branch(self.name, branch=revision, exist_ok=True)
            try:
                commit = api.upload_folder(
                    repo_id=self.name,
                    folder_path=folder,
                    allow_patterns=list(names),
                    revision=revision,
                    commit_message=message,
                )
            except ValueError as error:  # for one, a README.md it dislikes
                raise HubError(
                    f"{self.endpoint}/{self.name} did not take {folder}: "
                    f"{error}"
                ) from error
        return commit.commit_url

    def _fetch(
        self,
        file: HubFile,
        commit: str,
        out: Any,
        report: Callable[[int], object],
        tries: int,
    ) -> None:
        """Go on over new connections, as long as each brings something."""
        before = out.tell()
        try:
            with (
                self._explained(commit),
                self._answer(file, commit, before) as response,
            ):
                if response.status_code == 200:  # from the start
                    report(-before)
                    out.seek(0)
                    out.truncate()
                self._append(response, file, out, report)
        except UnreachableError:
            if tries == 1 or out.tell() <= before:
                raise
            self._fetch(file, commit, out, report, tries - 1)

    def _append(
        self,
        response: Any,
        file: HubFile,
        out: Any,
        report: Callable[[int], object],
    ) -> None:
        """Write an answer's body, never more than was promised."""
        for block in response.iter_bytes():
            if out.tell() + len(block) > file.n_bytes:
                raise HubError(
                    f"{self.name} sends more of {file.name} than the promised "
                    f"{file.n_bytes} bytes; nothing was kept: try again."
                )
            out.write(block)
            report(len(block))
        if out.tell() < file.n_bytes:
            raise UnreachableError(
                f"{self.name}: the connection was cut after {out.tell()} of "
                f"{file.n_bytes} bytes of {file.name}; nothing was kept: try "
                "again."
            )

    @contextmanager
    def _answer(self, file: HubFile, commit: str, offset: int) -> Iterator[Any]:
        """Open a file's address and follow it to where https leads."""
        url = hf_hub_url(
            self.name, file.name, revision=commit, endpoint=self.endpoint
        )
        for _ in range(MAX_REDIRECTS):
            self._check_url(url)
            with get_session().stream(
                "GET",
                url,
                headers=self._headers(url, offset),
                follow_redirects=False,
                timeout=self.timeout,
            ) as response:
                if not response.has_redirect_location:
                    self._check_status(response, commit, file.name)
                    yield response
                    return
                url = urljoin(url, response.headers["Location"])
        raise HubError(
            f"{self.name} sends from one address to the next for {file.name}; "
            "try again later."
        )

    def _headers(self, url: str, offset: int) -> dict[str, str]:
        """Ask for plain bytes; the token is for the hub itself only."""
        is_hub = urlsplit(url)[:2] == urlsplit(str(self.endpoint))[:2]
        headers = build_hf_headers(token=None if is_hub else False)
        headers["Accept-Encoding"] = "identity"
        if offset:
            headers["Range"] = f"bytes={offset}-"
        return headers

    def _check_url(self, url: str) -> None:
        """Refuse all but https, and http on this machine from this machine."""
        here = urlsplit(str(self.endpoint))
        parts = urlsplit(url)
        is_local = parts.hostname in LOOPBACK and here.hostname in LOOPBACK
        if parts.scheme != "https" and not (
            is_local and parts.scheme == "http"
        ):
            raise HubError(
                f"{url} is not https; set HF_ENDPOINT to an address that is, "
                "or unset it."
            )

    @contextmanager
    def _explained(self, revision: str) -> Iterator[None]:
        """Turn what the client raises into what to do."""
        try:
            yield
        except OfflineModeIsEnabled as error:
            raise UnreachableError(
                f"{self.name} cannot be asked for while HF_HUB_OFFLINE is set."
            ) from error
        except HfHubHTTPError as error:
            raise self._refusal(error.response, revision) from error
        except (HTTPError, RuntimeError) as error:
            if isinstance(error, HubError | UnsafeModelError):
                raise
            raise UnreachableError(
                f"{self.endpoint} cannot be reached for {self.name} "
                f"({error or type(error).__name__}); nothing was kept: check "
                "the connection and try again."
            ) from error

    def _check_status(self, response: Any, commit: str, name: str) -> None:
        if response.status_code >= 400:
            raise self._refusal(response, commit, f"/{name}")

    def _refusal(
        self, response: Any, revision: str, name: str = ""
    ) -> HubError:
        """Say what a status means, and what to do about it."""
        status = response.status_code
        code = response.headers.get("X-Error-Code", "")
        what = f"{self.endpoint}/{self.name}{name} answered {status}"
        if status == BUSY or status >= 500:
            return UnreachableError(
                f"{what}: the hub is in trouble or busy; try again later."
            )
        if code == "RevisionNotFound":
            return HubError(
                f"{what}: it has no revision={revision!r}; look at its "
                "branches, tags and commits."
            )
        if status in (401, 403) or code == "GatedRepo":
            return HubError(
                f"{what}: it is private, gated, or not there. Ask its owner "
                "for access, then set HF_TOKEN or run `hf auth login`."
            )
        remedy = "check the name" if status == 404 else "see its page"
        return HubError(f"{what}; {remedy}. For a folder, write ./{self.name}.")

    def _read_listing(self, info: ModelInfo, revision: str) -> Listing:
        """Check a listing before anything is done with it."""
        is_commit = COMMIT.fullmatch(revision) is not None
        commit = str(info.sha)
        if not COMMIT.fullmatch(commit) or (is_commit and commit != revision):
            raise HubError(
                f"{self.endpoint} gives commit={commit[:80]!r} for revision="
                f"{revision!r} of {self.name}; does HF_ENDPOINT name a hub?"
            )
        files = [self._read_file(sibling) for sibling in info.siblings or ()]
        return Listing(commit, tuple(files))

    def _read_file(self, sibling: RepoSibling) -> HubFile:
        name, size = sibling.rfilename, sibling.size
        if name.startswith("/") or {"..", ""} & set(re.split(r"[/\\]", name)):
            raise UnsafeModelError(
                f"{self.name} lists a file {name!r}, which reaches outside "
                "its folder; use another model."
            )
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        if not isinstance(size, int) or not (sha256 or sibling.blob_id):
            raise HubError(
                f"{self.endpoint} lists {name!r} of {self.name} without size "
                "or digest; does HF_ENDPOINT name a hub?"
            )
        return HubFile(name, size, sha256, sibling.blob_id)
