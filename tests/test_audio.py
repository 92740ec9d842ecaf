"""Laws of reading, changing and writing waveforms."""

import io
import math
import os
import struct
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchaudio.functional import resample as torchaudio_resample

from focalaudio import audio as audio_module
from focalaudio.audio import (
    audio_info,
    check_finite,
    common_gain,
    fit_length,
    iter_blocks,
    load_wav,
    mix_to_mono,
    normalize_peak,
    read_audio,
    resample,
    wav_writer,
    write_wav,
)
from focalaudio.errors import AudioError

STEP = 1 / 32768  # of 16-bit PCM
RATE = 16000


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator) * 1.8 - 0.9


def tone(frequency, rate, seconds=1.0):
    time = torch.arange(int(rate * seconds), dtype=torch.float64) / rate
    return torch.sin(2 * math.pi * frequency * time).float()


def encode(samples, format="WAV", subtype="PCM_16", rate=RATE):
    """Bytes of a file; `samples` is [frames] or [frames, channels]."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format=format)
    return file.getvalue()


def wav_bytes(rate=RATE, channels=1, data=b"\0" * 64, declared=None):
    """A 16-bit WAV whose header says whatever it is told to."""
    declared = len(data) if declared is None else declared
    width = 2 * channels
    return (
        struct.pack("<4sI4s", b"RIFF", (36 + declared) % 2**32, b"WAVE")
        + struct.pack("<4sIHHI", b"fmt ", 16, 1, channels, rate)
        + struct.pack("<IHH", rate * width % 2**32, width % 2**16, 16)
        + struct.pack("<4sI", b"data", declared)
        + data
    )


@pytest.fixture
def save(tmp_path):
    def save_bytes(data, name="clip.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return save_bytes


READERS = {
    "audio_info": audio_info,
    "read_audio": read_audio,
    "load_wav": load_wav,
    "iter_blocks": lambda path: list(iter_blocks(path, 1000)),
}


@pytest.fixture(params=READERS)
def reader(request):
    return READERS[request.param]


# What cannot be read


def test_missing_file_is_named_in_full(reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        reader("missing.wav")
    assert caught.value.filename == str(tmp_path / "missing.wav")
    assert str(tmp_path / "missing.wav") in str(caught.value)


def test_broken_link_is_a_missing_file(reader, tmp_path):
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(FileNotFoundError, match="link.wav"):
        reader(tmp_path / "link.wav")


def test_folder_is_refused(reader, tmp_path):
    with pytest.raises(AudioError, match="is a folder"):
        reader(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipe_is_refused_without_waiting(reader, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="pipe"):
        reader(tmp_path / "pipe.wav")


NOT_AUDIO = {
    "an empty file": b"",
    "text": "Grüße, not a sound.\n".encode() * 3,
    "an HTML page": b"\n<!DOCTYPE html><html>404</html>",
    "a PNG picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "a JPEG picture": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "a zip archive": b"PK\x03\x04\x14\0\0\0",
    "a gzip archive": b"\x1f\x8b\x08\0",
    "a PDF document": b"%PDF-1.7\n",
    "an MP4 or M4A file": b"\0\0\0\x20ftypM4A \0\0\0\0",
    "a Matroska or WebM video": b"\x1aE\xdf\xa3\x01\0",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\n",
    "unknown data": bytes(range(1, 200)) * 3,
    "a WAV file": wav_bytes()[:30],
    "a FLAC file": encode(noise(9000).numpy(), "FLAC")[:30],
    "an Ogg file": encode(noise(9000).numpy(), "OGG", "VORBIS")[:300],
}


@pytest.mark.parametrize("kind", NOT_AUDIO)
def test_what_is_not_audio_is_called_by_its_kind(kind, reader, save):
    path = save(NOT_AUDIO[kind])
    with pytest.raises(AudioError) as caught:
        reader(path)
    size = len(NOT_AUDIO[kind])
    assert f"{path} ({size} bytes)" in str(caught.value)
    assert f"looks like {kind}" in str(caught.value)


def test_text_cut_within_a_character_is_text(save):
    with pytest.raises(AudioError, match="looks like text"):
        audio_info(save(b"x" + "ü".encode() * 600))


@pytest.mark.parametrize(
    "header",
    [
        {"channels": 0},
        {"rate": 0},
        {"rate": 4_000_000_000},
        {"channels": 1025, "data": b"\0" * 2050},
    ],
)
def test_impossible_header_is_refused(header, reader, save):
    path = save(wav_bytes(**header))
    with pytest.raises(AudioError) as caught:
        reader(path)
    size = path.stat().st_size
    assert f"{path} ({size} bytes)" in str(caught.value)
    assert "looks like a WAV file" in str(caught.value)


@pytest.mark.parametrize("rate", [1, 999, 10_000_001, 2_000_000_000])
def test_rate_that_is_not_sound_is_refused(rate, reader, save):
    with pytest.raises(AudioError, match=f"sample_rate={rate} Hz"):
        reader(save(wav_bytes(rate)))


@pytest.mark.parametrize("format", ["WAV", "AIFF", "FLAC"])
def test_header_without_samples_is_empty(format, reader, save):
    with pytest.raises(AudioError, match="empty|does not say how long"):
        reader(save(encode(np.zeros(0), format)))


@pytest.mark.parametrize("name", ["samples.raw", "samples.RAW"])
def test_raw_samples_are_refused_and_raw_names_are_read(name, save):
    samples = noise(500)
    path = save(encode(samples.numpy()), name)
    torch.testing.assert_close(load_wav(path), samples, atol=STEP, rtol=0)
    with pytest.raises(AudioError, match="samples without a header"):
        load_wav(save(bytes(range(1, 256)) * 9, name))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        [
            wav_bytes(),
            encode(noise(300).numpy(), "FLAC"),
            encode(noise(300, 2).numpy(), "AIFF", "PCM_24"),
            encode(noise(300).numpy(), "OGG", "VORBIS"),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(0, 10_000),
)
def test_damage_gives_sound_or_a_clear_error(
    tmp_path_factory, whole, changes, length
):
    data = bytearray(whole)
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path_factory.mktemp("damaged") / "clip.wav"
    path.write_bytes(data[:length])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            audio, rate = read_audio(path)
        except AudioError:
            return
    assert torch.isfinite(audio).all()
    assert audio.shape[1] > 0
    assert rate >= 1000


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_jump_before_the_start_makes_no_noise(save, capfd):
    path = save(encode(noise(300).numpy(), "AIFF")[:24])
    with pytest.raises(AudioError, match="an AIFF file"):
        read_audio(path)
    assert capfd.readouterr().err == ""


# What is cut off


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
def test_cut_off_file_is_read_with_both_durations(format, subtype, save):
    data = encode(noise(4 * RATE).numpy(), format, subtype)
    path = save(data[: len(data) // 2])
    message = r"declares 4\.[01]\d s but holds (1\.99|2\.0\d) s"
    with pytest.warns(UserWarning, match=message):
        cut, _ = read_audio(path)
    whole, _ = read_audio(save(data, "whole.wav"))
    sure = cut.shape[1] - 1200  # the last block of ADPCM is cut in two
    torch.testing.assert_close(cut[:, :sure], whole[:, :sure])
    assert cut.shape[1] == pytest.approx(2 * RATE, rel=0.02)


@pytest.mark.parametrize(
    "read",
    [read_audio, load_wav, lambda path, **kw: list(iter_blocks(path, 9, **kw))],
)
def test_cut_off_file_fails_when_strict_and_warns_otherwise(read, save):
    path = save(wav_bytes(data=b"\0" * 64, declared=128))
    with pytest.raises(AudioError, match=r"cut off: .* 0.00 s but holds"):
        read(path, strict=True)
    with pytest.warns(UserWarning, match="cut off"):
        read(path)


@pytest.mark.parametrize("declared", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_streamed_wav_of_unknown_size_is_whole(declared, save):
    path = save(wav_bytes(declared=declared))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_wav(path, strict=True).shape == (32,)


def test_other_chunks_do_not_make_a_file_look_cut(save):
    plain = wav_bytes()
    note = struct.pack("<4sI", b"LIST", 5) + b"hello\0"
    path = save(plain[:12] + note + plain[12:] + note[:8])
    assert load_wav(path, strict=True).shape == (32,)
    cut = save(plain[:12] + note + plain[12:-10], "cut.wav")
    with pytest.raises(AudioError, match="cut off"):
        load_wav(cut, strict=True)


def test_short_mp3_warns_and_ends_where_it_ends(save):
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile writes no MP3")
    data = encode(noise(2 * RATE).numpy(), "MP3", "MPEG_LAYER_III")
    path = save(data[: len(data) // 2])
    with pytest.warns(UserWarning, match=r"declares 2.00 s but holds [01]\."):
        audio, _ = read_audio(path)
    assert 0.3 < audio.shape[1] / (2 * RATE) < 0.7
    with pytest.raises(AudioError, match="cut off"):
        read_audio(path, strict=True)


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_cut_off_flac_is_refused(kept, save):
    data = encode(noise(20_000).numpy(), "FLAC")
    path = save(data[: int(kept * len(data))])
    with pytest.raises(AudioError, match="FLAC file .*cut off"):
        read_audio(path)
    with pytest.raises(AudioError, match="FLAC file .*cut off"):
        list(iter_blocks(path, 1000))


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_is_refused_wherever_it_is_cut(subtype, reader, save):
    data = encode(noise(80_000).numpy(), "OGG", subtype)
    reader(save(data))
    last_page = data.rfind(b"OggS")
    for length in (len(data) - 1, last_page + 10, last_page, 4_000):
        path = save(data[:length])
        with pytest.raises(AudioError, match=r"Ogg file.* cut off"):
            reader(path)


def test_flac_of_unknown_length_is_to_be_encoded_again(reader, save):
    data = bytearray(encode(noise(900).numpy(), "FLAC"))
    data[21] &= 0xF0  # the 36 bits of STREAMINFO's total samples
    data[22:26] = bytes(4)
    with pytest.raises(AudioError, match="re-encode"):
        reader(save(data))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_finite_samples_are_counted_and_placed(bad, save):
    samples = noise(5000, 2)
    samples[3210:3212, 1] = bad
    path = save(encode(samples.numpy(), subtype="FLOAT"))
    message = "clip.wav holds 2 NaN or infinite samples .* sample 3210"
    for read in (
        read_audio,
        load_wav,
        lambda p: read_audio(p, start=3000),
        lambda p: list(iter_blocks(p, 700)),
    ):
        with pytest.raises(AudioError, match=message):
            read(path)


# What can be read


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize(
    ("format", "subtype", "error"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("AIFF", "PCM_S8", 1 / 128),
        ("WAV", "PCM_16", STEP),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("FLAC", "PCM_24", 1e-6),
        ("RF64", "PCM_16", STEP),
        ("CAF", "PCM_16", STEP),
    ],
)
def test_formats_and_channels_read_alike(
    format, subtype, error, channels, save
):
    samples = noise(channels, 700)
    path = save(encode(samples.T.numpy(), format, subtype))
    audio, rate = read_audio(path, strict=True)
    assert (rate, audio.dtype) == (RATE, torch.float32)
    torch.testing.assert_close(audio, samples, atol=error, rtol=0)
    torch.testing.assert_close(load_wav(path), audio.mean(0))


@pytest.mark.parametrize("rate", [1000, 8000, 11_127, 44_101, 96_000, 655_350])
def test_rates_are_read_and_brought_to_one(rate, save):
    path = save(encode(noise(rate // 10).numpy(), rate=rate))
    assert audio_info(path).sample_rate == rate
    assert len(load_wav(path, RATE)) == -(-(rate // 10) * RATE // rate)


LONG = "/".join(["x" * 200] * 8)


@pytest.mark.parametrize(
    "name",
    ["clip.wav", "clip", "a b c.wav", "Zürich 東京 🐕.flac", LONG, "clip.txt"],
)
@pytest.mark.parametrize("format", ["WAV", "FLAC"])
def test_name_does_not_matter(name, format, save):
    path = save(encode(noise(300).numpy(), format), name)
    info = audio_info(str(path))
    assert info.path == path
    assert info.format == f"{format} PCM_16"
    torch.testing.assert_close(load_wav(path), noise(300), atol=STEP, rtol=0)


def test_info_agrees_with_what_is_read(save):
    info = audio_info(save(encode(noise(441, 2).numpy(), rate=44_100)))
    audio, rate = read_audio(info.path)
    assert audio.shape == (info.n_channels, info.n_frames) == (2, 441)
    assert info.duration == 441 / rate == 0.01


@pytest.mark.parametrize(
    ("format", "subtype"),
    [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")],
)
def test_part_is_a_slice_of_the_whole(format, subtype, save):
    path = save(encode(noise(20_000, 2).numpy(), format, subtype))
    whole, _ = read_audio(path)
    for start, n_frames in [(0, 1), (7777, 5000), (19_990, 50), (19_999, 1)]:
        part, _ = read_audio(path, start=start, n_frames=n_frames)
        torch.testing.assert_close(part, whole[:, start : start + n_frames])


@pytest.mark.parametrize(
    "part",
    [{"start": -1}, {"start": 32}, {"n_frames": 0}, {"n_frames": 1.5}],
)
def test_part_outside_the_file_is_a_bad_argument(part, save):
    name = next(iter(part))
    with pytest.raises(ValueError, match=f"{name}={part[name]} must be"):
        read_audio(save(wav_bytes()), **part)


def test_part_after_the_real_end_is_an_error(save):
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile writes no MP3")
    data = encode(noise(2 * RATE).numpy(), "MP3", "MPEG_LAYER_III")
    path = save(data[: len(data) // 2])
    with (
        pytest.warns(UserWarning, match="cut off"),
        pytest.raises(AudioError, match="ends before start=31000"),
    ):
        read_audio(path, start=31_000)


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 1200))
def test_blocks_join_to_the_whole(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("blocks") / "clip.wav"
    write_wav(path, noise(2, 1000), RATE)
    blocks = list(iter_blocks(path, size))
    assert all(block.shape[1] == size for block in blocks[:-1])
    assert torch.equal(torch.cat(blocks, 1), read_audio(path)[0])


def test_blocks_need_a_size(save):
    with pytest.raises(ValueError, match="n_frames=0"):
        next(iter_blocks(save(wav_bytes()), 0))


def test_size_of_the_steps_changes_nothing(save, monkeypatch):
    path = save(encode(noise(1000, 3).numpy()))
    expected, _ = read_audio(path)
    monkeypatch.setattr(audio_module, "BLOCK_VALUES", 100)
    assert torch.equal(read_audio(path)[0], expected)
    again = write_wav(path.with_name("again.wav"), expected, RATE)
    assert again.read_bytes() == path.read_bytes()


def test_long_recording_needs_little_memory(tmp_path):
    path = tmp_path / "long.wav"
    with wav_writer(path, 8000) as write:
        for _ in range(100):
            write(torch.zeros(100_000))
    tracemalloc.start()
    n_samples = sum(block.shape[1] for block in iter_blocks(path, 10_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_samples == 10_000_000
    assert peak < 1_000_000  # the recording is 40 MB of float32


# Changing


def test_mono_is_the_mean_of_the_channels():
    wav = noise(500)
    torch.testing.assert_close(mix_to_mono(wav.repeat(5, 1)), wav)
    torch.testing.assert_close(mix_to_mono(torch.stack([wav, -wav])), wav * 0)
    assert mix_to_mono(noise(3, 2, 10)).shape == (3, 10)


def test_mono_needs_channels():
    with pytest.raises(ValueError, match=r"shape \(5,\)"):
        mix_to_mono(noise(5))


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 44_101, 47_999, 96_000])
def test_tone_keeps_its_frequency_and_level(rate):
    expected = tone(440, RATE)
    wav = resample(tone(440, rate), rate, RATE)
    assert wav.shape == expected.shape
    inner = slice(200, -200)
    torch.testing.assert_close(wav[inner], expected[inner], atol=0.01, rtol=0)


def test_tone_above_the_new_limit_is_gone():
    for rate in (44_100, 44_101):
        wav = resample(tone(12_000, rate), rate, RATE)
        assert wav[200:-200].abs().max() < 0.02


@pytest.mark.parametrize(
    ("from_rate", "to_rate"),
    [(44_100, 16_000), (16_000, 44_100), (8000, 16_000), (48_000, 11_025)],
)
def test_both_ways_to_resample_agree_with_torchaudio(
    from_rate, to_rate, monkeypatch
):
    wavs = noise(2, 3, 999).double()
    expected = torchaudio_resample(wavs, from_rate, to_rate)
    banked = resample(wavs, from_rate, to_rate)
    torch.testing.assert_close(banked, expected, atol=1e-9, rtol=0)
    monkeypatch.setattr(audio_module, "MAX_BANK", 0)
    monkeypatch.setattr(audio_module, "BLOCK_VALUES", 5000)
    direct = resample(wavs, from_rate, to_rate)
    torch.testing.assert_close(direct, expected, atol=1e-9, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 300), st.integers(1000, 200_000), st.integers(1000, 50_000)
)
def test_resampled_length_is_rounded_up(n_samples, from_rate, to_rate):
    wavs = resample(torch.zeros(2, n_samples), from_rate, to_rate)
    length = -(-n_samples * to_rate // from_rate)
    assert wavs.shape == (2, length)


def test_same_rate_returns_the_input():
    wav = noise(100)
    assert resample(wav, RATE, RATE) is wav


@pytest.mark.parametrize("rates", [(0, 1), (1, -1), (1.5, 2)])
def test_rates_are_whole_and_positive(rates):
    with pytest.raises(ValueError, match="_rate=.* must be a whole number"):
        resample(noise(10), *rates)


def test_peak_is_one_per_clip_with_its_sign():
    wavs = noise(4, 300) * torch.tensor([[1e-30], [1.0], [-1e20], [0.0]])
    normal = normalize_peak(wavs)
    assert normal.abs().amax(-1).tolist() == [1, 1, 1, 0]
    assert torch.equal(normal.sign(), wavs.sign())
    torch.testing.assert_close(normal[1], normalize_peak(wavs[1] * 7))
    assert normalize_peak(torch.tensor([0.1, -0.5]))[1] == -1
    assert normalize_peak(torch.zeros(2, 0)).shape == (2, 0)


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 25])
def test_length_is_fitted_at_the_end(length):
    wavs = noise(2, 10)
    fitted = fit_length(wavs, length)
    assert fitted.shape == (2, length)
    assert torch.equal(fitted[:, :10], wavs[:, :length])
    assert not fitted[:, 10:].any()


def test_length_is_not_negative():
    with pytest.raises(ValueError, match="n_samples=-1"):
        fit_length(noise(5), -1)


def test_finite_check_places_the_first_in_time():
    wavs = torch.zeros(3, 100)
    check_finite(wavs, "wavs")
    check_finite(wavs[:, :0], "wavs")
    wavs[0, 90], wavs[2, 40] = math.nan, -math.inf
    with pytest.raises(AudioError, match="wavs holds 2 .* 300, .* sample 1040"):
        check_finite(wavs, "wavs", first=1000)


# Writing

LOUD = arrays.arrays(
    np.float32,
    st.integers(1, 20),
    elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
)


@settings(max_examples=60, deadline=None)
@given(LOUD, LOUD)
@example(np.float32([3.3e38, 1]), np.float32([-3.3e38]))
def test_common_gain_fits_all_and_raises_none(tmp_path_factory, first, second):
    wavs = [torch.from_numpy(first), torch.from_numpy(second)]
    gain = common_gain(*wavs)
    assert 0 < gain <= 1
    peak = max(np.abs(first).max(), np.abs(second).max())
    assert gain == (1 if peak <= 1 else pytest.approx(1 / float(peak)))
    path = tmp_path_factory.mktemp("loud") / "clip.wav"
    for wav in wavs:
        saved = load_wav(write_wav(path, wav, RATE, gain=gain)).double()
        error = (saved - wav.double() * gain).abs().max()
        assert error <= STEP


def test_common_gain_of_nothing_or_silence_is_one():
    assert common_gain() == common_gain(torch.zeros(3), noise(0)) == 1
    with pytest.raises(AudioError, match=r"wavs\[1\] holds 1 NaN"):
        common_gain(noise(3), torch.tensor([math.nan]))


@pytest.mark.parametrize(
    ("subtype", "error"),
    [("PCM_16", STEP), ("PCM_24", 2e-7), ("PCM_32", 1e-7), ("FLOAT", 0)],
)
@pytest.mark.parametrize("shape", [(1,), (999,), (1, 50), (8, 50)])
def test_saved_is_loaded_within_a_step(subtype, error, shape, tmp_path):
    wav = noise(*shape)
    wav[..., 0] = 1.0
    path = write_wav(tmp_path / "a" / "b.wav", wav, 22_050, subtype=subtype)
    audio, rate = read_audio(path, strict=True)
    assert rate == 22_050
    assert audio_info(path).format == f"WAV {subtype}"
    expected = wav.reshape(-1, shape[-1])
    torch.testing.assert_close(audio, expected, atol=error, rtol=0)


def test_writing_keeps_the_tensor_and_its_gradient_out_of_it(tmp_path):
    wav = noise(50).requires_grad_()
    before = wav.detach().clone()
    write_wav(tmp_path / "clip.wav", wav, RATE, gain=0.5)
    assert torch.equal(wav, before)


REFUSED = {
    "NaN or infinite .* sample 3": torch.tensor([0, 0, 0, math.nan]),
    "NaN or infinite .* sample 1": torch.tensor([0, math.inf]),
    "peak=1.5.*common_gain": torch.tensor([0.0, -1.5]),
    "peak=1.*common_gain": torch.tensor([1.0001]),
    "is empty": torch.zeros(0),
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_refused_samples_leave_the_folder_as_it_was(message, subtype, tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(b"what was here before")
    with pytest.raises(AudioError, match=message):
        write_wav(path, REFUSED[message], RATE, subtype=subtype)
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == b"what was here before"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wav": torch.zeros(2, 3, 4)}, "shape .* one by one"),
        ({"wav": torch.zeros(0, 4)}, "shape"),
        ({"wav": torch.tensor(0.5)}, "shape"),
        ({"wav": torch.zeros(1025, 4)}, "n_channels=1025"),
        ({"sample_rate": 0}, "sample_rate=0"),
        ({"sample_rate": 16000.5}, "sample_rate=16000.5"),
        ({"subtype": "MP3"}, "subtype='MP3' must be one of PCM_16"),
    ],
)
def test_bad_arguments_write_nothing(change, message, tmp_path):
    good = {"wav": torch.zeros(4), "sample_rate": RATE}
    with pytest.raises(ValueError, match=message):
        write_wav(tmp_path / "clip.wav", **(good | change))
    assert not [*tmp_path.iterdir()]


def test_file_appears_whole_at_the_end(tmp_path):
    path = tmp_path / "long.wav"
    with wav_writer(path, RATE, 2) as write:
        write(noise(2, 100))
        assert not path.exists()
        write(noise(2, 50, seed=1))
        assert not path.exists()
    assert [*tmp_path.iterdir()] == [path]
    expected = torch.cat([noise(2, 100), noise(2, 50, seed=1)], 1)
    torch.testing.assert_close(read_audio(path)[0], expected, atol=STEP, rtol=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_interrupted_writing_leaves_nothing(error, tmp_path):
    def write_and_stop():
        with wav_writer(tmp_path / "clip.wav", RATE) as write:
            write(noise(1000))
            raise error

    with pytest.raises(error):
        write_and_stop()
    assert not [*tmp_path.iterdir()]


def test_bad_sample_is_placed_in_the_whole_recording(tmp_path):
    def write_two_blocks():
        with wav_writer(tmp_path / "clip.wav", RATE) as write:
            write(noise(1000))
            write(torch.tensor([0.0, math.nan]))

    with pytest.raises(AudioError, match="sample 1001"):
        write_two_blocks()


def test_file_too_long_for_wav_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_module, "MAX_WAV_BYTES", 2000)
    write_wav(tmp_path / "fits.wav", noise(1000), RATE)
    with pytest.raises(AudioError, match="4 GiB"):
        write_wav(tmp_path / "long.wav", noise(1001), RATE)
    assert not (tmp_path / "long.wav").exists()


def test_folder_in_the_way_is_kept(tmp_path):
    (tmp_path / "clip.wav").mkdir()
    with pytest.raises(OSError, match="clip.wav"):
        write_wav(tmp_path / "clip.wav", noise(5), RATE)
    assert [*tmp_path.iterdir()] == [tmp_path / "clip.wav"]


FULL_DISK = """
import resource, sys, torch
from focalaudio.audio import write_wav
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_wav(sys.argv[1], torch.zeros(200_000), 16000)
except OSError as error:
    sys.exit(str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
def test_full_disk_is_said_and_nothing_is_left(tmp_path):
    path = tmp_path / "clip.wav"
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{path} cannot be written" in run.stderr
    assert "Traceback" not in run.stderr
    assert not [*tmp_path.iterdir()]
