"""Sparseness and complexity against values that Quantus computed.

Made once with Quantus 0.6.0 (`pip install quantus==0.6.0`, numpy 2.4), which
is no dependency; for each map `x`, `[1, 12, 10]`, float64:

    metric = quantus.Sparseness(abs=True, normalise=True)  # its defaults
    metric = quantus.Complexity(abs=True, normalise=True)  # its defaults
    metric(model=None, x_batch=x[:, None], y_batch=np.array([0]),
           a_batch=x[:, None])

The definitions are the same but for what Quantus adds against a division by
zero and a logarithm of zero:
- to each cell 1e-7 before the Gini index: it moves a map whose largest cell is
  1 by up to 1e-5, and one on a scale of 1e-6, not normalised, from .80 to .42;
- to each share 1e-12 within the logarithm of the entropy.
Ours adds nothing: any scale gives the same, and a map of zeros gives `nan`,
where Quantus refuses every flat map.
"""

import pytest
import torch

from focalaudio.metrics.functional import complexity, sparseness

CELLS = (37 * torch.arange(120.0) % 121 / 121).double().reshape(1, 12, 10)
MAPS = {
    "even": CELLS,
    "peaked": CELLS**8,
    "sparse": (CELLS - 0.75).clamp(min=0),
    "one cell": torch.eye(120).double()[7].reshape(1, 12, 10),
}
QUANTUS = {  # sparseness, complexity
    "even": (0.33793657284067286, 4.588412515978392),
    "peaked": (0.8013932188557394, 3.4709681470256823),
    "sparse": (0.834650938691195, 3.2000321298921417),
    "one cell": (0.9916547668094651, -1.000088900581841e-12),
}
# sparseness of 1e-6 * peaked with normalise=False
QUIET = 0.41511806520158856
OFFSET = 1e-7


@pytest.mark.parametrize("name", MAPS)
def test_values_are_those_of_quantus(name):
    gini, entropy = QUANTUS[name]
    ours = MAPS[name] / MAPS[name].max()
    assert sparseness(ours).item() == pytest.approx(gini, abs=2e-5)
    assert complexity(ours).item() == pytest.approx(entropy, abs=1e-6)


@pytest.mark.parametrize("name", MAPS)
def test_sparseness_differs_by_the_offset_alone(name):
    gini, _ = QUANTUS[name]
    lifted = MAPS[name] / MAPS[name].max() + OFFSET
    assert sparseness(lifted).item() == pytest.approx(gini, abs=1e-7)


def test_the_offset_flattens_quiet_maps_and_ours_does_not():
    quiet = 1e-6 * MAPS["peaked"]
    assert sparseness(quiet + OFFSET).item() == pytest.approx(QUIET, abs=1e-6)
    assert sparseness(quiet).item() == pytest.approx(
        QUANTUS["peaked"][0], abs=2e-5
    )


def test_a_batch_holds_the_values_of_its_clips():
    maps = torch.cat(list(MAPS.values()))
    expected = torch.tensor(list(QUANTUS.values()))
    values = torch.stack((sparseness(maps), complexity(maps)), 1)
    torch.testing.assert_close(values, expected, atol=2e-5, rtol=0)
