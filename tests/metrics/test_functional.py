"""Laws of the metrics, against values worked out by hand."""

import math

import pytest
import torch

from focalaudio.metrics.functional import (
    accuracy,
    average_drop,
    average_gain,
    average_increase,
    complexity,
    faithfulness,
    faithfulness_of_kept,
    fidelity,
    predicted_probability,
    sparseness,
)


def logits_of(*probabilities):
    """Logits whose softmax gives these rows."""
    return torch.tensor(probabilities).log()


WHOLE = logits_of((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), (0.2, 0.2, 0.6))
KEPT = logits_of((0.8, 0.1, 0.1), (0.5, 0.4, 0.1), (0.1, 0.2, 0.7))
REMOVED = logits_of((0.1, 0.8, 0.1), (0.2, 0.7, 0.1), (0.3, 0.1, 0.6))


def believe(logits):
    return predicted_probability(logits, WHOLE)


def test_values_by_hand():
    close = {"atol": 1e-6, "rtol": 0}
    whole, kept, removed = believe(WHOLE), believe(KEPT), believe(REMOVED)
    for values, expected in (
        (accuracy(WHOLE, torch.tensor([0, 2, 2])), [1, 0, 1]),
        (fidelity(WHOLE, KEPT), [1, 0, 1]),
        (whole, [0.7, 0.6, 0.6]),
        (kept, [0.8, 0.4, 0.7]),
        (removed, [0.1, 0.7, 0.6]),
        (faithfulness(whole, removed), [0.6, -0.1, 0.0]),
        (faithfulness_of_kept(whole, kept), [-0.1, 0.2, -0.1]),
    ):
        torch.testing.assert_close(
            values, torch.tensor(expected, dtype=torch.float), **close
        )


def test_identity_mask_is_faithful():
    assert fidelity(WHOLE, WHOLE).tolist() == [1, 1, 1]
    assert (
        faithfulness_of_kept(believe(WHOLE), believe(WHOLE)).tolist() == [0] * 3
    )


def test_probability_is_of_the_class_of_the_whole_clip():
    parts, whole = torch.randn(20, 7), torch.randn(20, 7)
    values = predicted_probability(parts, whole)
    for row in range(20):
        scores = [math.exp(x) for x in parts[row].tolist()]
        best = max(range(7), key=whole[row].tolist().__getitem__)
        assert values[row].item() == pytest.approx(
            scores[best] / sum(scores), abs=1e-6
        )


def test_only_differences_of_logits_matter():
    parts, whole = torch.randn(5, 7), torch.randn(5, 7)
    torch.testing.assert_close(
        predicted_probability(parts + 100, whole - 50),
        predicted_probability(parts, whole),
        atol=1e-5,
        rtol=0,
    )


def test_low_precision_logits_give_single_precision_probabilities():
    low = WHOLE.bfloat16()
    values = predicted_probability(low, low)
    assert values.dtype == torch.float
    torch.testing.assert_close(values, believe(WHOLE), atol=0.01, rtol=0)


def test_clips_are_measured_independently_of_their_order():
    order = torch.tensor([2, 0, 1])
    assert torch.equal(
        fidelity(WHOLE[order], KEPT[order]), fidelity(WHOLE, KEPT)[order]
    )
    torch.testing.assert_close(
        predicted_probability(KEPT[order], WHOLE[order]), believe(KEPT)[order]
    )


def test_drop_gain_and_increase_of_hand_made_clips():
    whole = torch.tensor([0.8, 0.5, 0.5, 1.0])
    kept = torch.tensor([0.2, 0.5, 0.75, 1.0])
    assert average_drop(whole, kept).tolist() == pytest.approx([75, 0, 0, 0])
    assert average_increase(whole, kept).tolist() == [0, 0, 100, 0]
    # the same, but for the rounding of a batch of another size
    assert not average_increase(whole, whole * (1 + 2e-7)).any()
    gain = average_gain(whole, kept)
    assert gain[:3].tolist() == pytest.approx([0, 0, 50])
    assert gain[3].isnan()  # nothing could be gained


def slow_gini(values):
    """Mean absolute difference over twice the mean, pair by pair."""
    pairs = [abs(a - b) for a in values for b in values]
    return sum(pairs) / len(pairs) / (2 * sum(values) / len(values))


def test_sparseness_is_the_mean_difference_of_all_pairs():
    saliency = torch.rand(3, 4, 5) ** 3
    expected = [slow_gini(clip.flatten().tolist()) for clip in saliency]
    assert sparseness(saliency).tolist() == pytest.approx(expected, rel=1e-5)


def test_complexity_is_the_entropy_of_the_shares():
    saliency = torch.rand(3, 4, 5)
    for clip, value in zip(saliency, complexity(saliency), strict=True):
        shares = [cell / clip.sum().item() for cell in clip.flatten().tolist()]
        entropy = -sum(share * math.log(share) for share in shares)
        assert value.item() == pytest.approx(entropy, rel=1e-5)


def test_a_flat_map_is_complex_and_one_cell_is_sparse():
    flat, one = torch.ones(1, 10, 10), torch.zeros(1, 10, 10)
    one[0, 3, 4] = 2.0
    assert sparseness(flat).item() == pytest.approx(0, abs=1e-6)
    assert sparseness(one).item() == pytest.approx(0.99)
    assert complexity(flat).item() == pytest.approx(math.log(100))
    assert complexity(one).item() == 0


@pytest.mark.parametrize("measure", [sparseness, complexity])
def test_scale_changes_nothing_and_a_map_of_zeros_is_undefined(measure):
    saliency = torch.rand(2, 6)
    torch.testing.assert_close(measure(saliency), measure(10 * saliency))
    assert measure(torch.zeros(1, 6)).isnan().all()
