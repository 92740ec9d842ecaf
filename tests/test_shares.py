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


def test_it_is_built_for_an_encoder_that_has_early_features():
    encoder = build_encoder("focalnet_test_pyramid", in_channels=1)
    decoder = build_share_decoder(encoder, 5, narrow=4, width=6)
    assert decoder.arguments["n_fine"] == encoder.n_fine
    assert build_share_decoder(encoder, 5, narrow=0) is None
    assert build_share_decoder(build_encoder("vit_test"), 5) is None
