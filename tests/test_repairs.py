"""Laws of how damaged files are read: every sample, and nothing else."""

import io
import os
import struct
import warnings

import numpy as np
import pytest
import soundfile
import torch

from focalaudio.audio import audio_info, iter_blocks, read_audio
from focalaudio.errors import AudioError
from focalaudio.repairs import PatchedFile, Repair, find_repair

RATE = 16000
SAMPLES = np.random.default_rng(0).uniform(-0.9, 0.9, 8001)
WAV_HEADER = 44  # bytes, as libsndfile writes it


def encode(kind="WAV", samples=SAMPLES):
    """Bytes of a file, such as `AIFF PCM_24`."""
    format, _, subtype = kind.partition(" ")
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, subtype or None, format=format)
    return file.getvalue()


def tag(n_bytes, flags=0):
    """An ID3v2 tag of so many bytes that look like frames of an MP3 file."""
    size = bytes(n_bytes >> shift & 127 for shift in (21, 14, 7, 0))
    content = b"\xff\xfb\x90\x44" * (n_bytes // 4 + 1)
    footer = b"3DI\x04\0" + bytes([flags]) + size if flags & 0x10 else b""
    return b"ID3\x04\0" + bytes([flags]) + size + content[:n_bytes] + footer


def insert(data, at, chunk, order="<"):
    """Put bytes in a RIFF or FORM file, whose size says so."""
    total = struct.pack(f"{order}I", len(data) + len(chunk) - 8)
    return data[:4] + total + data[8:at] + chunk + data[at:]


def size_left_out(data, riff=0):
    """What a recorder leaves that is cut before it writes the sizes."""
    at = WAV_HEADER - 4
    return (
        data[:4]
        + struct.pack("<I", riff)
        + data[8:at]
        + bytes(4)
        + data[at + 4 :]
    )


ODD_LIST = b"LIST" + struct.pack("<I", 5) + b"INFOx"
WAV, FLAC, MP3 = encode(), encode("FLAC"), encode("MP3")
JUNK = np.random.default_rng(1).bytes(3000)

DAMAGED = {
    "LIST before fmt": (insert(WAV, 12, ODD_LIST), WAV, "chunk LIST"),
    "LIST before data": (insert(WAV, 36, ODD_LIST), WAV, "chunk LIST"),
    "LIST in ADPCM": (
        insert(encode("WAV IMA_ADPCM"), 12, ODD_LIST),
        encode("WAV IMA_ADPCM"),
        "chunk LIST",
    ),
    "NAME in AIFF": (
        insert(encode("AIFF"), 12, b"NAME\0\0\0\3abc", ">"),
        encode("AIFF"),
        "chunk NAME",
    ),
    "no size": (size_left_out(WAV), WAV, "recorder was cut"),
    "no size of the samples": (
        size_left_out(WAV, len(WAV) - 8), WAV, "recorder was cut"
    ),
    "no size, 24 bits": (
        size_left_out(encode("WAV PCM_24")), encode("WAV PCM_24"), "recorder"
    ),
    "both": (
        insert(WAV, 36, ODD_LIST)[:53] + bytes(4) + WAV[44:], WAV, "recorder"
    ),
    "ID3 before WAV": (tag(101) + WAV, WAV, "a WAV file behind an ID3 tag"),
    "ID3 before FLAC": (tag(5000) + FLAC, FLAC, "a FLAC file behind"),
    "ID3 before Ogg": (tag(60) + encode("OGG"), encode("OGG"), "an Ogg file"),
    "junk before MP3": (JUNK + MP3, MP3, "3000 bytes of junk before"),
    "zeros before MP3": (bytes(20_000) + MP3, MP3, "20000 bytes of junk"),
    "junk behind ID3": (tag(90) + JUNK + MP3, MP3, "3000 bytes of junk"),
}  # fmt: skip


@pytest.fixture
def save(tmp_path):
    def save_bytes(data, name="clip.wav"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return save_bytes


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_header_costs_no_sample_and_is_said(name, save):
    data, whole, problem = DAMAGED[name]
    wanted, rate = read_audio(save(whole, "whole"))
    path = save(data)
    with pytest.warns(UserWarning, match=f"clip.wav .*{problem}"):
        found = read_audio(path)
    assert found[1] == rate
    assert torch.equal(found[0], wanted)
    assert audio_info(path).n_frames == wanted.shape[1]
    with pytest.warns(UserWarning, match=problem):
        assert torch.equal(torch.cat([*iter_blocks(path, 999)], 1), wanted)
    with pytest.raises(AudioError, match=f"{problem}.*ffmpeg -i"):
        read_audio(path, strict=True)


@pytest.mark.parametrize(
    "data",
    [tag(300_000) + MP3, tag(5) + MP3, tag(10, 0x10) + MP3, tag(9) * 2 + MP3],
    ids=["long", "short", "footer", "two"],
)
def test_a_tag_before_mp3_is_no_damage_however_long(data, save, capfd):
    wanted, _ = read_audio(save(MP3, "whole"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(read_audio(save(data), strict=True)[0], wanted)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "kind",
    ["WAV", "WAVEX PCM_24", "RF64", "AIFF", "FLAC", "OGG", "MP3", "CAF", "AU",
     "W64", "VOC"],
)  # fmt: skip
def test_a_sound_file_is_shown_as_it_is(kind):
    assert find_repair(io.BytesIO(encode(kind))) == Repair()


def test_nothing_but_sound_is_read_as_sound(save):
    listed = b"LIST" + struct.pack("<I", 4) + b"INFO"
    empty = encode(samples=SAMPLES[:0])
    for data in (insert(empty, 44, listed), empty):
        with pytest.raises(AudioError, match="is empty"):
            read_audio(save(data))
    with pytest.raises(AudioError, match="unknown data"):
        read_audio(save(JUNK * 30))


@pytest.mark.parametrize("n_bytes", [0, 3, 5, 12, 20, 40])
@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_left_of_a_damaged_file_has_a_repair_or_none(name, n_bytes):
    data = DAMAGED[name][0][:n_bytes]
    assert find_repair(io.BytesIO(data)).start <= len(data) + 10_000


def test_a_patched_file_reads_as_its_bytes_do():
    data, repair = bytes(range(100)), Repair(b"abcdef", 40)
    shown = io.BytesIO(b"abcdef" + data[40:])
    patched = PatchedFile(io.BytesIO(data), repair)
    steps = [(3, 0), (5, 0), (-7, 2), (2, 1), (0, 0), (60, 0), (99, 0), (-1, 2)]
    for offset, whence in steps:
        assert patched.seek(offset, whence) == shown.seek(offset, whence)
        assert patched.tell() == shown.tell()
        piece = patched.read(4)
        assert shown.read(4).startswith(piece)
        shown.seek(patched.tell())
    patched.seek(0)
    assert patched.read() == shown.getvalue()


@pytest.mark.skipif(
    not os.path.exists("/proc/self/mem"), reason="needs a file that fails"
)
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_file_that_fails_while_it_is_read_is_said_in_one_line(capfd):
    with pytest.raises(
        AudioError, match="^/proc/self/mem .*Input/output error"
    ):
        read_audio("/proc/self/mem")
    assert capfd.readouterr().err == ""


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:.*cut off")
def test_a_disk_that_fails_in_the_middle_is_said(save, monkeypatch, capfd):
    read = PatchedFile._read

    def fail(self, n_bytes):
        if self.tell() > 5_000:
            self.error = OSError(5, "Input/output error")
            return b""
        return read(self, n_bytes)

    monkeypatch.setattr(PatchedFile, "_read", fail)
    path = save(FLAC)
    with pytest.raises(
        AudioError, match="clip.wav cannot be read: Input/output"
    ):
        read_audio(path)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="root reads all"
)
def test_a_file_that_may_not_be_read_is_said(save):
    path = save(WAV)
    path.chmod(0)
    with pytest.raises(AudioError, match="Permission denied"):
        read_audio(path)
