"""Laws of what the bytes of a file tell."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from focalaudio.errors import AudioError
from focalaudio.sniffing import (
    check_header,
    check_is_file,
    convert_line,
    declared_per_present,
    describe_unreadable,
    report_cut,
)

RATE = 16000


def encode(n_frames, format="WAV", subtype="PCM_16"):
    """Bytes of a file of noise."""
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, n_frames)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, subtype=subtype, format=format)
    return file.getvalue()


def chunk(name, data, declared=None, order="<"):
    """A chunk of RIFF or AIFF that may declare more or less than it holds."""
    declared = len(data) if declared is None else declared
    return struct.pack(f"{order}4sI", name, declared) + data


@pytest.fixture
def save(tmp_path):
    def save_bytes(data, name="clip.wav"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return save_bytes


# What it is

KINDS = {
    "an empty file": b"",
    "text": "Grüße, not a sound.\n".encode() * 3,
    "an HTML page": b"\n<!DOCTYPE html><html>404</html>",
    "a PNG picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "a JPEG picture": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "a zip archive": b"PK\x03\x04\x14\0\0\0",
    "a gzip archive": b"\x1f\x8b\x08\0",
    "a PDF document": b"%PDF-1.7\n",
    "an MP4 or M4A file": b"\0\0\0\x20ftypM4A \0\0\0\0",
    "a Matroska or WebM file": b"\x1aE\xdf\xa3\x01\0",
    "an AAC file": b"\xff\xf1\x50\x80\x02\x1f\xfc",
    "an AMR file": b"#!AMR-WB\n\x04",
    "a WMA file": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\n",
    "unknown data": bytes(range(1, 200)) * 3,
    "a WAV file": encode(9),
    "a FLAC file": encode(9, "FLAC"),
    "an AIFF file": encode(9, "AIFF"),
    "an Ogg file": encode(9, "OGG", "VORBIS"),
    "an MP3 file": b"ID3\x04\0\0",
}


@pytest.mark.parametrize("kind", KINDS)
def test_content_is_called_by_its_kind(kind, save):
    message = describe_unreadable(save(KINDS[kind]), "so it is")
    assert f"it looks like {kind}" in message


def test_text_cut_within_a_character_is_text(save):
    cut, noise = b"x" + "ü".encode()[:1], b"\xc3 \xc3 \xc3 \xc3"
    assert "looks like text" in describe_unreadable(save(cut), "")
    assert "looks like text" not in describe_unreadable(save(noise), "")


@pytest.mark.parametrize("kind", ["a WAV file", "a FLAC file", "an Ogg file"])
def test_what_would_be_readable_is_to_be_fetched_again(kind, save):
    message = describe_unreadable(save(KINDS[kind][:20]), "so it is")
    assert (
        f"clip.wav (20 bytes) cannot be read: it looks like {kind}" in message
    )
    assert message.endswith(
        "(so it is); it is cut off, damaged or of a rare "
        "encoding; fetch it again."
    )


@pytest.mark.parametrize("kind", ["text", "a PDF document", "unknown data"])
def test_what_is_not_audio_is_to_be_converted(kind, save):
    message = describe_unreadable(save(KINDS[kind]), "so it is")
    assert f"looks like {kind}" in message
    assert "give a WAV" in message


PHONES = ["an MP4 or M4A file", "an AAC file", "an AMR file", "a WMA file"]


@pytest.mark.parametrize("kind", [*PHONES, "a Matroska or WebM file"])
def test_what_phones_record_comes_with_the_line_that_converts_it(kind, save):
    path = save(KINDS[kind], "my memo.m4a")
    message = describe_unreadable(path, "so it is")
    line = f"ffmpeg -i '{path}' '{path.with_suffix('.wav')}'"
    assert message.endswith(
        f"looks like {kind} (so it is); make a WAV file of it: {line}"
    )
    assert message.count("\n") == 0


def test_the_line_that_converts_never_overwrites_what_it_reads():
    line = convert_line(Path("a b.wav"))
    assert line == "ffmpeg -i 'a b.wav' 'a b-new.wav'"


def test_only_files_are_files(save, tmp_path):
    check_is_file(save(b""))
    with pytest.raises(AudioError, match="is a folder"):
        check_is_file(tmp_path)


def test_missing_file_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("link.wav").symlink_to("gone.wav")
    for name in ("missing.wav", "link.wav"):
        with pytest.raises(FileNotFoundError) as caught:
            check_is_file(Path(name))
        assert caught.value.filename == str(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="pipe"):
        check_is_file(tmp_path / "pipe.wav")


# What its header declares


@pytest.mark.parametrize("rate", [1000, 44_101, 10_000_000])
def test_rates_of_sound_are_good(rate, save):
    check_header(save(b""), rate, 1, "WAV")


@pytest.mark.parametrize("rate", [1, 999, 10_000_001, 2_000_000_000])
def test_rate_that_is_not_sound_is_refused(rate, save):
    with pytest.raises(AudioError, match=f"sample_rate={rate} Hz"):
        check_header(save(b""), rate, 1, "WAV")


@pytest.mark.parametrize(
    ("n_frames", "message"),
    [(0, "is empty"), (2**63 - 1, "does not say how long .* re-encode")],
)
def test_length_is_declared_and_not_zero(n_frames, message, save):
    with pytest.raises(AudioError, match=message):
        check_header(save(b""), RATE, n_frames, "WAV")


@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "IMA_ADPCM"),
        ("WAVEX", "PCM_24"),
        ("RF64", "PCM_16"),
        ("AIFF", "PCM_16"),
    ],
)
def test_half_the_samples_declare_twice_what_is_there(format, subtype, save):
    data = encode(4 * RATE, format, subtype)
    assert declared_per_present(save(data)) == pytest.approx(1, abs=1e-3)
    half = save(data[: len(data) // 2])
    assert declared_per_present(half) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("format", ["FLAC", "CAF"])
def test_format_that_declares_no_bytes_is_never_cut(format, save):
    data = encode(4 * RATE, format)
    assert declared_per_present(save(data[: len(data) // 2])) <= 1


@pytest.mark.parametrize(("riff", "order"), [(b"RIFF", "<"), (b"RIFX", ">")])
def test_ratio_counts_the_bytes_of_the_samples_only(riff, order, save):
    head = riff + bytes(4) + b"WAVE" + chunk(b"LIST", b"hello", None, order)
    data = b"\0" + chunk(b"data", bytes(32), 64, order)  # padded to even bytes
    assert declared_per_present(save(head + data)) == 2
    assert declared_per_present(save(head + data + bytes(32))) == 1
    assert declared_per_present(save(head + data + bytes(96))) == 0.5


@pytest.mark.parametrize("declared", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_size_left_open_by_a_recorder_is_no_promise(declared, save):
    data = b"RIFF\0\0\0\0WAVE" + chunk(b"data", bytes(32), declared)
    assert declared_per_present(save(data)) <= 1


def test_long_size_counts_where_the_short_one_is_open(save):
    sizes = chunk(b"ds64", struct.pack("<3QI", 0, 128, 0, 0))
    data = chunk(b"data", bytes(32), 0xFFFFFFFF)
    path = save(b"RF64\xff\xff\xff\xffWAVE" + sizes + data)
    assert declared_per_present(path) == 4


@pytest.mark.parametrize("length", [0, 3, 12, 20])
def test_file_without_samples_promises_none(length, save):
    assert declared_per_present(save(encode(100)[:length])) == 1


# Whether it is cut off


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_is_refused_wherever_it_is_cut(subtype, save):
    data = encode(3 * RATE, "OGG", subtype)
    check_header(save(data), RATE, 1, "OGG")
    last_page = data.rfind(b"OggS")
    for length in (len(data) - 1, last_page + 10, last_page, 1000):
        with pytest.raises(AudioError, match=rf"\({length} bytes.* cut off"):
            check_header(save(data[:length]), RATE, 1, "OGG")


def test_cut_is_an_error_if_strict_and_a_warning_if_not():
    message = r"a.wav is cut off: it declares 5.00 s but holds 1.25 s"
    with pytest.raises(AudioError, match=message):
        report_cut(Path("a.wav"), 5, 1.25, strict=True)
    with pytest.warns(UserWarning, match=message):
        report_cut(Path("a.wav"), 5, 1.25, strict=False)
