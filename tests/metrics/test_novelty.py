"""Laws of the scores that say whether a clip is like any class."""

import math

import pytest
import torch

from focalaudio.metrics.novelty import (
    SCORES,
    STORABLE,
    EmbeddingSpace,
    NoveltyRule,
    calibrate_together,
    energy,
    entropy,
    evidence,
    mahalanobis,
    neighbors,
    probability,
)

ONE = torch.ones(1)
LOGITS = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()


def test_values_by_hand():
    even = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    for values, expected in (
        (probability(LOGITS), [0.9, 0.5]),
        (entropy(LOGITS), [even, math.log(2)]),
        (energy(LOGITS + 3), [3, 3]),
    ):
        torch.testing.assert_close(values, torch.tensor(expected).float())


def test_only_energy_knows_what_is_added_to_all_logits():
    moved = LOGITS + 5
    torch.testing.assert_close(probability(moved), probability(LOGITS))
    torch.testing.assert_close(entropy(moved), entropy(LOGITS))
    torch.testing.assert_close(energy(moved), energy(LOGITS) + 5)


def test_the_most_even_probabilities_are_the_least_known():
    even = torch.zeros(1, 7)
    assert probability(even).item() == pytest.approx(1 / 7)
    assert entropy(even).item() == pytest.approx(math.log(7))


def test_large_logits_are_finite():
    large = torch.tensor([[1e4, -1e4, 0.0]])
    for score in (probability, entropy, energy):
        assert score(large).isfinite().all()


def test_evidence_weighs_cells_by_their_loudness():
    share = torch.rand(3, 4, 5)
    loud = torch.rand(3, 4, 5)
    torch.testing.assert_close(evidence(share, 7 * loud), evidence(share, loud))
    torch.testing.assert_close(
        evidence(torch.ones(3, 4, 5), loud), torch.ones(3)
    )
    of_all = evidence(share, loud) + evidence(1 - share, loud)
    torch.testing.assert_close(of_all, torch.ones(3))
    assert evidence(share, torch.zeros(3, 4, 5)).tolist() == [0, 0, 0]


def test_distances_by_hand():
    means = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    precision = torch.diag(torch.tensor([1.0, 0.25]))
    away = mahalanobis(
        torch.tensor([[1.0, 2.0], [10.0, 4.0]]), means, precision
    )
    assert away.tolist() == [2, 4]
    known = torch.tensor([[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    at = torch.tensor([[8.0, 0.0]])
    for k, distance in enumerate((0, math.sqrt(2), 2), start=1):
        assert neighbors(at, known, k).item() == pytest.approx(distance)


def test_a_space_knows_its_own_classes():
    torch.manual_seed(0)
    targets = torch.arange(40) % 2
    known = torch.randn(40, 3) + 50 * targets[:, None]
    space = EmbeddingSpace.fit(known, targets)
    inside = space.score(torch.cat((known.mean(0, keepdim=True), known)))
    assert inside["mahalanobis"][0] > inside["mahalanobis"][1:].max()
    assert set(inside) | set(STORABLE) == set(SCORES)


@pytest.mark.parametrize("targets", [[0, 0, 1, 1], [0, 1, 2, 3]])
def test_a_space_of_fewer_clips_than_features_tells_near_from_far(targets):
    known = torch.randn(4, 16)
    space = EmbeddingSpace.fit(known, torch.tensor(targets))
    scores = space.score(torch.stack((known[0], known[0] + 99)))
    for near, far in scores.values():
        assert near.isfinite()
        assert far.isfinite()
        assert near < far


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 1.0])
def test_a_threshold_keeps_what_it_shall_and_no_more(score, keep):
    values = torch.rand(80)
    rule = NoveltyRule.calibrate(score, values, keep)
    assert rule.is_known(values).sum().item() == math.ceil(round(80 * keep, 9))


@pytest.mark.parametrize("score", ["energy", "entropy"])
def test_a_threshold_is_no_clips_own_value(score):
    """How a batch is rounded does not decide."""
    values = torch.arange(10.0)
    for keep in (0.1, 0.55, 0.9):
        rule = NoveltyRule.calibrate(score, values, keep)
        assert (values - rule.threshold).abs().min() == 0.5
    assert NoveltyRule.calibrate(score, values, 1.0).threshold in (0, 9)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 1.0])
def test_rules_together_keep_what_they_shall_and_are_equally_tight(keep):
    values = {name: torch.randn(60) for name in ("energy", "spectrum")}
    rules = calibrate_together(values, keep)
    known = [rule.is_known(values[rule.score]) for rule in rules]
    assert known[0].sum() == known[1].sum()
    together = (known[0] & known[1]).sum()
    assert together >= math.ceil(round(60 * keep, 9))
    if keep < 1:  # one clip less of each is too little
        fewer = (known[0].sum().item() - 1) / 60
        tighter = [NoveltyRule.calibrate(n, values[n], fewer) for n in values]
        left = [rule.is_known(values[rule.score]) for rule in tighter]
        assert (left[0] & left[1]).sum() < math.ceil(round(60 * keep, 9))


def test_one_rule_alone_is_that_of_its_score():
    values = torch.randn(33)
    (rule,) = calibrate_together({"entropy": values}, 0.7)
    assert rule == NoveltyRule.calibrate("entropy", values, 0.7)


def test_equal_values_are_known_together():
    rule = NoveltyRule.calibrate("energy", [1.0, 1.0, 1.0, 2.0], 0.5)
    assert rule.is_known(torch.ones(3)).all()


@pytest.mark.parametrize("score", ["energy", "entropy"])
def test_what_is_no_number_chooses_nothing(score):
    values = torch.tensor([3.0, torch.nan, 1.0, 2.0])
    rule = NoveltyRule.calibrate(score, values, 0.75)
    assert rule.is_known(values).tolist() == [True, False, True, True]
    with pytest.raises(ValueError, match="must be finite"):
        NoveltyRule.calibrate(score, values, 1.0)


def test_what_is_no_number_is_not_known():
    for score in SCORES:
        rule = NoveltyRule(score, 0.0)
        assert not rule.is_known(torch.tensor([torch.nan])).any()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: NoveltyRule("luck", 0.5), "score='luck' must be one of"),
        (lambda: NoveltyRule("energy", math.inf), "must be finite"),
        (lambda: NoveltyRule.calibrate("energy", []), "no values"),
        (lambda: NoveltyRule.calibrate("energy", [1.0], 0), "keep=0"),
        (lambda: calibrate_together({"energy": ONE}, 1.5), "keep=1.5 must"),
        (lambda: calibrate_together({}), "no score to choose"),
        (lambda: calibrate_together({"energy": ONE * torch.nan}), "be finite"),
    ],
)
def test_what_makes_no_rule_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
