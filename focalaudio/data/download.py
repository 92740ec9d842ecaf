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

import re
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from focalaudio.audio import audio_info
from focalaudio.data.archives import unpack_zip
from focalaudio.data.esc50 import CSV_NAME, read_metadata
from focalaudio.data.transfer import TransferError, alone, receive
from focalaudio.errors import AudioError, DataError
from focalaudio.files import digest_file, replace_folder, temporary_folder

ESC50_COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"
ESC50_URL = f"https://github.com/karolpiczak/ESC-50/archive/{ESC50_COMMIT}.zip"
ESC50_SHA256 = (
    "661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f"
)
ESC50_MAX_BYTES = 1_000_000_000  # the archive has 645,832,161


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
    """

    csv_sha256: str = (
        "ca660da60191a97de289983a05821c9382d852a38a2ba8428980816b68cf6246"
    )
    n_clips: int = 2000
    sample_rate: int = 44_100
    n_frames: int = 220_500


def download_esc50(
    data_folder: str | Path,
    url: str = ESC50_URL,
    sha256: str | None = ESC50_SHA256,
    progress: bool = True,
    max_bytes: int = ESC50_MAX_BYTES,
    contents: Contents | None = None,
) -> Path:
    """Fetch ESC-50 into a folder, unless the folder holds it already.

    The folder appears whole or not at all. A connection that is cut is taken
    up again; GitHub, though, sends its archives from the start each time.

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
    contents : Contents, optional
        What the folder must hold in the end; ESC-50's release if left out.

    Returns
    -------
    pathlib.Path
        `data_folder`, absolute.

    Raises
    ------
    DataError
        If the archive cannot be had, is not what was asked for, or is
        unsafe to unpack; or if the folder holds something else.
    """
    folder = Path(data_folder).expanduser().resolve()
    contents = contents or Contents()
    if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise DataError(
            f"{sha256=} must be 64 lower-case hexadecimal digits, or None to "
            "check the contents only."
        )
    if not _is_occupied(folder):
        with alone(folder):
            if not _is_occupied(folder):
                archive = _Archive(url, sha256, max_bytes, progress)
                _make_folder(archive, folder, contents)
                return folder
    try:
        _check_contents(folder, contents)
    except DataError as error:
        raise DataError(
            f"data_folder={folder} exists but is not complete ({error}); "
            "choose another folder, or remove it to fetch it again."
        ) from error
    return folder


@dataclass(frozen=True)
class _Archive:
    """What to fetch."""

    url: str
    sha256: str | None
    max_bytes: int
    progress: bool


def _is_occupied(folder: Path) -> bool:
    """Whether something stands where the folder shall be."""
    return folder.exists() and not (
        folder.is_dir() and next(folder.iterdir(), None) is None
    )


def _make_folder(archive: _Archive, folder: Path, contents: Contents) -> None:
    """Fetch, unpack and check beside the folder, then rename."""
    with temporary_folder(folder) as temporary:
        _fetch(archive, temporary / "archive.zip")
        unpacked = temporary / "unpacked"
        try:
            unpack_zip(temporary / "archive.zip", unpacked)
            root = _data_root(unpacked)
            _check_contents(root, contents)
        except DataError as error:
            raise DataError(
                f"The archive is not as expected: {error}"
            ) from error
        with replace_folder(folder) as whole:
            for path in list(root.iterdir()):
                path.rename(whole / path.name)


def _fetch(archive: _Archive, path: Path) -> None:
    """Bring the archive, and compare its digest with the one asked for."""
    url = archive.url
    bar = tqdm(
        unit="B", unit_scale=True, desc="ESC-50", disable=not archive.progress
    )
    try:
        with bar, path.open("xb") as file:
            found = receive(url, file, archive.max_bytes, report=bar.update)
    except TransferError as error:
        raise DataError(_explain(error)) from error
    if archive.sha256 not in (None, found):
        raise DataError(
            f"sha256={archive.sha256} is not that of {url=}, which is "
            f"{found}; nothing was kept. If the server has packed it anew, "
            "sha256=None checks the unpacked contents only."
        )


def _explain(error: TransferError) -> str:
    """What a failure means for the user."""
    if error.status and error.passes:
        return f"{error}; the server is in trouble: try again later."
    if error.status:
        return f"{error}; check the url, or fetch it by hand and unpack it."
    return str(error)


def _data_root(folder: Path) -> Path:
    """The folder that holds `meta/`: this one, or the only one inside."""
    inside = list(folder.iterdir())
    is_wrapped = len(inside) == 1 and inside[0].is_dir()
    return inside[0] if is_wrapped else folder


def _check_contents(folder: Path, contents: Contents) -> None:
    """Compare a folder with what it must hold."""
    metadata = read_metadata(folder)
    digest = digest_file(folder / CSV_NAME)
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
