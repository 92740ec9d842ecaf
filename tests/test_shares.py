"""Laws of the share decoder: it starts from the cells, and refines them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from focalaudio.encoders import build_encoder
from focalaudio.shares import ShareDecoder, build_share_decoder


def inputs(batch=2, side=32):
    torch.manual_seed(1)
    return (
        torch.randn(batch, 3, side // 8, side // 8),
        torch.rand(batch, 8, side // 8, side // 8),
        torch.rand(batch, 4, side // 4, side // 4),
        torch.rand(batch, 1, side, side),
    )


@pytest.fixture
def decoder():
    """A decoder whose every weight says something."""
    torch.manual_seed(0)
    decoder = ShareDecoder(3, 8, 4, narrow=6, width=8)
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    return decoder.eval()


def test_an_untrained_decoder_says_what_the_cells_say():
    cells, *rest = inputs()
    fine = ShareDecoder(3, 8, 4).eval()(cells, *rest)
    assert fine.shape == (2, 3, 16, 16)
    expected = F.interpolate(cells, (16, 16), mode="bilinear")
    torch.testing.assert_close(fine, expected)


def test_a_clip_is_refined_by_itself(decoder):
    batch = decoder(*inputs())
    for row in range(2):
        alone = decoder(*(each[row : row + 1] for each in inputs()))
        torch.testing.assert_close(batch[row : row + 1], alone)


def test_every_weight_learns(decoder):
    decoder.train()(*inputs()).square().sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        # what comes before a norm over the batch is known up to a constant
        assert parameter.grad.abs().sum() > 0, name


def test_fine_cells_depend_on_the_image_near_them_only_through_it(decoder):
    cells, features, fine, image = inputs(side=128)
    changed = image.clone()
    changed[:, :, :4, :4] += 1.0
    before = decoder(cells, features, fine, image)
    after = decoder(cells, features, fine, changed)
    moved = (before - after).abs().amax((0, 1)) > 1e-5
    assert moved[0, 0]
    assert not moved[40:, 40:].any()


@pytest.mark.parametrize("rows", [7, 32, 95])
def test_the_level_is_the_mean_of_what_lies_around_to_the_very_end(rows):
    decoder = ShareDecoder(1, 8, 4, narrow=1, width=8, n_blocks=0).eval()
    for parameter in decoder.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        decoder.from_image.weight[0, 1, 2, 2] = 1.0  # the second channel alone
        decoder.to_classes.weight.fill_(1.0)
    cells, features, fine, _ = inputs()
    image = torch.rand(2, 1, rows, 40)
    found = decoder(torch.zeros_like(cells[:, :1]), features, fine, image)

    def around(index):
        return slice(max(index - 8, 0), index + 9)

    expected = [
        [
            image[..., row, col]
            - image[..., around(row), around(col)].mean((-2, -1))
            for col in range(0, 40, 2)
        ]
        for row in range(0, rows, 2)
    ]
    expected = torch.stack([torch.stack(line, -1) for line in expected], -2)
    torch.testing.assert_close(found, F.gelu(expected), atol=1e-5, rtol=1e-5)


def test_it_is_built_for_an_encoder_that_has_early_features():
    encoder = build_encoder("focalnet_test_pyramid", in_channels=1)
    decoder = build_share_decoder(encoder, 5, narrow=4, width=6)
    assert decoder.arguments["n_fine"] == encoder.n_fine
    assert build_share_decoder(encoder, 5, narrow=0) is None
    assert build_share_decoder(build_encoder("vit_test"), 5) is None
    with pytest.raises(ValueError, match="share_channels=-1 must be"):
        build_share_decoder(encoder, 5, narrow=-1)
