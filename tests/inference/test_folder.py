"""Laws of a folder of explanations: it can stop anywhere, and goes on."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from focalaudio.audio import load_wav, write_wav
from focalaudio.cli import main
from focalaudio.data.annotations import read_annotations
from focalaudio.data.pipelines import ClipReader
from focalaudio.errors import DataError
from focalaudio.inference import folder_report
from focalaudio.inference.folder import FolderExplainer, explain_files
from focalaudio.inference.foreign import LevelReader
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.requests import Request
from focalaudio.inference.store import ClipStore
from focalaudio.inference.stream_result import StreamResult
from focalaudio.inference.streamed import tell_longest
from focalaudio.metrics.novelty import NoveltyRule
from focalaudio.models.novelty import Novelty
from focalaudio.report import clips
from focalaudio.report.timeline import Segment
from focalaudio.version import __version__

RATE = 16000


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(
        clips, "save_picture", lambda figure, path: Path(path).touch()
    )
    monkeypatch.setattr(clips, "draw_interpretation", lambda *a, **k: None)


@pytest.fixture(scope="module")
def model(exported):
    return SoundInterpreter.from_hparams(exported)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Three clips, silence, a text, and a recording of 2.5 clips."""
    folder = tmp_path_factory.mktemp("sounds")
    torch.manual_seed(0)
    for name, n_samples in (("b", 16000), ("a", 9000), ("c", 20000)):
        write_wav(folder / f"{name}.wav", 0.1 * torch.rand(n_samples), RATE)
    write_wav(folder / "silent.wav", torch.zeros(16000), RATE)
    (folder / "text.wav").write_text("no sound")
    write_wav(folder / "z_long.wav", 0.1 * torch.rand(40000), RATE)
    return sorted(folder.iterdir())


QUICK = Request(media=False)


def run(model, out, paths, request=QUICK, most=None):
    """Explain files, or the first of them only."""
    with FolderExplainer(model, out, request) as explainer:
        outcomes = []
        for outcome in explainer.explain(paths):
            outcomes.append(outcome)
            if len(outcomes) == most:
                return outcomes
        explainer.finish()
        return outcomes


def test_an_answer_is_told_before_anything_is_written(model, sounds, tmp_path):
    told = []

    def tell(path, answer):
        written = list(tmp_path.rglob(f"{path.stem}*.*"))
        assert bool(written) == (path.stem == "z_long")  # a recording
        told.append((path, answer))

    request = Request(report=False)
    with FolderExplainer(model, tmp_path, request) as explainer:
        outcomes = list(explainer.explain(sounds, tell))
    answered = [(each.path, each.answer) for each in outcomes if each.answer]
    assert told == answered
    assert (tmp_path / "a_kept.wav").exists()


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def done(model, sounds, tmp_path_factory):
    out = tmp_path_factory.mktemp("done")
    return run(model, out, sounds), out


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_sound_has_a_row_and_every_bad_file_a_reason(done, sounds):
    outcomes, out = done
    assert [outcome.path for outcome in outcomes] == sounds
    bad = [outcome.path.name for outcome in outcomes if outcome.error]
    assert bad == ["text.wav"]
    rows = read(out / "clips.csv")
    assert [row["clip_id"] for row in rows] == [
        "a",
        "b",
        "c",
        "silent",
        "z_long",
    ]
    (failed,) = read(out / "failed.csv")
    assert failed["path"].endswith("text.wav")
    assert "looks like text" in failed["error"]


def test_rows_say_what_the_model_says(done, model, sounds):
    rows = {row["clip_id"]: row for row in read(done[1] / "clips.csv")}
    found = model.explain_file(sounds[0])
    row = rows["a"]
    probs = found.probs[0]
    assert row["predicted"] == row["best_1"]
    assert row["predicted"] == model.labels[int(probs.argmax())]
    assert float(row["probability"]) == pytest.approx(float(probs.max()), 1e-4)
    assert float(row["kept_fraction"]) == pytest.approx(
        float(found.kept_fraction[0]), abs=1e-5
    )
    assert float(row["seconds"]) == 9000 / RATE
    assert "Padded" in row["warnings"]
    assert "Cut" in rows["c"]["warnings"]
    assert rows["silent"]["known"] == "no evidence"
    assert rows["b"]["known"] == "known"
    total = sum(float(row[f"best_{n}_p"]) for n in range(1, 4))
    assert total == pytest.approx(1, abs=1e-4)


def test_boxes_are_in_one_table_and_beside_each_clip(done):
    out = done[1]
    rows = read(out / "boxes.csv")
    for clip_id in "abc":
        own = [row for row in rows if row["clip_id"] == clip_id]
        for name in (
            f"{clip_id}.Table.1.selections.txt",
            f"{clip_id}_boxes.txt",
        ):
            boxes = read_annotations(out / name)
            assert [b.label for b in boxes] == [row["label"] for row in own]
            assert [b.begin for b in boxes] == [
                pytest.approx(float(row["begin_s"])) for row in own
            ]
    assert not [row for row in rows if row["clip_id"] == "silent"]


@pytest.mark.parametrize(("n", "said"), [(1, "1 segment"), (2, "2 segments")])
def test_segments_of_a_recording_are_counted(n, said, tmp_path):
    segments = tuple(Segment(i, i + 1.0, f"dog{i}", 0.5) for i in range(n))
    paths = (tmp_path,) * 6
    result = StreamResult(*paths, segments, (), n * RATE, RATE, 1.0)
    assert tell_longest(result) == f"dog0 in 1.0 of {n:.1f} s ({said})"


def test_a_long_recording_has_a_timeline_and_boxes_all_along(done):
    folder = done[1] / "z_long"
    assert {path.name for path in folder.iterdir()} == {
        "z_long_windows.csv",
        "z_long_labels.txt",
        "z_long_timeline.Table.1.selections.txt",
        "z_long.Table.1.selections.txt",
    }
    rows = {row["clip_id"]: row for row in read(done[1] / "clips.csv")}
    assert float(rows["z_long"]["seconds"]) == 2.5
    assert int(rows["z_long"]["n_windows"]) == 4
    boxes = read_annotations(folder / "z_long.Table.1.selections.txt")
    own = [r for r in read(done[1] / "boxes.csv") if r["clip_id"] == "z_long"]
    assert len(boxes) == len(own) > 0
    assert max(box.end for box in boxes) > 1.5
    assert max(box.end for box in boxes) <= 2.5


@pytest.mark.parametrize("n_done", [1, 3, 5])
def test_stopped_and_started_again_is_never_stopped(
    model, sounds, done, tmp_path, n_done
):
    run(model, tmp_path, sounds, most=n_done)
    outcomes = run(model, tmp_path, sounds)
    assert not any(one.is_new for one in outcomes[:n_done] if not one.error)
    ours, theirs = contents(tmp_path), contents(done[1])
    assert ours.keys() == theirs.keys()
    for name in ours:
        if not name.endswith((".jsonl", ".png")):
            assert ours[name] == theirs[name], name


def test_nothing_is_explained_twice(model, sounds, done, monkeypatch):
    monkeypatch.setattr(SoundInterpreter, "look", None)
    monkeypatch.setattr(SoundInterpreter, "explain_stream", None)
    before = (done[1] / "clips.csv").read_bytes()
    outcomes = run(model, done[1], sounds)
    assert not any(o.is_new for o in outcomes if not o.error)
    assert (done[1] / "clips.csv").read_bytes() == before


def test_whole_clips_are_classified_once(model, sounds, tmp_path, monkeypatch):
    seen = []
    look = SoundInterpreter.look
    monkeypatch.setattr(
        SoundInterpreter, "look", lambda *given: seen.append(1) or look(*given)
    )
    run(model, tmp_path, sounds[:2], Request(compare=("random",)))
    assert len(seen) == 2  # other methods, quantiles and classes need no more


def test_other_settings_are_refused_and_nothing_is_touched(model, sounds, done):
    before = contents(done[1])
    for other in (Request(media=False, quantile=0.5), Request()):
        with pytest.raises(DataError, match="holds results with"):
            run(model, done[1], sounds, other)
    assert contents(done[1]) == before


def set_up_otherwise(model, change):
    """The same weights and labels, and something else that answers rest on."""
    own = model.model
    rules = Novelty((NoveltyRule("probability", 0.5),))
    changed = {
        "temperature": {"temperature": 2.0},
        "novelty": {"novelty": rules},
        "reader": {"reader": ClipReader(RATE, 0.5)},
        "level": {"reader": LevelReader(RATE, own.reader.clip_seconds)},
    }
    bf16 = {"precision": "bf16"} if change == "precision" else {}
    return SoundInterpreter(replace(own, **changed.get(change, {})), bf16)


@pytest.mark.parametrize(
    "change", ["temperature", "novelty", "reader", "level", "precision"]
)
def test_a_model_that_answers_otherwise_goes_on_with_nothing(
    model, sounds, done, change
):
    before = contents(done[1])
    run(set_up_otherwise(model, ""), done[1], sounds)  # as it was: it goes on
    with pytest.raises(DataError, match="holds results with"):
        run(set_up_otherwise(model, change), done[1], sounds)
    assert contents(done[1]) == before


def test_a_folder_of_an_older_record_is_refused(model, sounds, tmp_path):
    older = {"version": __version__, "model": ["ab"], "labels": model.labels}
    line = json.dumps({"settings": older})
    (tmp_path / "progress.jsonl").write_text(f"\n{line}\n")
    with pytest.raises(DataError, match="give the same settings or another"):
        run(model, tmp_path, sounds)


def test_a_clip_s_files_appear_together_or_not_at_all(
    model, sounds, tmp_path, monkeypatch
):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(clips, "draw_interpretation", fail)
    with pytest.raises(OSError, match="No space left"):
        run(model, tmp_path, sounds[:1], Request())
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {".lock"} == {"progress.jsonl"}


def test_other_methods_are_told_on_the_same_clips(model, sounds, tmp_path):
    request = Request(media=False, compare=("random", "loudest"))
    run(model, tmp_path, sounds[:2], request)
    rows = read(tmp_path / "comparison.csv")
    methods = [row["method"].split(",")[0] for row in rows]
    assert methods == ["stage_2", "random", "loudest"] * 2
    found = model.explain_file(sounds[0], method="random")
    assert float(rows[1]["kept_energy"]) == pytest.approx(
        float(found.kept_energy[0]), rel=1e-3
    )
    assert (tmp_path / "by_random" / "a_boxes.txt").exists()
    with pytest.raises(ValueError, match="compare='x': method='x' must be"):
        run(model, tmp_path / "no", [], Request(compare=("x",)))
    assert not (tmp_path / "no").exists()


def test_what_is_compared_has_the_quantile_if_it_has_any(
    model, sounds, tmp_path
):
    methods = ("random", "piq", "random", "by_design")
    request = Request(media=False, quantile=0.8, compare=methods)
    run(model, tmp_path, sounds[:1], request)
    rows = read(tmp_path / "comparison.csv")
    assert [row["method"] for row in rows] == [
        "stage_2, quantile 0.8",
        "random, quantile 0.8",
        model.interpreter(method="piq").name,
    ]  # each once


def test_numbers_of_numpy_are_numbers(model, sounds, tmp_path):
    label = model.labels[1]
    request = Request(quantile=np.float32(0.5), target=np.int64(1))
    run(model, tmp_path, [sounds[0], sounds[-1]], request)
    for target in (1, "1", label):
        same = Request(quantile=0.5, target=target)
        outcomes = run(model, tmp_path, [sounds[0], sounds[-1]], same)
        assert not any(outcome.is_new for outcome in outcomes)
    rows = read(tmp_path / "clips.csv")
    assert rows[0]["explained"] == label
    warm = replace(model.model, temperature=np.float32(2.0))
    run(SoundInterpreter(warm), tmp_path / "warm", sounds[:1])


def test_sounds_pictures_and_a_report_are_written(model, sounds, tmp_path):
    (outcome,) = run(model, tmp_path, sounds[:1], Request())
    assert {path.name for path in outcome.files} == {
        "a.png",
        "a_kept.wav",
        "a_input.wav",
        "a_removed.wav",
        "a_boxes.txt",
        "a.Table.1.selections.txt",
    }
    kept, removed, whole = (
        load_wav(tmp_path / f"a_{part}.wav")
        for part in ("kept", "removed", "input")
    )
    torch.testing.assert_close(kept + removed, whole, atol=2**-14, rtol=0)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What was heard in" in page


def test_the_report_of_more_clips_has_the_first_ones_too(
    model, sounds, tmp_path
):
    run(model, tmp_path, sounds[:1], Request())
    run(model, tmp_path, sounds[:2], Request())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '"id": "a"' in page
    assert '"id": "b"' in page


def shown_in(out):
    """The names and sounds of a report, as they are encoded."""
    page = (out / "report.html").read_text(encoding="utf-8")
    names = re.findall(r'{"id": "([^"]*)", "label": null, "top"', page)
    sounds = re.findall(r'"sound": "([^"]*)"', page)
    return dict(zip(names, sounds, strict=True))


@pytest.fixture
def changing(tmp_path):
    """`changing(name, n_samples)` writes a sound, another one each time."""
    folder = tmp_path / "changing"

    def write(name, n_samples):
        wav = 0.1 * torch.rand(n_samples)
        return write_wav(folder / f"{name}.wav", wav, RATE)

    folder.mkdir()
    return write


def test_the_report_has_the_sound_of_a_file_that_changed(
    model, tmp_path, changing
):
    lengths = {"a": 9000, "b": 9000, "long": 40000}
    paths = [changing(name, n) for name, n in lengths.items()]
    out = tmp_path / "out"
    run(model, out, paths, Request())
    before = shown_in(out)
    assert [name for name in before if " at " not in name] == ["a", "b"]
    changing("a", 8000)
    changing("long", 9000)  # no recording any more
    run(model, out, paths, Request())
    after = shown_in(out)
    assert list(after) == ["a", "b", "long"]
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]


def test_windows_that_start_near_each_other_are_all_shown(tmp_path):
    def classify(wavs):
        parts = wavs[:, ::2], wavs[:, 1::2]
        return torch.stack([60 * part.square().mean(1) for part in parts], 1)

    model = SoundInterpreter.from_classifier(
        classify, ["even", "odd"], RATE, clip_seconds=0.05
    )
    wav = 0.05 * torch.rand(RATE)
    wav[3000:3400:2] = wav[3801:4201:2] = 0.9  # one class, then the other
    path = write_wav(tmp_path / "a.wav", wav, RATE)
    run(model, tmp_path / "out", [path], Request(method="random"))
    starts = [float(name.split()[2]) for name in shown_in(tmp_path / "out")]
    assert len(starts) == 2
    assert f"{starts[0]:.1f}" == f"{starts[1]:.1f}"


def test_a_full_report_has_room_for_a_file_that_changed(
    model, tmp_path, changing, monkeypatch
):
    monkeypatch.setattr(folder_report, "MOST_REPORTED", 2)
    paths = [changing(name, 9000) for name in "abc"]
    out = tmp_path / "out"
    run(model, out, paths, Request())
    before = shown_in(out)
    assert list(before) == ["a", "b"]
    changing("b", 8000)
    run(model, out, paths, Request())
    assert list(shown_in(out)) == ["a", "b"]
    assert shown_in(out)["b"] != before["b"]


def test_a_file_that_became_unreadable_failed_and_nothing_else(
    model, tmp_path, changing
):
    paths = [changing(name, 9000) for name in "ab"]
    out = tmp_path / "out"
    run(model, out, paths, Request())
    for path in paths:
        path.write_text("no sound")
        run(model, out, paths, Request())
        failed = len(read(out / "failed.csv"))
        known = read(out / "clips.csv") if (out / "clips.csv").exists() else []
        assert failed + len(known) == 2
        assert list(shown_in(out)) == [row["clip_id"] for row in known]
    assert not (out / "boxes.csv").exists()
    changing("a", 9000)
    run(model, out, paths[:1], Request())
    assert [row["clip_id"] for row in read(out / "clips.csv")] == ["a"]


def test_what_was_found_of_a_file_that_is_away_stays(model, tmp_path, changing):
    """As on a drive that is not mounted."""
    paths = [changing("a", 9000), changing("long", 40000)]
    out, away = tmp_path / "out", tmp_path / "away"
    run(model, out, paths, Request())
    before = contents(out)
    paths[0].parent.rename(away)
    outcomes = run(model, out, paths, Request())
    assert all(each.error for each in outcomes)
    assert len(read(out / "failed.csv")) == 2
    after = contents(out)
    for name in before.keys() - {"failed.csv", "clips.csv"}:
        assert after[name] == before[name], name
    assert {row["clip_id"] for row in read(out / "clips.csv")} == {"a", "long"}
    away.rename(paths[0].parent)
    assert not any(each.is_new for each in run(model, out, paths, Request()))


def test_results_beside_the_sounds_are_no_sounds(model, tmp_path, changing):
    paths = [changing("a", 9000), changing("long", 40000)]
    beside = paths[0].parent
    how = {"model": model, "compare": ("random",), "report": False}
    explain_files(beside, beside, **how)
    for asked in (beside, beside / "**/*.wav", [*beside.rglob("*.wav")]):
        outcomes = explain_files(asked, beside, **how)
        assert sorted(outcome.path for outcome in outcomes) == paths
        assert not any(outcome.is_new for outcome in outcomes)


def test_results_replace_no_sound_of_the_user_s(model, tmp_path, changing):
    path, own = changing("a", 9000), changing("a_kept", 8000)
    before = own.read_bytes()
    how = {"model": model, "report": False}
    (outcome,) = explain_files(path, path.parent, **how)
    assert own.read_bytes() == before
    assert path.with_name("a-2_kept.wav") in outcome.files
    explained = explain_files(path.parent, path.parent, **how)
    assert [outcome.path for outcome in explained] == [path, own]


def test_files_that_were_written_before_a_stop_are_our_own(
    model, sounds, tmp_path, monkeypatch
):
    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ClipStore, "add", stop)
        with pytest.raises(KeyboardInterrupt):
            run(model, tmp_path, sounds[:1])
    assert (tmp_path / "a_boxes.txt").exists()
    run(model, tmp_path, sounds[:1])
    assert [row["clip_id"] for row in read(tmp_path / "clips.csv")] == ["a"]


def test_tables_of_the_user_s_are_not_replaced(model, sounds, tmp_path):
    (tmp_path / "clips.csv").write_text("mine")
    with pytest.raises(DataError, match=r"holds clips\.csv, which no earlier"):
        run(model, tmp_path, sounds[:1])
    assert contents(tmp_path) == {"clips.csv": b"mine"}


KILLED = """
import sys, time
from pathlib import Path
from focalaudio.inference import folder
from focalaudio.inference.folder import FolderExplainer, explain_files
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.requests import Request
source, out, *paths = map(Path, sys.argv[1:])
model = SoundInterpreter.from_hparams(source)
with FolderExplainer(model, out, Request(media=False)) as explainer:
    for outcome in explainer.explain(paths):
        print("done", flush=True)
        time.sleep(0.2)
"""


def test_killed_and_started_again_is_never_killed(
    model, exported, sounds, done, tmp_path
):
    command = [sys.executable, "-c", KILLED, exported, tmp_path, *sounds]
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.stdout.readline()
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    run(model, tmp_path, sounds)
    for name in ("clips.csv", "boxes.csv", "a_boxes.txt"):
        assert (tmp_path / name).read_bytes() == (done[1] / name).read_bytes()


def test_one_call_does_what_the_command_does(model, exported, sounds, tmp_path):
    target = model.labels[0]
    asked = ["--model", str(exported), "--tables-only", "--target", target]
    out = tmp_path / "command"
    assert main(["explain", *map(str, sounds), "--out", str(out), *asked]) == 1
    found = explain_files(
        sounds[0].parent, tmp_path / "call", model, media=False, target=target
    )
    assert [outcome.path for outcome in found] == sounds
    assert [outcome.path.name for outcome in found if outcome.error] == [
        "text.wav"
    ]
    for name in ("clips.csv", "failed.csv"):
        one, other = tmp_path / "command" / name, tmp_path / "call" / name
        assert one.read_text() == other.read_text()


def test_a_call_without_sounds_writes_nothing(model, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(ValueError, match="files=.*holds no sound"):
        explain_files(tmp_path / "in", tmp_path / "out", model)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
@pytest.mark.parametrize("n_samples", [8000, 40000])
def test_a_name_that_is_no_text_is_a_name_like_any(model, tmp_path, n_samples):
    name = os.fsdecode(b"dog\xff")
    wav = 0.1 * torch.randn(n_samples)
    files = [
        write_wav(tmp_path / f"{one}.wav", wav, RATE) for one in (name, "z")
    ]
    out = tmp_path / "out"
    found = explain_files(files, out, model, match_loudness=True)
    assert not [one.error for one in found if one.error]
    assert (out / "failed.csv").exists() is False
    with (out / "clips.csv").open("rb") as file:
        assert file.read().count(b"dog\xff,") == 1
    for written in found[0].files:
        assert written.exists()
        assert written.name.startswith(name)


@pytest.mark.parametrize("n_samples", [8000, 40000])
@pytest.mark.parametrize("name", ["..wav", "...wav", "....wav"])
def test_results_of_a_name_of_dots_stay_in_the_folder(
    model, tmp_path, name, n_samples
):
    sound = write_wav(tmp_path / "in.wav", 0.1 * torch.randn(n_samples), RATE)
    path = sound.rename(tmp_path / name)
    out = tmp_path / "deep" / "out"
    (found,) = explain_files(path, out, model)
    assert found.files
    assert all(each.exists() and out in each.parents for each in found.files)
    assert {each.name for each in tmp_path.iterdir()} == {name, "deep"}
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["out"]
    assert not [*out.rglob(".clip-*")]


def test_tables_only_of_a_recording_are_the_same_tables(
    model, sounds, tmp_path
):
    long, found = sounds[-1], []
    for media in (True, False):
        out = tmp_path / f"{media}"
        run(model, out, [long], Request(media=media, report=False))
        names = {path.name for path in (out / "z_long").iterdir()}
        found.append({n: (out / "z_long" / n).read_bytes() for n in names})
    whole, tables = found
    assert not [n for n in tables if n.endswith((".wav", ".png"))]
    assert whole.keys() - tables.keys() == {
        "z_long_kept.wav",
        "z_long_timeline.png",
    }
    assert all(whole[name] == tables[name] for name in tables)


def test_what_recordings_do_not_get_is_said(model, sounds, tmp_path):
    label = model.labels[0]
    asked = Request(
        compare=("random",), match_loudness=True, target=label, report=False
    )
    run(model, tmp_path, [sounds[-1]], asked)
    (row,) = read(tmp_path / "clips.csv")
    assert row["explained"] == label
    assert "not compared" in row["warnings"]
    assert "not as loud" in row["warnings"]
    assert not (tmp_path / "comparison.csv").exists()


@pytest.mark.parametrize("then", ["clip", "recording", "text", "nothing"])
def test_of_a_file_that_changed_nothing_old_is_left(model, tmp_path, then):
    path, out = tmp_path / "a.wav", tmp_path / "out"
    lengths = {"clip": 9000, "recording": 40000}
    for before in ("recording", "clip"):
        write_wav(path, 0.1 * torch.rand(lengths[before]), RATE)
        run(model, out, [path], Request())
        assert (out / "clips.csv").exists()
        if then == "text":
            path.write_text("no sound")
        elif then == "nothing":
            path.write_bytes(b"")
        else:
            write_wav(path, 0.1 * torch.rand(lengths[then] + 1), RATE)
        run(model, out, [path], Request())
        written = {each for each in out.rglob("a*") if each.is_file()}
        if then in lengths:
            fresh = tmp_path / f"fresh_{before}"
            run(model, fresh, [path], Request())
            wanted = {each for each in fresh.rglob("a*") if each.is_file()}
            assert {each.relative_to(out) for each in written} == {
                each.relative_to(fresh) for each in wanted
            }
        else:
            assert not written
            assert not (out / "a").exists()
