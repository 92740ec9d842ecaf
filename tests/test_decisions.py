"""Laws of one label for a clip, and of several."""

import ast
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import focalaudio
from focalaudio.classifier import SoundClassifier
from focalaudio.contract import ClassifierOutput
from focalaudio.decisions import ONE, SEVERAL, find_decision, mark_classes
from focalaudio.encoders import build_encoder
from focalaudio.evidence import evidence_loss
from focalaudio.interpreters.maps import class_evidence, class_probability
from focalaudio.metrics.functional import class_probability as probability_of
from focalaudio.metrics.functional import exact_match, fidelity

PACKAGE = Path(focalaudio.__file__).parent
CALLS = {"softmax", "log_softmax", "cross_entropy", "one_hot", "nll_loss"}
# attention within an encoder is no answer
ELSEWHERE = {"decisions.py", "encoders/vit.py"}


@pytest.fixture
def logits():
    return 3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def test_no_other_module_turns_logits_into_probabilities():
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).as_posix() in ELSEWHERE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "attr", getattr(node, "id", ""))
            assert name not in CALLS, f"{path}:{node.lineno}"


def test_one_label_shares_and_several_do_not(logits):
    torch.testing.assert_close(ONE.probs(logits), logits.softmax(1))
    torch.testing.assert_close(SEVERAL.probs(logits), logits.sigmoid())
    other = logits.clone()
    other[:, 1:] += 2.0
    assert torch.equal(SEVERAL.probs(other)[:, 0], SEVERAL.probs(logits)[:, 0])
    assert not torch.isclose(ONE.probs(other), ONE.probs(logits))[:, 0].any()


def test_a_decision_agrees_with_the_probabilities(logits):
    assert torch.equal(SEVERAL.decide(logits), SEVERAL.probs(logits) >= 0.5)
    best = F.one_hot(logits.argmax(1), 4).bool()
    assert torch.equal(ONE.decide(logits), best)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_losses_are_those_of_torch(logits, smoothing):
    ids = torch.tensor([0, 1, 2, 3, 0])
    marked = mark_classes(ids.tolist(), 4)
    torch.testing.assert_close(
        ONE.losses(logits, marked, smoothing).mean(),
        F.cross_entropy(logits, ids, label_smoothing=smoothing),
    )
    marked = mark_classes([[0, 1], [], [2], [3, 1], [0]], 4)
    smooth = marked * (1 - smoothing) + smoothing / 2
    torch.testing.assert_close(
        SEVERAL.losses(logits, marked, smoothing).mean(),
        F.binary_cross_entropy(logits.sigmoid(), smooth),
    )


@pytest.mark.parametrize("decision", [ONE, SEVERAL])
def test_a_class_costs_what_its_probability_says(decision, logits):
    ids = torch.tensor([3, 2, 1, 0, 3])
    probability = probability_of(logits, ids, decision)
    costs = decision.class_losses(logits, ids)
    torch.testing.assert_close(costs, -probability.log())


def test_entropies(logits):
    p = logits.softmax(1)
    torch.testing.assert_close(ONE.entropy(logits), -(p * p.log()).sum(1))
    p = logits.sigmoid()
    both = -(p * p.log() + (1 - p) * (1 - p).log()).sum(1)
    torch.testing.assert_close(SEVERAL.entropy(logits), both)


def test_of_two_clips_a_mixture_has_both():
    own, added = mark_classes([0], 3), mark_classes([[1, 2]], 3)
    share = torch.tensor([[0.1]])
    shared = ONE.mix(share, own, added)
    torch.testing.assert_close(shared, torch.tensor([[0.1, 0.9, 0.9]]))
    assert SEVERAL.mix(share, own, added).tolist() == [[1.0, 1.0, 1.0]]
    for whole in (0.0, 1.0):  # nothing of the other is there
        share = torch.tensor([[whole]])
        wanted = own if whole else added
        for rule in (SEVERAL.mix, SEVERAL.show, ONE.mix, ONE.show):
            assert torch.equal(rule(share, own, added), wanted)
    even = SEVERAL.show(torch.tensor([[0.5]]), own, added)
    assert even.tolist() == [[1.0, 1.0, 1.0]]


def test_a_class_that_was_cut_out_is_forgotten():
    targets = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    ids, chosen = torch.tensor([0, 0]), torch.tensor([True, False])
    found = SEVERAL.forget(targets, ids, chosen)
    assert found.tolist() == [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    shared = ONE.forget(targets / 2, ids, chosen)
    torch.testing.assert_close(shared.sum(1), torch.ones(2))


def test_the_class_that_is_drawn_is_one_of_the_clip():
    targets = mark_classes([[1, 3], [2], []], 4).repeat(50, 1)
    drawn = SEVERAL.draw(targets).view(50, 3)
    assert set(drawn[:, 0].tolist()) == {1, 3}
    assert set(drawn[:, 1].tolist()) == {2}


def test_the_decision_on_one_label_is_what_accuracy_and_fidelity_were(logits):
    ids = torch.tensor([0, 1, 2, 3, 0])
    right = (logits.argmax(1) == ids).float()
    assert torch.equal(exact_match(logits, ids), right)
    assert torch.equal(exact_match(logits, mark_classes(ids, 4)), right)
    kept = logits.roll(1, 0)
    same = (logits.argmax(1) == kept.argmax(1)).float()
    assert torch.equal(fidelity(logits, kept), same)


def test_of_several_labels_fidelity_is_of_the_class_alone(logits):
    kept = logits.roll(1, 0)
    best = logits.argmax(1, keepdim=True)
    wanted = (logits.gather(1, best) >= 0) == (kept.gather(1, best) >= 0)
    found = fidelity(logits, kept, SEVERAL)
    assert torch.equal(found, wanted[:, 0].float())
    others = torch.full_like(kept, 9.0).scatter(1, best, kept.gather(1, best))
    assert torch.equal(fidelity(logits, others, SEVERAL), found)


def test_maps_of_a_class_do_not_depend_on_the_others():
    cells = torch.randn(2, 3, 4, 5)
    ids = torch.tensor([1, 2])
    other = cells.clone()
    other[:, 0] = 5.0 * torch.randn(2, 4, 5)
    for find in (class_evidence, class_probability):
        found = find(cells, ids, decision=SEVERAL)
        assert torch.equal(find(other, ids, decision=SEVERAL), found)
        assert not torch.allclose(find(cells, ids), find(other, ids))


def test_cells_of_several_labels_learn_the_share_of_each():
    cells = torch.zeros(1, 2, 1, 2, requires_grad=True)
    power = torch.tensor([[[1.0, 0.0]]])
    pool = F.adaptive_avg_pool2d
    parts = (torch.ones(1, 1, 2), power, 1 - power, pool)
    marks = (mark_classes([[0]], 2), mark_classes([[]], 2))
    loss = evidence_loss(cells, *parts, *marks, decision=SEVERAL)
    loss.backward()
    signs = cells.grad.sign()[0, :, 0].tolist()
    assert signs == [[-1.0, 1.0], [1.0, 1.0]]  # down the slope: class 0, left


def test_both_kinds_of_classifier_read_the_same_images():
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test")
    clips = torch.rand(2, 40, 513)
    seen, said = [], []
    for labels_per_clip in ("one", "several"):
        classifier = SoundClassifier(
            encoder, 3, head="linear", labels_per_clip=labels_per_clip
        ).eval()
        seen.append(classifier.to_image(clips))
        said.append(classifier(clips))
    assert torch.equal(*seen)
    assert torch.equal(said[0].features, said[1].features)
    torch.testing.assert_close(said[0].probs.sum(1), torch.ones(2))
    torch.testing.assert_close(said[1].probs, said[1].logits.sigmoid())


def test_a_record_without_a_decision_is_of_one_label(logits):
    output = ClassifierOutput(logits, logits, logits, ())
    torch.testing.assert_close(output.probs, logits.softmax(1))


def test_classes_are_marked_however_a_batch_holds_them():
    ids = torch.tensor([2, 0])
    assert torch.equal(mark_classes(ids, 3), F.one_hot(ids, 3).float())
    assert torch.equal(mark_classes([2, 0], 3), mark_classes([[2], [0]], 3))


def test_no_third_kind():
    with pytest.raises(ValueError, match="labels_per_clip='two' must be"):
        find_decision("two")
    with pytest.raises(ValueError, match="labels_per_clip=None must be"):
        SoundClassifier(build_encoder("focalnet_test"), 3, labels_per_clip=None)
