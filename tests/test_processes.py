"""Laws of what processes say to each other; whole runs: recipes."""

import json
import subprocess
import sys

import pytest

RANK = """
import json, sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from focalaudio import processes

rank, store = int(sys.argv[1]), sys.argv[2]
dist.init_process_group(
    "gloo", init_method=f"file://{store}", rank=rank, world_size=2
)


def count_threads():
    names = Path("/proc/self/task").glob("*/comm")
    return sum("gloo" in name.read_text() for name in names)


def train():
    network = DistributedDataParallel(torch.nn.Linear(2, 2))
    network(torch.ones(1, 2)).sum().backward()


train()
counts = [count_threads()]
said = processes.gather({"rank": rank, "tensor": torch.ones(1)})
shared = processes.share("abcde")
try:
    processes.on_first(lambda: Path("nowhere").read_text())
except OSError as error:
    refused = error.strerror
processes.meet()
counts.append(count_threads())
processes._leave()
counts.append(count_threads())
ranks = [what["rank"] for what in said]
print(json.dumps([ranks, shared, refused, counts]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What two processes say at their ends."""
    store = tmp_path_factory.mktemp("processes") / "store"
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(store)],
            stdout=subprocess.PIPE,
            cwd=store.parent,
            text=True,
        )
        for rank in range(2)
    ]
    return [json.loads(rank.communicate()[0]) for rank in ranks]


def test_all_processes_know_what_each_has(told):
    assert [ranks for ranks, *_ in told] == [[0, 1], [0, 1]]


def test_the_shares_are_all_there_is_and_no_more(told):
    shares = [share for _, share, *_ in told]
    assert sorted("".join(shares)) == list("abcde")


def test_what_the_first_refuses_all_refuse(told):
    assert {refused for _, _, refused, _ in told} == {
        "No such file or directory"
    }


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_no_thread_that_spoke_last_outlives_its_process(told):
    """It would drop what it sent when Python is gone: an abort, after all."""
    for *_, (trained, spoke, left) in told:
        assert left <= trained < spoke
