"""Laws of what a user points at."""

import os
from pathlib import Path

import pytest

from focalaudio.inference.sources import find_sounds, name_clips, need_sounds
from focalaudio.inference.store import ClipStore
from focalaudio.report.writer import PageWriter
from focalaudio.spectrogram import Spectrogram


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Sounds, other files and hidden ones, at two depths."""
    for name in (
        "b.wav",
        "a.FLAC",
        "notes.txt",
        ".b.wav",
        "deep/c.mp3",
        "deep/d.m4a",
        ".git/e.wav",
        "out/f.wav",
        "[1].wav",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names_of(found):
    return [str(path) for path in found.files]


def test_folders_give_their_sounds_by_name_at_any_depth(tree):
    found = find_sounds(["."], apart="out")
    expected = ["[1].wav", "a.FLAC", "b.wav", "deep/c.mp3", "deep/d.m4a"]
    assert names_of(found) == expected
    assert (found.n_hidden, found.n_others) == (1, 1)
    assert found.describe() == "Left out of folders: 1 hidden, 1 not of sound."


def test_patterns_stand_for_what_they_match(tree):
    assert names_of(find_sounds(["*.wav"])) == ["[1].wav", "b.wav"]
    found = find_sounds(["**/*.wav"])
    assert names_of(found) == ["[1].wav", "b.wav", "out/f.wav"]


def test_files_are_taken_whatever_they_are_called(tree):
    asked = ["notes.txt", ".b.wav", "[1].wav", "none.wav"]
    found = find_sounds(asked)
    assert names_of(found) == asked
    assert found.describe() == ""


def test_each_file_comes_once(tree):
    found = find_sounds(["b.wav", tree / "b.wav", ".", "*.wav"])
    assert names_of(found).count("b.wav") == 1
    absolute = [os.path.abspath(path) for path in found.files]
    assert len(absolute) == len(set(absolute))


def test_names_are_distinct_whatever_the_files():
    paths = [Path(p) for p in ("a.wav", "b/a.wav", "a-2.wav", "c/a.flac")]
    names = name_clips(paths, {})
    assert len(set(names)) == 4
    assert names[:2] == ["a", "a-2"]


def test_names_that_were_given_stay():
    paths = [Path(p) for p in ("0/a.wav", "1/a.wav", "2/a.wav")]
    known = {os.path.abspath("1/a.wav"): "a"}
    assert name_clips(paths, known) == ["a-2", "a", "a-3"]


def test_many_files_of_one_name_are_named_in_time():
    names = name_clips([Path(f"{n}/a.wav") for n in range(20000)], {})
    assert len(set(names)) == 20000


@pytest.mark.parametrize("letter", ["a", "雨"])
def test_long_names_leave_room_for_endings(letter):
    stem = letter * 250
    first, second = name_clips([Path(f"{n}/{stem}.wav") for n in "xy"], {})
    assert first != second
    assert stem.startswith(first)
    for name in (first, second):
        assert len(f"{name}.Table.1.selections.txt".encode()) < 255


def test_results_of_earlier_calls_are_no_sounds(tree):
    (tree / "deep" / "progress.jsonl").touch()
    assert "deep/c.mp3" not in names_of(find_sounds(["."]))
    assert "deep/c.mp3" in names_of(find_sounds(["deep"]))


def test_a_pattern_does_not_look_into_results_below_it(tree):
    (tree / "deep" / "progress.jsonl").touch()
    found = find_sounds(["**/*.[wm]*"], apart="out")
    assert names_of(found) == ["[1].wav", "b.wav"]
    for pattern in ("out/*.wav", "o*/*.wav", str(tree / "out" / "*.wav")):
        asked = find_sounds([pattern], apart="out").files
        is_about_it = "o*" not in pattern
        assert [path.name for path in asked] == ["f.wav"] * is_about_it


@pytest.mark.parametrize("asked", ["out", "out/*.wav", "out/f.wav"])
def test_what_a_call_wrote_is_no_input_of_the_next(tree, asked):
    with ClipStore("out", {}) as store:
        store.reserve("g.wav", "f", ["f.wav"])
    (tree / "out" / "g.wav").touch()
    found = find_sounds([asked, "out/g.wav"], apart="out")
    assert names_of(found) == ["out/g.wav"]
    assert "1 written by earlier calls" in found.describe()
    elsewhere = names_of(find_sounds([asked], apart="other"))
    assert ("out/f.wav" in elsewhere) == (asked == "out/f.wav")


@pytest.mark.parametrize("asked", [".", "**/*.wav"])
def test_what_stands_beside_a_report_is_no_input(tree, asked):
    writer = PageWriter(tree / "report.html", Spectrogram())
    for folder in (writer.files, writer.parts, tree / "my_files"):
        folder.mkdir()
        (folder / "0-1.wav").touch()
    before = set(names_of(find_sounds([asked], apart=".")))
    (tree / "progress.jsonl").touch()
    after = set(names_of(find_sounds([asked], apart=".")))
    assert before - after == {"report_files/0-1.wav", "report.parts/0-1.wav"}
    assert "my_files/0-1.wav" in after


def test_links_to_folders_are_counted(tree):
    (tree / "link").symlink_to(tree / "deep")
    found = find_sounds(["."], apart="out")
    assert "link/c.mp3" not in names_of(found)
    assert "1 linked" in found.describe()


def test_a_name_whose_results_are_there_is_not_given_anew():
    taken = {"a", "a-2"}.__contains__
    assert name_clips([Path("a.wav")], {}, taken) == ["a-3"]
    known = {os.path.abspath("a.wav"): "a"}
    assert name_clips([Path("a.wav")], known, taken) == ["a"]


@pytest.mark.parametrize("asked", [[""], ["a.wav", ""]])
def test_an_empty_text_is_no_folder(asked, tree):
    with pytest.raises(ValueError, match="files holds an empty path"):
        need_sounds(asked, "out", "files")


@pytest.mark.parametrize("asked", ["clips [1]/*.wav", "clips [1]/**/[bc].wav"])
def test_a_folder_that_is_there_is_no_pattern(tree, asked):
    folder = tree / "clips [1]" / "[2]"
    folder.mkdir(parents=True)
    for name in ("a.wav", "b.wav", "[bc].wav"):
        (folder.parent / name).touch()
        (folder / name).touch()
    expected = {path.name for path in folder.iterdir()}
    if "**" in asked:
        expected = {"b.wav"}
    for root in (Path(), tree):
        found = find_sounds([root / asked], apart="out").files
        assert {path.name for path in found} == expected
        depths = {len(path.relative_to(root).parts) for path in found}
        assert depths == ({2, 3} if "**" in asked else {2})


@pytest.mark.parametrize("asked", ["nix/*.ogg", "nix [1]/*.ogg", "deep/*.ogg"])
def test_a_pattern_that_finds_nothing_is_a_whole_sentence(tree, asked):
    with pytest.raises(ValueError, match="holds no sound") as no:
        need_sounds([asked], "out", "FILE")
    assert str(no.value).endswith(".")
    assert ("write [[]1]" in str(no.value)) == ("[" in asked)
