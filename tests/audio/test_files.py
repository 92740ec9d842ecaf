"""Laws of reading and writing audio files."""

import errno
import io
import math
import os
import struct
import tracemalloc
import warnings

import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from focalaudio.audio import (
    audio_info,
    iter_blocks,
    load_wav,
    read_audio,
    wav_writer,
    write_wav,
)
from focalaudio.audio import files as audio_module
from focalaudio.errors import AudioError
from focalaudio.waveforms import common_gain

STEP = 1 / 32768  # of 16-bit PCM
RATE = 16000


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator) * 1.8 - 0.9


def encode(wav, kind="WAV PCM_16", rate=RATE):
    """Bytes of a file of `[samples]` or `[channels, samples]`."""
    format, _, subtype = kind.partition(" ")
    file = io.BytesIO()
    soundfile.write(file, wav.numpy().T, rate, subtype or None, format=format)
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

NOT_FILES = {
    "gone.wav": FileNotFoundError,
    "folder.wav": AudioError,
    "text.wav": AudioError,
    "empty.wav": AudioError,
    "half.wav": AudioError,
}


@pytest.mark.parametrize("name", NOT_FILES)
def test_what_is_not_audio_is_refused_by_name(name, reader, save, tmp_path):
    (tmp_path / "folder.wav").mkdir()
    save(b"Not a sound.", "text.wav")
    save(b"", "empty.wav")
    save(encode(noise(900), "FLAC")[:30], "half.wav")
    with pytest.raises(NOT_FILES[name], match=name):
        reader(tmp_path / name)


@pytest.mark.parametrize(
    "header",
    [
        {"channels": 0},
        {"rate": 0},
        {"rate": 999},
        {"rate": 4_000_000_000},
        {"channels": 1025, "data": b"\0" * 2050},
    ],
)
def test_impossible_header_is_refused(header, save):
    with pytest.raises(AudioError, match="looks like a WAV|sample_rate=999"):
        audio_info(save(wav_bytes(**header)))


@pytest.mark.parametrize("format", ["WAV", "AIFF", "FLAC"])
def test_header_without_samples_is_empty(format, save):
    with pytest.raises(AudioError, match="empty|does not say how long"):
        audio_info(save(encode(torch.zeros(0), format)))


@pytest.mark.parametrize("name", ["samples.raw", "samples.RAW"])
def test_raw_samples_are_refused_and_raw_names_are_read(name, save):
    samples = noise(500)
    path = save(encode(samples), name)
    torch.testing.assert_close(load_wav(path), samples, atol=STEP, rtol=0)
    with pytest.raises(AudioError, match="samples without a header"):
        load_wav(save(bytes(range(1, 256)) * 9, name))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(
        [
            wav_bytes(),
            encode(noise(300), "FLAC"),
            encode(noise(2, 300), "AIFF PCM_24"),
            encode(noise(300), "OGG"),
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
    path = save(encode(noise(300), "AIFF")[:24])
    with pytest.raises(AudioError, match="an AIFF file"):
        read_audio(path)
    assert capfd.readouterr().err == ""


# What is cut off


@pytest.mark.parametrize(
    "kind",
    ["WAV", "WAV IMA_ADPCM", "WAVEX PCM_24", "RF64 PCM_16", "AIFF"],
)
def test_cut_off_file_is_read_with_both_durations(kind, save):
    data = encode(noise(4 * RATE), kind)
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


@pytest.mark.parametrize(
    "read", [read_audio, lambda path: list(iter_blocks(path, 9))]
)
def test_warning_points_at_whoever_asked(read, save):
    with pytest.warns(UserWarning, match="cut off") as caught:
        read(save(wav_bytes(declared=128)))
    assert [warning.filename for warning in caught] == [__file__]


def test_streamed_wav_of_unknown_size_is_whole(save):
    path = save(wav_bytes(declared=0xFFFFFFFF))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_wav(path, strict=True).shape == (32,)


@pytest.mark.skipif(
    "MP3" not in soundfile.available_formats(), reason="needs an MP3 encoder"
)
def test_cut_off_mp3_warns_and_ends_where_it_ends(save):
    data = encode(noise(2 * RATE), "MP3")
    path = save(data[: len(data) // 2])
    with pytest.warns(UserWarning, match=r"declares 2.00 s but holds [01]\."):
        audio, _ = read_audio(path)
    assert 0.3 < audio.shape[1] / (2 * RATE) < 0.7
    with pytest.raises(AudioError, match="cut off"):
        read_audio(path, strict=True)


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_cut_off_flac_is_refused(kept, save):
    data = encode(noise(20_000), "FLAC")
    path = save(data[: int(kept * len(data))])
    with pytest.raises(AudioError, match="FLAC file .*cut off"):
        read_audio(path)


def test_cut_off_ogg_is_refused(reader, save):
    data = encode(noise(RATE), "OGG")
    reader(save(data))
    with pytest.raises(AudioError, match=r"Ogg file.* cut off"):
        reader(save(data[:-1]))


def test_flac_of_unknown_length_is_to_be_encoded_again(save):
    data = bytearray(encode(noise(900), "FLAC"))
    data[21] &= 0xF0  # the 36 bits of STREAMINFO's total samples
    data[22:26] = bytes(4)
    with pytest.raises(AudioError, match="re-encode"):
        audio_info(save(data))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_finite_samples_are_counted_and_placed(bad, save):
    samples = noise(2, 5000)
    samples[1, 3210:3212] = bad
    path = save(encode(samples, "WAV FLOAT"))
    message = "clip.wav holds 2 NaN or infinite samples .* sample 3210"
    for read in (
        read_audio,
        load_wav,
        lambda p: list(iter_blocks(p, 700)),
    ):
        with pytest.raises(AudioError, match=message):
            read(path)


# What can be read


CODING_ERRORS = {
    "WAV PCM_U8": 1 / 128,
    "AIFF PCM_S8": 1 / 128,
    "WAV PCM_16": STEP,
    "WAV PCM_24": 1e-6,
    "WAV PCM_32": 1e-6,
    "WAV FLOAT": 0,
    "WAV DOUBLE": 0,
    "FLAC PCM_24": 1e-6,
    "RF64 PCM_16": STEP,
    "CAF PCM_16": STEP,
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", CODING_ERRORS)
def test_formats_and_channels_read_alike(kind, channels, save):
    samples = noise(channels, 700)
    path = save(encode(samples, kind))
    audio, rate = read_audio(path, strict=True)
    assert (rate, audio.dtype) == (RATE, torch.float32)
    error = CODING_ERRORS[kind]
    torch.testing.assert_close(audio, samples, atol=error, rtol=0)
    torch.testing.assert_close(load_wav(path), audio.mean(0))


@pytest.mark.parametrize("rate", [1000, 11_127, 44_101, 655_350])
def test_rates_are_read_and_brought_to_one(rate, save):
    path = save(encode(noise(rate // 50), rate=rate))
    assert audio_info(path).sample_rate == rate
    assert len(load_wav(path, RATE)) == -(-(rate // 50) * RATE // rate)


LONG = "/".join(["x" * 200] * 8)


@pytest.mark.parametrize(
    "name",
    ["clip.wav", "clip", "a b c.wav", "Zürich 東京 🐕.flac", LONG, "clip.txt"],
)
@pytest.mark.parametrize("format", ["WAV", "FLAC"])
def test_name_does_not_matter(name, format, save):
    path = save(encode(noise(300), format), name)
    info = audio_info(str(path))
    assert info.path == path
    assert info.format == f"{format} PCM_16"
    torch.testing.assert_close(load_wav(path), noise(300), atol=STEP, rtol=0)


def test_info_agrees_with_what_is_read(save):
    info = audio_info(save(encode(noise(2, 441), rate=44_100)))
    audio, rate = read_audio(info.path)
    assert audio.shape == (info.n_channels, info.n_frames) == (2, 441)
    assert info.duration == 441 / rate == 0.01


@pytest.mark.parametrize("size", [1, 7, 250, 999, 1000, 1001])
def test_blocks_join_to_the_whole(size, save):
    path = save(encode(noise(2, 1000)))
    blocks = list(iter_blocks(path, size))
    assert all(block.shape[1] == size for block in blocks[:-1])
    assert torch.equal(torch.cat(blocks, 1), read_audio(path)[0])


@pytest.mark.parametrize("kind", ["MP3", "OGG", "FLAC", "WAV IMA_ADPCM"])
def test_blocks_of_a_coded_recording_have_no_seams(kind, save, capfd):
    path = save(encode(noise(2 * RATE), kind))
    whole, _ = read_audio(path)
    for size in (997, 10_000):
        assert torch.equal(torch.cat([*iter_blocks(path, size)], 1), whole)
    assert capfd.readouterr().err == ""


def test_blocks_need_a_size(save):
    with pytest.raises(ValueError, match="n_frames=0"):
        next(iter_blocks(save(wav_bytes()), 0))


def test_size_of_the_steps_changes_nothing(save, monkeypatch):
    path = save(encode(noise(3, 1000)))
    expected, _ = read_audio(path)
    monkeypatch.setattr(audio_module, "BLOCK_VALUES", 100)
    assert torch.equal(read_audio(path)[0], expected)
    again = write_wav(path.with_name("again.wav"), expected, RATE)
    assert again.read_bytes() == path.read_bytes()


def test_long_recording_needs_little_memory(tmp_path):
    path = tmp_path / "long.wav"
    with wav_writer(path, 8000) as write:
        for _ in range(20):
            write(torch.zeros(100_000))
    tracemalloc.start()
    n_samples = sum(block.shape[1] for block in iter_blocks(path, 10_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_samples == 2_000_000
    assert peak < 1_000_000  # the recording is 8 MB of float32


# Writing


@pytest.mark.parametrize("loudest", [0.3, 1.0, 7.7, 3.3e38])
def test_common_gain_makes_any_sound_fit_a_file(loudest, tmp_path):
    wavs = [noise(300) * loudest, torch.tensor([loudest, -loudest])]
    gain = common_gain(*wavs)
    for wav in wavs:
        path = write_wav(tmp_path / "clip.wav", wav, RATE, gain=gain)
        expected = (wav.double() * gain).float()
        torch.testing.assert_close(load_wav(path), expected, atol=STEP, rtol=0)


@pytest.mark.parametrize(
    ("subtype", "error"),
    [("PCM_16", STEP), ("PCM_24", 2e-7), ("PCM_32", 1e-7), ("FLOAT", 0)],
)
@pytest.mark.parametrize("shape", [(1,), (999,), (8, 50)])
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
    def blocks():
        yield noise(1000)
        raise error

    with (
        pytest.raises(error),
        wav_writer(tmp_path / "clip.wav", RATE) as write,
    ):
        list(map(write, blocks()))
    assert not [*tmp_path.iterdir()]


def test_bad_sample_is_placed_in_the_whole_recording(tmp_path):
    with (
        pytest.raises(AudioError, match="sample 1001"),
        wav_writer(tmp_path / "clip.wav", RATE) as write,
    ):
        list(map(write, [noise(1000), torch.tensor([0.0, math.nan])]))


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


@pytest.fixture
def full_disk():
    """Refuse files of more than 50 kB."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("full_disk")
def test_full_disk_is_said_and_nothing_is_left(tmp_path):
    path = tmp_path / "clip.wav"
    with pytest.raises(OSError, match="too large: .*make room.*clip") as caught:
        write_wav(path, torch.zeros(200_000), RATE)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(
    not os.path.isdir("/proc/self"), reason="needs a folder that takes no files"
)
def test_folder_that_refuses_is_said_with_its_errno():
    with pytest.raises(OSError, match="/proc") as caught:
        write_wav("/proc/clip.wav", noise(5), RATE)
    assert caught.value.errno in (errno.ENOENT, errno.EACCES)
