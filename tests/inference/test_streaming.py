"""Laws of focalaudio.inference.streaming."""

import csv
import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch

from focalaudio.audio import audio_info, load_wav, write_wav
from focalaudio.boxes import BoxRules
from focalaudio.data.annotations import read_annotations
from focalaudio.data.pipelines import ClipReader
from focalaudio.errors import AudioError, FocalAudioError
from focalaudio.inference import stream_plan
from focalaudio.inference.foreign import LevelReader
from focalaudio.inference.stream_result import ENDINGS
from focalaudio.inference.streaming import explain_stream
from focalaudio.inference.windows import WindowStore
from focalaudio.interpreters import Interpreter, ThresholdInterpreter
from focalaudio.metrics.novelty import NoveltyRule
from focalaudio.models.novelty import Novelty
from focalaudio.report.timeline import NO_EVIDENCE

LABELS = ["dog", "rain", "wind, strong", "crow", "saw"]
SECONDS = 0.25  # 4000 samples


def interrupt():
    raise KeyboardInterrupt


class Keeper(Interpreter):
    """Keeps everything; counts its batches, and fails in one if asked to."""

    fails_at, n_batches, fail, factor = None, 0, staticmethod(interrupt), 1.0
    skips = None  # every second batch: 0 or 1
    settings = {"method": "all"}  # noqa: RUF012

    def explain(self, output, spectrum, class_ids):
        ones = torch.ones_like(spectrum.log_magnitude)
        return ones, ones

    def interpret(self, *args, **kwargs):
        self.n_batches += 1
        if self.n_batches == self.fails_at:
            self.fail()
        interpretation = super().interpret(*args, **kwargs)
        factor = 0.0 if self.n_batches % 2 == self.skips else self.factor
        return replace(interpretation, mask=interpretation.mask * factor)


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


def rows(result):
    """Start, end, label and probability of each window."""
    with result.windows.open(encoding="utf-8", newline="") as file:
        for start, end, label, probability in [*csv.reader(file)][1:]:
            yield float(start), float(end), label, float(probability)


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
    heard = LABELS[whole.class_ids.item()]
    # one sample is no sound
    assert segment.label == (NO_EVIDENCE if n == 1 else heard)
    wanted = math.nan if n == 1 else whole.probs.max().item()
    assert segment.probability == pytest.approx(wanted, abs=1e-6, nan_ok=True)
    assert (segment.start, segment.end) == (
        0,
        pytest.approx(n / 16000, abs=1e-6),
    )


@pytest.mark.parametrize(
    ("seconds", "n_window"), [(SECONDS, 4000), (None, 80_000)]
)
def test_windows_are_interpreted_as_alone(
    explain, by_design, tmp_path, seconds, n_window
):
    reader = ClipReader(16000, seconds)
    path = write_wav(tmp_path / "a.wav", swells(90_000), 16000)
    result = explain(by_design, 0.0, path=path, reader=reader)
    parts = load_wav(result.kept).split(n_window)
    windows = load_wav(path).split(n_window)
    for part, window, row in zip(parts, windows, rows(result), strict=True):
        alone = by_design(reader.prepare(window)[None])
        kept = alone.wavs[0, : len(window)] * window.abs().max()
        assert close(part, kept, atol=1e-6)
        _, _, label, probability = row
        assert label == LABELS[alone.class_ids.item()]
        assert probability == pytest.approx(alone.probs.max().item(), abs=2e-6)


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_results_do_not_depend_on_the_batch_size(
    explain, by_design, batch_size
):
    one = explain(by_design, batch_size=1)
    other = explain(by_design, batch_size=batch_size, out="other")
    assert close(load_wav(one.kept), load_wav(other.kept), atol=1e-6)
    for row, other_row in zip(rows(one), rows(other), strict=True):
        assert row[:3] == other_row[:3]
        assert row[3] == pytest.approx(other_row[3], abs=2e-6)


def test_numbers_of_numpy_are_numbers(explain, by_design):
    plain = explain(by_design, 0.25, 2, target=1, rules=BoxRules(most=3))
    other = explain(
        by_design.at_quantile(np.float64(0.7)),
        *(np.float32(0.25), np.int64(2)),
        target=np.int64(1),
        rules=BoxRules(most=np.int64(3)),
        out="numpy",
    )
    assert read(other) == read(plain)


@pytest.fixture
def threads():
    """`threads(n)` gives torch so many, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class Watched(ThresholdInterpreter):
    """Remembers which threads explained."""

    def interpret(self, *args, **kwargs):
        self.threads.add(threading.get_ident())
        return super().interpret(*args, **kwargs)


@pytest.mark.parametrize("bf16", [False, True])
def test_results_do_not_depend_on_the_number_of_threads(
    explain, by_design, threads, bf16
):
    read_by = []
    for n_threads in (1, 2, 6):
        threads(n_threads)
        with torch.autocast("cpu", enabled=bf16):
            result = explain(by_design, batch_size=2, out=f"by_{n_threads}")
        read_by.append(read(result) + [result.boxes.read_bytes()])
        assert torch.get_num_threads() == n_threads
    assert read_by[0] == read_by[1] == read_by[2]
    if bf16:
        assert read_by[0] != read(explain(by_design, out="fp32"))


def test_interpreters_of_others_are_not_taken_for_safe(keeper):
    assert not keeper.is_thread_safe


@pytest.mark.parametrize("unsafe", [None, "interpreter", "classifier"])
def test_only_what_never_changes_explains_on_other_threads(
    explain, classifier, spectrogram, threads, unsafe
):
    threads(3)
    interpreter = Watched(classifier, spectrogram)
    interpreter.threads = set()
    if unsafe == "interpreter":
        interpreter.is_thread_safe = False
    if unsafe == "classifier":
        classifier.compile_network()
        classifier.encoder._compiled_call_impl = None  # without the compiler
    explain(interpreter, batch_size=1)
    here = {threading.get_ident()}
    if unsafe:
        assert interpreter.threads == here
    else:
        assert not interpreter.threads & here


def test_the_timeline_covers_the_recording_without_gap(
    explain, by_design, recording
):
    result = explain(by_design)
    duration = audio_info(recording).duration
    windows = [*rows(result)]
    assert windows[0][0] == result.segments[0].start == 0
    assert result.segments[-1].end == pytest.approx(duration, abs=1e-4)
    assert result.segments[-1].end == windows[-1][1]
    for (start, end, *_), (other_start, other_end, *_) in pairwise(windows):
        assert start < other_start <= end < other_end
    for segment, other in pairwise(result.segments):
        assert segment.end == other.start
    track = result.labels.read_text("utf-8").splitlines()
    starts = [float(row.split("\t")[0]) for row in track]
    assert starts == pytest.approx([s.start for s in result.segments], abs=1e-6)
    assert {segment.label for segment in result.segments} <= set(LABELS)


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_boxes_of_what_keeps_everything_are_the_segments(
    explain, keeper, overlap
):
    """In seconds of the recording, without a gap where windows meet."""
    result = explain(keeper, overlap=overlap)
    found = [(box.begin, box.end, box.label) for box in result.heard]
    assert len(found) == len(result.segments)
    for (begin, end, label), one in zip(found, result.segments, strict=True):
        assert (begin, end) == pytest.approx((one.start, one.end), abs=1e-4)
        assert label == one.label
    for table, boxes in ((result.boxes, found), (result.raven, found)):
        read = [(b.begin, b.end, b.label) for b in read_annotations(table)]
        for box, own in zip(read, boxes, strict=True):
            assert box[:2] == pytest.approx(own[:2], abs=1e-4)
            assert box[2] == own[2]


def test_a_target_is_explained_and_the_timeline_says_what_was_heard(
    explain, by_design
):
    plain, asked = explain(by_design), explain(by_design, target=3, out="b")
    assert {box.label for box in asked.heard} == {"crow"}
    assert [s.label for s in asked.segments] == [
        s.label for s in plain.segments
    ]


def test_results_have_the_recording_s_name_and_nothing_else_is_left(
    explain, keeper, tmp_path
):
    result = explain(keeper)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "field day.Table.1.selections.txt", "field day_kept.wav",
        "field day_labels.txt", "field day_timeline.Table.1.selections.txt",
        "field day_timeline.png", "field day_windows.csv",
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


@pytest.mark.parametrize("overlap", [0.2, 0.5])
def test_the_weights_of_a_fade_add_up_to_one(
    explain, classifier, spectrogram, tmp_path, overlap
):
    path = write_wav(tmp_path / "a.wav", torch.full((6000,), 0.5), 16000)
    weights = []
    for parity in (0, 1):  # windows 0, 2, ..., then windows 1, 3, ...
        keeper = Keeper(classifier, spectrogram)
        keeper.skips = parity
        result = explain(keeper, overlap, 1, path=path)
        weights.append(load_wav(result.kept) / 0.5)
    falling, rising = weights
    assert close(falling + rising, torch.ones(6000))
    fade = slice(round(4000 * (1 - overlap)), 4000)
    assert (rising[fade].diff() > -1e-5).all()
    assert close(rising[fade], falling[fade].flip(0), atol=1e-4)
    assert close(rising[fade].square().mean(), torch.tensor(0.375), atol=1e-3)


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
    assert not [*(tmp_path / "out").glob("*.unfinished")]


@pytest.mark.parametrize("n_done", [0, 1, 3])
def test_what_was_stopped_goes_on_with_several_threads(
    explain, by_design, threads, tmp_path, monkeypatch, n_done
):
    threads(3)
    whole = read(explain(by_design, batch_size=2, out="whole"))
    append, left = WindowStore.append, iter(range(n_done))
    with monkeypatch.context() as patch:
        patch.setattr(
            WindowStore,
            "append",
            lambda *args: append(*args) if next(left, None) is not None
            else interrupt(),
        )  # fmt: skip
        with pytest.raises(KeyboardInterrupt):
            explain(by_design, batch_size=2)
    (unfinished,) = (tmp_path / "out").iterdir()
    assert unfinished.stat().st_size // (2 * 4000 * 4) == n_done
    assert read(explain(by_design, batch_size=2)) == whole
    assert torch.get_num_threads() == 3


def test_two_calls_do_not_write_one_stream(explain, keeper, tmp_path):
    whole = read(explain(keeper, batch_size=3, out="whole"))
    n_batches = keeper.n_batches

    def call_again():
        keeper.fails_at = None
        with pytest.raises(FocalAudioError, match="by another call; wait") as e:
            explain(keeper, batch_size=3)
        assert str(e.value).count("\n") == 0

    keeper.n_batches, keeper.fails_at, keeper.fail = 0, 2, call_again
    result = explain(keeper, batch_size=3)
    assert read(result) == whole
    assert keeper.n_batches == n_batches
    assert len([*(tmp_path / "out").iterdir()]) == len(ENDINGS)


@pytest.mark.parametrize("n_bytes", [-1, -16_001, -40_000, 1, 16_024])
def test_a_batch_that_is_half_on_the_disk_is_done_again(
    explain, keeper, tmp_path, n_bytes
):
    whole = read(explain(keeper, batch_size=3, out="whole"))
    n_batches = keeper.n_batches
    keeper.fails_at = keeper.n_batches + 3
    with pytest.raises(KeyboardInterrupt):
        explain(keeper, batch_size=3)
    (unfinished,) = (tmp_path / "out").iterdir()
    with unfinished.open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) + n_bytes)
    keeper.n_batches, keeper.fails_at = 0, None
    assert read(explain(keeper, batch_size=3)) == whole
    assert keeper.n_batches == n_batches - (1 if n_bytes < 0 else 2)


@pytest.mark.parametrize("n_renames", [0, 1, 2])
def test_a_stop_between_two_results_is_as_good(
    explain, keeper, monkeypatch, n_renames
):
    whole = read(explain(keeper, batch_size=3, out="whole"))
    rename, left = os.replace, iter(range(n_renames))
    with monkeypatch.context() as patch:
        patch.setattr(
            os, "replace",
            lambda *args: rename(*args) if next(left, None) is not None
            else interrupt(),
        )  # fmt: skip
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
from focalaudio.inference.streaming import explain_stream
from focalaudio.spectrogram import Spectrogram

classifier = SoundClassifier(build_encoder("focalnet_test"), 5)
classifier.load_state_dict(torch.load(sys.argv[2]))
keeper = Keeper(classifier.eval(), Spectrogram())
keeper.fails_at = 3
keeper.fail = lambda: os.kill(os.getpid(), signal.SIGKILL)
explain_stream(
    keeper, ClipReader(16000, SECONDS),
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
    "change",
    ["weights", "recording", "overlap", "labels", "precision", "reader"],
)
def test_what_another_setting_left_is_not_gone_on_with(
    explain, keeper, recording, change, monkeypatch
):
    keeper.fails_at = 3
    with pytest.raises(KeyboardInterrupt):
        explain(keeper, batch_size=2)
    keeper.fails_at, overlap, other = None, 0.5, {}
    if change == "weights":
        with torch.no_grad():
            next(keeper.parameters()).mul_(2)
    elif change == "recording":
        write_wav(recording, load_wav(recording) / 2, 44100)
    elif change == "labels":
        monkeypatch.setattr(sys.modules[__name__], "LABELS", list("abcde"))
    elif change == "overlap":
        overlap = 0.4
    elif change == "reader":
        other = {"reader": LevelReader(16000, SECONDS)}
    with torch.autocast("cpu", enabled=change == "precision"):
        again = read(explain(keeper, overlap, 2, **other))
        fresh = read(explain(keeper, overlap, 2, out="fresh", **other))
    assert again == fresh


def test_foreign_text_is_shown_escaped(
    keeper, reader, recording, tmp_path, caplog, capsys
):
    odd = recording.rename(recording.with_name("odd\x1b[2J\u202ename.wav"))
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{odd.stem}.unfinished").write_text("of another")
    explain_stream(keeper, reader, LABELS, odd, out)
    (warning,) = [r for r in caplog.records if "another stream" in r.message]
    bar = capsys.readouterr().err.replace("\r", "\n")
    for text in (warning.message, *bar.splitlines()):
        assert text.isprintable()
    assert "odd\\x1b[2J\\u202ename" in warning.message
    assert "odd\\x1b[2J\\u202ename.wav" in bar


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
    monkeypatch.setattr(stream_plan, "MAX_WAV_BYTES", 1000)
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


def test_a_recording_that_ends_in_no_numbers_leaves_nothing(
    explain, keeper, tmp_path
):
    wav = swells(60000).numpy()
    wav[50000] = math.nan
    path = tmp_path / "nan.wav"
    soundfile.write(path, wav, 16000, "FLOAT")
    with pytest.raises(AudioError, match="not finite|NaN|nan"):
        explain(keeper, path=path)
    assert not [*(tmp_path / "out").glob("*")]


def test_windows_that_are_silent_or_like_no_class_have_none(
    by_design, reader, tmp_path
):
    wav = swells(16000)
    wav[5000:11000] = 0
    path = write_wav(tmp_path / "a.wav", wav, 16000)
    labels = []
    for name, rule in (
        ("free", None),
        ("all", Novelty((NoveltyRule("probability", 0.0),))),
        ("none", Novelty((NoveltyRule("probability", 1.1),))),
    ):
        result = explain_stream(
            by_design, reader, LABELS, path, tmp_path / name, novelty=rule
        )
        with result.windows.open(encoding="utf-8") as file:
            rows = [*csv.DictReader(file)]
        labels.append([row["label"] for row in rows])
        for row in rows:  # no class, no probability
            has_class = row["label"] != NO_EVIDENCE
            assert bool(row["probability"]) == has_class
        for table in (result.labels, result.raven):
            for line in table.read_text("utf-8").splitlines():
                if NO_EVIDENCE in line:
                    assert line.endswith((NO_EVIDENCE, f"{NO_EVIDENCE}\t"))
    free, all_, none = labels
    assert free == all_
    silent = [place for place, label in enumerate(free) if label == NO_EVIDENCE]
    assert silent == [3]  # samples 6000 to 10000
    assert set(none) == {NO_EVIDENCE}
