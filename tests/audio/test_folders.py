"""Laws of focalaudio.audio.folders."""

from collections import Counter

import pytest

from focalaudio.audio import list_sounds, walk_sounds
from focalaudio.errors import DataError
from focalaudio.inference.sources import find_sounds


@pytest.fixture
def tree(tmp_path):
    """Sounds, what looks like sounds, and a link to a folder."""
    for name in ("b.wav", "._b.wav", "x.wav/c.flac", ".git/d.wav", "notes.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "e.wav").touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "far")
    return tmp_path / "in"


def test_only_files_that_are_not_hidden_are_sounds(tree):
    found = list_sounds(tree, "folder")
    assert found == [tree / "b.wav", tree / "x.wav" / "c.flac"]


def test_what_is_listed_is_what_is_explained(tree):
    assert list_sounds(tree, "folder") == sorted(find_sounds([tree]).files)


def test_all_that_is_left_out_is_counted(tree):
    left_out = Counter()
    list(walk_sounds(tree, left_out=left_out))
    assert left_out == {"hidden": 1, "others": 1, "linked": 1}


def test_folders_are_skipped_as_asked(tree):
    found = walk_sounds(tree, skips=lambda path: path.endswith("x.wav"))
    assert list(found) == [tree / "b.wav"]


def test_a_folder_without_a_sound_names_the_argument(tmp_path):
    with pytest.raises(DataError, match="^others=.* holds no sound; give"):
        list_sounds(tmp_path, "others")
