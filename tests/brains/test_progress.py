"""Laws of going on: what was found is found again, and nothing else."""

import json
import math

import pytest

from focalaudio.brains import progress
from focalaudio.brains.progress import Progress

FOUND = {
    "random": {"label": ["a", "b"], "auc": [1 / 3, math.nan]},
    "cleanest": {"label": ["a", "b"], "auc": [1e-17, 1.0]},
}


@pytest.fixture
def folder(tmp_path):
    made = Progress(tmp_path / "progress")
    made.add(["x", "y"], FOUND)
    made.add(["z"], {"random": {"label": ["c"], "auc": [0.5]}})
    return made.folder


def test_what_was_found_comes_back_bit_for_bit_and_in_order(folder):
    (clip_ids, found), (others, _) = Progress(folder).read()
    assert json.dumps(found) == json.dumps(FOUND)
    assert (clip_ids, others) == (["x", "y"], ["z"])


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_line_that_was_cut_short_is_done_again(folder, cut):
    path = folder / "rows_0.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Progress(folder)
    whole = [["x", "y"], ["z"]]
    # of a cut of 1 only the end of the line is missing
    assert [each for each, _ in again.read()] == whole[: 2 if cut == 1 else 1]
    again.add(["z"], FOUND)
    assert [each for each, _ in again.read()][-1] == ["z"]


def test_every_process_has_a_file_and_all_are_read(folder, monkeypatch):
    monkeypatch.setattr(progress, "count_processes", lambda: (1, 2))
    Progress(folder).add(["w"], FOUND)
    names = {path.name for path in folder.iterdir()}
    assert names == {"rows_0.jsonl", "rows_1.jsonl"}
    found = [each for each, _ in Progress(folder).read()]
    assert found == [["x", "y"], ["z"], ["w"]]


def test_nothing_is_written_before_the_first_batch(tmp_path):
    assert list(Progress(tmp_path / "new").read()) == []
    assert list(tmp_path.iterdir()) == []
