"""Laws of what is measured class by class, of several labels."""

import math

import pytest
import torch

from focalaudio.metrics.precision import (
    average_precisions,
    describe_precision,
    mean_precision,
)


def slow_average_precision(scores, found):
    """By its definition, threshold after threshold."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [
            y for x, y in zip(scores, found, strict=True) if x >= threshold
        ]
        recall = sum(taken) / sum(found)
        total += (recall - before) * sum(taken) / len(taken)
        before = recall
    return total


@pytest.fixture
def said():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 5, generator=generator)
    logits[:, 3] = logits[:, 3].round()  # ties
    marked = (torch.rand(40, 5, generator=generator) < 0.3).float()
    marked[:, 4] = 0
    return logits, marked


def test_it_is_the_definition(said):
    logits, marked = said
    found = average_precisions(logits, marked)
    for index in range(4):
        columns = logits[:, index].tolist(), marked[:, index].tolist()
        wanted = slow_average_precision(*columns)
        assert found[index].item() == pytest.approx(wanted, abs=1e-6)
    assert math.isnan(found[4])
    assert mean_precision(*said) == pytest.approx(found[:4].mean().item())


def test_neither_the_order_of_clips_nor_the_scale_matters(said):
    logits, marked = said
    whole = average_precisions(logits, marked)[:4]
    order = torch.randperm(40)
    for other in ((logits[order], marked[order]), (3 * logits - 1, marked)):
        torch.testing.assert_close(average_precisions(*other)[:4], whole)


@pytest.mark.parametrize(
    "rising",
    [
        lambda logits: 100 * logits + 1000,
        lambda logits: 1e-30 * logits,
        lambda logits: logits.double().sigmoid(),
        lambda logits: 1e30 * logits.double() ** 3,
    ],
    ids=["large", "tiny", "sigmoid", "cubed"],
)
def test_only_the_order_of_the_logits_matters(said, rising):
    logits, marked = said
    whole = average_precisions(logits, marked)[:4]
    found = average_precisions(rising(logits), marked)[:4]
    torch.testing.assert_close(found, whole)


def test_a_perfect_order_has_all_of_it():
    marked = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert mean_precision(marked - 0.5, marked) == 1.0


def test_a_clip_with_two_labels_counts_in_both():
    marked = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    rows = describe_precision(torch.ones(2, 2), marked, ["dog", "rain"])
    assert [row["n"] for row in rows] == [1, 2]
    assert [row["precision"] for row in rows] == [0.5, 1.0]
    assert [row["recall"] for row in rows] == [1.0, 1.0]
