"""Laws of going on: what was found is found again, and nothing else."""

import json
import math

import pytest

from focalaudio.brains.progress import Progress

FOUND = {
    "random": {"label": ["a", "b"], "auc": [1 / 3, math.nan]},
    "cleanest": {"label": ["a", "b"], "auc": [1e-17, 1.0]},
}


@pytest.fixture
def folder(tmp_path):
    progress = Progress(tmp_path / "progress")
    progress.add(["x", "y"], FOUND)
    progress.add(["z"], {"random": {"label": ["c"], "auc": [0.5]}})
    return progress.folder


def test_what_was_found_comes_back_bit_for_bit_and_in_order(folder):
    found = Progress(folder).find(["x", "y"])
    assert json.dumps(found) == json.dumps(FOUND)


@pytest.mark.parametrize("batch", [["x"], ["y", "x"], ["x", "y", "z"], ["w"]])
def test_only_the_same_batch_is_found(folder, batch):
    """Rounding depends on what else is in a batch."""
    assert Progress(folder).find(batch) is None


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_line_that_was_cut_short_is_done_again(folder, cut):
    path = folder / "rows_0.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Progress(folder)
    assert again.find(["x", "y"]) is not None
    if cut > 1:  # else only the end of the line is missing
        assert again.find(["z"]) is None
        again.add(["z"], FOUND)
    assert Progress(folder).find(["z"]) is not None


def test_every_process_has_a_file_and_all_are_read(folder, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    Progress(folder).add(["w"], FOUND)
    names = {path.name for path in folder.iterdir()}
    assert names == {"rows_0.jsonl", "rows_1.jsonl"}
    assert Progress(folder).find(["w"]) is not None


def test_nothing_is_written_before_the_first_batch(tmp_path):
    assert Progress(tmp_path / "new").find(["a"]) is None
    assert list(tmp_path.iterdir()) == []
