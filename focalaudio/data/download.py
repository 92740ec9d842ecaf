"""URL -> ESC-50's folder: fetched on request, checked, unpacked.

What is verified, and how it is known:

- The archive's SHA-256. GitHub packs archives on request and promises their
  files, not their bytes. `ESC50_SHA256` is the digest that several public
  projects recorded for the pinned commit in 2025 and 2026; this project did
  not record it itself. Where GitHub packs anew, `sha256=None` leaves it out.
- The SHA-256 of `meta/esc50.csv`: the release's own file, computed here.
- 2,000 mono clips of 220,500 samples at 44.1 kHz, and everything that
  `focalaudio.data.esc50.read_metadata` checks. With `sha256=None` this does
  not tell one well-formed clip from another: trust the connection then.

ESC-50 (K. J. Piczak) is licensed CC BY-NC 3.0; its archive holds the credits.
"""

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from focalaudio.audio import audio_info
from focalaudio.data.archives import unpack_zip
from focalaudio.data.esc50 import CSV_NAME, read_metadata
from focalaudio.errors import AudioError, DataError
from focalaudio.files import replace_folder, temporary_folder

ESC50_COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"
ESC50_URL = f"https://github.com/karolpiczak/ESC-50/archive/{ESC50_COMMIT}.zip"
ESC50_SHA256 = (
    "661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f"
)
ESC50_MAX_BYTES = 1_000_000_000  # the archive has 645,832,161
BLOCK_BYTES = 1 << 20
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Contents:
    """What an unpacked folder must hold; the defaults are ESC-50's release.

    Arguments
    ---------
    csv_sha256 : str
        SHA-256 of `meta/esc50.csv`, hexadecimal.
    n_clips : int
        Number of clips.
    sample_rate : int
        Of every clip, in Hz.
    n_frames : int
        Samples of every clip; all are mono.

    Example
    -------
    >>> Contents().n_frames / Contents().sample_rate
    5.0
    """

    csv_sha256: str = (
        "ca660da60191a97de289983a05821c9382d852a38a2ba8428980816b68cf6246"
    )
    n_clips: int = 2000
    sample_rate: int = 44_100
    n_frames: int = 220_500


@dataclass(frozen=True)
class _Source:
    """Where to fetch from, and within which limits."""

    url: str
    sha256: str | None
    progress: bool
    max_bytes: int
    timeout: float
    allow_loopback: bool

    def __post_init__(self) -> None:
        _check_url(self.url, self.allow_loopback)
        if self.sha256 and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise DataError(
                f"sha256={self.sha256} must be 64 lower-case hexadecimal "
                "digits, or None to check the contents only."
            )


def download_esc50(
    data_folder: str | Path,
    url: str = ESC50_URL,
    sha256: str | None = ESC50_SHA256,
    progress: bool = True,
    max_bytes: int = ESC50_MAX_BYTES,
    timeout: float = 30.0,
    contents: Contents | None = None,
    allow_loopback: bool = False,
) -> Path:
    """Fetch ESC-50 into a folder, unless the folder holds it already.

    An interrupted download stays beside the folder as `<folder>.zip.part`
    and goes on from there where the server can (GitHub cannot: it starts
    again). The folder itself appears whole or not at all.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Where `audio/` and `meta/` shall be; absent, empty or complete.
    url : str
        Of a zip archive; https, and https after every redirection.
    sha256 : str, optional
        The archive's digest, hexadecimal; None to check the contents only.
    progress : bool
        Whether to show a bar on stderr.
    max_bytes : int
        Refuse an archive with more bytes than this.
    timeout : float
        Seconds without an answer after which the connection counts as cut.
    contents : Contents, optional
        What the folder must hold in the end; ESC-50's release if left out.
    allow_loopback : bool
        Whether plain http is fine for this very machine, for tests.

    Returns
    -------
    pathlib.Path
        `data_folder`, absolute.

    Raises
    ------
    DataError
        If the archive cannot be had, is not what was asked for, or is
        unsafe to unpack; or if the folder holds something else.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "ESC-50"
    >>> download_esc50(folder, url="http://example.org/esc50.zip")
    Traceback (most recent call last):
    focalaudio.errors.DataError: url=http://example.org/esc50.zip is not
    https; give one that is.
    """
    folder = Path(data_folder).expanduser().resolve()
    contents = contents or Contents()
    if _is_occupied(folder):
        _check_existing(folder, contents)
        return folder
    source = _Source(url, sha256, progress, max_bytes, timeout, allow_loopback)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f"{folder.name}.zip.part")
    if sha256 is None or not part.is_file() or _sha256(part) != sha256:
        _fetch(source, part)
    try:
        _check_digest(source, part)
        _unpack_into(part, folder, contents)
    except DataError:
        _discard(part)  # it will not get better
        raise
    _discard(part)
    return folder


def _is_occupied(folder: Path) -> bool:
    """Whether something stands where the folder shall be."""
    return folder.exists() and not (
        folder.is_dir() and next(folder.iterdir(), None) is None
    )


def _check_existing(folder: Path, contents: Contents) -> None:
    """Accept a complete folder, and nothing else."""
    try:
        _check_contents(folder, contents)
    except DataError as error:
        raise DataError(
            f"data_folder={folder} exists but is not complete ({error}); "
            "choose another folder, or remove it to fetch it again."
        ) from error


def _check_url(url: str, allow_loopback: bool) -> None:
    """Refuse everything but https, and http to this machine if allowed."""
    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    except ValueError as error:
        raise DataError(f"url={url} is no url: {error}.") from error
    is_allowed = allow_loopback and scheme == "http" and host in LOOPBACK
    if scheme != "https" and not is_allowed:
        raise DataError(f"url={url} is not https; give one that is.")


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections only to where the first url might have pointed."""

    def __init__(self, allow_loopback: bool) -> None:
        self.allow_loopback = allow_loopback

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Check the new url first."""
        try:
            _check_url(newurl, self.allow_loopback)
        except DataError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(source: _Source, part: Path) -> None:
    """Bring the whole archive to `part`, going on from what is there."""
    offset, validator = _resumable(source, part)
    with _answer(source, offset, validator) as answer:
        if _starts_at(answer, offset):
            return _receive(source, answer, part, offset)
        _discard(part)  # it does not fit what the server has now
        if answer.status == http.client.OK:
            return _receive(source, answer, part, 0)
    if offset:
        return _fetch(source, part)
    raise DataError(
        f"url={source.url} answered {answer.status} without the archive; "
        "check the url."
    )


def _answer(source: _Source, offset: int, validator: str) -> Any:
    """What the server says: 200, 206, or 416 if `offset` is past the end."""
    try:
        return _request(source, offset, validator)
    except urllib.error.HTTPError as error:
        past_end = http.client.REQUESTED_RANGE_NOT_SATISFIABLE
        if offset and error.code == past_end:
            return error
        error.close()
        raise DataError(_http_message(source.url, error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"url={source.url} cannot be reached ({error}); check the "
            "connection and try again."
        ) from error


def _starts_at(answer: Any, offset: int) -> bool:
    """Whether an answer's body belongs at this place of the archive."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return offset == 0 and answer.status == http.client.OK
    content_range = answer.headers.get("Content-Range") or ""
    return content_range.startswith(f"bytes {offset}-")


def _request(source: _Source, offset: int, validator: str) -> Any:
    """Ask for the archive, or for what is still missing of it."""
    headers = {"User-Agent": "focalaudio", "Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
    handlers: list[Any] = [_CheckedRedirects(source.allow_loopback)]
    if source.allow_loopback:
        handlers.append(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(source.url, headers=headers)
    opener = urllib.request.build_opener(*handlers)
    return opener.open(request, timeout=source.timeout)


def _http_message(url: str, error: urllib.error.HTTPError) -> str:
    """What an HTTP error means for the user."""
    if error.code >= http.client.INTERNAL_SERVER_ERROR:
        remedy = "the server is in trouble: try again later"
    else:
        remedy = "check the url, or fetch it by hand and unpack it"
    return f"url={url} answered {error.code} {error.reason}; {remedy}."


def _receive(source: _Source, answer: Any, part: Path, offset: int) -> None:
    """Write an answer's body behind the first `offset` bytes of `part`."""
    length = answer.headers.get("Content-Length") or ""
    total = offset + int(length) if length.isdecimal() else None
    if offset == 0:
        _note_validator(source, answer, part)
    n_bytes = offset
    mode = "ab" if offset else "wb"
    with part.open(mode) as file, _bar(source, total, offset) as bar:
        for block in _blocks(source, answer):
            n_bytes += len(block)
            if max(n_bytes, total or 0) > source.max_bytes:
                _discard(part)
                raise DataError(
                    f"url={source.url} sends more than max_bytes="
                    f"{source.max_bytes}; check the url, or raise max_bytes."
                )
            file.write(block)
            bar.update(len(block))
    if total is not None and n_bytes < total:
        raise DataError(_cut_message(source, f"{n_bytes} of {total} bytes"))


def _bar(source: _Source, total: int | None, offset: int) -> Any:
    """A progress bar that counts bytes, on stderr."""
    return tqdm(
        total=total,
        initial=offset,
        unit="B",
        unit_scale=True,
        desc=urlsplit(source.url).hostname,
        disable=not source.progress,
    )


def _blocks(source: _Source, answer: Any) -> Iterator[bytes]:
    """Read an answer's body; a connection that breaks is a DataError."""
    while True:
        try:
            block = answer.read1(BLOCK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise DataError(_cut_message(source, str(error))) from error
        if not block:
            return
        yield block


def _cut_message(source: _Source, what: str) -> str:
    return (
        f"url={source.url}: the connection was cut ({what}); "
        "call again to go on where the server can."
    )


def _resumable(source: _Source, part: Path) -> tuple[int, str]:
    """Bytes that may be kept and the validator that says so, or 0."""
    try:
        note = json.loads(_note_path(part).read_text("utf-8"))
        if note["url"] == source.url and note["validator"]:
            return part.stat().st_size, note["validator"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # no note, no way to tell: start again
    return 0, ""


def _note_validator(source: _Source, answer: Any, part: Path) -> None:
    """Note which version of the archive `part` is going to hold."""
    etag = answer.headers.get("ETag") or ""
    is_strong = etag.startswith('"')
    modified = answer.headers.get("Last-Modified") or ""
    note = {"url": source.url, "validator": etag if is_strong else modified}
    _note_path(part).write_text(json.dumps(note), "utf-8")


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _discard(part: Path) -> None:
    """Remove a partial archive and its note."""
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _check_digest(source: _Source, part: Path) -> None:
    """Compare the archive's digest with the one asked for."""
    found = _sha256(part)
    if source.sha256 is not None and found != source.sha256:
        raise DataError(
            f"sha256={source.sha256} is not that of url={source.url}, which "
            f"is {found}; the archive was removed. If the server has packed "
            "it anew, sha256=None checks the unpacked contents only."
        )


def _sha256(path: Path) -> str:
    """Digest of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _unpack_into(archive: Path, folder: Path, contents: Contents) -> None:
    """Unpack beside the folder, check, and rename: all or nothing."""
    try:
        with temporary_folder(folder) as unpacked:
            unpack_zip(archive, unpacked)
            root = _data_root(unpacked)
            _check_contents(root, contents)
            with replace_folder(folder) as whole:
                for path in list(root.iterdir()):
                    path.rename(whole / path.name)
    except DataError as error:
        raise DataError(f"The archive is not as expected: {error}") from error


def _data_root(folder: Path) -> Path:
    """The folder that holds `meta/`: this one, or the only one inside."""
    inside = list(folder.iterdir())
    is_wrapped = len(inside) == 1 and inside[0].is_dir()
    return inside[0] if is_wrapped else folder


def _check_contents(folder: Path, contents: Contents) -> None:
    """Compare a folder with what it must hold."""
    metadata = read_metadata(folder)
    digest = _sha256(folder / CSV_NAME)
    if digest != contents.csv_sha256:
        raise DataError(
            f"{CSV_NAME} has sha256={digest}, not {contents.csv_sha256}."
        )
    if len(metadata) != contents.n_clips:
        raise DataError(
            f"{CSV_NAME} has {len(metadata)} clips, not {contents.n_clips}."
        )
    expected = (contents.sample_rate, 1, contents.n_frames)
    for path in metadata["path"]:
        found = _clip_format(path)
        if found != expected:
            raise DataError(
                f"path={path} has (Hz, channels, frames) {found}, "
                f"not {expected}."
            )


def _clip_format(path: str) -> tuple[int, int, int]:
    """Sample rate in Hz, number of channels, number of frames."""
    try:
        info = audio_info(path)
    except AudioError as error:
        raise DataError(str(error)) from error
    return info.sample_rate, info.n_channels, info.n_frames
