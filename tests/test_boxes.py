"""Laws of boxes: what is planted in a mask comes back, in seconds and Hz."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from focalaudio.boxes import BoxRules, HeardBox, find_boxes, join_boxes
from focalaudio.data.synthetic import synthesize_clip
from focalaudio.metrics.boxes import boxes_to_cells
from focalaudio.spectrogram import Spectrogram, power_spectrum

SPECTROGRAM = Spectrogram()
N_SAMPLES = 16000
SPECTRUM = SPECTROGRAM(torch.rand(1, N_SAMPLES))
HOP, BIN = 186 / 16000, 16000 / 1024  # s, Hz
APART = BoxRules(gap_seconds=0, gap_hertz=0, least_score=0)


def find(mask, rules=APART, n_samples=N_SAMPLES, weight=None):
    weight = torch.ones_like(mask) if weight is None else weight
    return find_boxes(mask, weight, SPECTROGRAM, n_samples, rules)


def plant(*rectangles, n_frames=87):
    mask = torch.zeros(n_frames, 513)
    for times, bins in rectangles:
        mask[times, bins] = 1
    return mask


CORNERS = st.tuples(*[st.integers(0, 84)] * 2, *[st.integers(0, 511)] * 2)


@settings(max_examples=20, deadline=None)
@given(CORNERS)
def test_a_rectangle_comes_back_as_itself(corners):
    t0, t1, f0, f1 = corners
    times = slice(min(t0, t1), max(t0, t1) + 1)
    bins = slice(min(f0, f1), max(f0, f1) + 1)
    mask = plant((times, bins))
    (box,) = find(mask)
    assert box.score == pytest.approx(1)
    limits = [box.begin, box.end, box.low, box.high, 0.0]
    boxes = torch.tensor([[limits]], dtype=torch.double)
    asked = torch.tensor([0]), SPECTRUM, SPECTROGRAM
    cells = boxes_to_cells(boxes, *asked)
    assert torch.equal(cells[0].float(), mask)


def test_parts_are_ranked_by_what_they_hold():
    small = (slice(5, 7), slice(10, 12))
    large = (slice(50, 60), slice(200, 300))
    mask = plant(small, large)
    weight = torch.ones_like(mask)
    assert [round(box.score, 3) for box in find(mask)] == [0.996, 0.004]
    weight[small] = 1000
    first, second = find(mask, weight=weight)
    assert first.high < second.low
    assert first.score == pytest.approx(0.8)
    assert first.score + second.score == pytest.approx(1)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("n_between", [0, 1, 4, 5])
def test_parts_closer_than_the_gap_are_one(axis, n_between):
    start = 10 + 2 + n_between
    parts = [slice(10, 12), slice(start, start + 2)]
    other = slice(30, 40)
    mask = plant(*((p, other) if axis == 0 else (other, p) for p in parts))
    gap = {"gap_seconds": 4 * HOP, "gap_hertz": 4 * BIN}
    rules = replace(APART, **gap)
    assert len(find(mask, rules)) == (1 if n_between <= 4 else 2)
    assert len(find(mask)) == (1 if n_between == 0 else 2)


def test_what_holds_next_to_nothing_is_dropped_and_the_most_kept():
    dots = [(slice(8 * i, 8 * i + 1 + i), slice(5, 9)) for i in range(8)]
    mask = plant(*dots)
    assert len(find(mask)) == 8
    scores = [box.score for box in find(mask, replace(APART, least_score=0.1))]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 5
    assert min(scores) >= 0.1
    assert find(mask, replace(APART, most=3)) == find(mask)[:3]


def test_an_empty_mask_has_no_box():
    assert find(torch.zeros(87, 513)) == []
    full = torch.ones(87, 513)
    assert find(full, weight=torch.zeros_like(full)) == []


def test_a_full_mask_is_the_whole_clip_and_no_more():
    for n_samples in (1, 100, 186, 5000, N_SAMPLES):
        (box,) = find(torch.ones(87, 513), n_samples=n_samples)
        limits = (box.begin, box.end, box.low, box.high)
        assert limits == (0, n_samples / 16000, 0, 8000)


def test_a_box_ends_with_its_clip():
    mask = plant((slice(20, 80), slice(0, 9)))
    (box,) = find(mask, n_samples=8000)
    assert box.end == 0.5
    assert find(plant((slice(60, 80), slice(0, 9))), n_samples=8000) == []


def test_half_a_cell_is_enough():
    mask = plant((slice(5, 9), slice(5, 9)))
    assert find(0.5 * mask) == find(mask)
    assert find(0.49 * mask) == []


@pytest.mark.parametrize("category", ["siren", "bell", "cricket"])
@pytest.mark.parametrize("index", range(3))
def test_boxes_of_ideal_masks_are_where_the_events_are(category, index):
    """They begin and end with the events, but for a window, and hold them."""
    clip = synthesize_clip(category, index, seed=1, seconds=2.5)
    parts = torch.stack((clip.stem, clip.background))
    event, rest = power_spectrum(SPECTROGRAM(parts).stft)
    mask = (event > rest).float()
    boxes = find(mask, BoxRules(), len(clip.stem), event)
    first, *_, last = clip.stem.nonzero().flatten().tolist()
    window = SPECTROGRAM.window_samples / 16000
    assert min(box.begin for box in boxes) > first / 16000 - window
    assert max(box.end for box in boxes) < last / 16000 + window
    inside = torch.zeros(event.shape, dtype=torch.bool)
    for box in boxes:
        times = slice(round(box.begin / HOP), round(box.end / HOP) + 1)
        bins = slice(round(box.low / BIN), round(box.high / BIN) + 1)
        inside[times, bins] = True
    assert event[inside].sum() > 0.95 * event.sum()


BOX = HeardBox(1.0, 2.0, 100.0, 300.0, 0.5, 3, "dog")


def test_boxes_that_go_on_are_one():
    later = replace(BOX.move(1.0), low=200.0, high=400.0, score=0.7)
    (joined,) = join_boxes([BOX, later], 0.01)
    assert joined == HeardBox(1.0, 3.0, 100.0, 400.0, 0.7, 3, "dog")


@pytest.mark.parametrize(
    "change",
    [{"class_id": 4}, {"low": 300.0, "high": 400.0}, {"begin": 2.1}],
)
def test_other_classes_bands_and_times_stay_apart(change):
    other = replace(BOX.move(1.0), **change)
    assert list(join_boxes([BOX, other], 0.01)) == [BOX, other]


def test_one_box_may_go_on_through_many_windows():
    parts = [BOX.move(float(i)) for i in range(50)]
    (joined,) = join_boxes(parts, 0.0)
    assert (joined.begin, joined.end) == (1.0, 51.0)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"gap_seconds": -1.0}, "gap_seconds=-1.0"),
        ({"gap_hertz": float("nan")}, "gap_hertz=nan"),
        ({"least_score": 1.1}, "least_score=1.1"),
        ({"most": 0}, "most=0"),
    ],
)
def test_rules_out_of_range_are_errors(rules, said):
    with pytest.raises(ValueError, match=said):
        BoxRules(**rules)
