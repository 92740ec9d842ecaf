"""The bytes of a file -> what it is, and whether all of it is there.

Nothing is decoded: a few bytes at the start or the end say what a file looks
like, what its header declares and whether it is cut off, in words for users.
"""

import errno
import shlex
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from focalaudio.errors import AudioError, escape_text

MIN_RATE, MAX_RATE = 1_000, 10_000_000  # Hz; beyond: a header gone wrong
MAX_FRAMES = 2**40  # libsndfile says 2**63 - 1 when the header is silent

OGG_PAGE = 65_307  # bytes of the longest page
OGG_LAST_PAGE = 4  # flag in a page's header
# Byte order and name of the chunk that holds the samples.
SAMPLE_CHUNKS = {
    b"RIFF": ("<", b"data"),
    b"RIFX": (">", b"data"),
    b"RF64": ("<", b"data"),
    b"FORM": (">", b"SSND"),
}
# Behind an odd chunk that lacks its padding stands one of these at once.
CHUNK_NAMES = {
    *(b"fmt ", b"data", b"fact", b"LIST", b"cue ", b"bext", b"iXML", b"smpl"),
    *(b"inst", b"JUNK", b"junk", b"PEAK", b"id3 ", b"ID3 ", b"PAD ", b"FLLR"),
    *(b"COMM", b"SSND", b"FVER", b"MARK", b"INST", b"NAME", b"AUTH", b"ANNO"),
}
# Written by recorders that stream and cannot come back to fill the size in.
UNKNOWN_SIZES = {0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000}

READABLE = {
    b"RIFF": "a WAV file",
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"FORM": "an AIFF file",
    b"ID3": "an MP3 file",
    b"\xff\xfb": "an MP3 file",
}
FOREIGN = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
    b"version https://git-lfs": "a Git LFS pointer (git lfs pull gets it)",
}
# There is sound in these, which another program can bring out.
CONVERTIBLE = {
    b"\x1aE\xdf\xa3": "a Matroska or WebM file",
    b"\xff\xf1": "an AAC file",
    b"\xff\xf9": "an AAC file",
    b"ADIF": "an AAC file",
    b"#!AMR": "an AMR file",
    b"\x30\x26\xb2\x75": "a WMA file",
}
MP4 = "an MP4 or M4A file"  # named in its second four bytes


@dataclass(frozen=True)
class Chunk:
    """One part of a WAV or AIFF file.

    Arguments
    ---------
    name : bytes
        Four of them.
    size : int
        Bytes that it declares to hold.
    start : int
        Where these begin in the file.
    is_padded : bool
        Whether a byte more makes the size even where it is odd, as it should.
    """

    name: bytes
    size: int
    start: int
    is_padded: bool = True


def iter_chunks(file: BinaryIO, order: str) -> Iterator[Chunk]:
    r"""Yield the chunks of a file from its position on, which may be changed.

    `order` is that of the bytes in a number: `<` in WAV, `>` in AIFF.

    Example
    -------
    >>> import io
    >>> file = io.BytesIO(b"LIST\1\0\0\0xdata\2\0\0\0yz")
    >>> [(chunk.name, chunk.is_padded) for chunk in iter_chunks(file, "<")]
    [(b'LIST', False), (b'data', True)]
    """
    while len(header := file.read(8)) == 8:
        name, size = struct.unpack(f"{order}4sI", header)
        start = file.tell()
        file.seek(start + size)
        is_padded = not size % 2 or file.read(4) not in CHUNK_NAMES
        yield Chunk(name, size, start, is_padded)
        file.seek(start + size + (size % 2 if is_padded else 0))


def check_is_file(path: Path) -> None:
    """Refuse what is not a file, before anything waits for its bytes.

    `FileNotFoundError` if there is nothing; `AudioError` if it is a folder, a
    pipe or a device.
    """
    if path.is_dir():
        raise AudioError(f"{path} is a folder; give one of its audio files.")
    if not path.exists():
        raise FileNotFoundError(
            errno.ENOENT, "No such audio file", str(path.absolute())
        )
    if not path.is_file():
        raise AudioError(f"{path} is a pipe or device; save it to a file.")


def check_header(
    path: Path, sample_rate: int, n_frames: int, container: str
) -> None:
    """Refuse a header of no sound, or of an Ogg file that is cut off.

    `sample_rate` is good from 1000 Hz to 10 MHz; `n_frames` is 2**63 - 1 where
    the header is silent; `container` is libsndfile's name, such as WAV: the
    pages of OGG are checked. All else is an `AudioError`.
    """
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise AudioError(
            f"{path} says sample_rate={sample_rate} Hz, which must be "
            f"{MIN_RATE} to {MAX_RATE}; the header is damaged or not of sound."
        )
    if n_frames > MAX_FRAMES:
        raise AudioError(
            f"{path} does not say how long it is; re-encode it: "
            f"{convert_line(path)}"
        )
    if container == "OGG" and _ogg_is_cut(path):
        raise AudioError(
            f"{path} ({_size(path)} bytes) is an Ogg file that is cut off; "
            f"fetch it again, or save the rest: {convert_line(path)}"
        )
    if not n_frames:
        raise AudioError(f"{path} is empty: a header and 0 samples.")


def declared_per_present(path: Path, offset: int = 0) -> float:
    """Divide the bytes of samples that a header promises by those there.

    Above 1 for a WAV, RF64 or AIFF file that is cut off; 1 or less for a whole
    one, and for every format that does not say. The file begins at `offset`.
    """
    with open(path, "rb") as file:
        file.seek(offset)
        order, wanted = SAMPLE_CHUNKS.get(file.read(12)[:4], ("<", None))
        declared, present, long_size = 0, 0, 0
        for chunk in iter_chunks(file, order) if wanted else ():
            declared, present = chunk.size, _size(path) - chunk.start
            if chunk.name == wanted:
                break
            if chunk.name == b"ds64":
                long_size = _read_data_size(file, chunk)
    if declared in UNKNOWN_SIZES:
        declared = long_size
    return declared / present if present > 0 else 1.0


def report_damage(path: Path, problem: str, strict: bool) -> None:
    """Say what is wrong with a file that can be read all the same.

    As `report_cut`, which says it of a file that is cut off.
    """
    message = f"{escape_text(path)} {problem}"
    if strict:
        raise AudioError(f"{message}; write it anew: {convert_line(path)}")
    warnings.warn(f"{message}. All of it is read.", stacklevel=4)


def report_cut(
    path: Path, declared: float, present: float, strict: bool
) -> None:
    """Say how much of a file is missing, in seconds.

    An `AudioError` if `strict`; else a warning, which points two calls further
    up than the caller: at whoever asked for the sound.
    """
    message = (
        f"{escape_text(path)} is cut off: it declares {declared:.2f} s "
        f"but holds {present:.2f} s"
    )
    if strict:
        raise AudioError(f"{message}; fetch it again, or use strict=False.")
    warnings.warn(f"{message}, which is what is read.", stacklevel=4)


def describe_unreadable(path: Path, reason: str) -> str:
    """Say what a file that the decoder refuses looks like, and what to do."""
    with open(path, "rb") as file:
        kind = _looks_like(file.read(512))
    advice = "give a WAV, FLAC, Ogg or MP3 file; ffmpeg converts most others."
    if kind in READABLE.values():
        advice = "it is cut off, damaged or of a rare encoding; fetch it again."
    if kind in (MP4, *CONVERTIBLE.values()):
        advice = f"make a WAV file of it: {convert_line(path)}"
    return (
        f"{path} ({_size(path)} bytes) cannot be read: it looks like {kind} "
        f"({reason}); {advice}"
    )


def convert_line(path: Path) -> str:
    """Return the command that makes a WAV file of a file, beside it.

    Example
    -------
    >>> convert_line(Path("my memo.m4a"))
    "ffmpeg -i 'my memo.m4a' 'my memo.wav'"
    """
    new = path.with_suffix(".wav")
    if new == path:
        new = path.with_name(f"{path.stem}-new.wav")
    return shlex.join(["ffmpeg", "-i", str(path), str(new)])


def _looks_like(head: bytes) -> str:
    """Say in words, with an article, what a file's first bytes are."""
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp":
        return MP4
    for magic, kind in (READABLE | FOREIGN | CONVERTIBLE).items():
        if head.startswith(magic):
            return kind
    return _looks_like_text(head)


def _looks_like_text(head: bytes) -> str:
    text = head.decode("utf-8", errors="ignore").strip("\ufeff \t\r\n")
    if text.lower().startswith(("<!doctype html", "<html")):
        return "an HTML page"
    # One broken character is forgiven: `head` may end in the middle of it.
    whole = head.decode("utf-8", errors="replace").count("\ufffd") <= 1
    if whole and all(c.isprintable() or c.isspace() for c in text):
        return "text"
    return "unknown data, perhaps samples without a header"


def _ogg_is_cut(path: Path) -> bool:
    """Whether the last page is incomplete or not marked as the last."""
    with open(path, "rb") as file:
        file.seek(max(0, _size(path) - OGG_PAGE))
        tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or not page[5] & OGG_LAST_PAGE:
        return True
    n_segments = page[26]
    return len(page) < 27 + n_segments + sum(page[27 : 27 + n_segments])


def _read_data_size(file: BinaryIO, chunk: Chunk) -> int:
    """Read the second number of RF64's list of 64-bit sizes."""
    file.seek(chunk.start)
    return int.from_bytes(file.read(16)[8:], "little")


def _size(path: Path) -> int:
    return path.stat().st_size
