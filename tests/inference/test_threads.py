"""Laws of focalaudio.inference.threads."""

import threading
import time

import pytest
import torch

from focalaudio.inference.threads import map_at_once


@pytest.fixture(autouse=True)
def five_threads():
    """So many does torch have, whoever runs the tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield
    assert torch.get_num_threads() == 5
    torch.set_num_threads(before)


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("n_items", [0, 1, 7])
def test_results_are_those_of_map_in_their_order(n_threads, n_items):
    def square(item):
        time.sleep(0.01 * (item % 3))  # some overtake others
        return item**2

    items = range(n_items)
    assert list(map_at_once(square, items, n_threads)) == [*map(square, items)]


@pytest.mark.parametrize("n_threads", [2, 4])
def test_several_are_at_work_at_once(n_threads):
    barrier = threading.Barrier(n_threads, timeout=60)
    waited = map_at_once(lambda _: barrier.wait(), range(n_threads), n_threads)
    assert sorted(waited) == [*range(n_threads)]


@pytest.mark.parametrize(("n_threads", "n_taken"), [(1, 1), (2, 3), (4, 5)])
def test_items_are_taken_when_there_is_a_thread_for_them(n_threads, n_taken):
    items = iter(range(20))
    results = map_at_once(abs, items, n_threads)
    assert next(results) == 0
    results.close()
    assert next(items) == n_taken


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_fault_is_raised_in_its_place(n_threads):
    done = []

    def divide(item):
        done.append(item)
        return 12 / item

    results = map_at_once(divide, [1, 2, 0, *[4] * 20], n_threads)
    assert [next(results), next(results)] == [12, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(done) < 12  # the others are given up


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_fault_of_the_source_is_raised_in_its_place(n_threads):
    def source():
        yield from (1, 2)
        raise OSError("the disk")

    results = map_at_once(abs, source(), n_threads)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(OSError, match="the disk"):
        next(results)


@pytest.mark.parametrize("last", [0, 1])
def test_the_last_of_several_gives_torch_its_threads_back(last):
    both = [map_at_once(abs, range(9), 2), map_at_once(abs, range(9), 3)]
    for each in both:
        next(each)
    both[1 - last].close()
    assert torch.get_num_threads() == 1
    both[last].close()  # the fixture looks at what torch has then


@pytest.mark.parametrize("n_threads", [2, 3])
def test_torch_has_one_thread_in_each_until_the_end(n_threads):
    results = map_at_once(
        lambda _: torch.get_num_threads(), range(6), n_threads
    )
    assert set(results) == {1}
    stopped = map_at_once(abs, range(6), n_threads)
    next(stopped)
    assert torch.get_num_threads() == 1
    stopped.close()
