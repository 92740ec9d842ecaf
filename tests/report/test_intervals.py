import numpy as np
import pytest
from scipy.stats import bootstrap, norm

from focalaudio.report.intervals import bootstrap_interval


def test_scipy_finds_the_same_interval():
    values = np.random.default_rng(1).gamma(2.0, size=60)
    ours = bootstrap_interval(values.tolist())
    theirs = bootstrap(
        (values,),
        np.mean,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    np.testing.assert_allclose(ours, tuple(theirs), atol=0.02)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_a_long_sample_has_the_normal_interval(level):
    values = np.random.default_rng(1).normal(size=2000)
    half = norm.ppf((1 + level) / 2) * values.std() / 2000**0.5
    low, high = bootstrap_interval(values.tolist(), level)
    np.testing.assert_allclose(
        [low, high], [values.mean() - half, values.mean() + half], atol=2e-3
    )


def test_the_mean_lies_inside_and_the_seed_decides():
    values = [0.0, 1.0, 1.0, 0.25]
    low, high = bootstrap_interval(values)
    assert low <= 0.5625 <= high
    assert bootstrap_interval(values) == (low, high)


def test_order_and_one_value_do_not_matter():
    assert bootstrap_interval([0.5]) == (0.5, 0.5)
    assert bootstrap_interval([1.0] * 9) == (1.0, 1.0)


def test_large_samples_are_drawn_in_parts(monkeypatch):
    whole = bootstrap_interval([0.0, 1.0] * 50)
    monkeypatch.setattr("focalaudio.report.intervals.MAX_CELLS", 777)
    assert bootstrap_interval([0.0, 1.0] * 50) == whole


def test_no_values_are_an_error():
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_interval([])
