"""Laws of insertion and deletion, and a slow implementation of them."""

import math

import pytest
import torch

from focalaudio.metrics.curves import (
    _rank_cells,
    _step_sizes,
    area,
    insertion_and_deletion,
)

FREQ = 6


def areas(*args, **kwargs):
    """The areas under both curves."""
    return [area(curve) for curve in insertion_and_deletion(*args, **kwargs)]


N_FRAMES = torch.tensor([10, 7, 1])


@pytest.fixture
def clips():
    """Three clips of 60, 42 and 6 cells; garbage follows their ends."""
    return torch.rand(3, 10, FREQ), torch.rand(3, 10, FREQ), N_FRAMES


def share(clips, rows, whole=None):
    """Two classes; the first's probability is the share of what is kept."""
    kept = (clips.double().sum((1, 2)) / whole).clamp(0, 1)
    return torch.stack((kept, 1 - kept), 1).log()


def mixing(clips, rows):
    """Three classes, whose logits mix all cells and depend on the frames."""
    weights = torch.linspace(-3, 3, 3 * FREQ).sin().view(FREQ, 3)
    assert len(rows) == len(clips)
    return (clips @ weights).mean(1).sin() * math.log1p(clips.shape[1])


def slow_curve(saliency, clip, frames, class_id, n_steps, deletion):
    """One cell after the other, sorted by Python."""
    places = [(t, f) for t in range(frames) for f in range(FREQ)]
    places.sort(key=lambda place: -saliency[place].item())
    part = clip[:frames].clone() if deletion else 0 * clip[:frames]
    curve, done = [], 0
    for step in range(n_steps + 1):
        wanted = int(len(places) * step / n_steps + 0.5)
        for place in places[done:wanted]:
            part[place] = 0 if deletion else clip[place]
        done = wanted
        logits = mixing(part[None], [0])[0]
        curve.append(logits.softmax(0)[class_id].item())
    return curve


@pytest.mark.parametrize("n_steps", [1, 4, 7, 100])
def test_curves_are_those_of_one_cell_after_the_other(clips, n_steps):
    saliency, log_magnitude, n_frames = clips
    saliency = (4 * saliency).round()  # many cells tie
    class_ids = torch.tensor([2, 0, 1])
    curves = insertion_and_deletion(*clips, mixing, class_ids, n_steps)
    ties = insertion_and_deletion(
        saliency, log_magnitude, n_frames, mixing, class_ids, n_steps
    )
    for values, found in ((clips[0], curves), (saliency, ties)):
        for row, frames in enumerate(n_frames.tolist()):
            for deletion in (False, True):
                expected = slow_curve(
                    values[row],
                    log_magnitude[row],
                    frames,
                    class_ids[row],
                    n_steps,
                    deletion,
                )
                assert found[deletion][row].tolist() == pytest.approx(
                    expected, abs=1e-6
                )


def test_curves_lead_from_silence_to_the_whole_and_back(clips):
    _, log_magnitude, n_frames = clips
    class_ids = torch.tensor([0, 1, 2])
    inserted, deleted = insertion_and_deletion(*clips, mixing, class_ids, 5)
    for row, frames in enumerate(n_frames.tolist()):
        clip = log_magnitude[row : row + 1, :frames]
        both = mixing(torch.cat((0 * clip, clip)), [row, row])
        silence, whole = both.softmax(1)[:, class_ids[row]]
        torch.testing.assert_close(inserted[row, 0], silence)
        torch.testing.assert_close(inserted[row, -1], whole)
        torch.testing.assert_close(deleted[row, 0], whole)
        torch.testing.assert_close(deleted[row, -1], silence)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 6])
def test_deletion_is_the_insertion_of_the_reversed_order_read_backwards(
    clips, n_steps
):
    """What is left when the first k cells are gone is the last cells.

    `deletion(s)[k] = insertion(-s)[n - k]` without ties, where the steps cut
    all clips in whole cells; and the areas under both are the same.
    """
    saliency, log_magnitude, n_frames = clips
    class_ids = torch.tensor([0, 1, 2])
    _, deleted = insertion_and_deletion(*clips, mixing, class_ids, n_steps)
    inserted, _ = insertion_and_deletion(
        -saliency, log_magnitude, n_frames, mixing, class_ids, n_steps
    )
    torch.testing.assert_close(deleted, inserted.flip(1))
    torch.testing.assert_close(area(deleted), area(inserted))


def test_areas_under_a_linear_probability_by_hand():
    clip = torch.tensor([[[0.4, 0.1], [0.2, 0.3]]])

    def classify(clips, rows):
        return share(clips, rows, 1.0)

    def both(saliency):
        found = areas(
            saliency, clip, torch.tensor([2]), classify, torch.tensor([0]), 4
        )
        return tuple(each.item() for each in found)

    # 0, .4, .7, .9, 1 and 1, .6, .3, .1, 0
    assert both(clip) == pytest.approx((0.625, 0.375))
    # 0, .1, .3, .6, 1: the worst order
    assert both(-clip) == pytest.approx((0.375, 0.625))
    # in order of position: 0, .4, .5, .7, 1
    assert both(torch.zeros_like(clip)) == pytest.approx((0.525, 0.475))


def test_the_loudest_first_is_the_best_order_of_a_linear_probability(clips):
    saliency, log_magnitude, n_frames = clips
    whole = log_magnitude[0].sum()

    def both(order):
        return areas(
            order[:1],
            log_magnitude[:1],
            n_frames[:1],
            lambda part, rows: share(part, rows, whole),
            torch.tensor([0]),
            60,
        )

    best, other = both(log_magnitude), both(saliency)
    assert best[0] > other[0] + 0.05
    assert best[1] < other[1] - 0.05
    for inserted, deleted in (best, other):  # what is not kept is removed
        assert (inserted + deleted).item() == pytest.approx(1, abs=1e-5)


def test_a_linear_probability_of_a_flat_clip_has_half_the_area():
    clip, n_frames = torch.ones(2, 10, FREQ), torch.tensor([10, 10])
    found = areas(
        torch.rand(2, 10, FREQ),
        clip,
        n_frames,
        lambda part, rows: share(part, rows, 60),
        torch.tensor([0, 1]),
        n_steps=6,
    )
    for values in found:
        torch.testing.assert_close(values, torch.full((2,), 0.5))


def test_a_clip_has_the_same_areas_in_any_batch_and_padding(clips):
    saliency, log_magnitude, n_frames = clips
    class_ids = torch.tensor([1, 0, 2])
    batch = areas(*clips, mixing, class_ids, n_steps=5)
    for row, frames in enumerate(n_frames.tolist()):
        one = slice(row, row + 1)
        alone = areas(
            saliency[one, :frames],
            log_magnitude[one, :frames],
            n_frames[one],
            mixing,
            class_ids[one],
            n_steps=5,
        )
        for values, own in zip(batch, alone, strict=True):
            assert torch.equal(values[one], own)


@pytest.mark.parametrize("batch_size", [1, 3, 16, 1000])
def test_passes_are_bounded_and_no_input_is_classified_twice(clips, batch_size):
    sizes, seen = [], []

    def classify(part, rows):
        sizes.append(len(part))
        seen.extend(part)
        return mixing(part, rows)

    class_ids = torch.tensor([1, 0, 2])
    args = [values[:1] for values in clips]
    found = areas(*args, classify, class_ids, 5, batch_size)
    assert max(sizes) <= batch_size
    assert len(seen) == 2 * 5
    assert len({tuple(part.flatten().tolist()) for part in seen}) == 2 * 5
    expected = areas(*args, mixing, class_ids, 5)
    torch.testing.assert_close(found, expected)


def test_only_the_order_of_the_saliency_matters(clips):
    saliency, log_magnitude, n_frames = clips
    class_ids = torch.tensor([1, 0, 2])
    expected = insertion_and_deletion(*clips, mixing, class_ids)
    found = insertion_and_deletion(
        7 * saliency.exp(), log_magnitude, n_frames, mixing, class_ids
    )
    assert torch.equal(torch.stack(found), torch.stack(expected))


def test_curves_take_no_gradient(clips):
    scale = torch.ones(1, requires_grad=True)
    curves = insertion_and_deletion(
        *clips,
        lambda part, rows: scale * mixing(part, rows),
        torch.tensor([1, 0, 2]),
    )
    assert not any(curve.requires_grad for curve in curves)


def test_a_real_classifier_is_followed(classifier, spectrogram, uneven):
    spectrum = spectrogram(*uneven[:2])

    def classify(part, rows):
        return classifier(part, spectrum.n_frames[rows]).logits

    output = classifier(spectrum.log_magnitude, spectrum.n_frames)
    inserted, _ = insertion_and_deletion(
        spectrum.log_magnitude,
        spectrum.log_magnitude,
        spectrum.n_frames,
        classify,
        output.class_ids,
        3,
    )
    torch.testing.assert_close(
        inserted[:, -1], output.probs.amax(1).detach(), atol=1e-5, rtol=0
    )
    assert ((inserted >= 0) & (inserted <= 1)).all()


@pytest.mark.parametrize("n_steps", [1, 2, 7, 20])
@pytest.mark.parametrize("n_cells", [1, 513, 1000])
def test_steps_are_equal_to_a_cell(n_cells, n_steps):
    sizes = _step_sizes(n_cells, n_steps)
    assert len(sizes) == n_steps + 1
    assert (sizes[0], sizes[-1]) == (0, n_cells)
    for step, size in enumerate(sizes):
        assert abs(size - n_cells * step / n_steps) <= 0.5


def test_ranks_invert_the_order():
    saliency = torch.rand(5, 7)
    ranks = _rank_cells(saliency).flatten()
    assert ranks.sort().values.tolist() == list(range(35))
    falling = saliency.flatten()[ranks.argsort()]
    assert (falling.diff() <= 0).all()
    assert _rank_cells(torch.ones(300)).tolist() == list(range(300))


@pytest.mark.parametrize("name", ["n_steps", "batch_size"])
def test_counts_below_one_are_refused(clips, name):
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        areas(*clips, mixing, torch.tensor([0, 0, 0]), **{name: 0})
