"""Laws of the learning rate that training follows."""

import math

import pytest

from focalaudio.brains.training import WarmupCosine


def test_rate_rises_to_its_peak_then_falls():
    schedule = WarmupCosine(0.01, n_epochs=20, warmup_epochs=4)
    rates = [schedule(epoch) for epoch in range(1, 21)]
    assert max(rates) == rates[3] == pytest.approx(0.01)
    assert rates[:4] == sorted(rates[:4])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert min(rates) > 0


def test_rate_rises_in_equal_steps_and_is_halved_halfway():
    schedule = WarmupCosine(1.0, n_epochs=12, warmup_epochs=3)
    assert [schedule(e) for e in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert schedule(8) == pytest.approx(0.5)
    assert schedule(13) == pytest.approx(0, abs=1e-12)


def test_no_warmup_starts_just_below_the_peak():
    rate = WarmupCosine(1.0, n_epochs=9, warmup_epochs=0)(1)
    assert rate == pytest.approx((1 + math.cos(math.pi / 10)) / 2)


@pytest.mark.parametrize("warmup", [-1, 4])
def test_warmup_longer_than_training_is_refused(warmup):
    with pytest.raises(ValueError, match=f"warmup_epochs={warmup} must be"):
        WarmupCosine(1.0, n_epochs=3, warmup_epochs=warmup)
