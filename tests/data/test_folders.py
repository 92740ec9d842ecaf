"""Laws of focalaudio.data.folders: one data set, however it is laid out."""

import json
import logging
import os
import shutil

import pandas as pd
import pytest
import torch

from focalaudio.audio import write_wav
from focalaudio.data import folders, pipelines
from focalaudio.data.esc50 import prepare_esc50
from focalaudio.data.folders import open_data, read_clips
from focalaudio.data.pipelines import ClipReader, open_esc50
from focalaudio.data.synthetic import write_dataset
from focalaudio.errors import DataError

LABELS = ("dog", "007", "x => y")
FOLDS = ([1, 2, 3], [4], [5])
SOUNDS = [  # label, recording, number
    (label, f"{label[0]}r{recording}", str(number))
    for label in LABELS
    for recording in range(5)
    for number in range(2)
]
ROWS = [
    (f"{recording}-{number}", *x)
    for x in SOUNDS
    for _, recording, number in [x]
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    return write_wav(path, torch.rand(800) - 0.5, 8000)


@pytest.fixture
def put(tmp_path, sound):
    """Copies a sound to a place below the data folder."""

    def put(name, folder=tmp_path / "data"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sound, folder / name)
        return folder

    return put


def write_table(path, rows, header=("file", "label", "group")):
    frame = pd.DataFrame(rows, columns=header)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return path


def by_folders(put):
    """The label is the first folder, the recording is unknown."""
    for name, label, recording, _ in ROWS:
        folder = put(f"{label}/{recording}/{name}.wav")
    return folder, {}


def by_pattern(put):
    for name, label, *_ in ROWS:
        folder = put(f"{label}_{name}.wav")
    return folder, {"pattern": "{label}_{group}-{number}.wav"}


def by_table(put):
    for name, *_ in ROWS:
        folder = put(f"audio/{name}.WAV")
    rows = [row[:3] for row in ROWS]  # no ending, no folder
    write_table(folder / "clips.csv", rows)
    return folder, {"manifest": "clips.csv"}


def by_named_columns(put):
    for name, *_ in ROWS:
        folder = put(f"{name}.wav")
    rows = [(f"./{row[0]}.wav", *row[1:3]) for row in ROWS]
    table = write_table(folder.parent / "x.csv", rows, ("Datei", "Art", "Ort"))
    columns = {"path": "datei", "label": "Art", "group": "ort"}
    return folder, {"manifest": str(table), "columns": columns}


def by_json(put):
    content = {}
    for name, label, recording, _ in ROWS:
        folder = put(f"{name}.wav")
        wav = f"{{data_root}}/{name}.wav"
        content[name] = {"wav": wav, "label": label, "speaker": recording}
        content[name] |= {"duration": 0.1}
    (folder / "all.json").write_text(json.dumps(content))
    return folder, {"manifest": "all.json"}


def by_speechbrain_csv(put):
    for name, *_ in ROWS:
        folder = put(f"{name}.wav")
    rows = [
        (n, "0.1", f"{{data_root}}/{n}.wav", "wav", "", x) for n, x, *_ in ROWS
    ]
    header = ("ID", "duration", "wav", "wav_format", "wav_opts", "label")
    write_table(folder / "x.csv", rows, header)
    return folder, {"manifest": "x.csv"}


LAYOUTS = [by_folders, by_pattern, by_table, by_named_columns, by_json]
LAYOUTS.append(by_speechbrain_csv)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_says_the_same(put, layout):
    folder, where = layout(put)
    clips, is_made = read_clips(folder, **where)
    assert is_made
    ends = [
        (row.clip_id.split("_")[-1], row.label) for row in clips.itertuples()
    ]
    assert sorted(ends) == sorted((row[0], row[1]) for row in ROWS)
    assert clips["clip_id"].is_unique
    assert all(os.path.samefile(p, p) for p in clips["path"])
    assert set(clips["fold"]) == set("12345")
    table = pd.crosstab(clips["label"], clips["fold"])
    assert (table == 2).all(axis=None)
    if clips["group"].any():  # recordings stay together
        assert (clips.groupby("group")["fold"].nunique() == 1).all()


def test_data_sets_have_what_esc50s_have(put):
    folder, where = by_pattern(put)
    data = open_data(folder, *FOLDS, ClipReader(8000, 0.1), **where)
    assert data.labels == sorted(LABELS)
    assert (len(data.train), len(data.valid), len(data.test)) == (18, 6, 6)
    item = data.test[0]
    assert set(item) == {"id", "sig", "label", "target"}
    assert item["sig"].shape == (800,)
    assert data.labels[item["target"]] == item["label"]
    named = {name for part in data.rows.values() for name in part}
    assert named == {f"{row[1]}_{row[0]}.wav" for row in ROWS}


def test_esc50_is_what_it_was(tmp_path):
    folder = write_dataset(tmp_path, 5, seconds=1.0)
    ours, theirs = open_data(folder, *FOLDS), open_esc50(folder, *FOLDS)
    assert ours.labels == theirs.labels
    assert ours.rows == theirs.rows
    assert ours.source == theirs.source == "meta/esc50.csv"
    assert ours.folds is None
    manifest = prepare_esc50(folder).test
    clips, _ = read_clips(folder)
    tested = clips[clips["fold"] == "5"].reset_index()
    assert (tested["path"] == manifest["path"]).all()
    assert (tested["group"] == manifest["src_file"]).all()
    with pytest.raises(DataError, match="folds train have no clips"):
        open_data(folder, ["train"], [4], [5])


def test_splits_may_be_folders_above_the_classes(put):
    for name, label, _, _ in ROWS:
        for split in ("train", "val", "test"):
            folder = put(f"{split}/{label}/{name}.wav")
    data = open_data(folder, "train", "val", "test")
    assert data.folds is None
    assert len(data.train) == len(data.valid) == len(data.test) == 30
    assert data.test.data_ids[0].startswith("test_")


def test_urbansound_has_ten_folds_and_its_recordings(put):
    rows = []
    for fold in range(1, 11):
        for kind in ("siren", "drilling"):
            rows.append((f"{fold}{kind}.wav", f"{fold}", f"{fold}.0", kind))
            folder = put(f"audio/fold{fold}/{fold}{kind}.wav")
    header = ("slice_file_name", "fsID", "fold", "class")
    table = folder / "metadata" / "UrbanSound8K.csv"
    write_table(table, rows, header)
    data = open_data(folder, list(range(1, 9)), [9], [10])
    assert data.labels == ["siren", "drilling"]
    assert data.test.data_ids == ["10siren", "10drilling"]
    rows[0] = (*rows[0][:1], "10", *rows[0][2:])
    write_table(table, rows, header)
    with pytest.raises(DataError, match="'10' in train and test"):
        open_data(folder, list(range(1, 9)), [9], [10])
    (folder / "audio" / "fold1" / "1siren.wav").unlink()
    with pytest.raises(DataError, match="1 x row .of 20. without its file"):
        read_clips(folder)


def test_a_table_for_each_fold(put):
    folder, _ = by_table(put)
    for part in ("a", "b"):
        write_table(
            folder / f"{part}.csv",
            [r[:2] for r in ROWS[part == "b" :: 2]],
            ("file", "label"),
        )
    clips, is_made = read_clips(folder, ["a.csv", "b.csv"])
    assert not is_made
    assert list(clips["fold"]) == ["a"] * 15 + ["b"] * 15


def test_made_folds_are_written_down_and_read_again(put, tmp_path):
    folder, _ = by_folders(put)
    data = open_data(folder, *FOLDS)
    data.save_folds(tmp_path / "run")
    (tmp_path / "run/save/CKPT+1").mkdir(parents=True)
    before = data.rows
    put("dog/one more/new.wav")
    moved = open_data(folder, *FOLDS).rows
    assert {*moved["test"]} != {*before["test"]}  # what would be a leak
    for place in ("run_folder", "classifier"):
        with pytest.raises(
            DataError, match="without a fold in it: dog/one more"
        ):
            open_data(folder, *FOLDS, **{place: tmp_path / "run"})
    (folder / "dog" / "one more" / "new.wav").unlink()
    (folder / "dog" / "dr0" / "dr0-0.wav").unlink()
    again = open_data(folder, *FOLDS, run_folder=tmp_path / "run").rows
    for part, rows in again.items():
        assert rows.items() <= before[part].items()
    other = open_data(folder, *FOLDS, run_folder=tmp_path / "none", fold_seed=7)
    assert other.rows != again


@pytest.mark.parametrize(
    "where",
    [{}, {"manifest": "own.csv"}, {"pattern": "{fold}-{a}-{b}-{label}"}],
)
def test_what_is_downloaded_is_read_as_it_is_told(tmp_path, monkeypatch, where):
    folder = write_dataset(tmp_path / "source", 5, seconds=1.0)
    names = sorted(path.name for path in (folder / "audio").iterdir())
    rows = [(name, "ab"[i % 2], name[0]) for i, name in enumerate(names)]
    write_table(folder / "own.csv", rows, ("file", "label", "fold"))

    def fetch(place):
        shutil.copytree(folder, place)

    for module in (folders, pipelines):
        monkeypatch.setattr(module, "download_esc50", fetch)
    told = open_data(folder, *FOLDS, **where)
    fetched = open_data(tmp_path / "new", *FOLDS, download=True, **where)
    assert fetched.labels == told.labels
    assert fetched.rows == told.rows


@pytest.mark.parametrize("begun", ["save", "save/CKPT+1", "progress"])
def test_a_run_that_starts_again_makes_its_folds_again(put, tmp_path, begun):
    folder, _ = by_folders(put)
    first = open_data(folder, *FOLDS)
    first.save_folds(tmp_path / "run")
    (tmp_path / "run" / begun).mkdir(parents=True)
    again = open_data(folder, *FOLDS, run_folder=tmp_path / "run", fold_seed=7)
    new = first if begun != "save" else open_data(folder, *FOLDS, fold_seed=7)
    assert again.rows == new.rows


def test_what_else_lies_there_is_named_once(put, caplog):
    folder, _ = by_folders(put)
    known, _ = read_clips(folder)
    for name in (
        "loose\x1b[2J.wav",
        ".git/a.wav",
        "dog/._b.wav",
        "__MACOSX/dog/c.wav",
    ):
        put(name)
    (folder / "empty").mkdir()
    (folder / "dog" / "notes.txt").touch()
    (folder / "dog" / os.fsdecode(b"\xff.txt")).touch()
    with caplog.at_level(logging.WARNING):
        clips, _ = read_clips(folder)
    pd.testing.assert_frame_equal(clips, known)
    (record,) = caplog.records
    said = record.getMessage()
    assert said.isprintable()
    for name in (
        "loose\\x1b[2J.wav",
        ".git/",
        "dog/._b.wav",
        "__MACOSX/",
        "empty",
    ):
        assert name in said
    assert r"dog/notes.txt, dog/\udcff.txt" in said


def refusal(folder, **where):
    with pytest.raises(DataError) as refused:
        open_data(folder, *FOLDS, **where)
    return str(refused.value)


def test_a_sound_that_cannot_be_read_is_found_before_any_work(put):
    folder, _ = by_folders(put)
    (folder / "dog" / "empty.wav").touch()
    (folder / "dog" / "text.wav").write_text("no sound")
    said = refusal(folder)
    assert "2 x sound that cannot be read" in said
    assert "empty.wav" in said


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"\xff\xe9.wav", r"'dog/\udcff\udce9.wav'"),
        (b"a\rb.wav", r"'dog/a\rb.wav'"),
        (b"a\nb.wav", r"'dog/a\nb.wav'"),
    ],
)
def test_names_that_no_table_holds_are_refused(put, name, shown):
    folder, _ = by_folders(put)
    put(f"dog/{os.fsdecode(name)}")
    said = refusal(folder)
    assert "no UTF-8, or holds a line break: " in said
    assert shown in said


def test_groups_that_no_table_holds_are_refused(put):
    folder, where = by_json(put)
    text = (folder / "all.json").read_text()
    for odd in (r"\ud800", r"\n", r"\u0000"):
        (folder / "all.json").write_text(text.replace('"dr0"', f'"{odd}"', 1))
        assert "1 x name of a file, clip, fold or group" in refusal(
            folder, **where
        )


def test_a_file_has_one_name(put):
    folder, where = by_table(put)
    (folder / "link").symlink_to(folder / "audio")
    again = [(str(folder / "link" / "dr0-0.WAV"), "dog", "a", "1")]
    rows = [(*row[:3], "2") for row in ROWS] + again
    header = ("file", "label", "group", "fold")
    write_table(folder / "clips.csv", rows, header)
    said = refusal(folder, **where)
    assert "by a link: link/dr0-0.WAV; keep one" in said
    folder.rename(folder.with_name("real"))
    folder.symlink_to(folder.with_name("real"))
    rows[-1] = (str(folder / "audio" / "dr0-0.WAV"), *again[0][1:])
    write_table(folder / "clips.csv", rows, header)
    said = refusal(folder, **where)
    assert "row for a clip that has one: audio/dr0-0.WAV" in said


def test_twins_and_signs_that_hide_are_found_before_any_work(put):
    folder, _ = by_folders(put)
    put("Dog/a.wav")
    put("do\u200bg/a.wav")
    said = refusal(folder)
    assert r"'Dog' and 'dog' and 'do\u200bg'" in said
    assert r"cannot be seen: 'do\u200bg'" in said


def test_a_class_with_one_clip_is_trained(put, caplog):
    folder, _ = by_folders(put)
    put("rare/a.wav")
    data = open_data(folder, *FOLDS)
    assert data.rows["train"]["rare/a.wav"] == "rare"
    assert "classes rare have no clip in the test folds" in caplog.text
    with pytest.raises(DataError, match="class without clips.*'rare'"):
        open_data(folder, [2, 3], [4], [5])


def test_a_thousand_classes_and_any_length(put, tmp_path):
    for place in range(1000):
        folder = put(f"{place % 1000:04d}/{place}.wav")
        put(f"{place:04d}/b{place}.wav")
    long, fast = torch.rand(10 * 192_000), torch.rand(9600)
    write_wav(folder / "0000" / "0.wav", fast[:400], 8000)  # 50 ms
    write_wav(folder / "0000" / "b0.wav", long - 0.5, 192_000)
    data = open_data(folder, [1], [], [2], ClipReader(8000, 0.1), n_folds=2)
    assert data.n_classes == len(data.train) == len(data.test) == 1000
    for part in (data.train, data.test):
        assert part[0]["sig"].shape == (800,)
        assert part[0]["label"] == "0000"


def test_folds_that_were_made_are_not_those_of_the_data(put):
    for label in ("dog", "rain"):
        for group in range(3):
            for clip in range(2):
                folder = put(f"{label}_{group}{label}_{clip}.wav")
    where = {"pattern": "{label}_{group}_{index}.wav"}
    with pytest.raises(DataError, match="names no folds.*--n_folds 3"):
        open_data(folder, *FOLDS, **where)
    data = open_data(folder, [1], [2], [3], n_folds=3, **where)
    assert len(data.train) == len(data.valid) == len(data.test) == 4


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"manifest": "a.csv", "pattern": "{label}"}, "both say"),
        ({"columns": {"path": "x"}}, "--manifest"),
        ({"manifest": "none.csv"}, "none.csv does not exist"),
        (
            {"pattern": "{label}.flac"},
            "30 x sound .of 30. .* does not fit: 007",
        ),
        ({"n_folds": 40}, "n_folds=40 is more than the 30 groups"),
    ],
)
def test_contradictions_are_refused(put, where, said):
    folder, _ = by_folders(put)
    with pytest.raises(DataError, match=said):
        open_data(folder, *FOLDS, **where)


def test_what_is_no_data_set_says_what_is(put, tmp_path):
    assert "is not a folder" in refusal(tmp_path / "none")
    (tmp_path / "data").mkdir()
    assert "(none)" in refusal(tmp_path / "data")
    put("audio/a.wav")
    said = refusal(put("b.wav"))
    assert "1 folders with sounds in them (audio); 1 sounds lie outside" in said
    assert "meta/esc50.csv" in said
    assert "--pattern" in said


BAD_TABLES = {
    "no such file": ([("x", "dog", "a")], "row (of 1) without its file"),
    "two rows": ([("dr0-0", "dog", "a")] * 2, "row for a clip that has one"),
    "one class": ([("dr0-0", "dog", "a")], "class and no other: 'dog'"),
    "no label": ([("dr0-0", "", "a"), ("dr1-0", "x", "")], "empty"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_tables_that_contradict_themselves(put, case):
    folder, where = by_table(put)
    rows, said = BAD_TABLES[case]
    write_table(folder / "clips.csv", rows)
    assert said in refusal(folder, **where)


def test_some_folds_are_too_few(put):
    folder, where = by_table(put)
    rows = [(*row[:2], "1" if row[3] == "0" else "") for row in ROWS]
    write_table(folder / "clips.csv", rows, ("file", "label", "fold"))
    assert "15 x clip without a fold" in refusal(folder, **where)
