"""Damaged sound files by the thousand: a sound or an `AudioError`, no crash.

Valid files are changed where it hurts most, in their headers. The reading is
done in a process of its own, so that a crash of a decoder written in C is
seen. FOCALAUDIO_FUZZ=10 tries ten times as many.
"""

import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import soundfile

RATE, SEED = 16000, 5
CASES = 800  # of each format
LENGTH = int(os.environ.get("FOCALAUDIO_FUZZ", "1"))
HEADER = {"WAV": 60, "FLAC": 60, "OGG": 120, "MP3": 200, "AIFF": 80}
FORMATS = sorted(set(HEADER) & set(soundfile.available_formats()))
# numbers that headers are wrong by
TELLING = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1]
READ = """
    import collections, json, sys, warnings
    from pathlib import Path
    import torch
    from focalaudio.audio import audio_info, read_audio
    from focalaudio.errors import AudioError

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    counts = collections.Counter()
    for name in sys.stdin:
        path = Path(name.rstrip())
        print(path.name, flush=True)
        try:
            audio, rate = read_audio(path)
            assert audio.shape[1] > 0 and audio.dtype == torch.float32
            assert torch.isfinite(audio).all() and rate >= 1000
            audio_info(path)
            counts[path.name.split("-")[0] + " read"] += 1
        except AudioError as error:
            assert str(error).isprintable() and str(path) in str(error)
            counts[path.name.split("-")[0] + " refused"] += 1
    print(json.dumps(counts))
"""


def encode(format, subtype=None):
    """Bytes of a file of a fifth of a second, with tags."""
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, RATE // 5)
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", RATE, 1, subtype, format=format
    ) as sound:
        if format != "AIFF":
            sound.title = "a title"
        sound.write(samples)
    return file.getvalue()


def damage(whole, n_header, rng):
    """Change a file as bad disks, bad writers and bad people do."""
    data = bytearray(whole)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(min(n_header, len(data)))
        kind = rng.randrange(6)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.randrange(256)
        elif kind == 2:
            size = rng.choice([1, 2, 4])
            number = rng.choice(TELLING) % 2 ** (8 * size)
            order = rng.choice(["little", "big"])
            data[at : at + size] = number.to_bytes(size, order)
        elif kind == 3:
            del data[at : at + rng.randint(1, 8)]
        elif kind == 4:
            data[at:at] = rng.randbytes(rng.randint(1, 8))
        else:
            del data[rng.randrange(len(data)) :]
        if not data:
            break
    if rng.random() < 0.1:
        data[:0] = tag(rng)
    return bytes(data)


def tag(rng):
    """An ID3v2 tag whose size may be wrong."""
    content = rng.randbytes(rng.randint(0, 40))
    size = rng.choice([len(content), rng.choice(TELLING)])
    return b"ID3\4\0\0" + struct.pack(">I", size & 0x7F7F7F7F) + content


def sign_pages(data):
    """Give the pages of an Ogg file their checksums, or all is refused."""
    data = bytearray(data)
    starts = [found.start() for found in re.finditer(b"OggS", data)]
    for start, end in zip(starts, [*starts, len(data)][1:], strict=True):
        if end - start >= 27:
            data[start + 22 : start + 26] = bytes(4)
            checksum = 0
            for byte in data[start:end]:
                checksum = (
                    checksum << 8 & 0xFFFFFFFF ^ CRC[checksum >> 24 ^ byte]
                )
            data[start + 22 : start + 26] = checksum.to_bytes(4, "little")
    return bytes(data)


def checksum_of(byte):
    """One step of Ogg's cyclic redundancy check."""
    value = byte << 24
    for _ in range(8):
        value = value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


CRC = [checksum_of(byte) for byte in range(256)]


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """How many of each format were read, and refused."""
    folder, paths = tmp_path_factory.mktemp("fuzz"), []
    for format in FORMATS:
        whole, rng = encode(format), random.Random(f"{SEED} {format}")
        for number in range(CASES * LENGTH):
            data = damage(whole, HEADER[format], rng)
            if format == "OGG" and number % 4:
                data = sign_pages(data)
            path = folder / f"{format}-{number}.wav"
            path.write_bytes(data)
            paths.append(path)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READ)],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        timeout=300 + 60 * LENGTH,
    )
    last = done.stdout.splitlines()[-2:]
    assert done.returncode == 0, f"{last}: {done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    return json.loads(last[-1])


@pytest.mark.parametrize("format", FORMATS)
def test_damage_gives_sound_or_a_clear_error_and_no_crash(format, counts):
    read, refused = counts[f"{format} read"], counts[f"{format} refused"]
    assert read + refused == CASES * LENGTH
    assert min(read, refused) > CASES / 50  # neither is trivial
