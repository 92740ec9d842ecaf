"""Laws of focalaudio.files: whole files and folders, or none."""

import os
import signal

import pytest

from focalaudio.errors import FocalAudioError
from focalaudio.files import (
    claim_file,
    lock_folder,
    replace_file,
    replace_folder,
    temporary_folder,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_after_writing(path):
    with replace_file(path) as temporary:
        temporary.write_text("half")
        raise KeyError


def fail_after_filling(folder):
    with replace_folder(folder) as temporary:
        (temporary / "a.txt").touch()
        raise KeyError


def test_file_appears_only_when_the_block_ends(tmp_path):
    with replace_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError):
        fail_after_writing(path)
    assert names(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


def test_failure_before_anything_is_written_is_not_hidden(tmp_path):
    with pytest.raises(KeyError), replace_file(tmp_path / "a.txt"):
        raise KeyError
    assert names(tmp_path) == []


def test_block_that_writes_nothing_fails(tmp_path):
    with pytest.raises(FileNotFoundError), replace_file(tmp_path / "a.txt"):
        pass


def test_file_keeps_its_suffix_and_makes_its_folder(tmp_path):
    path = str(tmp_path / "new" / "deep" / "a.wav")
    with replace_file(path) as temporary:
        assert temporary.suffix == ".wav"
        temporary.touch()
    assert names(tmp_path / "new" / "deep") == ["a.wav"]


def test_longest_possible_names_fit(tmp_path):
    path = tmp_path / ("ä" * 125 + ".wav")  # 254 bytes
    with replace_file(path) as temporary:
        temporary.touch()
    assert names(tmp_path) == [path.name]
    folder = tmp_path / ("ä" * 127)
    with replace_folder(folder):
        pass
    assert folder.is_dir()


def test_folder_appears_only_when_the_block_ends(tmp_path):
    folder = tmp_path / "parent" / "new"
    with replace_folder(folder) as temporary:
        (temporary / "a.txt").write_text("whole")
        assert not folder.exists()
        assert temporary.parent == folder.parent
    assert names(tmp_path / "parent") == ["new"]
    assert names(folder) == ["a.txt"]


def test_empty_folder_is_replaced(tmp_path):
    (tmp_path / "new").mkdir()
    with replace_folder(tmp_path / "new") as temporary:
        (temporary / "a.txt").touch()
    assert names(tmp_path / "new") == ["a.txt"]


def test_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "kept.txt").touch()
    with (
        pytest.raises(OSError, match="old"),
        replace_folder(tmp_path / "old") as temporary,
    ):
        (temporary / "a.txt").touch()
    assert names(tmp_path) == ["old"]
    assert names(tmp_path / "old") == ["kept.txt"]


def test_temporary_folder_is_gone_whatever_happens(tmp_path):
    beside = tmp_path / "parent" / "new"
    with temporary_folder(beside) as temporary:
        assert temporary.parent == beside.parent
        (temporary / "a.txt").touch()
    with pytest.raises(KeyError), temporary_folder(beside):
        raise KeyError
    assert names(tmp_path / "parent") == []


def test_failure_leaves_no_folder(tmp_path):
    with pytest.raises(KeyError):
        fail_after_filling(tmp_path / "new")
    assert names(tmp_path) == []


def leave_parts(folder):
    """What a process leaves that is killed while it writes."""
    folder.mkdir(exist_ok=True)
    child = os.fork()
    if child == 0:
        with (
            replace_file(folder / "a.wav") as file,
            temporary_folder(folder / "clip") as staged,
        ):
            file.touch()
            (staged / "a.png").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def test_who_locks_a_folder_removes_what_killed_processes_left(tmp_path):
    deep, claimed = tmp_path / "deep", tmp_path / "claimed"
    for folder in (tmp_path, deep, claimed):
        leave_parts(folder)
    (claimed / ".lock").touch()
    users = {".hidden-0123456789ab", ".0123456789ab.wav"}
    for name in users:
        (tmp_path / name).touch()
    assert len(names(deep)) == 2
    _lock = lock_folder(tmp_path, "folder", "name")
    assert set(names(tmp_path)) == users | {".lock", "deep", "claimed"}
    assert names(deep) == []
    assert len(names(claimed)) == 3  # another process may be writing them


def test_a_claim_is_of_one_block_and_leaves_nothing(tmp_path):
    path = tmp_path / "deep" / "a.csv"
    for _ in range(2):
        with claim_file(path):
            with pytest.raises(FocalAudioError, match="another call"):
                claim_file(path).__enter__()
            with claim_file(tmp_path / "deep" / "b.csv"):
                pass
        assert names(tmp_path / "deep") == []
    with pytest.raises(KeyError), claim_file(path):
        raise KeyError
    assert names(tmp_path / "deep") == []
