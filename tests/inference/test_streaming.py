"""Laws of focalaudio.inference.streaming."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from focalaudio.audio import audio_info, load_wav, write_wav
from focalaudio.data.pipelines import ClipReader
from focalaudio.errors import AudioError
from focalaudio.inference import stream_parts, streaming
from focalaudio.inference.streaming import (
    cross_fade,
    explain_stream,
    explain_windows,
)
from focalaudio.interpreters import Interpreter, ThresholdInterpreter
from focalaudio.recordings import iter_windows
from focalaudio.report.timeline import read_windows

LABELS = ["dog", "rain", "wind, strong", "crow", "saw"]
SECONDS = 0.25  # 4000 samples


class Keeper(Interpreter):
    """Keeps everything; counts its batches, and fails in one if asked to."""

    fails_at, n_batches, factor = None, 0, 1.0
    settings = {"method": "all"}  # noqa: RUF012

    def explain(self, output, spectrum, class_ids):
        ones = torch.ones_like(spectrum.log_magnitude)
        return ones, ones

    def forward(self, *args, **kwargs):
        self.n_batches += 1
        if self.n_batches == self.fails_at:
            raise KeyboardInterrupt
        interpretation = super().forward(*args, **kwargs)
        return replace(interpretation, mask=interpretation.mask * self.factor)


@pytest.fixture
def keeper(classifier, spectrogram):
    return Keeper(classifier, spectrogram)


@pytest.fixture
def by_design(classifier, spectrogram):
    return ThresholdInterpreter(classifier, spectrogram, quantile=0.7)


@pytest.fixture
def reader():
    return ClipReader(16000, SECONDS)


def swells(n, rate=16000):
    """Noise that comes and goes between loud and 60 dB below."""
    seconds = torch.arange(n) / rate
    level = 10 ** (-1.5 * (1 + torch.sin(3 * seconds)))
    return (torch.rand(n) - 0.5) * level


@pytest.fixture
def recording(tmp_path):
    """1.7 s, stereo, at 44.1 kHz."""
    wav = torch.stack((swells(75_000, 44100), swells(75_000, 44100)))
    return write_wav(tmp_path / "field day.wav", wav, 44100)


@pytest.fixture
def explain(reader, recording, tmp_path):
    def explain_it(interpreter, *args, path=recording, out="out", **kwargs):
        return explain_stream(
            interpreter, kwargs.pop("reader", reader), LABELS, path,
            tmp_path / out, *args, progress=False, **kwargs,
        )  # fmt: skip

    return explain_it


def close(one, other, atol=1e-5):
    return one.shape == other.shape and torch.allclose(one, other, atol=atol)


def read(result):
    paths = (result.kept, result.windows, result.labels)
    return [path.read_bytes() for path in paths]


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.33, 0.5])
def test_a_mask_of_ones_gives_the_recording_back(
    explain, keeper, recording, overlap
):
    result = explain(keeper, overlap)
    assert close(load_wav(result.kept), load_wav(recording, 16000))
    assert result.gain == 1.0


@pytest.mark.parametrize(
    "n", [1, 100, 1999, 2000, 2001, 3999, 4000, 4001, 6000, 6001, 12_345]
)
@pytest.mark.parametrize("overlap", [0.2, 0.5])
def test_the_result_is_as_long_as_the_recording(
    explain, keeper, tmp_path, n, overlap
):
    path = write_wav(tmp_path / "a.wav", swells(n), 16000)
    result = explain(keeper, overlap, path=path)
    assert result.n_samples == n
    assert result.duration == n / 16000
    assert close(load_wav(result.kept), load_wav(path))


def test_windows_are_interpreted_as_alone(by_design, reader, recording):
    windows = [*iter_windows(recording, 16000, 4000, 2000)]
    explained = explain_windows(by_design, reader, windows)
    for index, window in enumerate(windows):
        clip = reader.prepare(window)
        alone = by_design(clip[None])
        gain = 1 / window.abs().max()
        own = explained.wavs[index] * gain
        assert close(own, alone.wavs[0, : len(window)])
        assert explained.class_ids[index] == alone.class_ids.item()
        probability = alone.probs[0].max().item()
        assert explained.probabilities[index] == pytest.approx(probability)


@pytest.mark.parametrize("n", [1, 1000, 3999, 4000])
def test_a_short_recording_is_interpreted_whole(
    explain, by_design, reader, tmp_path, n
):
    path = write_wav(tmp_path / "a.wav", swells(n) / 8, 16000)
    result = explain(by_design, path=path)
    whole = by_design(reader(str(path))[None])
    kept = whole.wavs[0, :n] * load_wav(path).abs().max()
    assert close(load_wav(result.kept), kept)
    (segment,) = result.segments
    assert segment.label == LABELS[whole.class_ids.item()]
    assert segment.probability == pytest.approx(
        whole.probs.max().item(), abs=1e-6
    )
    assert (segment.start, segment.end) == (
        0,
        pytest.approx(n / 16000, abs=1e-6),
    )


def test_clips_taken_whole_have_windows_that_are_not_padded(
    explain, by_design, tmp_path
):
    reader = ClipReader(16000, None)
    path = write_wav(tmp_path / "a.wav", swells(90_000), 16000)
    result = explain(by_design, 0.0, path=path, reader=reader)
    wav, kept = load_wav(path), load_wav(result.kept)
    for part, window in zip(kept.split(80_000), wav.split(80_000), strict=True):
        alone = by_design(reader.prepare(window)[None]).wavs[0]
        assert close(part, alone * window.abs().max())


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_results_do_not_depend_on_the_batch_size(
    explain, by_design, batch_size
):
    one = explain(by_design, batch_size=1)
    other = explain(by_design, batch_size=batch_size, out="other")
    assert close(load_wav(one.kept), load_wav(other.kept), atol=1e-6)
    for row, other_row in zip(
        read_windows(one.windows), read_windows(other.windows), strict=True
    ):
        assert row.label == other_row.label
        assert row.probability == pytest.approx(other_row.probability, abs=2e-6)


def test_the_timeline_covers_the_recording_without_gap(
    explain, by_design, recording
):
    result = explain(by_design)
    duration = audio_info(recording).duration
    windows = [*read_windows(result.windows)]
    assert windows[0].start == result.segments[0].start == 0
    assert result.segments[-1].end == pytest.approx(duration, abs=1e-4)
    assert result.segments[-1].end == windows[-1].end
    for one, other in pairwise(windows):
        assert one.start < other.start <= one.end < other.end
    for segment, other in pairwise(result.segments):
        assert segment.end == other.start
    rows = result.labels.read_text("utf-8").splitlines()
    starts = [float(row.split("\t")[0]) for row in rows]
    assert starts == pytest.approx([s.start for s in result.segments], abs=1e-6)
    assert {segment.label for segment in result.segments} <= set(LABELS)


def test_results_have_the_recording_s_name_and_nothing_else_is_left(
    explain, keeper, tmp_path
):
    result = explain(keeper)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "field day_kept.wav", "field day_labels.txt", "field day_windows.csv",
    ]  # fmt: skip
    assert audio_info(result.kept).sample_rate == 16000


def test_a_recording_that_is_cut_off_is_interpreted_as_far_as_it_goes(
    explain, keeper, recording
):
    data = recording.read_bytes()
    recording.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match="cut off"):
        explain(keeper, strict=True)
    with pytest.warns(UserWarning, match="cut off"):
        result = explain(keeper)
    with pytest.warns(UserWarning, match="cut off"):
        wav = load_wav(recording, 16000)
    assert close(load_wav(result.kept), wav)


def test_silence_stays_silent(explain, by_design, tmp_path):
    path = write_wav(tmp_path / "a.wav", torch.zeros(10_000), 16000)
    assert not load_wav(explain(by_design, path=path).kept).any()


def test_what_would_be_clipped_is_scaled_as_a_whole(explain, keeper, recording):
    keeper.factor = 10.0
    result = explain(keeper)
    kept = load_wav(result.kept)
    assert result.gain < 1
    assert kept.abs().max() == pytest.approx(1, abs=1e-6)
    assert close(kept / result.gain / 10, load_wav(recording, 16000))


@pytest.mark.parametrize("n", [1, 5])
def test_a_fade_between_equal_sounds_changes_nothing(n):
    wav = torch.rand(20)
    final, tail = cross_fade(wav[:n].clone(), wav, 12)
    assert torch.equal(torch.cat((final, tail)), wav)
    assert len(final) == 12


def test_the_weights_of_a_fade_add_up_to_one():
    n = 1000
    rising, _ = cross_fade(torch.zeros(n), torch.ones(n), n)
    falling, _ = cross_fade(torch.ones(n), torch.zeros(n), n)
    assert torch.allclose(rising + falling, torch.ones(n))
    assert (rising.diff() > 0).all()
    assert torch.allclose(rising, falling.flip(0), atol=1e-6)


@pytest.mark.parametrize("fails_at", [1, 2, 4])
def test_what_was_stopped_goes_on_and_ends_the_same(
    explain, keeper, tmp_path, fails_at
):
    whole = read(explain(keeper, batch_size=3, out="whole"))
    n_batches = keeper.n_batches
    keeper.fails_at = keeper.n_batches + fails_at
    with pytest.raises(KeyboardInterrupt):
        explain(keeper, batch_size=3)
    assert not [*(tmp_path / "out").glob("*_*")]
    keeper.n_batches, keeper.fails_at = 0, None
    assert read(explain(keeper, batch_size=3)) == whole
    assert keeper.n_batches == n_batches - (fails_at - 1)
    assert not [*(tmp_path / "out").glob("*.part")]


@pytest.mark.parametrize("step", ["_write_state", "iter_wav", "remove"])
def test_a_stop_between_two_writes_is_as_good(
    explain, keeper, monkeypatch, step
):
    whole = read(explain(keeper, batch_size=3, out="whole"))
    with monkeypatch.context() as patch:
        calls = iter(range(100))
        own = getattr(stream_parts.StreamParts, step)

        def stop(*args):
            if step != "_write_state" or next(calls) == 2:
                raise KeyboardInterrupt
            return own(*args)

        patch.setattr(stream_parts.StreamParts, step, stop)
        with pytest.raises(KeyboardInterrupt):
            explain(keeper, batch_size=3)
    assert read(explain(keeper, batch_size=3)) == whole


KILLED = """
import os, signal, sys
import torch
sys.path.insert(0, sys.argv[1])
from test_streaming import LABELS, SECONDS, Keeper
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.inference import stream_parts
from focalaudio.inference.streaming import explain_stream
from focalaudio.spectrogram import Spectrogram

classifier = SoundClassifier(build_encoder("focalnet_test"), 5)
classifier.load_state_dict(torch.load(sys.argv[2]))
write, calls = stream_parts.StreamParts._write_state, iter(range(100))

def kill(*args):
    if next(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*args)

stream_parts.StreamParts._write_state = kill
explain_stream(
    Keeper(classifier.eval(), Spectrogram()), ClipReader(16000, SECONDS),
    LABELS, sys.argv[3], sys.argv[4], batch_size=2, progress=False,
)
"""


def test_kill_9_loses_one_batch(explain, keeper, recording, tmp_path):
    whole = read(explain(keeper, batch_size=2, out="whole"))
    n_batches, keeper.n_batches = keeper.n_batches, 0
    weights = tmp_path / "weights.pt"
    torch.save(keeper.classifier.state_dict(), weights)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, os.path.dirname(__file__), weights,
         recording, tmp_path / "out"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert read(explain(keeper, batch_size=2)) == whole
    assert keeper.n_batches == n_batches - 2


@pytest.mark.parametrize(
    "change", ["weights", "recording", "overlap", "labels"]
)
def test_what_another_setting_left_is_not_gone_on_with(
    explain, keeper, recording, change, monkeypatch
):
    keeper.fails_at = 3
    with pytest.raises(KeyboardInterrupt):
        explain(keeper, batch_size=2)
    keeper.fails_at, overlap = None, 0.5
    if change == "weights":
        with torch.no_grad():
            next(keeper.parameters()).mul_(2)
    elif change == "recording":
        write_wav(recording, load_wav(recording) / 2, 44100)
    elif change == "labels":
        monkeypatch.setattr(sys.modules[__name__], "LABELS", list("abcde"))
    else:
        overlap = 0.4
    again = read(explain(keeper, overlap, batch_size=2))
    assert again == read(explain(keeper, overlap, batch_size=2, out="fresh"))


@pytest.mark.parametrize("overlap", [-0.1, 0.51, float("nan")])
def test_an_overlap_out_of_range_is_refused(explain, keeper, overlap):
    with pytest.raises(ValueError, match="overlap="):
        explain(keeper, overlap)


def test_a_batch_has_a_window(explain, keeper):
    with pytest.raises(ValueError, match="batch_size=0"):
        explain(keeper, batch_size=0)


def test_a_recording_that_no_wav_can_hold_is_refused_at_once(
    explain, keeper, monkeypatch, tmp_path
):
    monkeypatch.setattr(streaming, "MAX_WAV_BYTES", 1000)
    with pytest.raises(AudioError, match="more than a WAV file holds"):
        explain(keeper)
    assert not (tmp_path / "out").exists()


def test_a_recording_that_is_none_leaves_nothing(explain, keeper, tmp_path):
    with pytest.raises(FileNotFoundError):
        explain(keeper, path=tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioError):
        explain(keeper, path=tmp_path / "text.wav")
    assert not (tmp_path / "out").exists()
