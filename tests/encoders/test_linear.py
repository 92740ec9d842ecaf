"""Laws of the linear maps, whichever library computes them."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from focalaudio.encoders.linear import FEWEST_PRODUCTS, Linear, linear

CHANNELS = 1024
ROWS = FEWEST_PRODUCTS // CHANNELS**2


class Seen(TorchDispatchMode):
    """Remembers which operations ran."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(str(function))
        return function(*args, **(kwargs or {}))

    @property
    def onednn(self):
        return any("_linear_pointwise" in name for name in self.names)


@pytest.fixture(scope="module")
def large():
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(ROWS, CHANNELS, generator=generator),
        torch.randn(CHANNELS, CHANNELS, generator=generator) / 32,
        torch.randn(CHANNELS, generator=generator),
    )


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_large_products_by_onednn_are_those_of_torch(large, gelu, biased):
    hidden, weight, bias = large
    bias = bias if biased else None
    with torch.no_grad(), Seen() as seen:
        found = linear(hidden, weight, bias, gelu=gelu)
    wanted = F.linear(hidden, weight, bias)
    wanted = F.gelu(wanted) if gelu else wanted
    assert seen.onednn
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_any_number_of_leading_dimensions_is_kept(large):
    hidden, weight, bias = large
    with torch.no_grad():
        flat = linear(hidden, weight, bias)
        deep = linear(hidden.view(2, -1, 4, CHANNELS), weight, bias)
    torch.testing.assert_close(deep.flatten(0, 2), flat)


def test_a_strided_view_is_as_good_as_its_copy(large):
    hidden, weight, bias = large
    view = torch.stack((hidden, hidden), -1)[..., 0]
    with torch.no_grad():
        torch.testing.assert_close(
            linear(view, weight, bias), linear(hidden, weight, bias)
        )


def test_gradients_are_taken_the_ordinary_way(large):
    hidden, weight, bias = large
    weight = weight.clone().requires_grad_()
    with Seen() as seen:
        linear(hidden, weight, bias).sum().backward()
    assert not seen.onednn
    torch.testing.assert_close(
        weight.grad, hidden.sum(0).expand_as(weight), atol=1e-4, rtol=1e-4
    )


def test_low_precision_goes_the_ordinary_way(large):
    low = torch.autocast("cpu", torch.bfloat16)
    with torch.no_grad(), low, Seen() as seen:
        found = linear(*large)
    assert not seen.onednn
    assert found.dtype == torch.bfloat16


def test_small_products_and_none_are_bitwise_those_of_torch():
    layer, torchs = Linear(8, 5), torch.nn.Linear(8, 5)
    torchs.load_state_dict(layer.state_dict())
    for rows in (0, 1, 7):
        hidden = torch.randn(rows, 8)
        with torch.no_grad(), Seen() as seen:
            assert torch.equal(layer(hidden), torchs(hidden))
        assert not seen.onednn


def test_who_switches_onednn_off_is_obeyed(large):
    without = torch.backends.mkldnn.flags(enabled=False)
    with torch.no_grad(), without, Seen() as seen:
        found = linear(*large)
    assert not seen.onednn
    assert torch.equal(found, F.linear(*large))
