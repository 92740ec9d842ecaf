"""What clips are made of: the voices of ten classes, layers of backgrounds.

Five tools make them: damped modes, harmonics under a moving pitch, shaped
noise, trains of pulses, and envelopes. All times are in seconds, all
frequencies in Hz, every draw comes from the generator that is passed in.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Draw = np.random.Generator

EPS_POWER = 1e-12  # keeps the ratio of two powers finite in silence


# ------------------------------------------------------------------ tools


def log_uniform(low: float, high: float, draw: Draw) -> float:
    """Draw from `low` to `high` so that no octave is favoured."""
    return float(np.exp(draw.uniform(np.log(low), np.log(high))))


def _noise(t: Array, gain: Callable[[Array], Array], draw: Draw) -> Array:
    """Gaussian noise whose magnitude spectrum follows `gain(Hz)`, RMS 1."""
    spectrum = np.fft.rfft(draw.standard_normal(len(t)))
    spectrum *= gain(np.fft.rfftfreq(len(t), t[1]))
    wav = np.fft.irfft(spectrum, len(t))
    return wav / np.sqrt(np.mean(wav**2) + EPS_POWER)


def _peak(center: float, width: float) -> Callable[[Array], Array]:
    """A resonance: 1 at `center`, 1/2 at `width` Hz beside it."""
    return lambda hz: 1 / (1 + ((hz - center) / width) ** 2)


def _strike(t: Array, attack: float, decay: float) -> Array:
    """An envelope that rises within `attack` and falls within `decay`."""
    return (1 - np.exp(-t / attack)) * np.exp(-t / decay)


def _swell(t: Array) -> Array:
    """An envelope that rises from and falls back to zero, once."""
    return np.sin(np.pi * t / (t[-1] + t[1]))


def _harmonics(t: Array, hz: Array | float, weights: Array) -> Array:
    """Partials at 1, 2, 3 ... times a moving pitch, none near Nyquist."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, t.shape)) * t[1]
    n_partials = min(len(weights), int(0.45 / t[1] / np.max(hz)))
    orders = np.arange(1, n_partials + 1)[:, None]  # [partials, 1]
    return weights[:n_partials] @ np.sin(orders * phase)


def _modes(t: Array, hz: Array, decays: Array, draw: Draw) -> Array:
    """Damped partials of a body that was hit, one per frequency."""
    weights = draw.uniform(0.3, 1.0, len(hz)) * (hz < 0.45 / t[1])
    phase = 2 * np.pi * (hz[:, None] * t + draw.random((len(hz), 1)))
    return weights @ (np.exp(-t / decays[:, None]) * np.sin(phase))


def _train(
    t: Array, gap: float, spread: float, pulse: Array, draw: Draw
) -> Array:
    """Pulses `gap` apart, each gap off by up to `spread` of itself."""
    wav = np.zeros(len(t) + len(pulse))
    gaps = gap * draw.uniform(1 - spread, 1 + spread, int(t[-1] / gap) + 1)
    for start in ((np.cumsum(gaps) - gaps[0]) / t[1]).astype(int):
        if start < len(t):
            strength = draw.uniform(0.5, 1)
            wav[start : start + len(pulse)] += strength * pulse
    return wav[: len(t)]


# ----------------------------------------------- voices: one per class


def _bark(t: Array, hz: float, draw: Draw) -> Array:
    """A voice that breaks: pitch up and down, rich in harmonics, rough."""
    pitch = hz * (0.7 + 0.6 * _swell(t))
    orders = np.arange(1, 16)
    formant = _peak(draw.uniform(800, 1600), 500)(orders * hz) + 0.08
    rough = 0.15 * _noise(t, _peak(3 * hz, 600), draw)
    voiced = _harmonics(t, pitch, formant) / np.linalg.norm(formant)
    return (voiced + rough) * _strike(t, 0.01, t[-1] / 3)


def _bell(t: Array, hz: float, draw: Draw) -> Array:
    """Inharmonic partials, the low ones ring on."""
    ratios = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.1])
    detuned = hz * ratios * draw.uniform(0.99, 1.01, len(ratios))
    return _modes(t, detuned, t[-1] / 3 / (0.6 + 0.5 * ratios), draw)


def _chirp(t: Array, hz: float, draw: Draw) -> Array:
    """Short whistled syllables, each a fast sweep of the same shape."""
    length = draw.uniform(0.05, 0.12)
    u = t[t < length] / length
    bend = draw.choice([-1, 1]) * draw.uniform(0.15, 0.35) * (u - 0.5)
    pitch = hz * (1 + bend - draw.uniform(0, 0.2) * (2 * u - 1) ** 2)
    syllable = _harmonics(t[: len(u)], pitch, np.ones(1)) * np.sin(np.pi * u)
    return _train(t, length * draw.uniform(1.2, 1.8), 0.1, syllable, draw)


def _clicks(t: Array, hz: float, draw: Draw) -> Array:
    """Keys: bursts of a few milliseconds at irregular times."""
    since = t[t < 0.05]
    click = _noise(since, _peak(hz, 1500), draw)
    click *= np.exp(-since / draw.uniform(0.002, 0.005))
    return _train(t, draw.uniform(0.09, 0.18), 0.6, click, draw)


def _cough(t: Array, hz: float, draw: Draw) -> Array:
    """Breath through two formants: a burst, then a weaker second one."""
    second = draw.uniform(2.2, 3.0) * hz
    breath = _noise(t, _peak(hz, 180), draw)
    breath += 0.7 * _noise(t, _peak(second, 300), draw)
    later = np.maximum(t - draw.uniform(0.4, 0.6) * t[-1], 0)
    bursts = _strike(t, 0.006, 0.05) + 0.6 * _strike(later, 0.03, 0.06)
    return breath * bursts


def _cricket(t: Array, hz: float, draw: Draw) -> Array:
    """A steady high tone, switched some tens of times a second."""
    rate, sharpness = draw.uniform(22, 45), draw.uniform(1.5, 4)
    pulses = (0.5 - 0.5 * np.cos(2 * np.pi * rate * t)) ** sharpness
    return _harmonics(t, hz, np.array([1.0, 0.1])) * pulses * _swell(t) ** 0.3


def _engine(t: Array, hz: float, draw: Draw) -> Array:
    """A low buzz under a body resonance, revving, one cylinder weaker."""
    revs = hz * (1 + draw.uniform(0.05, 0.4) * _swell(t))
    orders = np.arange(1, 41)
    body = _peak(draw.uniform(300, 1500), 400)(orders * hz) + 0.2 / orders
    firing = 2 * np.pi * np.cumsum(revs) * t[1] / draw.integers(2, 5)
    limp = 1 + draw.uniform(0.3, 0.8) * np.sin(firing)
    return _harmonics(t, revs, body) * limp * _swell(t) ** 0.5


def _gust(t: Array, hz: float, draw: Draw) -> Array:
    """Rushing noise that grows brighter as it grows louder."""
    swell = _swell(t) ** draw.uniform(1.5, 3)
    dark = _noise(t, _peak(hz, hz / 4), draw)
    return dark * swell + _noise(t, _peak(2.5 * hz, hz), draw) * swell**3


def _knock(t: Array, hz: float, draw: Draw) -> Array:
    """Knuckles on wood: a few dull blows at an even pace."""
    ratios = np.array([1.0, 1.6, 2.3, 3.4, 5.1]) * draw.uniform(0.9, 1.1, 5)
    decays = draw.uniform(0.015, 0.03) / np.sqrt(ratios)
    since = t[t < 0.2]
    blow = 0.4 * _noise(since, _peak(4 * hz, 2 * hz), draw)
    blow *= np.exp(-since / 0.004)
    blow += _modes(since, hz * ratios, decays, draw)
    return _train(t, draw.uniform(0.14, 0.26), 0.1, blow, draw)


def _siren(t: Array, hz: float, draw: Draw) -> Array:
    """A horn whose pitch wails up and down."""
    turns = 2 * np.pi * (draw.uniform(0.8, 3) * t + draw.random())
    pitch = hz * 2 ** (draw.uniform(0.25, 0.5) * np.sin(turns))
    weights = np.array([1.0, 0.5, 0.35, 0.15, 0.1]) * draw.uniform(0.6, 1, 5)
    return _harmonics(t, pitch, weights) * _swell(t) ** 0.3


@dataclass(frozen=True)
class Sound:
    """One class: its voice, and the ranges its pitch and length come from.

    Arguments
    ---------
    voice : callable
        Times in seconds `[samples]`, pitch in Hz, generator -> `[samples]`.
    hz : tuple of float
        Lowest and highest pitch.
    seconds : tuple of float
        Shortest and longest occurrence.
    """

    voice: Callable[[Array, float, Draw], Array]
    hz: tuple[float, float]
    seconds: tuple[float, float]


SOUNDS = {
    "bark": Sound(_bark, (300, 800), (0.15, 0.35)),
    "bell": Sound(_bell, (350, 1300), (0.7, 1.6)),
    "chirp": Sound(_chirp, (2200, 4800), (0.3, 0.8)),
    "clicks": Sound(_clicks, (1500, 4500), (0.4, 1.2)),
    "cough": Sound(_cough, (450, 1000), (0.3, 0.5)),
    "cricket": Sound(_cricket, (2200, 5000), (0.4, 1.2)),
    "engine": Sound(_engine, (45, 120), (0.7, 1.6)),
    "gust": Sound(_gust, (300, 1500), (0.7, 1.6)),
    "knock": Sound(_knock, (180, 700), (0.4, 0.9)),
    "siren": Sound(_siren, (500, 1500), (0.8, 1.8)),
}
CLASSES = tuple(SOUNDS)


def target_number(category: str) -> int:
    """Return a class's place in `CLASSES`; the one place that meets others.

    A `ValueError` if there is no such class.
    """
    if category not in CLASSES:
        names = ", ".join(CLASSES)
        raise ValueError(f"category={category!r} must be one of: {names}.")
    return CLASSES.index(category)


# ------------------------------------------------ layers of a background


def _sway(t: Array, draw: Draw) -> Array:
    """A slow swing of the level between a floor and 1."""
    turns = 2 * np.pi * (draw.uniform(0.1, 1.5) * t + draw.random())
    return 1 - draw.uniform(0, 0.7) * (0.5 + 0.5 * np.sin(turns))


def _tilted(t: Array, draw: Draw) -> Array:
    """Noise between white and brown."""
    tilt = draw.uniform(0, 1)
    return _noise(t, lambda hz: (hz + 30) ** -tilt, draw) * _sway(t, draw)


def _band(t: Array, draw: Draw) -> Array:
    """Noise around a random frequency."""
    center = log_uniform(150, 6000, draw)
    shape = _peak(center, center * draw.uniform(0.1, 0.6))
    return _noise(t, shape, draw) * _sway(t, draw)


def _hum(t: Array, draw: Draw) -> Array:
    """Mains or a fan: a low tone and a few of its harmonics."""
    return _harmonics(t, draw.uniform(45, 130), draw.random(8))


def _tone(t: Array, draw: Draw) -> Array:
    """A faint whistle with some vibrato, there for a part of the clip."""
    turns = 2 * np.pi * draw.uniform(0.2, 4) * t
    vibrato = 1 + draw.uniform(0, 0.03) * np.sin(turns)
    hz = log_uniform(200, 5000, draw) * vibrato
    middle, width = draw.random() * t[-1], draw.uniform(0.1, 0.5) * t[-1]
    present = np.exp(-(((t - middle) / width) ** 2))
    return _harmonics(t, hz, np.ones(1)) * present


# The first is in every background, each other one in some.
BACKGROUNDS = (_tilted, _band, _hum, _tone)
