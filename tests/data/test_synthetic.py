import csv
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from focalaudio.data import synthetic
from focalaudio.data.synthetic import (
    CLASSES,
    LEVEL_DB,
    MAX_SHARE,
    SNR_DB,
    synthesize_clip,
    write_dataset,
)
from focalaudio.errors import DataError

CLIPS, SECONDS, RATE = 20, 2.0, 16000
STEP = 1 / 32768  # of 16-bit audio
SMALL = {"seconds": 1.0, "n_folds": 2, "classes": ("bell", "knock")}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "data"
    return write_dataset(folder, CLIPS, 7, seconds=SECONDS)


@pytest.fixture(scope="module")
def rows(data):
    with open(data / "meta" / "esc50.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def wavs(data, rows):
    """Clips and stems as they stand in the files: two [clips, samples]."""
    return tuple(
        np.stack([soundfile.read(data / a / r["filename"])[0] for r in rows])
        for a in ("audio", "stems")
    )


def contents(folder):
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def wav_contents(folder):
    return {k: v for k, v in contents(folder).items() if k.endswith(".wav")}


def decibels(ratio):
    return 10 * np.log10(ratio)


# ----------------------------------------------------------------- layout


def test_columns_and_names_are_those_of_esc50(rows):
    columns = "filename fold target category esc10 src_file take"
    assert " ".join(rows[0]) == columns
    for row in rows:
        name = re.fullmatch(r"(\d)-(\d+)-([A-Z])-(\d+)\.wav", row["filename"])
        parts = (row["fold"], row["src_file"], row["take"], row["target"])
        assert name.groups() == parts
        assert CLASSES[int(row["target"])] == row["category"]
    assert [r["filename"] for r in rows] == sorted(r["filename"] for r in rows)


def test_every_row_has_a_clip_and_a_stem_and_nothing_else_is_there(data, rows):
    names = sorted(row["filename"] for row in rows)
    assert len(set(names)) == CLIPS * len(CLASSES)
    for folder in ("audio", "stems"):
        assert sorted(p.name for p in (data / folder).iterdir()) == names
        for name in names:
            info = soundfile.info(data / folder / name)
            form = (info.samplerate, info.frames, info.channels, info.subtype)
            assert form == (RATE, SECONDS * RATE, 1, "PCM_16")


def test_every_class_is_in_every_fold_equally_often(rows):
    cells = [(row["category"], row["fold"]) for row in rows]
    assert len(set(cells)) == len(CLASSES) * 5
    assert {cells.count(cell) for cell in cells} == {CLIPS // 5}


def test_every_clip_is_its_own_source(rows):
    assert len({row["src_file"] for row in rows}) == len(rows)


# ------------------------------------------------------------ determinism


def test_same_seed_same_bytes(tmp_path):
    first = write_dataset(tmp_path / "a", 2, 3, **SMALL)
    second = write_dataset(tmp_path / "b", 2, 3, **SMALL)
    assert contents(first) == contents(second)


def test_other_seed_changes_every_clip(tmp_path):
    first = wav_contents(write_dataset(tmp_path / "a", 2, 3, **SMALL))
    second = wav_contents(write_dataset(tmp_path / "b", 2, 4, **SMALL))
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)


def test_no_two_clips_are_alike(wavs):
    assert len({wav.tobytes() for wav in wavs[0]}) == len(wavs[0])


def test_fewer_clips_are_a_part_of_more(tmp_path):
    small = wav_contents(write_dataset(tmp_path / "a", 2, 3, **SMALL))
    large = wav_contents(write_dataset(tmp_path / "b", 5, 3, **SMALL))
    assert len(small) == 2 * 2 * 2
    assert small.items() < large.items()


def test_fewer_classes_are_a_part_of_more(tmp_path):
    form = {"seconds": 1.0, "n_folds": 1}
    one = write_dataset(tmp_path / "a", 1, 3, classes=["knock"], **form)
    every = write_dataset(tmp_path / "b", 1, 3, **form)
    assert wav_contents(one).items() < wav_contents(every).items()


def test_the_global_generators_are_left_alone():
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    synthesize_clip("gust", 0, 1, seconds=1.0)
    after = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after


# ----------------------------------------------------------------- sounds


def test_clip_is_stem_plus_background(data, rows, wavs):
    for index, category in ((0, "bark"), (7, "clicks"), (19, "siren")):
        clip = synthesize_clip(category, index, 7, seconds=SECONDS)
        source = 100000 + index * len(CLASSES) + CLASSES.index(category)
        at = [row["src_file"] for row in rows].index(str(source))
        written, stem = (wav[at] for wav in wavs)
        together = stem + clip.background.numpy()
        np.testing.assert_allclose(written, together, atol=2 * STEP)
        np.testing.assert_allclose(stem, clip.stem.numpy(), atol=2 * STEP)
        assert torch.equal(clip.wav, clip.stem + clip.background)


def test_snr_is_within_its_range_and_fills_it(wavs):
    clips, stems = (w.reshape(len(w), -1, RATE // 50) for w in wavs)
    power = (stems**2).mean(2)  # [clips, frames]
    sounds = power > 0.01 * power.max(1, keepdims=True)
    noise = ((clips - stems) ** 2).mean(2)
    ratio = (power * sounds).sum(1) / (noise * sounds).sum(1)
    assert decibels(ratio).min() > SNR_DB[0] - 0.3
    assert decibels(ratio).max() < SNR_DB[1] + 0.3
    assert np.ptp(decibels(ratio)) > 0.8 * np.ptp(SNR_DB)


def test_level_is_within_its_range_and_nothing_clips(wavs):
    level = decibels((wavs[0] ** 2).mean(1))
    assert level.max() < LEVEL_DB[1] + 0.1
    assert np.ptp(level) > 0.8 * np.ptp(LEVEL_DB)
    assert np.abs(wavs).max() < 0.99 + STEP


@pytest.mark.parametrize("category", CLASSES)
@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_event_is_compact_and_heard(category, seconds):
    for seed in range(5):
        clip = synthesize_clip(category, 0, seed, seconds=seconds)
        assert clip.stem.shape == (round(seconds * RATE),)
        assert clip.stem.isfinite().all()
        assert 0.01 < (clip.stem != 0).float().mean() <= MAX_SHARE


@pytest.mark.parametrize("category", CLASSES)
def test_event_keeps_its_seconds_at_another_rate(category):
    spans = []
    for rate in (16000, 44100):
        form = {"sample_rate": rate, "seconds": 2.0}
        stem = synthesize_clip(category, 0, 1, **form).stem
        spans.append(stem.nonzero().flatten()[[0, -1]].numpy() / rate)
    np.testing.assert_allclose(spans[0], spans[1], atol=0.1)


def test_background_is_never_silent():
    for seed in range(20):
        wav = synthesize_clip("bell", 0, seed, seconds=2.0).background
        power = (wav.reshape(-1, RATE // 50) ** 2).mean(1)
        assert power.min() > 1e-3 * power.mean()


# ------------------------------------------------------ what gives it away


def nearest_centroid_accuracy(cues, rows):
    """Fit on folds 1 to 4, test on 5; `cues` is [clips, cues]."""
    targets = np.array([int(row["target"]) for row in rows])
    test = np.array([row["fold"] == "5" for row in rows])
    spread = cues[~test].std(0) + 1e-9
    cues = (cues - cues[~test].mean(0)) / spread
    ids = range(len(CLASSES))
    centers = [cues[~test & (targets == k)].mean(0) for k in ids]
    distances = [((cues[test] - center) ** 2).sum(1) for center in centers]
    return (np.argmin(distances, 0) == targets[test]).mean()


def log_spectrogram(wav, bands=24):
    """[frames, bands], bands an equal ratio apart."""
    frames = np.lib.stride_tricks.sliding_window_view(wav, 512)[::128]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(512)))
    edges = np.unique(np.geomspace(2, 256, bands).astype(int))
    parts = np.add.reduceat(magnitude, edges[:-1], 1)
    return np.log1p(20 * parts)


def trivial_cues(wav):
    magnitude, hz = np.abs(np.fft.rfft(wav)), np.fft.rfftfreq(len(wav))
    level = decibels((wav**2).mean())
    return level, len(wav), (hz * magnitude).sum() / magnitude.sum()


def moving_cues(wav):
    """How each band's level is spread over time, and how fast it moves."""
    image = log_spectrogram(wav)
    steps = np.abs(np.diff(image, axis=0)).mean(0)
    peaks = np.sort(image, 0)[::-1][: len(image) // 10].mean(0)
    return np.concatenate([image.std(0), steps, peaks - image.mean(0)])


def test_level_duration_and_centroid_do_not_give_the_class_away(rows, wavs):
    cues = np.array([trivial_cues(wav) for wav in wavs[0]])
    assert nearest_centroid_accuracy(cues, rows) < 0.35


def test_backgrounds_do_not_give_the_class_away(rows, wavs):
    backgrounds = wavs[0] - wavs[1]
    loud = backgrounds / backgrounds.std(1, keepdims=True)
    cues = np.array([log_spectrogram(wav).mean(0) for wav in loud])
    assert nearest_centroid_accuracy(cues, rows) < 0.3


def test_events_do_give_the_class_away(rows, wavs):
    loud = wavs[1] / wavs[1].std(1, keepdims=True)
    cues = np.array([moving_cues(wav) for wav in loud])
    assert nearest_centroid_accuracy(cues, rows) > 0.6


# ----------------------------------------------------------- the folder


def refuse_to_write(*args, **kwargs):
    raise OSError("No space left on device")


def test_the_same_data_set_is_kept(tmp_path, monkeypatch):
    write_dataset(tmp_path / "a", 2, 3, **SMALL)
    monkeypatch.setattr(synthetic, "write_wav", refuse_to_write)
    turned = {**SMALL, "classes": ["knock", "bell"], "seconds": 1}
    assert write_dataset(tmp_path / "a", 2, 3, **turned) == tmp_path / "a"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "a").mkdir()
    assert (write_dataset(tmp_path / "a", 2, **SMALL) / "audio").is_dir()


@pytest.mark.parametrize("change", [{"seed": 4}, {"clips_per_class": 3}])
def test_another_data_set_is_refused_and_left_alone(tmp_path, change):
    arguments = {"clips_per_class": 2, "seed": 3, **SMALL}
    before = contents(write_dataset(tmp_path / "a", **arguments))
    with pytest.raises(DataError, match="holds something else"):
        write_dataset(tmp_path / "a", **{**arguments, **change})
    assert contents(tmp_path / "a") == before


def test_a_foreign_folder_or_file_is_refused_and_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("years of work")
    (tmp_path / "b").write_text("a file")
    for name in "ab":
        with pytest.raises(DataError, match="another folder"):
            write_dataset(tmp_path / name, 2, **SMALL)
    expected = {"a/thesis.txt": b"years of work", "b": b"a file"}
    assert contents(tmp_path) == expected


def test_a_damaged_folder_is_refused(tmp_path):
    folder = write_dataset(tmp_path / "a", 2, **SMALL)
    gone = min((folder / "stems").iterdir())
    gone.unlink()
    with pytest.raises(DataError, match=f"lacks 1 .*{gone.name}"):
        write_dataset(folder, 2, **SMALL)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "write_wav", refuse_to_write)
    with pytest.raises(OSError, match="No space"):
        write_dataset(tmp_path / "a", 2, **SMALL)
    assert not list(tmp_path.iterdir())


def test_the_second_of_two_writers_keeps_the_first_ones_folder(
    tmp_path, monkeypatch
):
    write = synthetic._write_clips

    def overtaken(folder, plan):
        write(folder, plan)
        write(tmp_path / "a", plan)

    monkeypatch.setattr(synthetic, "_write_clips", overtaken)
    assert write_dataset(tmp_path / "a", 2, **SMALL) == tmp_path / "a"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clips_per_class": 4}, "clips_per_class=4 must be at least 5"),
        ({"n_folds": 0}, "n_folds=0"),
        ({"seed": -1}, "seed=-1"),
        ({"seconds": float("nan")}, "seconds=nan"),
        ({"sample_rate": 8000}, "sample_rate=8000 must be at least 16000 Hz"),
        ({"classes": ()}, "at least one class"),
        ({"classes": ["dog"]}, "category='dog' must be one of: bark"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_made(
    tmp_path, arguments, message
):
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path / "deep" / "a", **arguments)
    assert not list(tmp_path.iterdir())


def test_an_unknown_class_has_no_clip():
    with pytest.raises(ValueError, match="category='dog'"):
        synthesize_clip("dog", 0, 0)
