import pytest
import torch

from focalaudio.audio import audio_info, load_wav
from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.metrics.columns import Sources
from focalaudio.report import clips
from focalaudio.report.clips import InterpretationExporter
from focalaudio.report.tables import read_csv
from focalaudio.spectrogram import Spectrogram
from focalaudio.waveforms import loudness_gain

STEP = 2**-15  # of a 16-bit file
PARTS = ("input", "kept", "removed")


@pytest.fixture(scope="module")
def interpretation():
    """Three clips of 4000, 3000 and 3500 samples, the last one silent."""
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test", in_channels=1)
    classifier = SoundClassifier(encoder, 2, "linear", image_size=(32, 32))
    wavs = 2 * torch.rand(3, 4000) - 1
    wavs[1, 3000:] = 0
    wavs[2] = 0
    lens = torch.tensor([1.0, 0.75, 0.875])
    return ThresholdInterpreter(classifier, Spectrogram(), quantile=0.7)(
        wavs, lens
    )


def make_exporter(folder, **kwargs):
    return InterpretationExporter(
        folder, Spectrogram(), ["dog", "rain"], **kwargs
    )


@pytest.fixture
def exported(interpretation, tmp_path, monkeypatch):
    """A folder written without its pictures, which are slow."""
    monkeypatch.setattr(clips, "save_picture", lambda figure, path: path)
    exporter = make_exporter(tmp_path / "new")
    exporter(interpretation, ["a", "b", "c"], ["dog", "rain", "dog"])
    return tmp_path / "new"


def test_three_sounds_and_a_picture_for_each_clip(interpretation, tmp_path):
    make_exporter(tmp_path)(interpretation, ["a"], ["dog"])
    names = [*(f"a_{part}.wav" for part in PARTS), "a.png"]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_sounds_are_as_long_as_the_clip_at_its_rate(exported):
    for clip, samples in {"a": 4000, "b": 3000, "c": 3500}.items():
        for part in PARTS:
            info = audio_info(exported / f"{clip}_{part}.wav")
            assert (info.n_frames, info.sample_rate) == (samples, 16000)


def test_kept_and_removed_add_up_to_the_input(exported):
    for clip in "abc":
        whole, kept, removed = (
            load_wav(exported / f"{clip}_{part}.wav", 16000) for part in PARTS
        )
        torch.testing.assert_close(kept + removed, whole, atol=2 * STEP, rtol=0)


def test_one_gain_for_all_three(exported, interpretation):
    kept = load_wav(exported / "a_kept.wav", 16000)
    removed = load_wav(exported / "a_removed.wav", 16000)
    gain = (kept @ interpretation.wavs[0]) / interpretation.wavs[0].norm() ** 2
    for part, wav in (
        (kept, interpretation.wavs[0]),
        (removed, interpretation.removed_wavs[0]),
    ):
        torch.testing.assert_close(part, gain * wav, atol=2 * STEP, rtol=0)
    assert all(part.abs().max() <= 1 for part in (kept, removed))


def test_sources_add_up_to_the_input_at_one_gain(interpretation, tmp_path):
    first = 3 * torch.randn(3, 4000)  # louder than the mixture
    wavs = interpretation.wavs + interpretation.removed_wavs
    ids, energy = torch.zeros(3, dtype=torch.long), torch.ones(3, 1, 1)
    sources = Sources(first, wavs - first, energy, energy, ids, ids)
    make_exporter(tmp_path)(interpretation, ["a"], ["dog"], sources)
    parts = ("source_1", "source_2", "input")
    one, two, both = (
        load_wav(tmp_path / f"a_{part}.wav", 16000) for part in parts
    )
    torch.testing.assert_close(one + two, both, atol=2 * STEP, rtol=0)
    assert one.abs().max() > 0.9 > both.abs().max()


def test_nothing_is_made_before_the_first_clip(tmp_path):
    make_exporter(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("rows", "written"), [([], ""), ([2, 0], "ac"), (None, "abc")]
)
def test_rows_that_are_asked_for_are_written(
    interpretation, tmp_path, monkeypatch, rows, written
):
    monkeypatch.setattr(clips, "save_picture", lambda figure, path: path)
    names, labels = ["a", "b", "c"], ["dog", "rain", "dog"]
    make_exporter(tmp_path)(interpretation, names, labels, rows=rows)
    assert {path.name[0] for path in tmp_path.iterdir()} == set(written)


def test_what_was_kept_is_made_as_loud_as_the_input(
    interpretation, tmp_path, monkeypatch
):
    monkeypatch.setattr(clips, "save_picture", lambda figure, path: path)
    exporter = make_exporter(tmp_path, match_loudness=True)
    for _ in range(2):  # written again, each clip stands there once
        exporter(interpretation, ["a", "b", "c"], ["dog", "rain", "dog"])
    gains = {r["clip_id"]: r["gain_db"] for r in read_csv(exporter.listening)}
    assert list(gains) == ["a", "b", "c"]
    assert gains["a"] > 1  # a part is softer than the whole
    assert gains["c"] == 0  # silence stays silence
    for clip, decibels in gains.items():
        kept, heard = (
            load_wav(tmp_path / f"{clip}_{part}.wav", 16000)
            for part in ("kept", "listen")
        )
        torch.testing.assert_close(
            heard, 10 ** (decibels / 20) * kept, atol=4 * STEP, rtol=0
        )
        assert heard.abs().max() <= 1
    whole = load_wav(tmp_path / "a_input.wav", 16000)
    heard = load_wav(tmp_path / "a_listen.wav", 16000)
    peak = heard.abs().max()
    assert abs(loudness_gain(heard, whole, 16000)) < 0.1 or peak > 0.99
