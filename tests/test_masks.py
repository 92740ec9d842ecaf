"""Laws of focalaudio.masks: what a quantile keeps, and what a mask splits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.masks import (
    apply_mask,
    check_quantile,
    cut_saliency,
    energy_mask,
    keep_and_remove,
    quantile_mask,
    soft_mask,
)
from focalaudio.spectrogram import Spectrogram

QUANTILES = st.floats(0, 1)


def distinct(*shape):
    """Distinct values in random places."""
    cells = torch.Size(shape).numel()
    return torch.randperm(cells).float().reshape(shape)


@given(QUANTILES)
def test_kept_fraction_is_what_the_quantile_leaves(quantile):
    saliency = distinct(1, 20, 30)
    kept = quantile_mask(saliency, quantile).sum().item()
    assert abs(kept - (1 - quantile) * 600) <= 1


@given(QUANTILES, QUANTILES)
def test_higher_quantile_keeps_a_subset(one, other):
    saliency = torch.rand(1, 9, 11).mul(10).round()  # with ties
    low, high = (quantile_mask(saliency, q) for q in sorted((one, other)))
    assert (high <= low).all()


def test_kept_cells_are_the_largest():
    saliency = distinct(2, 20, 30)
    mask = quantile_mask(saliency, 0.75)
    for values, kept in zip(saliency, mask, strict=True):
        assert values[kept].min() > values[~kept].max()


def test_ties_are_kept_together():
    saliency = torch.tensor([[[1.0, 1.0, 2.0], [2.0, 2.0, 2.0]]])
    assert torch.equal(quantile_mask(saliency, 0.9), saliency == 2)
    assert torch.equal(quantile_mask(saliency, 0.5), saliency == 2)
    assert quantile_mask(saliency, 0.1).all()


def test_a_cell_without_saliency_is_kept_only_with_all_others():
    saliency = torch.tensor([[[0.0, 0.0, 0.0, 1.0]]])  # the quantile is 0
    for mask in (quantile_mask, soft_mask):
        assert torch.equal(mask(saliency, 0.5) > 0, saliency > 0)
        assert mask(saliency, 0.0).all()


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("value", [0.0, 0.7, 1e-20, 1e20, -3.0])
def test_constant_map_keeps_nothing(value, quantile):
    saliency = torch.full((2, 5, 6), value)
    assert not quantile_mask(saliency, quantile).any()
    rounded = saliency * (1 + 2e-7 * torch.rand(2, 5, 6))
    assert not quantile_mask(rounded, quantile).any()


def test_constant_clip_does_not_silence_its_neighbours():
    saliency = distinct(3, 10, 10)
    saliency[1] = 4
    assert quantile_mask(saliency, 0.9).sum((1, 2)).tolist() == [10, 0, 10]


def test_quantile_zero_keeps_all_and_one_the_maxima():
    saliency = distinct(1, 6, 5)
    saliency[saliency == 7] = saliency.max()  # the largest twice
    assert quantile_mask(saliency, 0).all()
    assert torch.equal(quantile_mask(saliency, 1), saliency == saliency.max())


@pytest.mark.parametrize("gain", [1e-12, 1e12])
def test_scale_of_the_saliency_does_not_matter(gain):
    saliency = distinct(1, 20, 30)
    assert torch.equal(
        quantile_mask(gain * saliency, 0.8), quantile_mask(saliency, 0.8)
    )


def test_padding_is_never_kept_and_never_counted():
    saliency = distinct(3, 20, 5)
    n_frames = torch.tensor([20, 8, 1])
    mask = quantile_mask(saliency, 0.8, n_frames)
    for row, frames in enumerate(n_frames.tolist()):
        own = saliency[row : row + 1, :frames]
        assert torch.equal(mask[row, :frames], quantile_mask(own, 0.8)[0])
        assert not mask[row, frames:].any()
    assert mask.sum((1, 2)).tolist() == [20, 8, 1]


@given(QUANTILES, st.integers(2, 300))
def test_the_threshold_is_the_quantile_of_torch(quantile, size):
    saliency = torch.rand(1, 1, size, dtype=torch.double) + 0.1
    threshold = torch.quantile(saliency, quantile)
    expected = (saliency / threshold).clamp(max=1)
    torch.testing.assert_close(soft_mask(saliency, quantile), expected)


def test_maps_may_have_more_values_than_torch_takes_quantiles_of():
    saliency = torch.rand(1, 2**12 + 1, 2**12)
    threshold = np.quantile(saliency.numpy(), 0.9).item()
    expected = (saliency / threshold).clamp(max=1)
    assert (soft_mask(saliency, 0.9) - expected).abs().max() < 1e-6


@pytest.mark.parametrize("quantile", [-0.1, 1.2, float("nan")])
def test_quantile_outside_its_range_is_refused(quantile):
    with pytest.raises(ValueError, match=r"quantile=.* between 0 and 1"):
        check_quantile(quantile)
    with pytest.raises(ValueError, match=r"quantile=.* between 0 and 1"):
        quantile_mask(torch.rand(1, 2, 2), quantile)


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 5, 4, 2)])
@pytest.mark.parametrize("soft", [True, False])
def test_kept_and_removed_add_up_to_the_whole(shape, soft):
    spectrum, mask = torch.randn(shape), torch.rand(2, 5, 4)
    mask = mask if soft else mask > 0.5
    kept, removed = keep_and_remove(mask, spectrum)
    torch.testing.assert_close(kept + removed, spectrum)
    swapped = keep_and_remove(1 - mask.float(), spectrum)
    torch.testing.assert_close(swapped, (removed, kept))


def test_binary_mask_splits_exactly():
    spectrum, mask = torch.randn(2, 5, 4, 2), torch.rand(2, 5, 4) > 0.5
    kept, removed = keep_and_remove(mask, spectrum)
    assert torch.equal(kept[mask], spectrum[mask])
    assert torch.equal(removed[~mask], spectrum[~mask])
    assert (kept[~mask] == 0).all()
    assert (removed[mask] == 0).all()


def test_mask_of_an_stft_scales_its_magnitude_and_leaves_its_phase():
    stft, mask = torch.randn(1, 3, 4, 2), torch.rand(1, 3, 4) + 0.01
    whole = torch.view_as_complex(stft)
    kept = torch.view_as_complex(apply_mask(mask, stft))
    torch.testing.assert_close(kept.abs(), mask * whole.abs())
    torch.testing.assert_close(kept.angle(), whole.angle())


def test_soft_mask_passes_its_gradient():
    mask = torch.rand(1, 3, 4, requires_grad=True)
    stft = torch.randn(1, 3, 4, 2)
    apply_mask(mask, stft).sum().backward()
    torch.testing.assert_close(mask.grad, stft.sum(-1))


def test_mask_does_not_change_the_precision():
    stft = torch.randn(1, 3, 4, 2)
    assert apply_mask(torch.ones(1, 3, 4).double(), stft).dtype == stft.dtype


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 6, 4), (1, 5, 4), (5, 4)])
def test_mask_of_another_grid_is_refused_with_both_shapes(shape):
    with pytest.raises(ValueError, match="mask has shape") as error:
        apply_mask(torch.ones(shape), torch.ones(2, 5, 4, 2))
    assert str(shape) in str(error.value)
    assert "(2, 5, 4)" in str(error.value)


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.9, 1.0])
def test_a_soft_mask_holds_the_binary_one_and_follows_the_saliency(quantile):
    saliency = torch.rand(2, 9, 11, generator=torch.manual_seed(0))
    soft, hard = (
        soft_mask(saliency, quantile),
        quantile_mask(saliency, quantile),
    )
    assert (soft >= hard.float()).all()
    assert (soft[hard] == 1).all()
    assert ((soft >= 0) & (soft <= 1)).all()
    below = ~hard
    for row in range(2):
        ratio = soft[row][below[row]] / saliency[row][below[row]]
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


def test_soft_masks_of_constant_maps_and_of_padding_are_shut():
    assert (soft_mask(torch.ones(1, 3, 4), 0.5) == 0).all()
    saliency = torch.rand(1, 6, 4)
    mask = soft_mask(saliency, 0.5, torch.tensor([3]))
    assert (mask[:, 3:] == 0).all()
    torch.testing.assert_close(
        mask[:, :3], soft_mask(saliency[:, :3], 0.5), rtol=0, atol=0
    )


def held_by(mask, energy):
    """The share of each clip's energy that a mask keeps."""
    return (mask * energy).sum((1, 2)) / energy.sum((1, 2))


def test_energy_by_hand():
    """Falling saliency holds 1, 5, 8 and 10 tenths of the energy."""
    saliency = torch.tensor([[[9.0, 7.0], [5.0, 3.0]]])
    energy = torch.tensor([[[1.0, 4.0], [3.0, 2.0]]])
    kept = {
        quantile: energy_mask(saliency, quantile, energy).flatten().tolist()
        for quantile in (1.0, 0.6, 0.5, 0.4, 0.1)
    }
    assert kept[1.0] == [True, False, False, False]
    assert kept[0.6] == kept[0.5] == [True, True, False, False]
    assert kept[0.4] == [True, True, True, False]
    assert kept[0.1] == [True] * 4


@given(QUANTILES)
def test_the_kept_energy_is_what_the_quantile_leaves(quantile):
    saliency, energy = 1 + distinct(2, 20, 30), torch.rand(2, 20, 30)
    held = held_by(energy_mask(saliency, quantile, energy), energy)
    most = energy.amax((1, 2)) / energy.sum((1, 2))
    assert (held >= 1 - quantile - 1e-6).all()
    assert (held <= 1 - quantile + most + 1e-6).all()


@given(QUANTILES, QUANTILES)
def test_more_energy_needs_more_of_the_same_cells(one, other):
    saliency, energy = distinct(1, 10, 10), torch.rand(1, 10, 10)
    low, high = (energy_mask(saliency, q, energy) for q in sorted((one, other)))
    assert (high <= low).all()


def test_level_and_scale_do_not_matter_to_energy():
    saliency, energy = distinct(2, 10, 10), torch.rand(2, 10, 10)
    wanted = energy_mask(saliency, 0.7, energy)
    assert torch.equal(energy_mask(3 * saliency, 0.7, energy / 8), wanted)


def test_equal_energy_everywhere_is_an_equal_number_of_cells():
    saliency = distinct(2, 10, 10)
    assert torch.equal(
        energy_mask(saliency, 0.75, torch.ones(2, 10, 10)),
        quantile_mask(saliency, 0.75) & (saliency >= 75),
    )


def test_energy_masks_of_ties_constants_nothing_and_padding():
    energy = torch.ones(1, 4, 5)
    tied = torch.zeros(1, 4, 5)
    tied[:, 1:3] = 1
    assert torch.equal(energy_mask(tied, 0.9, energy), tied == 1)
    assert torch.equal(energy_mask(tied, 0.1, energy), tied == 1)
    assert energy_mask(tied, 0, energy).all()
    assert not energy_mask(energy, 0.5, energy).any()
    saliency = distinct(1, 4, 5)
    padded = energy_mask(saliency, 0.5, energy, torch.tensor([3]))
    assert not padded[:, 3:].any()
    alone = energy_mask(saliency[:, :3], 0.5, energy[:, :3])
    assert torch.equal(padded[:, :3], alone)


def test_every_kind_is_cut_from_the_same_record():
    spectrum = Spectrogram()(torch.rand(2, 4000), torch.tensor([1.0, 0.5]))
    saliency = torch.rand(spectrum.log_magnitude.shape)
    energy = spectrum.stft.square().sum(-1)
    n_frames = spectrum.n_frames
    for kind, wanted in (
        ("binary", quantile_mask(saliency, 0.7, n_frames)),
        ("soft", soft_mask(saliency, 0.7, n_frames)),
        ("energy", energy_mask(saliency, 0.7, energy, n_frames)),
    ):
        mask = cut_saliency(kind, saliency, 0.7, spectrum)
        assert torch.equal(mask, wanted)
