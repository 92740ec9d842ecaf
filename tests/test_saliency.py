"""Laws of focalaudio.saliency: a product of maps is fair to each of them."""

import torch
import torch.nn.functional as F

from focalaudio.saliency import combine_maps


def plant(row, col, rows, cols):
    grid = torch.zeros(1, rows, cols)
    grid[0, row, col] = 1
    return grid


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
