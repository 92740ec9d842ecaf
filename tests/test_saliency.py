"""Laws of focalaudio.saliency: maps keep their place on the finer grid."""

import pytest
import torch
import torch.nn.functional as F

from focalaudio.saliency import combine_maps, resize_maps

ROWS, COLS = 7, 5
TIME, FREQ = 70, 100  # 10 frames and 20 bins per cell


def plant(row, col, rows=ROWS, cols=COLS):
    grid = torch.zeros(1, rows, cols)
    grid[0, row, col] = 1
    return grid


@pytest.mark.parametrize("value", [0.0, 0.3, 1e6])
def test_constant_stays_constant(value):
    maps = torch.full((2, ROWS, COLS), value)
    saliency = resize_maps(maps, torch.tensor([33, TIME]), (TIME, FREQ))
    torch.testing.assert_close(
        saliency[1], torch.full((TIME, FREQ), value), atol=0, rtol=1e-6
    )
    torch.testing.assert_close(
        saliency[0, :33], torch.full((33, FREQ), value), atol=0, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("row", "col"), [(0, 0), (0, 4), (6, 0), (6, 4), (2, 3), (5, 1)]
)
def test_planted_energy_comes_back_where_it_was_planted(row, col):
    saliency = resize_maps(plant(row, col), torch.tensor([TIME]), (TIME, FREQ))[
        0
    ]
    time, freq = divmod(int(saliency.argmax()), FREQ)
    assert time // 10 == row
    assert freq // 20 == col
    weights = saliency / saliency.sum()
    times = torch.arange(TIME) + 0.5
    if 0 < row < ROWS - 1:  # its center of mass, in cells
        center = (weights.sum(1) * times).sum() / 10
        torch.testing.assert_close(center, torch.tensor(row + 0.5))


def test_each_clip_has_its_own_frames():
    maps = torch.rand(4, ROWS, COLS)
    n_frames = torch.tensor([TIME, 3, 40, 3])
    saliency = resize_maps(maps, n_frames, (TIME, FREQ))
    assert saliency.shape == (4, TIME, FREQ)
    for row, frames in enumerate(n_frames.tolist()):
        alone = F.interpolate(
            maps[row][None, None], (frames, FREQ), mode="bilinear"
        )
        torch.testing.assert_close(saliency[row, :frames], alone[0, 0])
        assert (saliency[row, frames:] == 0).all()


def test_values_stay_within_the_range_of_the_map():
    maps = torch.rand(3, ROWS, COLS) + 0.5
    saliency = resize_maps(maps, torch.full((3,), TIME), (TIME, FREQ))
    assert (saliency.amax((1, 2)) <= maps.amax((1, 2)) + 1e-6).all()
    assert (saliency.amin((1, 2)) >= maps.amin((1, 2)) - 1e-6).all()


def test_one_map_is_returned_as_it_is():
    maps = torch.rand(2, 8, 6)
    assert combine_maps([maps]) is maps


def test_product_is_taken_at_the_finest_resolution():
    coarse, fine = torch.rand(2, 4, 3), torch.rand(2, 8, 6)
    stretched = F.interpolate(coarse[:, None], (8, 6), mode="bilinear")[:, 0]
    means = fine.mean((1, 2)) * coarse.mean((1, 2))
    for maps in ([fine, coarse], [coarse, fine]):
        product = combine_maps(maps) * means[:, None, None]
        torch.testing.assert_close(product, fine * stretched)


def test_no_map_outweighs_the_others():
    maps = [torch.rand(2, 8, 6), torch.rand(2, 4, 3)]
    louder = [1000 * maps[0], torch.tensor([[[1e-3]], [[7.0]]]) * maps[1]]
    torch.testing.assert_close(combine_maps(louder), combine_maps(maps))


def test_product_keeps_what_all_maps_point_at():
    maps = [plant(1, 5, 8, 6) + plant(7, 0, 8, 6), plant(0, 2, 4, 3)]
    product = combine_maps(maps)[0]
    assert divmod(int(product.argmax()), 6) == (1, 5)
    assert product[7, 0] == 0


def test_an_empty_map_empties_its_own_clip_only():
    maps = [torch.rand(2, 8, 6), torch.rand(2, 4, 3)]
    maps[1][0] = 0
    product = combine_maps(maps)
    assert product.isfinite().all()
    assert (product[0] == 0).all()
    assert (product[1] > 0).all()


def test_clips_are_combined_independently():
    maps = [torch.rand(3, 8, 6), torch.rand(3, 4, 3)]
    together = combine_maps(maps)
    for row in range(3):
        alone = combine_maps([m[row : row + 1] for m in maps])
        torch.testing.assert_close(together[row], alone[0])
