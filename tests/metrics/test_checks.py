"""Laws of comparing maps, of silenced patches, and of changed clips."""

import math

import pytest
import torch

from focalaudio.metrics.checks import (
    CHANGES,
    Clip,
    Patches,
    complexity_rise,
    infidelity,
    least_probable,
    rank_correlation,
    silence_patches,
)
from focalaudio.metrics.functional import complexity
from focalaudio.spectrogram import Spectrogram

RATE, HOP = 16000, 186


def correlate(first, second):
    maps = (torch.tensor(each).double()[None, None] for each in (first, second))
    return rank_correlation(*maps).item()


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 400], 1),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),  # 1 - 6 * 2 / (4 * 15)
        # ranks 1.5 1.5 3 against 1 2 3
        ([0, 0, 5], [1, 2, 3], math.sqrt(0.75)),
        # ranks 1.5 1.5 3.5 3.5 against 1.5 3.5 1.5 3.5
        ([0, 0, 1, 1], [0, 1, 0, 1], 0),
    ],
)
def test_ranks_correlate_as_by_hand(first, second, wanted):
    assert correlate(first, second) == pytest.approx(wanted, abs=1e-7)
    assert correlate(second, first) == correlate(first, second)


@pytest.mark.parametrize("values", [4, 30, 10**6])
def test_ties_are_handled_as_scipy_does(values):
    stats = pytest.importorskip("scipy.stats")
    first = torch.randint(values, (1, 40, 51)).float()
    second = first + torch.randint(values, (1, 40, 51))
    wanted = stats.spearmanr(first.flatten(), second.flatten())[0]
    found = rank_correlation(first, second).item()
    assert found == pytest.approx(wanted, abs=1e-6)


def test_a_map_is_exactly_like_itself_whatever_its_scale():
    saliency = torch.rand(3, 20, 30).double()
    assert rank_correlation(saliency, saliency).tolist() == [1, 1, 1]
    assert rank_correlation(saliency, saliency.exp() - 7).tolist() == [1, 1, 1]
    assert rank_correlation(saliency, -saliency).tolist() == [-1, -1, -1]


def test_a_constant_map_has_no_ranks():
    saliency = torch.rand(1, 4, 5)
    for constant in (torch.zeros(1, 4, 5), 3 + 1e-7 * torch.rand(1, 4, 5)):
        assert rank_correlation(saliency, constant).isnan()
        assert rank_correlation(constant, constant).isnan()


def test_padding_and_neighbours_have_no_rank():
    first, second = torch.rand(2, 2, 9, 5)
    n_frames = torch.tensor([4, 9])
    together = rank_correlation(first, second, n_frames)
    alone = rank_correlation(first[:1, :4], second[:1, :4])
    assert together[0] == alone[0]
    swapped = rank_correlation(first.flip(0), second.flip(0), n_frames.flip(0))
    assert torch.equal(swapped.flip(0), together)


def test_maps_of_other_clips_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2, 3\).*\(1, 2, 4\)"):
        rank_correlation(torch.rand(1, 2, 3), torch.rand(1, 2, 4))


def test_the_least_probable_class_is_never_the_predicted():
    logits = torch.randn(50, 2)
    assert torch.equal(least_probable(logits), 1 - logits.argmax(1))


def test_the_rise_is_relative_to_the_trained_map():
    one, four = torch.eye(4)[:1], torch.ones(1, 4)
    two = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    assert complexity_rise(two, four).item() == pytest.approx(1)
    assert complexity_rise(four, two).item() == pytest.approx(-0.5)
    assert complexity_rise(four, four).item() == 0
    assert complexity_rise(one, four).isnan()  # a share of no entropy
    assert complexity_rise(torch.zeros(1, 4), four).isnan()
    assert complexity_rise(four, torch.zeros(1, 4)).isnan()
    assert complexity(four).item() == pytest.approx(math.log(4))


def classify(clips, rows):
    """The probability of class 0 is the sum of the low half, but for scale."""
    low = clips[:, :, : clips.shape[2] // 2].sum((1, 2)) / 500
    return torch.stack((low, 1 - low), 1).log()


def patch(clips, n_frames, seeds, n_patches=16):
    logits = [
        classify(clip[None, :frames], None)
        for clip, frames in zip(clips, n_frames.tolist(), strict=True)
    ]
    return silence_patches(
        clips, n_frames, classify, torch.cat(logits), seeds, n_patches
    )


@pytest.fixture
def clips():
    generator = torch.Generator().manual_seed(0)
    return 1 + torch.rand(3, 30, 20, generator=generator)


N_FRAMES = torch.tensor([30, 26, 28])


def test_a_patch_costs_what_the_class_had_in_it(clips):
    patches = patch(clips, N_FRAMES, [5, 6, 7])
    assert patches.corners.shape == (3, 16, 4)
    for row, boxes in enumerate(patches.corners.tolist()):
        for place, (top, bottom, left, right) in enumerate(boxes):
            assert 0 <= top < bottom <= N_FRAMES[row]
            assert 0 <= left < right <= 20
            lost = clips[row, top:bottom, left : max(left, min(right, 10))]
            drop = patches.drops[row, place].item()
            assert drop == pytest.approx(lost.sum().item() / 500, abs=1e-5)


def test_patches_depend_on_the_clip_alone(clips):
    together = patch(clips, N_FRAMES, [5, 6, 7])
    backwards = patch(clips.flip(0), N_FRAMES.flip(0), [7, 6, 5])
    alone = patch(clips[1:2, :26], N_FRAMES[1:2], [6])
    assert torch.equal(together.corners, backwards.corners.flip(0))
    assert torch.equal(together.corners[1:2], alone.corners)
    torch.testing.assert_close(together.drops[1:2], alone.drops)
    other = patch(clips, N_FRAMES, [1, 1, 1])
    assert not torch.equal(together.corners[0], other.corners[0])


def test_many_patches_are_classified_in_parts(clips):
    many = patch(clips[:1], N_FRAMES[:1], [0], 37)
    few = patch(clips[:1], N_FRAMES[:1], [0], 5)
    assert many.drops.shape == (1, 37)
    assert torch.equal(many.corners[:, :5], few.corners)
    torch.testing.assert_close(many.drops[:, :5], few.drops)
    with pytest.raises(ValueError, match="n_patches=0"):
        patch(clips, N_FRAMES, [0, 1, 2], 0)


def test_a_map_that_tells_every_cost_has_no_infidelity(clips):
    """At any scale; zeros get the mean square, other maps are in between."""
    patches = patch(clips, N_FRAMES, [5, 6, 7])
    right = torch.zeros_like(clips)
    right[:, :, :10] = 123
    assert infidelity(right, clips, patches).max() < 1e-4
    zeros = infidelity(torch.zeros_like(clips), clips, patches)
    torch.testing.assert_close(zeros, (100 * patches.drops).square().mean(1))
    wrong = infidelity(torch.rand_like(clips), clips, patches)
    assert ((wrong > 1e-2) & (wrong < zeros)).all()


def test_infidelity_by_hand():
    corners = torch.tensor([[[0, 1, 0, 1], [1, 2, 0, 2]]])
    patches = Patches(corners, torch.tensor([[0.5, 0.5]]))
    clip = torch.tensor([[[2.0, 9.0], [1.0, 3.0]]])
    saliency = torch.tensor([[[1.0, 9.0], [1.0, 1.0]]])
    # told 2 and 4, best factor 15: errors 50 - 30 and 50 - 60
    found = infidelity(saliency, clip, patches).item()
    assert found == pytest.approx((20**2 + 10**2) / 2)


def test_infidelity_is_captums(clips):
    metrics = pytest.importorskip("captum.metrics")
    saliency = torch.rand_like(clips)
    patches = patch(clips, N_FRAMES, [5, 6, 7])
    for row, frames in enumerate(N_FRAMES.tolist()):
        boxes = iter(patches.corners[row].tolist())

        def perturb(inputs, boxes=boxes):
            silenced = torch.zeros_like(inputs)
            for copy, box in zip(silenced, boxes, strict=False):
                top, bottom, left, right = box
                copy[top:bottom, left:right] = 1
            silenced *= inputs
            return silenced, inputs - silenced

        wanted = metrics.infidelity(
            lambda batch: classify(batch, None).softmax(-1)[:, 0],
            perturb,
            clips[row : row + 1, :frames],
            saliency[row : row + 1, :frames],
            n_perturb_samples=16,
            max_examples_per_batch=16,
            normalize=True,
        )
        found = infidelity(saliency, clips, patches)[row]
        assert found.item() == pytest.approx(1e4 * wanted.item(), rel=1e-3)


def make_clip(samples=16000, seed=3):
    wav = torch.rand(samples, generator=torch.Generator().manual_seed(seed))
    return Clip(wav - 0.5, RATE, HOP, seed)


@pytest.mark.parametrize("samples", [1, 2, 185, 186, 400, 16000])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_keeps_the_length_and_the_clip(name, samples):
    clip = make_clip(samples)
    before = clip.wav.clone()
    changed = CHANGES[name].apply(clip)
    assert changed.shape == before.shape
    assert torch.equal(clip.wav, before)
    assert torch.equal(CHANGES[name].apply(clip), changed)
    frames = torch.rand(1 + max(samples, 372) // HOP, 7)
    undone = CHANGES[name].undo(frames, clip)
    assert undone.shape == frames.shape
    assert torch.equal(undone.sort(0).values, frames.sort(0).values)


def test_a_rotation_is_undone_frame_by_frame():
    """But for the windows that lie across a seam."""
    clip, spectrogram = make_clip(), Spectrogram()
    change = CHANGES["stability_shift"]
    turned = change.apply(clip)
    assert torch.equal(turned.sort().values, clip.wav.sort().values)
    whole = spectrogram(clip.wav[None]).log_magnitude[0]
    back = change.undo(spectrogram(turned[None]).log_magnitude[0], clip)
    alike = torch.isclose(whole, back, atol=1e-5).all(1)
    assert (~alike).sum() <= 4  # of 87
    assert (turned != clip.wav).float().mean() > 0.99


def test_softer_is_six_decibels():
    clip = make_clip()
    softer = CHANGES["stability_gain"].apply(clip)
    ratio = softer.square().mean() / clip.wav.square().mean()
    assert 10 * ratio.log10().item() == pytest.approx(-6, abs=1e-4)


def test_noise_is_thirty_decibels_below_and_the_clips_own():
    clip, other = make_clip(), make_clip(seed=4)
    noise = CHANGES["stability_noise"].apply(clip) - clip.wav
    ratio = clip.wav.square().mean() / noise.square().mean()
    assert 10 * ratio.log10().item() == pytest.approx(30, abs=1e-2)
    others = CHANGES["stability_noise"].apply(other) - other.wav
    assert torch.corrcoef(torch.stack((noise, others)))[0, 1].abs() < 0.05


def test_silence_stays_silence():
    clip = Clip(torch.zeros(1000), RATE, HOP, 0)
    assert not any(change.apply(clip).any() for change in CHANGES.values())
