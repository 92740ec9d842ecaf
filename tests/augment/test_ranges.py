"""Laws of the numbers that augmentation takes: in their range, or refused."""

import re
from math import inf, nan

import pytest

from focalaudio.augment import (
    MaskedViews,
    MaskSpectrogram,
    MixClips,
    RandomCrop,
    RandomEqualizer,
    RandomGain,
    RandomNoise,
    RandomOutliers,
    RandomPolarity,
    RandomSpeed,
    TimeShift,
)
from focalaudio.augment.ranges import check_range

RANGES = [  # of each argument the least and the most
    (MaskSpectrogram, "max_stripes", 0, inf),
    (MaskSpectrogram, "max_frames", 0, inf),
    (MaskSpectrogram, "max_bins", 0, inf),
    (MaskedViews, "probability", 0, 1),
    (MaskedViews, "lowest", 0, 0.95),
    (MaskedViews, "highest", 0.5, 1),
    (MixClips, "probability", 0, 1),
    (MixClips, "max_ratio", 0, inf),
    (MixClips, "halves", 0, 1),
    (RandomCrop, "silence", 0, 1),
    (RandomEqualizer, "max_gain", 0, inf),
    (RandomEqualizer, "n_gains", 2, inf),
    (RandomGain, "max_gain", 0, inf),
    (RandomNoise, "lowest", -inf, 60),
    (RandomOutliers, "probability", 0, 1),
    (RandomPolarity, "probability", 0, 1),
    (RandomSpeed, "max_factor", 1, inf),
    (TimeShift, "max_fraction", 0, 1),
]


@pytest.mark.parametrize(("step", "name", "least", "most"), RANGES)
def test_an_argument_is_in_its_range_or_named(step, name, least, most):
    for limit, past in ((least, -1), (most, 1)):
        if abs(limit) < inf:
            step(**{name: limit})
            with pytest.raises(ValueError, match=name):
                step(**{name: limit + past})


@pytest.mark.parametrize("wrong", [nan, inf, -0.1, "0.5", None, [0.5]])
def test_what_is_no_number_of_a_range_is_named(wrong):
    said = re.escape(f"odd={wrong!r} must be a number from 0")
    with pytest.raises(ValueError, match=f"{said}[.]"):
        check_range(0, fine=1, odd=wrong)
    with pytest.raises(ValueError, match=f"{said} to 1[.]"):
        check_range(0, 1, fine=1, odd=wrong)
