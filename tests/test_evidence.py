"""Laws of the loss on evidence: every cell answers for what it holds."""

import math

import pytest
import torch

from focalaudio.evidence import evidence_loss, is_dominant


def loss_of(evidence, dominant, floor=1.0, magnitude=None):
    magnitude = torch.ones(dominant.shape) if magnitude is None else magnitude
    frames = torch.full((len(dominant),), dominant.shape[1])
    own, added = torch.eye(3)[[0]], torch.eye(3)[[1]]
    return evidence_loss(
        evidence,
        magnitude,
        dominant,
        frames,
        own.expand(len(dominant), -1),
        added.expand(len(dominant), -1),
        floor,
    )


@pytest.fixture
def halves():
    """The clip is louder in the first half of the frames."""
    dominant = torch.zeros(1, 8, 6, dtype=torch.bool)
    dominant[:, :4] = True
    return dominant


def test_who_knows_which_cell_is_whose_loses_nothing(halves):
    right = torch.full((1, 3, 4, 2), -30.0)
    right[:, 0, :2] = right[:, 1, 2:] = 30
    wrong = right.flip(2)
    assert loss_of(right, halves) < 1e-6
    assert loss_of(wrong, halves) > 50


def test_knowing_nothing_costs_the_logarithm_of_the_classes(halves):
    loss = loss_of(torch.zeros(1, 3, 4, 2), halves)
    assert loss.item() == pytest.approx(math.log(3))


def test_loss_follows_its_definition_cell_by_cell(halves):
    generator = torch.manual_seed(0)
    evidence = torch.randn(1, 3, 4, 2, generator=generator)
    magnitude = torch.rand(1, 8, 6, generator=generator)
    dominant = torch.rand(1, 8, 6, generator=generator) < 0.5
    floor, total, weights = 0.3, 0.0, torch.zeros(4, 2)
    for row in range(4):
        for col in range(2):
            cells = (
                0,
                slice(2 * row, 2 * row + 2),
                slice(3 * col, 3 * col + 3),
            )
            weights[row, col] = magnitude[cells].mean()
    for row in range(4):
        for col in range(2):
            cells = (
                0,
                slice(2 * row, 2 * row + 2),
                slice(3 * col, 3 * col + 3),
            )
            share = (magnitude[cells] * dominant[cells]).sum()
            share = share / magnitude[cells].sum()
            log_p = evidence[0, :, row, col].log_softmax(0)
            error = -(share * log_p[0] + (1 - share) * log_p[1])
            total += error * (weights[row, col] / weights.mean() + floor)
    wanted = total / 8 / (1 + floor)
    torch.testing.assert_close(
        loss_of(evidence, dominant, floor, magnitude), wanted
    )


def test_quiet_cells_count_only_by_the_floor(halves):
    magnitude = torch.ones(1, 8, 6)
    magnitude[:, 4:] = 0  # the second half is silent
    evidence = torch.zeros(1, 3, 4, 2)
    changed = evidence.clone()
    changed[:, 2, 2:] = 5  # nonsense in silence
    losses = [
        loss_of(each, halves, 0.0, magnitude) for each in (evidence, changed)
    ]
    assert losses[0] == losses[1]
    assert loss_of(changed, halves, 1.0, magnitude) > losses[0]


def test_silence_gives_finite_losses_and_gradients(halves):
    evidence = torch.zeros(1, 3, 4, 2, requires_grad=True)
    loss = loss_of(evidence, halves, 1.0, torch.zeros(1, 8, 6))
    loss.backward()
    assert loss.isfinite()
    assert evidence.grad.isfinite().all()


def test_padding_is_nobodys(halves):
    evidence, own = torch.randn(1, 3, 4, 2), torch.eye(3)
    magnitude = torch.rand(1, 20, 6)
    dominant = torch.cat((halves, torch.rand(1, 12, 6) < 0.5), 1)
    padded = evidence_loss(
        evidence, magnitude, dominant, torch.tensor([8]), own[:1], own[1:2]
    )
    alone = loss_of(evidence, halves, magnitude=magnitude[:, :8])
    torch.testing.assert_close(padded, alone)


def test_the_louder_part_dominates_and_a_clip_alone_does_everywhere():
    own, added = torch.randn(2, 1, 5, 4, 2)
    ahead, behind = is_dominant(own, added), is_dominant(added, own)
    assert torch.equal(ahead, ~behind)
    assert is_dominant(0 * own, 0 * own).all()
