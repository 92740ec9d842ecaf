"""The bytes of a file -> what it is, and whether all of it is there.

Nothing is decoded: a few bytes at the start or the end say what a file looks
like, what its header declares and whether it is cut off, in words for users.
"""

import errno
import os
import struct
import warnings
from pathlib import Path
from typing import BinaryIO

from focalaudio.errors import AudioError

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
    b"\x1aE\xdf\xa3": "a Matroska or WebM video",
    b"version https://git-lfs": "a Git LFS pointer (git lfs pull gets it)",
}


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
            f"{path} does not say how long it is; re-encode it, for instance "
            "with `ffmpeg -i OLD NEW.wav`."
        )
    if container == "OGG" and _ogg_is_cut(path):
        raise AudioError(
            f"{path} ({_size(path)} bytes) is an Ogg file that is cut off; "
            "fetch it again, or save the rest with `ffmpeg -i OLD NEW.wav`."
        )
    if not n_frames:
        raise AudioError(f"{path} is empty: a header and 0 samples.")


def declared_per_present(path: Path) -> float:
    """Divide the bytes of samples that a header promises by those there.

    Above 1 for a WAV, RF64 or AIFF file that is cut off; 1 or less for a whole
    one, and for every format that does not say.
    """
    with open(path, "rb") as file:
        order, wanted = SAMPLE_CHUNKS.get(file.read(12)[:4], ("<", None))
        declared, long_size = 0, 0
        while wanted and len(header := file.read(8)) == 8:
            name, declared = struct.unpack(f"{order}4sI", header)
            if name == wanted:
                break
            if name == b"ds64":
                long_size = _peek_data_size(file)
            file.seek(declared + declared % 2, os.SEEK_CUR)
        present = _size(path) - file.tell()
    if declared in UNKNOWN_SIZES:
        declared = long_size
    return declared / present if present > 0 else 1.0


def report_cut(
    path: Path, declared: float, present: float, strict: bool
) -> None:
    """Say how much of a file is missing, in seconds.

    An `AudioError` if `strict`; else a warning, which points two calls further
    up than the caller: at whoever asked for the sound.
    """
    message = (
        f"{path} is cut off: it declares {declared:.2f} s "
        f"but holds {present:.2f} s"
    )
    if strict:
        raise AudioError(f"{message}; fetch it again, or use strict=False.")
    warnings.warn(f"{message}, which is what is read.", stacklevel=4)


def describe_unreadable(path: Path, reason: str) -> str:
    """Say what a file that the decoder refuses looks like, and what to do."""
    with open(path, "rb") as file:
        kind = _looks_like(file.read(512))
    advice = "give a WAV, FLAC, Ogg or MP3 file; ffmpeg converts most others"
    if kind in READABLE.values():
        advice = "it is cut off, damaged or of a rare encoding; fetch it again"
    return (
        f"{path} ({_size(path)} bytes) cannot be read: it looks like {kind} "
        f"({reason}); {advice}."
    )


def _looks_like(head: bytes) -> str:
    """Say in words, with an article, what a file's first bytes are."""
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp":
        return "an MP4 or M4A file"
    for magic, kind in (READABLE | FOREIGN).items():
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


def _peek_data_size(file: BinaryIO) -> int:
    """Read the second number of RF64's list of 64-bit sizes."""
    numbers = file.read(16)
    file.seek(-len(numbers), os.SEEK_CUR)
    return int.from_bytes(numbers[8:], "little")


def _size(path: Path) -> int:
    return path.stat().st_size
