"""Laws of the parts that all encoders share."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from focalaudio.encoders.base import (
    DropPath,
    EncoderOutput,
    Mlp,
    check_encoder,
    drop_path_rates,
    init_linear,
    pad_to_patches,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_output_cannot_be_changed():
    output = EncoderOutput(torch.ones(1), torch.ones(1), ())
    with pytest.raises(dataclasses.FrozenInstanceError):
        output.features = torch.zeros(1)


def test_drop_path_keeps_the_expectation_and_whole_samples():
    dropped = DropPath(0.25)(torch.ones(4000, 3))
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(dropped.amin(1), dropped.amax(1))
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("path", [DropPath(0.5).eval(), DropPath(0.0)])
def test_drop_path_is_the_identity(path):
    branch = torch.randn(4, 3)
    assert path(branch) is branch


def test_drop_path_keeps_the_precision():
    branch = torch.ones(4, 3, dtype=torch.bfloat16)
    assert DropPath(0.5)(branch).dtype == torch.bfloat16


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, float("nan")])
def test_drop_path_refuses_what_is_no_rate(rate):
    with pytest.raises(ValueError, match=f"rate={rate}"):
        DropPath(rate)


@pytest.mark.parametrize("depth", [1, 2, 5, 24])
def test_drop_path_rates_are_those_of_linspace(depth):
    expected = torch.linspace(0, 0.3, depth)
    assert torch.allclose(torch.tensor(drop_path_rates(0.3, depth)), expected)


def test_mlp_is_two_linear_maps_around_a_gelu():
    mlp, hidden = Mlp(4, 6), torch.randn(2, 3, 4)
    inside = F.gelu(hidden @ mlp.expand.weight.mT + mlp.expand.bias)
    expected = inside @ mlp.reduce.weight.mT + mlp.reduce.bias
    assert torch.allclose(mlp(hidden), expected, atol=1e-6)


@pytest.mark.parametrize("rows", range(1, 10))
def test_padding_keeps_the_grid_and_adds_zeros(rows):
    grid = torch.randn(2, 3, rows, 7)
    padded = pad_to_patches(grid, 4)
    assert padded.shape[2] % 4 == 0
    assert padded.shape[2] - rows < 4
    assert padded.shape[3] == 8
    assert torch.equal(padded[:, :, :rows, :7], grid)
    assert padded.count_nonzero() == grid.count_nonzero()


def test_padding_whole_patches_is_the_identity():
    grid = torch.randn(1, 3, 8, 4)
    assert pad_to_patches(grid, 4) is grid


def test_only_linear_layers_are_initialized():
    norm, linear = nn.LayerNorm(8), nn.Linear(200, 200, bias=False)
    nn.init.constant_(norm.weight, 3)
    nn.Sequential(norm, linear).apply(init_linear)
    assert norm.weight.eq(3).all()
    assert linear.weight.std().item() == pytest.approx(0.02, rel=0.05)


class Own(nn.Module):
    """An encoder of one's own, with one fault."""

    def __init__(self, **changes):
        super().__init__()
        self.n_features, self.map_names = 4, ("map",)
        self.in_channels, self.image_size = 1, (8, 12)
        self.channels, self.width, self.n_given = 4, 4, 1
        self.returns = EncoderOutput
        for name, value in changes.items():
            setattr(self, name, value)

    def forward(self, image):
        features = image.expand(-1, self.channels, -1, -1)
        maps = (image[:, 0],) * self.n_given
        embeddings = image.new_zeros(len(image), self.width)
        return self.returns(features, embeddings, maps)


def test_an_encoder_that_keeps_the_contract_stays_as_it_is():
    encoder = Own().train()
    check_encoder(encoder)
    assert encoder.training
    check_encoder(Own(width=7, n_embedding=7))
    check_encoder(Own(map_names=(), n_given=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 5}, r"features have shape \(2, 5, 8, 12\)"),
        ({"width": 7}, r"embeddings have shape \(2, 7\).*give.*n_embedding"),
        ({"n_given": 2}, "returned 2 maps, but map_names has 1"),
    ],
)
def test_what_an_encoder_gets_wrong_is_said_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        check_encoder(Own(**changes))
    assert "\n" not in str(error.value)


def test_an_encoder_returns_the_record():
    with pytest.raises(TypeError, match="Own returned a tuple; it must return"):
        check_encoder(Own(returns=lambda *parts: parts))
