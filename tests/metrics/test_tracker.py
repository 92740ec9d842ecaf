"""Laws of the tracker: each clip once, whoever saw it and when."""

import json
import math
import os
import random
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.metrics.tracker import ClipTracker

RANK = """
import json, sys
import torch
from focalaudio.metrics.tracker import ClipTracker

rank, store = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{store}", rank=rank, world_size=2
)
tracker = ClipTracker()
mine = [f"clip{i}" for i in range(7) if i % 2 == rank] + ["clip6"]
values = torch.tensor([float(clip[-1]) for clip in mine])
tracker.update(mine, {"value": values, "label": list(mine)})
print(json.dumps([tracker.rows(), tracker.mean("value")]))
torch.distributed.destroy_process_group()
"""


def collect(clips, size):
    """Track `(clip_id, value)` pairs in batches of a size."""
    tracker = ClipTracker()
    for start in range(0, len(clips), size):
        ids, values = zip(*clips[start : start + size], strict=True)
        tracker.update(ids, {"value": torch.tensor(values).double()})
    return tracker


@given(
    st.dictionaries(st.text(max_size=3), st.floats(-10, 10), min_size=1),
    st.integers(1, 7),
    st.randoms(),
)
def test_batch_size_and_order_do_not_matter(values, size, rng):
    clips = list(values.items())
    expected = collect(clips, len(clips))
    rng.shuffle(clips)
    shuffled = collect(clips, size)
    assert shuffled.rows() == expected.rows()
    assert shuffled.mean("value") == expected.mean("value")


def test_mean_is_over_clips_not_over_batches():
    tracker = collect([("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 0.0)], 3)
    assert tracker.mean("value") == 0.75


def test_a_clip_that_is_seen_twice_counts_once():
    clips = [(f"clip{i}", float(i)) for i in range(5)]
    twice = collect(clips + clips[:2], 3)
    assert len(twice.rows()) == 5
    assert twice.mean("value") == 2


def test_rows_are_sorted_and_hold_plain_values():
    clips = [(f"clip{i}", float(i)) for i in range(9)]
    random.Random(0).shuffle(clips)
    rows = collect(clips, 2).rows()
    assert [row["clip_id"] for row in rows] == sorted(dict(clips))
    assert json.loads(json.dumps(rows)) == rows


def test_columns_may_be_lists_or_tensors_with_gradients():
    tracker = ClipTracker()
    score = torch.tensor([0.5, 0.25], requires_grad=True)
    tracker.update(["a", "b"], {"label": ["dog", "rain"], "score": score})
    assert tracker.rows()[1] == {"clip_id": "b", "label": "rain", "score": 0.25}


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0], []])
def test_columns_of_another_length_are_refused(values):
    tracker = ClipTracker()
    for column in (values, torch.tensor(values)):
        with pytest.raises(
            ValueError, match=f"'score' has {len(values)} values for 2 clips"
        ):
            tracker.update(["a", "b"], {"ok": [1, 2], "score": column})
    assert tracker.rows() == []


def test_changing_the_rows_does_not_lose_clips():
    tracker = collect([("a", 1.0)], 1)
    tracker.rows().clear()
    assert tracker.mean("value") == 1


def test_the_mean_of_no_clips_is_not_a_number():
    assert math.isnan(ClipTracker().mean("error"))


def test_two_processes_see_the_same_rows_each_clip_once(tmp_path):
    command = [sys.executable, "-c", RANK]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    replies = [process.communicate(timeout=60) for process in ranks]
    for process, (_, errors) in zip(ranks, replies, strict=True):
        assert process.returncode == 0, errors
    first, second = (json.loads(output) for output, _ in replies)
    assert first == second
    rows, mean = first
    assert [row["clip_id"] for row in rows] == [f"clip{i}" for i in range(7)]
    assert mean == 3
