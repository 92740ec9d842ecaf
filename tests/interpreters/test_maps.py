"""Laws of the maps of a class, and of a clip's own cells."""

import torch

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.interpreters.maps import (
    class_evidence,
    class_probability,
    class_share,
    own_cells,
)


def test_evidence_adds_up_to_the_lead_over_the_average_class(
    classifier, spectrogram, two_tones
):
    output = classifier(spectrogram(two_tones).log_magnitude)
    cells = classifier.cell_logits(output)
    found = class_evidence(cells, torch.tensor([3]))[0]
    assert found.min() == 0
    lead = output.logits[0, 3] - output.logits[0].mean()
    added = (found.sum() - lead) / found.numel()  # the same to each cell
    relative = (cells[0, 3] - cells[0].mean(0)) / found.numel()
    torch.testing.assert_close(found, relative + added, atol=1e-5, rtol=1e-4)


def test_probabilities_of_all_classes_add_up_to_one_in_each_cell():
    cells = torch.randn(2, 5, 3, 4)
    maps = [class_probability(cells, torch.tensor([i, i])) for i in range(5)]
    torch.testing.assert_close(sum(maps), torch.ones(2, 3, 4))


def test_what_all_classes_have_in_common_changes_nothing():
    cells, ids = torch.randn(2, 5, 3, 4), torch.tensor([1, 4])
    shifted = cells + torch.randn(2, 1, 3, 4)
    for find in (class_evidence, class_probability):
        torch.testing.assert_close(
            find(cells, ids), find(shifted, ids), atol=1e-5, rtol=1e-4
        )


def test_a_cells_probability_is_the_heads_verdict_on_that_cell_alone():
    encoder = build_encoder("focalnet_test_pyramid")
    classifier = SoundClassifier(encoder, 4, "linear").eval()
    output = classifier(torch.rand(2, 80, 513))
    cells = classifier.cell_logits(output)
    found = class_probability(cells, torch.tensor([2, 1]))
    for row, class_id in ((0, 2), (1, 1)):
        cell = output.features[row, :, 3, 5]
        alone = classifier.head(cell[None]).softmax(-1)[0, class_id]
        torch.testing.assert_close(found[row, 3, 5], alone)


def test_own_cells_are_counted_by_frames(spectrogram, uneven):
    spectrum = spectrogram(*uneven[:2])
    cells = own_cells(spectrum)
    assert cells.shape == (*spectrum.log_magnitude.shape[:2], 1)
    assert torch.equal(cells.sum((1, 2)).long(), spectrum.n_frames)


def test_shares_add_up_and_do_not_depend_on_which_class_is_asked():
    cells, logits = torch.randn(2, 4, 3, 5), torch.randn(2, 4)
    shares = [
        class_share(cells, logits, torch.full((2,), class_id))
        for class_id in range(4)
    ]
    torch.testing.assert_close(sum(shares), torch.ones(2, 3, 5))


def test_a_cell_that_repeats_the_clips_answer_is_less_the_winners():
    logits = torch.tensor([[4.0, 0.0, 0.0]])
    cells = logits[:, :, None, None].repeat(1, 1, 1, 2)
    cells[0, 0, 0, 1] += 4  # the second cell says it by itself
    winner = torch.tensor([0])
    share = class_share(cells, logits, winner)[0, 0]
    plain = class_probability(cells, winner)[0, 0]
    assert (share < plain).all()
    assert share[1] / share[0] > plain[1] / plain[0]


def test_the_share_of_a_class_by_hand():
    cells = torch.tensor([1.0, 0.5]).view(1, 2, 1, 1)
    logits = torch.tensor([[0.8, -0.2]])
    log_p = logits.log_softmax(1)[0]
    first, second = 1.0 - log_p[0] / 2, 0.5 - log_p[1] / 2
    wanted = first.exp() / (first.exp() + second.exp())
    share = class_share(cells, logits, torch.tensor([0]))
    torch.testing.assert_close(share[0, 0, 0], wanted)
