"""Laws of focalaudio.data.esc50: what a folder must be, and what it gives."""

import csv
import logging
import random

import pytest
import torch

from focalaudio.audio import write_wav
from focalaudio.data.esc50 import (
    METADATA_COLUMNS,
    prepare_esc50,
    read_metadata,
)
from focalaudio.data.splits import Splits
from focalaudio.errors import DataError

CATEGORIES = ("dog", "rain", "siren")
FOLDS = (1, 2, 3, 4, 5)


def make_rows():
    """Two clips of each category in each fold, one recording per clip."""
    rows = []
    for fold in FOLDS:
        for target, category in enumerate(CATEGORIES):
            for take in "AB":
                source = f"{fold}{target}{ord(take)}"
                name = f"{fold}-{source}-{take}-{target}.wav"
                rows.append(
                    {
                        "filename": name,
                        "fold": str(fold),
                        "target": str(target),
                        "category": category,
                        "esc10": "False",
                        "src_file": source,
                        "take": take,
                    }
                )
    return rows


def write_folder(folder, rows, audio=None):
    """Write rows, and files of one sample each."""
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    (folder / "audio").mkdir(exist_ok=True)
    with open(folder / "meta" / "esc50.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for name in audio or [row["filename"] for row in rows]:
        write_wav(folder / "audio" / name, torch.zeros(1), 16000)
    return folder


def refusal(folder, *splits):
    with pytest.raises(DataError) as caught:
        prepare_esc50(folder, *splits)
    return str(caught.value)


@pytest.fixture
def rows():
    return make_rows()


def test_splits_are_disjoint_and_cover_their_folds(tmp_path, rows):
    manifests = prepare_esc50(write_folder(tmp_path, rows))
    parts = (manifests.train, manifests.valid, manifests.test)
    ids = [set(part["clip_id"]) for part in parts]
    assert set.union(*ids) == {row["filename"][:-4] for row in rows}
    assert sum(len(part) for part in ids) == len(rows)
    folds = [sorted(set(part["fold"])) for part in parts]
    assert folds == [[1, 2, 3], [4], [5]]


def test_rows_keep_what_the_file_says(tmp_path, rows):
    folder = write_folder(tmp_path, rows)
    metadata = read_metadata(folder)
    assert tuple(metadata.columns) == METADATA_COLUMNS
    for row, (_, found) in zip(rows, metadata.iterrows(), strict=True):
        assert found["filename"] == row["filename"]
        assert found["clip_id"] + ".wav" == row["filename"]
        assert found["path"] == str(folder / "audio" / row["filename"])
        assert found["label"] == row["category"]
        assert found["fold"] == int(row["fold"])
        assert found["target"] == int(row["target"])
        assert found["src_file"] == row["src_file"]


def test_commas_quotes_spaces_and_umlauts_are_kept(tmp_path, rows):
    words = {"dog": 'a "b", c', "rain": "F\u00f6n", "siren": "$HOME"}
    for row in rows:
        row["category"] = words[row["category"]]
        row["filename"] = "a, b " + row["filename"]
    folder = write_folder(tmp_path / "da ta,'\u00fc", rows)
    metadata = read_metadata(folder)
    assert set(metadata["label"]) == set(words.values())
    for row, path in zip(rows, metadata["path"], strict=True):
        assert path == str(folder / "audio" / row["filename"])


def test_labels_follow_first_appearance_in_the_training_rows(tmp_path, rows):
    random.Random(3).shuffle(rows)
    folds = Splits(train=(2, 4), valid=(1,), test=(3,))
    expected = []
    for row in rows:
        if row["fold"] in ("2", "4") and row["category"] not in expected:
            expected.append(row["category"])
    manifests = prepare_esc50(write_folder(tmp_path, rows), folds)
    assert manifests.labels == tuple(expected)


def test_label_order_does_not_depend_on_the_other_folds(tmp_path, rows):
    train = [row for row in rows if row["fold"] in "123"][::-1]
    rest = [row for row in rows if row["fold"] in "45"]
    first = prepare_esc50(write_folder(tmp_path / "a", rest + train))
    last = prepare_esc50(write_folder(tmp_path / "b", train + rest))
    assert first.labels == last.labels == CATEGORIES[::-1]


def test_a_subset_in_another_format_is_a_data_set(tmp_path, rows):
    rows = [row for row in rows if row["category"] != "rain"]
    for row in rows:
        row["filename"] = row["filename"].replace(".wav", ".ogg")
        del row["esc10"], row["take"]
    manifests = prepare_esc50(write_folder(tmp_path, rows))
    assert manifests.labels == ("dog", "siren")


def test_hidden_and_other_files_are_not_audio(tmp_path, rows):
    folder = write_folder(tmp_path, rows)
    for name in (".DS_Store", "._1-10-A-0.wav", "README.txt"):
        (folder / "audio" / name).touch()
    assert len(read_metadata(folder)) == len(rows)


def test_words_that_pandas_takes_for_missing_stay_words(tmp_path, rows):
    for row in rows:
        row["category"] = {"dog": "None", "rain": "nan", "siren": "NA"}[
            row["category"]
        ]
    labels = prepare_esc50(write_folder(tmp_path, rows)).labels
    assert labels == ("None", "nan", "NA")


def test_spreadsheet_byte_order_mark_is_ignored(tmp_path, rows):
    path = write_folder(tmp_path, rows) / "meta" / "esc50.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_metadata(tmp_path)) == len(rows)


# What is refused


def test_nothing_need_be_selected_on(tmp_path, rows):
    folds = Splits(train=[1, 2, 3, 4], valid=[], test=[5])
    manifests = prepare_esc50(write_folder(tmp_path, rows), folds)
    assert sorted(set(manifests.train["fold"])) == [1, 2, 3, 4]
    assert manifests.valid.empty


def test_nothing_need_be_held_out(tmp_path, rows):
    folds = Splits(train=[1, 2, 3, 4, 5], valid=[], test=[])
    manifests = prepare_esc50(write_folder(tmp_path, rows), folds)
    assert len(manifests.train) == len(rows)
    assert manifests.test.empty


def test_missing_folder_and_file_are_named(tmp_path):
    assert "nowhere" in refusal(tmp_path / "nowhere")
    assert "esc50.csv does not exist" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b'a,b\n"1', b"a,b\n1,2\n3,4,5\n"]
)
def test_files_that_are_not_csv_are_refused(tmp_path, content, rows):
    write_folder(tmp_path, rows)
    (tmp_path / "meta" / "esc50.csv").write_bytes(content)
    assert "esc50.csv" in refusal(tmp_path)


def test_a_file_without_rows_is_refused(tmp_path, rows):
    path = write_folder(tmp_path, rows) / "meta" / "esc50.csv"
    path.write_text(path.read_text().splitlines()[0])
    assert "no rows" in refusal(tmp_path)


@pytest.mark.parametrize(
    "column", ["filename", "fold", "target", "category", "src_file"]
)
def test_each_missing_column_is_named(tmp_path, rows, column):
    write_folder(tmp_path, rows)
    short = [{key: row[key] for key in row if key != column} for row in rows]
    audio = [row["filename"] for row in rows]
    write_folder(tmp_path, short, audio)
    assert f"['{column}']" in refusal(tmp_path)


def test_missing_audio_is_counted_and_named(tmp_path, rows):
    folder = write_folder(tmp_path, rows)
    for row in rows[:5]:
        (folder / "audio" / row["filename"]).unlink()
    message = refusal(folder)
    assert f"5 x row (of {len(rows)}) without its file" in message
    assert ", ".join(row["filename"] for row in rows[:3]) in message
    assert rows[3]["filename"] not in message
    assert "and 2 more" in message
    assert "download_esc50" in message


def test_metadata_alone_is_refused(tmp_path, rows):
    folder = write_folder(tmp_path, rows)
    for path in (folder / "audio").iterdir():
        path.unlink()
    (folder / "audio").rmdir()
    assert f"{len(rows)} x row" in refusal(folder)


def test_a_folder_in_place_of_a_clip_is_missing_audio(tmp_path, rows):
    folder = write_folder(tmp_path, rows)
    (folder / "audio" / rows[0]["filename"]).unlink()
    (folder / "audio" / rows[0]["filename"]).mkdir()
    assert "1 x row" in refusal(folder)


def test_audio_without_rows_is_named(tmp_path, rows):
    folder = write_folder(tmp_path, rows)
    (folder / "audio" / "stranger.FLAC").touch()
    assert "stranger.FLAC" in refusal(folder)


def test_sounds_that_do_not_open_are_found_before_any_work(tmp_path, rows):
    folder = write_folder(tmp_path, rows)
    empty, text = (folder / "audio" / row["filename"] for row in rows[-2:])
    empty.write_bytes(b"")
    text.write_text("no sound")
    message = refusal(folder)
    assert "2 x sound that cannot be read" in message
    for path in (empty, text):
        assert path.name in message


BAD_ROWS = {
    "duplicate row": ({}, "row for a clip that has one"),
    "same clip id": ({"filename": "1-1065-A-0.ogg"}, "another's clip id"),
    "second target": ({"target": "9"}, "category=dog with target 0 and 9"),
    "second category": ({"category": "cat"}, "target=0 with category dog"),
    "leak": ({"src_file": "5065"}, "src_file with clips in several folds"),
    "folder in name": ({"filename": "../x.wav"}, "with a folder in it"),
    "windows path": ({"filename": "a\\b.wav"}, "with a folder in it"),
    "broken fold": ({"fold": "1.5"}, "fold='1.5'"),
    "empty fold": ({"fold": ""}, "fold=''"),
    "negative target": ({"target": "-1"}, "target='-1'"),
    "other digits": ({"target": "\u0661"}, "is not a whole number"),
    "empty category": ({"category": ""}, "category=''"),
    "spaces": ({"category": "  "}, "category=''"),
    "twins": ({"category": "Dog"}, "target=0 with category 'dog' and 'Dog'"),
    "empty src_file": ({"src_file": ""}, "src_file=''"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_one_contradictory_row_is_enough(tmp_path, rows, case):
    change, culprit = BAD_ROWS[case]
    audio = [row["filename"] for row in rows]
    assert rows[0]["filename"] == "1-1065-A-0.wav"
    extra = {"filename": "9-9-A-9.wav", "src_file": "9", **change}
    if case == "duplicate row":
        extra = {}
    if "/" not in (name := extra.get("filename", "")) and name:
        audio.append(name)
    rows.append({**rows[0], **extra})
    assert culprit in refusal(write_folder(tmp_path, rows, audio))


def test_every_problem_is_listed(tmp_path, rows):
    folder = write_folder(tmp_path, rows + rows[:1])
    (folder / "audio" / rows[1]["filename"]).unlink()
    (folder / "audio" / "stranger.wav").touch()
    message = refusal(folder)
    assert len(message.splitlines()) == 1 + 3
    for culprit in (rows[0]["filename"], rows[1]["filename"], "stranger.wav"):
        assert culprit in message


def test_folds_that_do_not_exist_are_named(tmp_path, rows):
    folder = write_folder(tmp_path, rows)
    message = refusal(folder, Splits((1, 2), (7,), (8,)))
    assert "folds 7, 8 have no clips" in message
    assert "1, 2, 3, 4, 5" in message


@pytest.mark.parametrize("elsewhere", ["1", "4", "5"])
def test_a_class_that_is_never_trained_on_is_named(tmp_path, rows, elsewhere):
    rows = [
        row
        for row in rows
        if row["category"] != "rain" or row["fold"] == elsewhere
    ]
    folder = write_folder(tmp_path, rows)
    folds = Splits((2, 3), (4,), (5,))
    assert "rain" in refusal(folder, folds)
    if elsewhere == "1":
        prepare_esc50(folder, Splits((1, 2), (4,), (5,)))


@pytest.mark.parametrize(
    ("sources", "warns"), [(("209698", "7"), False), (("209698",) * 2, True)]
)
def test_recordings_the_release_shares_are_warned_about(
    tmp_path, rows, caplog, sources, warns
):
    by_fold = {row["fold"]: row for row in rows}
    by_fold["4"]["src_file"], by_fold["5"]["src_file"] = sources
    folder = write_folder(tmp_path, rows)
    with caplog.at_level(logging.WARNING):
        prepare_esc50(folder)
    assert ("209698" in caplog.text) == warns


def test_shared_recordings_within_one_split_are_silent(tmp_path, rows, caplog):
    by_fold = {row["fold"]: row for row in rows}
    by_fold["2"]["src_file"] = by_fold["3"]["src_file"] = "131943"
    folder = write_folder(tmp_path, rows)
    with caplog.at_level(logging.WARNING):
        prepare_esc50(folder, Splits((2, 3), (4,), (5,)))
        assert not caplog.text
        prepare_esc50(folder, Splits((2,), (3,), (4,)))
        assert "131943" in caplog.text
