"""URL -> file: over https, at most so many bytes, within a limited time.

huggingface_hub's session asks, so its proxies, certificates, HF_TOKEN and
HF_HUB_OFFLINE hold. Its own downloaders, and torch's, are not used: they follow
redirections to plain http, write whatever a server goes on sending, and have no
limit of time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import TimeoutError as TimeIsUp
from multiprocessing.pool import ThreadPool
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

from huggingface_hub import get_session
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from focalaudio.errors import FocalAudioError
from focalaudio.files import remove_leftovers

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_MAX_REDIRECTS = 5
_TRIES = 5  # connections for one file, when they are cut
_TIMEOUT = 30.0  # s without a byte, after which a connection counts as cut
_GRACE, _SLOWEST = 60.0, 20_000  # s, and bytes in each further second
_BUSY = 429  # and from 500 on: the server's trouble, which passes


class TransferError(FocalAudioError):
    """A file cannot be had; whoever wants it says what to do.

    Arguments
    ---------
    message : str
        What happened, for people.
    passes : bool
        Whether it may be otherwise later.
    status : int
        Of the answer, where that is a refusal; else 0.
    code : str
        The hub's word for it.
    """

    def __init__(
        self,
        message: str,
        passes: bool = False,
        status: int = 0,
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.passes, self.status, self.code = passes, status, code


def check_url(url: str, start: str | None = None) -> None:
    """Refuse all but https, and http on this machine from this machine.

    `start` is where the way to `url` began; there if None. A `TransferError` if
    it is neither, or no url.

    Example
    -------
    >>> check_url("http://localhost/x")
    >>> check_url("http://localhost/x", "https://example.org")
    Traceback (most recent call last):
    focalaudio.data.transfer.TransferError: url='http://localhost/x' is not
    https; give one that is.
    """
    if not (url.isascii() and url.isprintable()):
        raise TransferError(f"{url=} is no url: it has odd characters.")
    here, there = _split(start or url), _split(url)
    is_local = {here.hostname, there.hostname} <= _LOOPBACK
    if there.scheme != "https" and not (is_local and there.scheme == "http"):
        raise TransferError(f"{url=} is not https; give one that is.")


def receive(
    url: str,
    file: BinaryIO,
    max_bytes: int,
    token: bool = False,
    report: Callable[[int], object] = int,
) -> str:
    """Write what a url answers, going on over new connections when cut.

    Arguments
    ---------
    url : str
        https; http if on this machine.
    file : file object
        Empty; best of a temporary file, since what came stays after an error.
    max_bytes : int
        The most that may come. The time is limited in proportion.
    token : bool
        Whether the url's own host, and no other, is given the hub's token.
    report : callable
        Gets the number of bytes of each block that came; negative where they
        come again.

    Returns
    -------
    str
        SHA-256 of what came, hexadecimal.

    Raises
    ------
    TransferError
        If it cannot be had within the limits.
    OSError
        If it cannot be written.
    """
    check_url(url)
    seconds = _GRACE + max_bytes / _SLOWEST
    end = monotonic() + seconds
    transfer = _Transfer(url, file, max_bytes, token, report, end)
    with ThreadPool(1) as pool:  # nothing else ends a header that drips
        try:
            return pool.apply_async(transfer.run).get(seconds)
        except TimeIsUp as error:
            raise TransferError(
                f"{url=} is too slow: not done after {seconds:.0f} s; nothing "
                "was kept: try again later.",
                passes=True,
            ) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let no two processes make a folder at once, and tidy up for killed ones.

    It is made beside itself, with `focalaudio.files.temporary_folder`.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "new"
    >>> (folder.parent / ".new-0123456789ab.part").mkdir()
    >>> with alone(folder):
    ...     [path.name for path in folder.parent.iterdir()]
    ['.new.lock']
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name[:32]}.lock")
    with WeakFileLock(lock):
        try:
            remove_leftovers(folder)
            yield
        finally:
            with suppress(OSError):  # some systems keep what is open
                lock.unlink()


@dataclass
class _Transfer:
    """One file on its way; the arguments are those of `receive`."""

    url: str
    file: BinaryIO
    max_bytes: int
    token: bool
    report: Callable[[int], object]
    end: float  # of the time for it

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256()

    def run(self, n_tries: int = _TRIES) -> str:
        """Go on as long as each connection brings something."""
        before = self.file.tell()
        try:
            with self._answer(before) as response:
                if response.status_code == 200 and before:
                    self._start_again()
                self._append(response)
            return self.digest.hexdigest()
        except (HTTPError, ConnectionError, RuntimeError, ValueError) as error:
            if n_tries > 1 and self.file.tell() > before:
                return self.run(n_tries - 1)
            raise TransferError(
                f"url={self.url!r} cannot be reached, or was cut after "
                f"{self.file.tell()} bytes ({error or type(error).__name__}); "
                "nothing was kept: check the connection and try again.",
                passes=True,
            ) from error

    @contextmanager
    def _answer(self, offset: int) -> Iterator[Any]:
        """Follow the url to where https leads."""
        url = self.url
        for _ in range(_MAX_REDIRECTS):
            check_url(url, self.url)
            with get_session().stream(
                "GET",
                url,
                headers=self._headers(url, offset),
                follow_redirects=False,
                timeout=_TIMEOUT,
            ) as response:
                if not response.has_redirect_location:
                    self._check_status(response, offset)
                    yield response
                    return
                url = urljoin(url, response.headers["Location"])
        raise TransferError(
            f"url={self.url!r} sends from one address to the next; try again "
            "later."
        )

    def _headers(self, url: str, offset: int) -> dict[str, str]:
        """Ask for plain bytes; the token is for the first host only."""
        is_home = _split(url)[:2] == _split(self.url)[:2]
        token = None if self.token and is_home else False
        headers = build_hf_headers(token=token, library_name="focalaudio")
        headers["Accept-Encoding"] = "identity"
        if offset:
            headers["Range"] = f"bytes={offset}-"
        return headers

    def _check_status(self, response: Any, offset: int) -> None:
        status = response.status_code
        place = response.headers.get("Content-Range", "")
        is_rest = status == 206 and place.startswith(f"bytes {offset}-")
        if status != 200 and not is_rest:
            raise TransferError(
                f"url={self.url!r} answered {status}",
                status == _BUSY or status >= 500,
                status,
                response.headers.get("X-Error-Code", ""),
            )

    def _start_again(self) -> None:
        """Forget what came: the server sends from the first byte."""
        self.report(-self.file.tell())
        self.file.seek(0)
        self.file.truncate()
        self.digest = hashlib.sha256()

    def _append(self, response: Any) -> None:
        """Write an answer's body, as long as that is allowed."""
        length = response.headers.get("Content-Length", "")
        self._check_bytes(int(length) if length.isdecimal() else 0)
        for block in response.iter_raw():
            self._check_bytes(len(block))
            if monotonic() > self.end:  # who waited has left
                raise TimeIsUp
            self.file.write(block)
            self.digest.update(block)
            self.report(len(block))

    def _check_bytes(self, n_more: int) -> None:
        if self.file.tell() + n_more > self.max_bytes:
            raise TransferError(
                f"url={self.url!r} sends more than max_bytes="
                f"{self.max_bytes}; nothing was kept."
            )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise TransferError(f"{url=} is no url: {error}.") from error
