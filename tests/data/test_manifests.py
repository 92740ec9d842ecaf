"""Laws of focalaudio.data.manifests: each row its file, or one error."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from focalaudio.data.manifests import list_manifest, locate
from focalaudio.errors import DataError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    for name in ("a.wav", "audio/b.WAV", "deep/c.flac", "deep/c.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(cells, folder, table=None):
    paths = locate(cells, folder, table or folder / "x.csv")
    return [str(Path(path).relative_to(folder)) for path in paths]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("a.wav", "a.wav"),
        ("./a.wav", "a.wav"),
        ("a.WAV", "a.wav"),
        ("a", "a.wav"),
        ("b.wav", "audio/b.WAV"),
        ("b", "audio/b.WAV"),
        ("audio/b", "audio/b.WAV"),
        ("audio\\b.wav", "audio/b.WAV"),
        ("deep/c.flac", "deep/c.flac"),
        ("data/a.wav", "a.wav"),  # written from the folder above
    ],
)
def test_a_name_has_one_file(folder, cell, name):
    assert found([cell], folder) == [name]


def test_names_from_the_tables_own_folder(folder):
    assert found(["c.wav"], folder, folder / "deep" / "x.csv") == ["deep/c.wav"]


def test_absolute_names_are_what_they_say(folder, tmp_path):
    shutil.copy(folder / "a.wav", tmp_path / "far.wav")
    far = str(tmp_path / "far.wav")
    assert locate([far], folder, folder / "x.csv") == [far]


def test_a_link_to_the_data_folder_changes_no_name(folder, tmp_path):
    (tmp_path / "far.wav").touch()
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "audio").symlink_to(folder / "audio")
    (folder / "deep" / "far.wav").symlink_to(tmp_path / "far.wav")
    cells = ["link/a.wav", "audio/b.WAV", "link/deep/far.wav", "far.wav"]
    rows = "".join(f"{tmp_path / cell},x\n" for cell in cells)
    listed = list_manifest(write(folder, f"file,label\n{rows}"), folder)
    far = str(tmp_path / "far.wav")
    names = ["a.wav", "audio/b.WAV", "deep/far.wav", far]
    assert listed["name"].tolist() == names
    assert listed["path"].tolist() == [str(folder / name) for name in names]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["a", "z", "y"], "2 x row .of 3. without its file.*: z, y"),
        (["deep/c"], "1 x name that several files have: deep/c"),
        ([""], "without its file"),
        (["deep"], "without its file"),
    ],
)
def test_a_name_with_no_file_or_several_is_refused(folder, cells, said):
    with pytest.raises(DataError, match=said):
        locate(cells, folder, folder / "x.csv")


def write(folder, text, name="x.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return name


def test_foreign_text_is_shown_escaped(folder, caplog):
    text = "file,Cla\x1bss\na.wav,007\n"
    table = write(folder, text, "odd\x1b[2J\u202ename.csv")
    with caplog.at_level(logging.INFO):
        list_manifest(table, folder, {"label": "Cla\x1bss"})
    (record,) = caplog.records
    assert record.message.isprintable()
    assert "label: Cla\\x1bss" in record.message


def test_usual_names_are_found_and_others_are_told(folder):
    table = write(folder, "Filename,Class,Split,Speaker\na.wav,007,1.0,s\n")
    (row,) = list_manifest(table, folder).to_dict("records")
    told = {key: row[key] for key in ("label", "fold", "group")}
    assert told == {"label": "007", "fold": "1.0", "group": "s"}
    columns = {"fold": None, "label": "speaker"}
    (row,) = list_manifest(table, folder, columns).to_dict("records")
    assert (row["label"], row["fold"], row["group"]) == ("s", "", "s")


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("x,label\na,b\n", None, "no column 'path' for path.*Seen: .'x'"),
        ("file,path,label\na,a,b\n", None, "'path' and 'file' for path"),
        ("file,label\na,b\n", {"fold": "y"}, "no column 'y' for fold"),
        ("file,label\na,b\n", {"labels": "y"}, "names labels; it maps path"),
    ],
)
def test_columns_without_one_reading_are_refused(folder, text, columns, said):
    with pytest.raises(DataError, match=said):
        list_manifest(write(folder, text), folder, columns)


def test_json_says_labels_as_they_are_written(folder):
    rows = {
        n: {"wav": "a.wav", "label": f"@{n}"} for n in ("007", "1e5", "true")
    }
    text = json.dumps(rows).replace('"@007"', "7").replace('"@1e5"', "1e5")
    text = text.replace('"@true"', "true")
    table = write(folder, text, "x.json")
    labels = list_manifest(table, folder)["label"].tolist()
    assert labels == ["7", "1e5", "true"]
    assert list_manifest(table, folder)["clip_id"].tolist() == list(rows)


@pytest.mark.parametrize("nothing", ["null", "NaN"])
def test_json_that_says_nothing_says_no_text(folder, nothing):
    keys = ("label", "speaker", "split", "ID")
    told = "".join(f', "{key}": {nothing}' for key in keys)
    text = f'{{"a": {{"wav": "a.wav"{told}}}}}'
    (row,) = list_manifest(write(folder, text, "x.json"), folder).to_dict(
        "records"
    )
    told = {row[key] for key in ("label", "group", "fold", "clip_id")}
    assert told == {""}
    text = f'{{"a": {{"wav": "a.wav", "label": ["NaN", {nothing}, 1]}}}}'
    table = write(folder, text, "x.json")
    assert list_manifest(table, folder)["label"].tolist() == ['["NaN", "1"]']


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "must hold clips"),
        ("{}", "must hold clips"),
        ('{"a": 1}', "must hold clips"),
        ('{"a": {}, "a": {}}', "two entries 'a'"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_json_that_holds_no_clips_is_refused(folder, text, said):
    with pytest.raises(DataError, match=said):
        list_manifest(write(folder, text, "x.json"), folder)


def test_two_tables_of_one_name_are_refused(folder):
    with pytest.raises(DataError, match="names a fold twice"):
        list_manifest(["a/x.csv", "b/x.csv"], folder)
