"""The bytes of a damaged file -> those that a decoder reads.

Phones, recorders and tag editors write files that decoders refuse, or read
without their end, though every sample is there. Nothing is copied or changed:
a few bytes of a new header stand in for the first ones of the file. Whatever
is not known for sure to be such a file is left alone.
"""

from __future__ import annotations

import io
import os
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

from focalaudio.sniffing import (
    READABLE,
    SAMPLE_CHUNKS,
    Chunk,
    iter_chunks,
)

MAX_JUNK = 2**16  # bytes before the first frame of an MP3 file
TAG, TAG_HEADER, FOOTER = b"ID3", 10, 0x10
DESCRIBING = {b"fmt ", b"fact", b"COMM", b"FVER"}  # a decoder needs no others
CONTAINERS = {b"RIFF", b"RIFX", b"FORM"}
MAX_COPIED = 2**16  # bytes of a chunk of DESCRIBING
MAX_SIZE = 2**32 - 1  # bytes that a chunk can declare
NAME = re.compile(rb"[ -~]{4}")

# Header of an MPEG frame, layer III: kb/s by version, Hz of version 1.
FRAME = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", re.DOTALL)
KILOBITS = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44_100, 48_000, 32_000)
FRAMES_IN_A_ROW = 3  # chance finds one; hardly ever three of a kind


@dataclass(frozen=True)
class Repair:
    """What a decoder is shown instead of a file's first bytes.

    Arguments
    ---------
    head : bytes
        Stands in for the first `start` bytes of the file.
    start : int
        Where the file itself goes on.
    problem : str
        What is wrong with the file, in words; empty if nothing is.
    """

    head: bytes = b""
    start: int = 0
    problem: str = ""


def find_repair(file: BinaryIO) -> Repair:
    """Say how a file has to be shown so that all of its sound is read.

    `file` is open for reading; its position is left anywhere. The repair of a
    file that needs none shows it as it is.

    Example
    -------
    >>> find_repair(io.BytesIO(b"RIFF....WAVE"))
    Repair(head=b'', start=0, problem='')
    """
    start = _skip_tags(file)
    file.seek(start)
    magic = file.read(4)
    if magic in CONTAINERS:
        mended = _mend_chunks(file, start)
        if mended is not None:
            return mended
    known = next((READABLE[m] for m in READABLE if magic.startswith(m)), None)
    if known is None:
        first = _find_frames(file, start)
        if first > start:
            problem = (
                f"has {first - start} bytes of junk before its first frame"
            )
            return Repair(b"", first, problem)
    is_odd = start and known not in (None, "an MP3 file")
    return Repair(b"", start, f"is {known} behind an ID3 tag" if is_odd else "")


class PatchedFile(io.RawIOBase):
    """A file as a repair shows it, for decoders that know numbers only.

    It has no name, since soundfile goes by the extension of a name. What the
    system refuses to read is an end of the file, and is remembered: nothing
    can be raised through a decoder written in C.

    Arguments
    ---------
    file : file object
        Open for reading; it is not closed.
    repair : Repair
        As `find_repair` gives it.

    Example
    -------
    >>> file = PatchedFile(io.BytesIO(b"xyz"), Repair(b"ab", 1))
    >>> file.read()
    b'abyz'
    """

    def __init__(self, file: BinaryIO, repair: Repair) -> None:
        super().__init__()
        self.file, self.repair = file, repair
        self.error: OSError | None = None
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the position, from the start of what is shown."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position; a damaged header may ask for one before all."""
        if whence == os.SEEK_CUR:
            offset += self._at
        elif whence == os.SEEK_END:
            offset += self.file.seek(0, os.SEEK_END) - self._shift
        if offset >= 0:
            self._at = offset
        return self._at

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Fill a buffer as far as there is something to read."""
        data = self.repair.head[self._at : self._at + len(buffer)]
        if not data:
            data = self._read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    @property
    def _shift(self) -> int:
        """By how much the file's own positions are larger."""
        return self.repair.start - len(self.repair.head)

    def _read(self, n_bytes: int) -> bytes:
        try:
            self.file.seek(self._at + self._shift)
            return self.file.read(n_bytes)
        except OSError as error:
            self.error = error
            return b""


def _skip_tags(file: BinaryIO) -> int:
    """Return where what follows the ID3v2 tags begins; 0 without any."""
    start = 0
    while True:
        file.seek(start)
        header = file.read(TAG_HEADER)
        if not header.startswith(TAG) or len(header) < TAG_HEADER:
            return start
        size = 0
        for seven_bits in header[6:]:
            size = size << 7 | seven_bits & 0x7F
        start += TAG_HEADER + size + (TAG_HEADER if header[5] & FOOTER else 0)


def _mend_chunks(file: BinaryIO, start: int) -> Repair | None:
    """Write the header of a WAV or AIFF file anew, if it needs that."""
    file.seek(start)
    header = file.read(12)
    order, wanted = SAMPLE_CHUNKS[header[:4]]
    kept, problem = b"", ""
    for chunk in iter_chunks(file, order):
        if chunk.name == wanted:
            size = chunk.size
            if not size and (size := _count_unsized(file, start, chunk, order)):
                problem = "does not say how much it holds: its recorder was cut"
            kept += struct.pack(f"{order}4sI", wanted, size)
            total = min(4 + len(kept) + size, MAX_SIZE)
            head = header[:4] + struct.pack(f"{order}I", total) + header[8:]
            return (
                Repair(head + kept, chunk.start, problem) if problem else None
            )
        if chunk.name in DESCRIBING:
            kept += _copy(file, chunk, order)
        if not chunk.is_padded:
            problem = f"lacks a byte after its odd chunk {chunk.name.decode()}"
    return None


def _copy(file: BinaryIO, chunk: Chunk, order: str) -> bytes:
    """Read a chunk of a header, of any sane size, and pad it."""
    file.seek(chunk.start)
    data = file.read(min(chunk.size, MAX_COPIED))
    header = struct.pack(f"{order}4sI", chunk.name, len(data))
    return header + data + bytes(len(data) % 2)


def _count_unsized(file: BinaryIO, start: int, chunk: Chunk, order: str) -> int:
    """Count the bytes after a chunk that declares none, if they are sound."""
    file.seek(start + 4)
    end = start + 8 + struct.unpack(f"{order}I", file.read(4))[0]
    rest = file.seek(0, os.SEEK_END) - chunk.start
    file.seek(chunk.start)
    is_chunk = end > chunk.start and NAME.match(file.read(4))
    return 0 if is_chunk else min(rest, MAX_SIZE)


def _find_frames(file: BinaryIO, start: int) -> int:
    """Return where an MP3's first frame is, `start` if there are none."""
    file.seek(start)
    junk = file.read(MAX_JUNK)
    for found in FRAME.finditer(junk):
        at, kind = start + found.start(), None
        for _ in range(FRAMES_IN_A_ROW):
            file.seek(at)
            length, own = _measure_frame(file.read(4))
            if not length or own != (kind or own):
                break
            at, kind = at + length, own
        else:
            return start + found.start()
    return start


def _measure_frame(header: bytes) -> tuple[int, tuple[int, int] | None]:
    """Return the bytes of a frame, 0 if it is none, and what all share."""
    if len(header) < 4 or not FRAME.match(header):
        return 0, None
    version, rate = header[1] >> 3 & 3, header[2] >> 2 & 3
    if rate == len(RATES):
        return 0, None
    kilobits = KILOBITS[3 if version == 3 else 2][(header[2] >> 4) - 1]
    hertz = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    length = (144_000 if version == 3 else 72_000) * kilobits // hertz
    return length + (header[2] >> 1 & 1), (version, rate)
