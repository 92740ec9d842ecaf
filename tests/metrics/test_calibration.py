"""Laws of calibration: a temperature changes how sure, never what."""

import math

import pytest
import torch
import torch.nn.functional as F

from focalaudio.decisions import ONE, SEVERAL
from focalaudio.metrics.calibration import (
    HIGHEST,
    LOWEST,
    calibration_error,
    find_temperature,
)


def mark(class_ids, logits):
    return F.one_hot(class_ids, logits.shape[1]).float()


def slow_calibration_error(probability, right, n_bins=15):
    total = 0.0
    for place in range(n_bins):
        inside = [
            (p, r)
            for p, r in zip(probability, right, strict=True)
            if min(int(p * n_bins), n_bins - 1) == place
        ]
        if inside:
            confidence = sum(p for p, _ in inside) / len(inside)
            accuracy = sum(r for _, r in inside) / len(inside)
            total += len(inside) * abs(confidence - accuracy)
    return total / len(probability)


def test_calibration_error_follows_its_definition():
    generator = torch.manual_seed(0)
    probability = torch.rand(300, generator=generator).tolist()
    right = (torch.rand(300, generator=generator) < 0.6).float().tolist()
    assert calibration_error(probability, right) == pytest.approx(
        slow_calibration_error(probability, right), abs=1e-5
    )


def test_a_probability_of_one_is_in_the_last_bin():
    probability = [0.95] * 10 + [1.0] * 10
    right = [1.0] * 19 + [0.0]
    found = calibration_error(probability, right)
    assert found == pytest.approx(0.025, abs=1e-5)
    wanted = slow_calibration_error(probability, right)
    assert found == pytest.approx(wanted, abs=1e-5)


def test_perfect_and_hopeless_calibration():
    assert calibration_error([1.0] * 5, [1.0] * 5) == pytest.approx(0, abs=1e-6)
    assert calibration_error([1.0] * 5, [0.0] * 5) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("margin", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("n_right", [6, 9])
def test_of_one_margin_the_probability_becomes_the_accuracy(margin, n_right):
    logits = torch.tensor([[margin, 0.0]]).repeat(10, 1)
    class_ids = (torch.arange(10) >= n_right).long()
    found = find_temperature(logits, mark(class_ids, logits))
    # 1 / (1 + exp(-margin / T)) = n_right / 10
    assert found == pytest.approx(margin / math.log(n_right / (10 - n_right)))
    sure = (logits / found).softmax(1)[:, 0].tolist()
    right = (class_ids == 0).float().tolist()
    assert calibration_error(sure, right) == pytest.approx(0, abs=1e-5)


def test_no_temperature_near_by_has_a_lower_cross_entropy():
    generator = torch.manual_seed(0)
    logits = 4 * torch.randn(200, 5, generator=generator).double()
    class_ids = (
        (logits / 3).softmax(1).multinomial(1, generator=generator)[:, 0]
    )
    found = find_temperature(logits, mark(class_ids, logits))
    assert 2 < found < 4.5
    least, *others = (
        F.cross_entropy(logits / (found * factor), class_ids)
        for factor in (1.0, 0.99, 1.01)
    )
    assert least < min(others)


def test_a_scale_of_the_logits_is_taken_back():
    generator = torch.manual_seed(1)
    logits = torch.randn(60, 3, generator=generator)
    class_ids = torch.randint(3, (60,), generator=generator)
    class_ids[:40] = logits[:40].argmax(1)
    one = find_temperature(logits, mark(class_ids, logits))
    assert find_temperature(
        3 * logits, mark(class_ids, logits)
    ) == pytest.approx(3 * one)
    shifted = logits + torch.randn(60, 1, generator=generator)
    assert find_temperature(shifted, mark(class_ids, logits)) == pytest.approx(
        one, rel=1e-5
    )


@pytest.mark.parametrize("n_classes", [1, 3])
@pytest.mark.parametrize("decision", [ONE, SEVERAL])
def test_where_any_temperature_is_as_likely_it_is_one(n_classes, decision):
    levels = torch.tensor([0.1, -3e4, 7.7, 0.0]) * (decision is ONE)
    same = levels[:, None].expand(4, n_classes)
    marked = mark(torch.zeros(4).long(), same)
    assert find_temperature(same, marked, decision) == pytest.approx(1)


@pytest.mark.parametrize("margin", [1e-3, 1.0, 5.0, 30.0, 100.0, 1e5])
@pytest.mark.parametrize("level", [-20.0, 0.0, 20.0])
def test_where_no_prediction_is_wrong_it_is_the_lowest(margin, level):
    logits = margin * torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 1.0]]) + level
    marked = mark(torch.tensor([0, 1]), logits)
    assert find_temperature(logits, marked) == pytest.approx(LOWEST)


@pytest.mark.parametrize("margin", [1e-3, 1.0, 5.0, 30.0, 100.0, 1e5])
def test_of_several_labels_it_is_the_lowest_too(margin):
    logits = margin * torch.tensor([[1.0, 2.0, -1.0], [-1.0, -2.0, -3.0]])
    found = find_temperature(logits, (logits > 0).float(), SEVERAL)
    assert found == pytest.approx(LOWEST)


def test_without_an_end_the_range_is_the_end():
    logits = torch.eye(3)
    right, wrong = torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])
    assert find_temperature(logits, mark(right, logits)) == pytest.approx(
        LOWEST
    )
    assert find_temperature(logits, mark(wrong, logits)) == pytest.approx(
        HIGHEST
    )


@pytest.mark.parametrize("shape", [(0, 3), (3,)])
def test_at_least_one_row(shape):
    with pytest.raises(ValueError, match="must be \\[clips, classes\\]"):
        find_temperature(torch.zeros(shape), torch.zeros(shape))
