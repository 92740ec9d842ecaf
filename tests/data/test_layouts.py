"""Laws of focalaudio.data.layouts: what a folder says, whatever lies in it."""

import pytest

from focalaudio.audio import AUDIO_SUFFIXES
from focalaudio.data.layouts import list_by_pattern, list_class_folders
from focalaudio.errors import DataError
from focalaudio.inference.sources import find_sounds


@pytest.fixture
def touch(tmp_path):
    def touch(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return touch


def said(clips, *columns):
    return [tuple(row) for row in clips[list(columns)].to_numpy()]


def test_the_first_folder_is_the_label_at_any_depth(touch):
    folder = touch("a/1.wav", "a/x/y/2.WAV", "007/3.flac", "b c/train/4.ogg")
    assert said(list_class_folders(folder), "name", "label", "fold") == [
        ("007/3.flac", "007", ""),
        ("a/1.wav", "a", ""),
        ("a/x/y/2.WAV", "a", ""),
        ("b c/train/4.ogg", "b c", ""),
    ]


def test_splits_are_folds_only_if_all_first_folders_are(touch):
    folder = touch("Train/a/1.wav", "Train/b/1.wav", "test/a/1.wav")
    clips = list_class_folders(folder)
    assert said(clips, "label", "fold") == [
        ("a", "Train"),
        ("b", "Train"),
        ("a", "test"),
    ]
    touch("bus/a/1.wav")  # a train is a vehicle then
    clips = list_class_folders(folder)
    assert set(clips["label"]) == {"Train", "test", "bus"}


def test_links_lead_to_sounds_and_not_round_in_a_circle(touch, tmp_path):
    folder = touch("data/a/1.wav", "data/b/2.wav", "far/3.wav") / "data"
    (folder / "c").symlink_to(tmp_path / "far")
    (folder / "a" / "up").symlink_to(folder)
    names = list(list_class_folders(folder)["name"])
    assert names[0] == "a/1.wav"
    assert "c/3.wav" in names
    assert len(names) == len(set(names)) < 9


def test_a_pattern_reads_all_sounds_or_none(touch):
    folder = touch("x/dog-1.wav", "y/rain-2.wav", "notes.txt")
    clips = list_by_pattern(folder, "{group}/{label}-{index:d}")
    assert said(clips, "label", "group") == [("dog", "x"), ("rain", "y")]
    touch("z/odd.wav")
    with pytest.raises(DataError, match="1 x sound .of 3. .*z/odd.wav"):
        list_by_pattern(folder, "{group}/{label}-{index:d}")


def test_what_is_explained_can_be_trained_on(touch):
    """Whatever the ending, of a file that can be read."""
    folder = touch(*(f"a/x{ending}" for ending in AUDIO_SUFFIXES))
    touch("b/y.AIF", "a/y.txt")
    explained = {
        path.relative_to(folder).as_posix()
        for path in find_sounds([folder]).files
    }
    trained = set(list_class_folders(folder)["name"])
    assert trained == explained
    assert len(trained) == len(AUDIO_SUFFIXES) + 1


def test_a_folder_without_a_sound_is_refused(touch):
    with pytest.raises(DataError, match="holds no sound"):
        list_by_pattern(touch("a.txt"), "{label}")
