"""Laws of boxes: which cells of a spectrogram they hold."""

import pytest
import torch

from focalaudio.metrics.boxes import boxes_to_cells
from focalaudio.spectrogram import Spectrogram

# cells of 10 ms x 100 Hz, centered at their multiples
SPECTROGRAM = Spectrogram(16000, n_fft=160, win_length=10.0, hop_length=5.0)
HOP, BIN = 0.005, 100.0
INF = float("inf")


@pytest.fixture
def spectrum():
    return SPECTROGRAM(torch.rand(2, 800), torch.tensor([1.0, 0.5]))


def cells_of(spectrum, *boxes, class_ids=(0, 0)):
    marked = torch.tensor([list(boxes)] * 2, dtype=torch.double)
    ids = torch.tensor(class_ids)
    return boxes_to_cells(marked, ids, spectrum, SPECTROGRAM)


def test_a_box_holds_the_cells_that_it_overlaps(spectrum):
    """Frames 2 to 4 reach from 7.5 to 22.5 ms, bins 3, 4 from 250 to 450."""
    cells = cells_of(spectrum, [0.0076, 0.0224, 251.0, 449.0, 0.0])[0]
    times, bins = cells.nonzero().T
    assert times.unique().tolist() == [2, 3, 4]
    assert bins.unique().tolist() == [3, 4]
    assert len(times) == 6


def test_the_smallest_box_holds_a_cell(spectrum):
    tiny = [3 * HOP, 3 * HOP + 1e-6, 5 * BIN, 5 * BIN + 1e-3, 0.0]
    assert cells_of(spectrum, tiny)[0].nonzero().tolist() == [[3, 5]]


@pytest.mark.parametrize("size", [1e-12, 1e-7, 1e-6, 5e-6])
def test_the_smallest_box_holds_a_cell_on_an_edge_too(spectrum, size):
    for share in (0.0, 0.25, 0.5, 1.0):
        begin, low = 2.5 * HOP - share * size, 4.5 * BIN - share * 1e3 * size
        tiny = [begin, begin + size, low, low + 1e3 * size, 0.0]
        times, bins = cells_of(spectrum, tiny)[0].nonzero().T
        assert {2, 3} >= set(times.tolist()) > set()
        assert {4, 5} >= set(bins.tolist()) > set()


def test_a_box_of_everything_holds_each_clips_own_cells(spectrum):
    cells = cells_of(spectrum, [0.0, 99.0, 0.0, INF, 0.0])
    own = spectrum.own_frames[:, :, None].expand_as(cells)
    assert torch.equal(cells, own)
    assert not cells[1].all()


def test_boxes_of_other_classes_and_of_no_duration_hold_nothing(spectrum):
    other, padding = [0.0, 99.0, 0.0, INF, 1.0], [0.0] * 5
    assert not cells_of(spectrum, other, padding).any()
    assert cells_of(spectrum, other, class_ids=(1, 0))[0].any()
    unknown = [0.0, 99.0, 0.0, INF, -1.0]
    assert not cells_of(spectrum, unknown).any()


def test_boxes_are_joined_not_their_sides(spectrum):
    """Two boxes on a diagonal do not hold its other corners."""
    one, two = [0.0, 0.01, 0.0, 1e3, 0.0], [0.03, 0.04, 4e3, 5e3, 0.0]
    both = cells_of(spectrum, one, two)
    alone = cells_of(spectrum, one) | cells_of(spectrum, two)
    assert torch.equal(both, alone)


def test_a_box_beyond_the_end_holds_nothing(spectrum):
    late = [10.0, 11.0, 0.0, INF, 0.0]
    assert not cells_of(spectrum, late).any()
