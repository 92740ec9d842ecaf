"""Memory of freed tensors is used again; what stays is not searched."""

import gc
import subprocess
import sys

import pytest

from focalaudio.memory import quick_imports

SCRIPT = """
import resource
import torch
from focalaudio.memory import keep_freed_memory

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = count_faults()
if keep_freed_memory():
    count_faults()  # blocks find their places
    print(before, count_faults())
"""


def test_pages_of_freed_tensors_are_not_asked_for_again():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
    )
    if not done.stdout:
        pytest.skip("only glibc keeps the memory")
    before, after = map(int, done.stdout.split())
    assert after < before / 10


@pytest.mark.parametrize("was_enabled", [True, False])
def test_garbage_is_collected_as_before(was_enabled):
    (gc.enable if was_enabled else gc.disable)()
    try:
        with pytest.raises(ImportError), quick_imports():
            raise ImportError
        assert gc.isenabled() == was_enabled
    finally:
        gc.enable()
        gc.unfreeze()


def test_what_was_loaded_is_not_searched():
    with quick_imports():
        loaded = [[]]
    try:
        assert all(each is not loaded for each in gc.get_objects())
    finally:
        gc.unfreeze()
