"""Laws of sharing: each clip is somebody's, once, whoever does how many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import IterableDataset

from focalaudio import processes
from focalaudio.brains.loaders import share_clips


class Clips:
    """Stands for a data set whose clips have names."""

    def __init__(self, n_clips):
        self.data_ids = [f"clip{number}" for number in range(n_clips)]

    def __len__(self):
        return len(self.data_ids)


def share_among(n_processes, dataset, kwargs, done=()):
    """Return the options of every process."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for number in range(n_processes):
            patch.setattr(
                processes, "count_processes", lambda n=number: (n, n_processes)
            )
            found.append(share_clips(dataset, kwargs, done))
    return found


@given(st.integers(1, 5), st.integers(0, 20), st.sets(st.integers(0, 19)))
def test_every_clip_that_is_left_is_in_one_share(n_processes, n_clips, done):
    dataset = Clips(n_clips)
    names = {f"clip{number}" for number in done}
    found = share_among(n_processes, dataset, {"batch_size": 2}, names)
    shares = [kwargs["sampler"] for kwargs in found]
    assert sorted(sum(map(list, shares), [])) == sorted(
        set(range(n_clips)) - done
    )
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1
    assert {kwargs["batch_size"] for kwargs in found} == {2}


def test_an_order_of_ones_own_is_shared():
    found = share_among(2, Clips(5), {"sampler": [4, 2, 0], "shuffle": False})
    assert found == [{"sampler": [4, 0]}, {"sampler": [2]}]


def test_batches_of_ones_own_are_shared_whole():
    batches = [[0, 3], [1], [2, 4]]
    found = share_among(2, Clips(5), {"batch_sampler": batches})
    assert [each["batch_sampler"] for each in found] == [
        [[0, 3], [2, 4]],
        [[1]],
    ]


def test_a_stream_is_left_as_it_is():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(())

    assert share_clips(Stream(), {"batch_size": 2}) == {"batch_size": 2}


def test_what_was_given_stays():
    given = {"batch_size": 2, "shuffle": False}
    share_clips(Clips(3), given)
    assert given == {"batch_size": 2, "shuffle": False}
