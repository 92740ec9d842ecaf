"""Laws of focalaudio.data.voices: pitch, length, level and repeatability."""

import numpy as np
import pytest

from focalaudio.data import voices
from focalaudio.data.voices import (
    BACKGROUNDS,
    CLASSES,
    SOUNDS,
    log_uniform,
    target_number,
)

RATE = 16000
SECOND = np.arange(RATE) / RATE  # whose spectrum has one bin per Hz


def magnitudes(wav):
    return np.abs(np.fft.rfft(wav))


def sing(category, hz, seconds, seed=0):
    t = np.arange(round(seconds * RATE)) / RATE
    return SOUNDS[category].voice(t, hz, np.random.default_rng(seed))


def center(wav):
    """The middle of a wav's power, in Hz."""
    power = magnitudes(wav) ** 2
    hz = np.fft.rfftfreq(len(wav), 1 / RATE)
    return (hz * power).sum() / power.sum()


# ------------------------------------------------------------------ tools


def test_log_uniform_has_half_its_draws_in_each_half_of_the_octaves():
    draw = np.random.default_rng(0)
    drawn = np.array([log_uniform(100, 1600, draw) for _ in range(4000)])
    assert drawn.min() >= 100
    assert drawn.max() <= 1600
    assert abs((drawn < 400).mean() - 0.5) < 0.03


def test_noise_is_where_its_gain_is_at_level_one():
    draw = np.random.default_rng(0)
    wav = voices._noise(SECOND, lambda hz: (hz > 1000) & (hz < 2000), draw)
    assert np.sqrt((wav**2).mean()) == pytest.approx(1)
    found = np.flatnonzero(magnitudes(wav) > 1e-6)
    assert (found.min(), found.max()) == (1001, 1999)


def test_harmonics_are_multiples_with_their_weights():
    weights = np.array([1.0, 0.0, 0.5])
    wav = voices._harmonics(SECOND, 440.0, weights)
    found = magnitudes(wav) / (RATE / 2)
    np.testing.assert_allclose(found[[440, 880, 1320]], weights, atol=1e-6)
    assert (found > 1e-6).sum() == 2


def test_harmonics_over_nyquist_are_left_out_not_folded_back():
    wav = voices._harmonics(SECOND, 3000.0, np.ones(9))
    found = np.flatnonzero(magnitudes(wav) > 1)
    assert found.tolist() == [3000, 6000]


def test_modes_over_nyquist_are_silent():
    hz, decays = np.array([7500.0, 9000.0]), np.ones(2)
    wav = voices._modes(SECOND, hz, decays, np.random.default_rng(0))
    assert not wav.any()


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_pulses_of_a_train_keep_their_gaps_within_the_spread(spread):
    draw = np.random.default_rng(0)
    wav = voices._train(SECOND, 0.1, spread, np.ones(1), draw)
    starts = np.flatnonzero(wav)
    gaps = np.diff(starts)
    assert starts[0] == 0
    assert len(gaps) > 5
    assert np.abs(gaps - 0.1 * RATE).max() <= 0.1 * RATE * spread + 1


# ----------------------------------------------------------------- voices


@pytest.mark.parametrize("category", CLASSES)
@pytest.mark.parametrize("end", [0, 1])
def test_voices_sound_as_long_as_asked_for(category, end):
    seconds = SOUNDS[category].seconds[end]
    for hz in SOUNDS[category].hz:
        wav = sing(category, hz, seconds)
        assert wav.shape == (round(seconds * RATE),)
        assert np.isfinite(wav).all()
        assert np.abs(wav).max() > 0.01


@pytest.mark.parametrize("category", CLASSES)
def test_same_generator_same_sound(category):
    hz, seconds = SOUNDS[category].hz[0], SOUNDS[category].seconds[1]
    first = sing(category, hz, seconds)
    assert np.array_equal(first, sing(category, hz, seconds))
    assert not np.array_equal(first, sing(category, hz, seconds, seed=1))


@pytest.mark.parametrize("category", CLASSES)
def test_a_higher_pitch_sounds_higher(category):
    low, high = SOUNDS[category].hz
    seconds = SOUNDS[category].seconds[1]
    for seed in range(3):
        below = center(sing(category, low, seconds, seed))
        assert below < center(sing(category, high, seconds, seed))


def test_classes_are_numbered_in_their_order():
    assert list(CLASSES) == sorted(SOUNDS)
    assert [target_number(name) for name in CLASSES] == list(range(10))


def test_an_unknown_class_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="category='dog'") as caught:
        target_number("dog")
    assert all(name in str(caught.value) for name in CLASSES)


# ------------------------------------------------------------ backgrounds


@pytest.mark.parametrize("layer", BACKGROUNDS)
def test_layers_are_finite_and_follow_their_generator(layer):
    for seed in range(5):
        wav, again, other = (
            layer(SECOND, np.random.default_rng(s))
            for s in (seed, seed, seed + 9)
        )
        assert wav.shape == SECOND.shape
        assert np.isfinite(wav).all()
        assert wav.std() > 0  # what its level is divided by
        assert np.array_equal(wav, again)
        assert not np.array_equal(wav, other)


def test_the_first_layer_is_never_silent():
    for seed in range(20):
        wav = BACKGROUNDS[0](SECOND, np.random.default_rng(seed))
        power = (wav.reshape(-1, RATE // 50) ** 2).mean(1)
        assert power.min() > 1e-2 * power.mean()
