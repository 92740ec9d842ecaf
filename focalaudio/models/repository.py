"""`owner/name <-> a hub`: what a repository lists, and its files as promised.

What comes from a hub is a stranger's: a listing is checked before anything is
done with it, and a file is kept only if its size and digest are the listing's.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from huggingface_hub import hf_hub_url

from focalaudio.data.transfer import TransferError, check_url, receive
from focalaudio.errors import HubError, UnsafeModelError
from focalaudio.files import digest_as_git
from focalaudio.models.hub_names import COMMIT

_MAX_LISTING = 10_000_000  # bytes
_NO_LISTING = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class HubFile:
    """One file of a repository, as its listing promises it.

    Arguments
    ---------
    name : str
        Its path in the repository.
    n_bytes : int
        Its size.
    sha256 : str
        Its digest where the hub stores it outside git, else None.
    blob_id : str
        Git's own digest, SHA-1; None if there is only the other.
    """

    name: str
    n_bytes: int
    sha256: str | None
    blob_id: str | None


class Repository:
    """One repository of a hub, and what is asked of it.

    Arguments
    ---------
    name : str
        `owner/name`.
    endpoint : str
        The hub's address.

    Raises
    ------
    HubError
        If the address is none that is asked.
    """

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

    def list_files(self, revision: str) -> tuple[str, dict[str, HubFile]]:
        """Ask for the commit of a revision, and all files in it, by name.

        A `TransferError` if the hub is out of reach or refuses, a `HubError` if
        its answer makes no sense, an `UnsafeModelError` if a file's name leads
        out of its folder.
        """
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
        allowed = revision if COMMIT.fullmatch(revision) else COMMIT
        if not re.fullmatch(allowed, commit):
            raise self._nonsense(f"commit={commit[:80]!r} for {revision!r}")
        return commit, {file.name: file for file in files}

    def fetch(
        self,
        file: HubFile,
        commit: str,
        folder: Path,
        report: Callable[[int], object],
    ) -> str:
        """Bring one file, whole and as promised; return its SHA-256.

        Arguments
        ---------
        file : HubFile
            Of `list_files`.
        commit : str
            The same.
        folder : pathlib.Path
            Gets the file, which must not be there.
        report : callable
            Is given the number of bytes of each piece that came.

        Returns
        -------
        str
            64 hexadecimal digits.

        Raises
        ------
        TransferError
            If the hub is out of reach, or refuses.
        HubError
            If it sends what it did not promise.
        """
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

    def _read_file(self, sibling: dict[str, Any]) -> HubFile:
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
        return HubFile(name, size, sha256, blob_id)

    def _nonsense(self, what: str) -> HubError:
        return HubError(
            f"{self.endpoint} gives no listing of {self.name} that makes "
            f"sense ({what}); does HF_ENDPOINT name a hub?"
        )
