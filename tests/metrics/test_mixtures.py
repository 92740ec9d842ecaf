"""Laws of comparing with known sources, and slow independent versions."""

import math

import pytest
import torch

from focalaudio.metrics.mixtures import (
    ideal_binary_mask,
    keep_best,
    mask_iou,
    oracle_scores,
    pointing_game,
    saliency_auc,
    si_sdr,
    source_kept,
    source_share,
)


@pytest.fixture
def energies():
    generator = torch.manual_seed(0)
    return torch.rand(2, 3, 6, 7, generator=generator).square()


def test_share_of_everything_is_the_share_of_the_source(energies):
    source, other = energies
    whole = torch.ones_like(source)
    wanted = source.sum((1, 2)) / (source + other).sum((1, 2))
    torch.testing.assert_close(source_share(whole, source, other), wanted)


def test_shares_of_the_two_sources_add_up_to_one(energies):
    source, other = energies
    mask = torch.rand(source.shape)
    both = source_share(mask, source, other) + source_share(mask, other, source)
    torch.testing.assert_close(both, torch.ones(3))


def test_share_by_hand_is_of_energy_not_of_magnitude():
    source = torch.tensor([[[4.0, 1.0]]])
    other = torch.tensor([[[4.0, 3.0]]])
    soft = torch.tensor([[[1.0, 0.5]]])
    share = source_share(soft, source, other)
    assert share.item() == pytest.approx((4 + 0.25) / (8 + 1))


def test_nothing_kept_is_undefined(energies):
    source, other = energies
    nothing = torch.zeros(3, 6, 7, dtype=torch.bool)
    assert source_share(nothing, source, other).isnan().all()


def test_what_a_mask_and_its_complement_keep_is_the_whole_source(energies):
    source, _ = energies
    mask = torch.rand(3, 6, 7) > 0.5
    torch.testing.assert_close(
        source_kept(mask, source) + source_kept(~mask, source), torch.ones(3)
    )
    assert source_kept(torch.zeros(3, 6, 7), source).tolist() == [0, 0, 0]


def test_what_a_soft_mask_keeps_is_the_energy_of_the_masked_sound():
    stft, mask = torch.randn(3, 5, 4, 2), torch.rand(3, 5, 4)
    masked = (mask[..., None] * stft).flatten(1).norm(dim=1) ** 2
    whole = stft.flatten(1).norm(dim=1) ** 2
    kept = source_kept(mask, stft.square().sum(-1))
    torch.testing.assert_close(kept, masked / whole)


def test_what_is_kept_ignores_the_level_and_is_unknown_for_silence(energies):
    source, _ = energies
    mask = torch.rand(3, 6, 7) > 0.5
    torch.testing.assert_close(
        source_kept(mask, 1e-3 * source), source_kept(mask, source)
    )
    assert source_kept(mask, 0 * source).isnan().all()


def test_the_loudest_excess_points_right_and_its_opposite_wrong(energies):
    source, other = energies
    excess = source - other
    assert (pointing_game(excess, source, other) == 1).all()
    assert (pointing_game(-excess, source, other) == 0).all()
    flat = torch.ones_like(excess)
    share = ideal_binary_mask(source, other).float().mean((1, 2))
    torch.testing.assert_close(pointing_game(flat, source, other), share)


def slow_auc(scores, truth):
    """Share of pairs that are ranked right; ties count half."""
    own = [s for s, t in zip(scores, truth, strict=True) if t]
    rest = [s for s, t in zip(scores, truth, strict=True) if not t]
    won = sum((a > b) + 0.5 * (a == b) for a in own for b in rest)
    return won / (len(own) * len(rest))


@pytest.mark.parametrize("scale", [1.0, -7.0, 1e4])
def test_auc_is_the_share_of_pairs_ranked_right(energies, scale):
    source, other = energies
    source[0, 0, :3] = other[0, 0, :3] = 0  # nothing sounds there
    saliency = (scale * torch.rand(3, 6, 7)).round(decimals=1)
    areas = saliency_auc(saliency, source, other)
    for row in range(3):
        sounds = source[row] + other[row] > 0
        wanted = slow_auc(
            saliency[row][sounds].tolist(),
            (source > other)[row][sounds].tolist(),
        )
        assert areas[row].item() == pytest.approx(wanted, abs=1e-6)


def test_auc_ends_are_the_ideal_mask_and_its_complement(energies):
    source, other = energies
    ideal = ideal_binary_mask(source, other).float()
    assert (saliency_auc(ideal, source, other) == 1).all()
    assert (saliency_auc(-ideal, source, other) == 0).all()
    flat = torch.ones_like(ideal)
    assert (saliency_auc(flat, source, other) == 0.5).all()


def test_auc_of_one_kind_of_cells_is_undefined(energies):
    source, _ = energies
    silent = torch.zeros_like(source)
    assert saliency_auc(source, source + 1, silent).isnan().all()


def test_iou_of_masks_of_known_overlap():
    ideal = torch.zeros(1, 4, 4, dtype=torch.bool)
    ideal[:, :2] = True
    mask = torch.zeros_like(ideal)
    mask[:, 1:3] = True
    assert mask_iou(mask, ideal).item() == pytest.approx(4 / 12)
    assert mask_iou(ideal, ideal).item() == 1
    assert mask_iou(~ideal, ideal).item() == 0
    assert mask_iou(0 * mask, 0 * ideal).isnan().all()


def slow_si_sdr(wav, source):
    wav, source = wav.double(), source.double()
    target = (wav @ source) / (source @ source) * source
    return 10 * math.log10(
        target.square().sum() / (wav - target).square().sum()
    )


def test_si_sdr_follows_its_definition_at_any_scale():
    source, noise = torch.randn(2, 2, 500)
    wavs = source + 0.3 * noise
    for gain in (1.0, 0.01, -2.0):
        measured = si_sdr(gain * wavs, source)
        for row in range(2):
            wanted = slow_si_sdr(wavs[row], source[row])
            assert measured[row].item() == pytest.approx(wanted, abs=1e-3)


def test_si_sdr_of_silence_is_undefined():
    wavs = torch.stack((torch.zeros(50), torch.ones(50)))
    assert si_sdr(wavs, wavs.flip(0)).isnan().all()


def test_the_best_cells_are_kept_exactly_so_many():
    scores = torch.ones(2, 4, 5)  # all tie
    scores[1] = torch.arange(20.0).view(4, 5)
    sizes, frames = torch.tensor([7, 3]), torch.tensor([2, 4])
    mask = keep_best(scores, sizes, frames)
    assert mask.sum((1, 2)).tolist() == [7, 3]
    assert not mask[0, 2:].any()
    assert mask[1].flatten().nonzero().flatten().tolist() == [17, 18, 19]


def test_no_mask_of_the_same_size_beats_the_oracle(energies):
    source, other = energies
    sizes = torch.full((3,), 5)
    scores = oracle_scores(source, other)
    cleanest = keep_best(scores["cleanest"], sizes)
    best = source_share(cleanest, source, other)
    excess = (keep_best(scores["ideal"], sizes) * (source - other)).sum((1, 2))
    for _ in range(200):
        mask = keep_best(torch.rand(3, 6, 7), sizes)
        assert (source_share(mask, source, other) <= best + 1e-6).all()
        assert ((mask * (source - other)).sum((1, 2)) <= excess + 1e-6).all()
