"""A stranger's zip archive -> a folder: all members checked, then unpacked."""

import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from focalaudio.errors import DataError

_MAX_MEMBERS = 10_000  # ESC-50 has little more than 2,000
_MAX_UNPACKED_BYTES = 4_000_000_000  # ESC-50's clips have 882 MB
_MAX_RATIO = 50  # unpacked over packed bytes; 1.4 for ESC-50
_ENCRYPTED_OR_PATCHED = 0x01 | 0x20 | 0x40  # flags of a zip member
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, NotImplementedError, EOFError),
    *(zlib.error, struct.error, UnicodeDecodeError),
)


def unpack_zip(archive: str | Path, folder: str | Path) -> None:
    """Unpack a stranger's zip archive, after all its members were checked.

    Refused are members outside the folder, links and other special files,
    names that other systems read differently, two members of one name,
    encryption, and archives that are too large, too many or too well packed
    to be honest.

    A `DataError` says what was refused, or that the file is no zip archive or
    broken. `folder` is best an empty one.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            _check_members(opened.infolist())
            opened.extractall(folder)
    except DataError as error:
        raise DataError(
            f"archive={archive}: {error}; do not use this archive."
        ) from error
    except _ZIP_ERRORS as error:
        raise DataError(
            f"archive={archive} is not a whole zip archive ({error}): it "
            f"begins with {_head(Path(archive))!r}; check the url, or try "
            "again."
        ) from error


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    """Refuse a list of zip members for what any of them is, or for its size."""
    if len(members) > _MAX_MEMBERS:
        raise DataError(f"{len(members)} members exceed {_MAX_MEMBERS}")
    n_unpacked = sum(member.file_size for member in members)
    n_packed = sum(member.compress_size for member in members)
    if n_unpacked > _MAX_UNPACKED_BYTES:
        raise DataError(f"{n_unpacked} bytes exceed {_MAX_UNPACKED_BYTES}")
    if n_unpacked > _MAX_RATIO * max(n_packed, 1):
        raise DataError(
            f"{n_packed} bytes unpack to {n_unpacked}, over {_MAX_RATIO} times"
        )
    for member in members:
        _check_member(member)
    _check_names(members)


def _check_names(members: list[zipfile.ZipInfo]) -> None:
    """Refuse members that would overwrite each other, on any system."""
    paths = [PurePosixPath(member.filename.casefold()) for member in members]
    files = {
        path
        for path, member in zip(paths, members, strict=True)
        if not member.is_dir()
    }
    folders = {parent for path in paths for parent in path.parents}
    if len(set(paths)) < len(paths) or files & folders:
        raise DataError("two of its members have one name")


def _check_member(member: zipfile.ZipInfo) -> None:
    """Refuse one zip member for its name or its kind."""
    name = member.orig_filename  # before zipfile repairs it
    parts = name.removesuffix("/").split("/")
    if not name or name.startswith("/") or ".." in parts:
        raise DataError(f"member {name!r} leaves its folder")
    if "" in parts or "." in parts or not name.isprintable():
        raise DataError(f"member {name!r} has an odd name")
    if "\\" in name or ":" in name:
        raise DataError(f"member {name!r} leaves its folder on some systems")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"member {name!r} is a link or another special file")
    if member.header_offset < 0:  # where zipfile would seek
        raise DataError(f"member {name!r} begins before the archive")
    if member.flag_bits & _ENCRYPTED_OR_PATCHED:
        raise DataError(f"member {name!r} is encrypted or a patch")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"member {name!r} is packed in an unusual way")


def _head(path: Path, n_bytes: int = 16) -> bytes:
    with path.open("rb") as file:
        return file.read(n_bytes)
