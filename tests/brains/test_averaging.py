"""Laws of focalaudio.brains.averaging: a mean that takes turns with weights."""

import copy

import pytest
import torch
from torch import nn

from focalaudio.brains.averaging import build_average, swap_weights


def make_module():
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_the_average_is_the_recursion_worked_out_by_hand(decay):
    module = make_module()
    average = build_average(module, decay)
    wanted = None
    for step in range(30):
        with torch.no_grad():
            module[0].weight.normal_()
        average.update_parameters(module)
        kept = min(decay, (1 + step) / (10 + step)) if step else 0.0
        current = module[0].weight.detach().clone()
        wanted = current if step == 0 else kept * wanted + (1 - kept) * current
        torch.testing.assert_close(average.module[0].weight, wanted)
    if decay == 0:
        assert torch.equal(average.module[0].weight, module[0].weight)


def test_what_a_batch_norm_has_seen_is_that_of_the_last_step():
    module = make_module().train()
    average = build_average(module, 0.9)
    for _ in range(3):
        module(torch.randn(4, 1, 3, 3))
        average.update_parameters(module)
    mine, theirs = module[1].running_mean, average.module[1].running_mean
    assert torch.equal(mine, theirs)


def test_two_swaps_are_none():
    one, other = make_module(), make_module()
    states = [copy.deepcopy(each.state_dict()) for each in (one, other)]
    swap_weights(one, other)
    assert torch.equal(one[0].weight, states[1]["0.weight"])
    assert torch.equal(other[0].weight, states[0]["0.weight"])
    swap_weights(one, other)
    for module, state in zip((one, other), states, strict=True):
        for key, value in module.state_dict().items():
            assert torch.equal(value, state[key])


def test_an_optimizer_follows_the_weights_it_was_given():
    one, other = nn.Linear(1, 1), nn.Linear(1, 1)
    optimizer = torch.optim.SGD(one.parameters(), 1.0)
    swap_weights(one, other)
    before, left = one.weight.item(), other.weight.item()
    one(torch.ones(1)).backward()
    optimizer.step()
    assert one.weight.item() == pytest.approx(before - 1)
    assert other.weight.item() == left


def test_the_average_takes_no_gradient_and_a_bad_decay_is_refused():
    average = build_average(make_module(), 0.9)
    assert not any(each.requires_grad for each in average.parameters())
    for decay in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"decay={decay}"):
            build_average(make_module(), decay)
