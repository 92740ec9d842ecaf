"""Laws of depthwise convolutions: torch's numbers, torch's gradients."""

import pytest
import torch
from torch import nn

from focalaudio.encoders.depthwise import DepthwiseConv2d, _Depthwise

SIZES = [1, 3, 5, 7, 9]


@pytest.fixture(params=SIZES)
def pair(request):
    """One of ours in training, and torch's with the same weights."""
    size = request.param
    ours = DepthwiseConv2d(6, size).train()
    theirs = nn.Conv2d(
        6, 6, size, padding=size // 2, groups=6, bias=False
    ).train()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def run(layer, grid):
    """Return output, gradient of the grid, gradient of the weights."""
    grid = grid.clone().requires_grad_()
    output = layer(grid)
    output.float().square().sum().backward()
    gradients = grid.grad, layer.weight.grad
    layer.weight.grad = None
    return output.detach(), *gradients


@pytest.mark.parametrize("shape", [(2, 6, 11, 7), (1, 6, 1, 1), (3, 6, 2, 9)])
@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last]
)
def test_output_and_gradients_are_those_of_torch(pair, shape, layout):
    grid = torch.randn(shape).contiguous(memory_format=layout)
    ours, theirs = (run(layer, grid) for layer in pair)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)


def test_under_autocast_too(pair):
    grid = torch.randn(2, 6, 11, 7)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = (run(layer, grid) for layer in pair)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        torch.testing.assert_close(mine, other, atol=0.05, rtol=0.05)


def test_only_training_takes_another_way(pair):
    ours, theirs = (layer.eval() for layer in pair)
    grid = torch.randn(2, 6, 11, 7)
    for mine, other in zip(run(ours, grid), run(theirs, grid), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("size", [5, 7, 9])
def test_gradients_are_those_of_finite_differences(size):
    double = {"dtype": torch.double, "requires_grad": True}
    grid = torch.randn(2, 2, 4, 3, **double)
    weight = torch.randn(2, 1, size, size, **double)
    assert torch.autograd.gradcheck(_Depthwise.apply, (grid, weight))
    assert torch.autograd.gradgradcheck(_Depthwise.apply, (grid, weight))


def test_an_image_without_a_gradient_costs_none():
    layer = DepthwiseConv2d(2, 5).train()
    layer(torch.randn(1, 2, 6, 6)).sum().backward()
    assert layer.weight.grad.shape == layer.weight.shape


def test_it_can_be_compiled_away():
    layer = DepthwiseConv2d(2, 5).train()
    compiled = torch.compile(layer, backend="aot_eager")
    grid = torch.randn(1, 2, 6, 6)
    for mine, other in zip(run(compiled, grid), run(layer, grid), strict=True):
        torch.testing.assert_close(mine, other)
