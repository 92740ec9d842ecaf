"""Laws of a folder of results: nothing is found twice, nothing is mixed."""

import os

import pytest

from focalaudio.errors import DataError, FocalAudioError
from focalaudio.inference.store import PROGRESS, ClipStore

SETTINGS = {"quantile": 0.9, "labels": ["dog", "rain"]}


@pytest.fixture
def sounds(tmp_path):
    paths = [tmp_path / f"{name}.wav" for name in "cab"]
    for path in paths:
        path.write_bytes(b"sound")
    return paths


def fill(folder, paths):
    with ClipStore(folder, SETTINGS) as store:
        for path in paths:
            store.add(path, path.stem, {"row": {"name": path.stem}})


def test_what_was_found_is_found_again_by_path(sounds, tmp_path):
    fill(tmp_path / "out", sounds)
    with ClipStore(tmp_path / "out", SETTINGS) as store:
        assert len(store) == 3
        assert store.find(sounds[1])["row"] == {"name": "a"}
        names = [record["row"]["name"] for record in store.records()]
        assert names == ["a", "b", "c"]
        assert set(store.names.values()) == {"a", "b", "c"}


def test_a_file_that_changed_is_not_known(sounds, tmp_path):
    fill(tmp_path / "out", sounds)
    sounds[0].write_bytes(b"another sound")
    with ClipStore(tmp_path / "out", SETTINGS) as store:
        assert store.find(sounds[0]) is None
        assert store.find(sounds[1]) is not None
        store.add(sounds[0], "c", {"row": {"name": "new"}})
        assert len(store) == 3
        assert store.find(sounds[0])["row"] == {"name": "new"}


def test_what_is_forgotten_is_not_known_and_keeps_its_name(sounds, tmp_path):
    fill(tmp_path / "out", sounds)
    with ClipStore(tmp_path / "out", SETTINGS) as store:
        assert store.forget(sounds[1])["row"] == {"name": "a"}
        assert store.forget(sounds[1]) is None
    with ClipStore(tmp_path / "out", SETTINGS) as store:
        assert store.find(sounds[1]) is None
        assert len(store) == len(list(store.records())) == 2
        assert store.names[str(sounds[1])] == "a"
        store.add(sounds[1], "a", {"row": {"name": "again"}})
        assert store.find(sounds[1])["row"] == {"name": "again"}


def test_a_file_that_is_not_there_is_not_known(sounds, tmp_path):
    fill(tmp_path / "out", sounds)
    sounds[0].unlink()
    with ClipStore(tmp_path / "out", SETTINGS) as store:
        assert store.find(sounds[0]) is None


@pytest.mark.parametrize("n_bytes", [1, 20])
def test_a_line_that_was_cut_short_counts_for_nothing(
    sounds, tmp_path, n_bytes
):
    fill(tmp_path / "out", sounds)
    path = tmp_path / "out" / PROGRESS
    os.truncate(path, path.stat().st_size - 1 - n_bytes)
    with ClipStore(tmp_path / "out", SETTINGS) as store:
        assert store.find(sounds[2]) is None
        store.add(sounds[2], "b", {"row": {"name": "again"}})
    with ClipStore(tmp_path / "out", SETTINGS) as store:
        assert store.find(sounds[2])["row"] == {"name": "again"}
        assert len(list(store.records())) == 3


def test_results_of_other_settings_are_refused_and_stay(sounds, tmp_path):
    fill(tmp_path / "out", sounds)
    before = (tmp_path / "out" / PROGRESS).read_bytes()
    with pytest.raises(DataError, match=r"quantile=0\.9, not 0\.5; give"):
        ClipStore(tmp_path / "out", {**SETTINGS, "quantile": 0.5})
    with pytest.raises(DataError, match="holds results with target=null, not"):
        ClipStore(tmp_path / "out", {**SETTINGS, "target": "dog"})
    assert (tmp_path / "out" / PROGRESS).read_bytes() == before
    fill(tmp_path / "out", [])  # and the folder is not claimed any more


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (
            [["A", {"a": 1, "mask": "x"}]],
            [["A", {"a": 1, "mask": "y"}]],
            "mask",
        ),
        ([1, 2], [1, 3], "way"),
        ([1], [1, 3], "way"),
        ({"b": {"c": 1}}, {"b": {"c": None}}, "c"),
        (None, {"a": 1}, "way"),
    ],
)
def test_of_nested_settings_the_one_that_differs_is_named(
    tmp_path, was, now, told
):
    with ClipStore(tmp_path, {"same": [1], "way": was}):
        pass
    with pytest.raises(DataError, match=f"holds results with {told}="):
        ClipStore(tmp_path, {"same": [1], "way": now})


def test_two_processes_do_not_write_one_folder(tmp_path):
    with (
        ClipStore(tmp_path, SETTINGS),
        pytest.raises(
            FocalAudioError, match="is being written by another process"
        ),
    ):
        ClipStore(tmp_path, SETTINGS)


def test_of_lists_what_only_one_of_them_has_is_named(sounds, tmp_path):
    fill(tmp_path / "out", sounds)
    asked = {**SETTINGS, "labels": ["dog", "rain", "sea"]}
    with pytest.raises(DataError, match=r'labels=\[\], not \["sea"\];'):
        ClipStore(tmp_path / "out", asked)
