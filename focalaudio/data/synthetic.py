"""The default data set: seed -> clips in ESC-50's layout, their events known.

A clip is an event (one of ten classes, one to four times) on a background
that is drawn without looking at the class. The event alone is kept as the
clip's stem, so that what an interpretation *should* keep is known.

What both are made of is in `focalaudio.data.voices`. All times are in seconds,
all frequencies in Hz, every draw comes from the generator that is passed in.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from focalaudio.audio import write_wav
from focalaudio.data.voices import (
    BACKGROUNDS,
    CLASSES,
    EPS_POWER,
    SOUNDS,
    Array,
    Draw,
    Sound,
    log_uniform,
    target_number,
)
from focalaudio.errors import DataError
from focalaudio.files import replace_folder
from focalaudio.waveforms import common_gain

SNR_DB = (8.0, 26.0)  # event over background, where the event sounds
LEVEL_DB = (-38.0, -24.0)  # RMS of a whole clip, re full scale
MAX_PEAK = 0.99  # of a clip; a clip that is all peaks gets less level
MIN_SAMPLE_RATE = 16000  # Hz; the highest partials lie close to 8 kHz
MIN_SECONDS = 1.0  # a shorter clip has no room for an event and a rest
MAX_EVENTS = 4
MAX_SHARE = 0.6  # of the clip that its events may fill
FORMAT = 2  # raise it when the same arguments give other sounds


@dataclass(frozen=True)
class Clip:
    """One synthetic clip, its two parts still apart.

    Arguments
    ---------
    stem : torch.Tensor
        `[samples]`, the event alone, -1 to 1.
    background : torch.Tensor
        `[samples]`, everything else, at the level it has in the clip.
    """

    stem: Tensor
    background: Tensor

    @property
    def wav(self) -> Tensor:
        """The clip as it is heard: `[samples]`, stem + background."""
        return self.stem + self.background


# ------------------------------------------------ events and backgrounds


def _amplitude(low_db: float, high_db: float, draw: Draw) -> float:
    """A factor for amplitudes, its level in dB uniform."""
    return float(10 ** (draw.uniform(low_db, high_db) / 20))


def _faded(t: Array, wav: Array) -> Array:
    """The wav with 1 ms of a way in and 20 ms of a way out, RMS 1."""
    faded = wav * np.clip(np.minimum(t / 0.001, (t[-1] - t) / 0.02), 0, 1)
    return faded / np.sqrt(np.mean(faded**2) + EPS_POWER)


def _starts(lengths: list[int], n_samples: int, draw: Draw) -> list[int]:
    """Where each of the lengths begins: in turn, none over another."""
    free = n_samples - sum(lengths)
    rests = np.sort(draw.integers(0, free + 1, len(lengths)))
    return (rests + np.cumsum([0, *lengths[:-1]])).tolist()


def _lengths(sound: Sound, n_samples: int, rate: int, draw: Draw) -> list[int]:
    """Samples of each occurrence; together at most MAX_SHARE of the clip."""
    longest = MAX_SHARE * n_samples
    base = min(log_uniform(*sound.seconds, draw) * rate, longest)
    count = int(draw.integers(1, MAX_EVENTS + 1))
    count = min(count, max(1, int(longest / base)))
    return [int(base * draw.uniform(0.8, 1.0)) for _ in range(count)]


def _event(
    category: str, generator: Draw, n_samples: int, sample_rate: int = 16000
) -> Array:
    """One to four occurrences of one source, silence around them."""
    sound, wav = SOUNDS[CLASSES[target_number(category)]], np.zeros(n_samples)
    hz = log_uniform(*sound.hz, generator)
    lengths = _lengths(sound, n_samples, sample_rate, generator)
    starts = _starts(lengths, n_samples, generator)
    for start, length in zip(starts, lengths, strict=True):
        t = np.arange(length) / sample_rate
        once = sound.voice(t, hz * generator.uniform(0.97, 1.03), generator)
        level = _amplitude(-4, 0, generator)
        wav[start : start + length] = level * _faded(t, once)
    return wav


def _background(
    generator: Draw, n_samples: int, sample_rate: int = 16000
) -> Array:
    """Tilted noise; band noise, hum and a tone in every second one."""
    t = np.arange(n_samples) / sample_rate
    first, *others = BACKGROUNDS
    wav = first(t, generator)
    for layer in others:
        if generator.random() < 0.5:
            extra = layer(t, generator)
            wav += _amplitude(-12, 3, generator) * extra / extra.std()
    return wav


# ------------------------------------------------------------------ clips


def _snr(stem: Array, background: Array, sample_rate: int) -> float:
    """Ratio of powers over the 20 ms frames in which the event sounds."""
    frame = sample_rate // 50
    stems, backgrounds = (
        np.mean(wav[: len(wav) // frame * frame].reshape(-1, frame) ** 2, 1)
        for wav in (stem, background)
    )  # [frames]
    sounds = stems > 0.01 * stems.max()
    return float(stems[sounds].mean() / backgrounds[sounds].mean())


def synthesize_clip(
    category: str,
    index: int,
    seed: int,
    *,
    sample_rate: int = 16000,
    seconds: float = 5.0,
) -> Clip:
    """Synthesize the clip that (seed, category, index) names.

    The event stands 8 to 26 dB over the background, measured over the 20 ms
    frames whose event is at most 20 dB below its loudest frame. The whole
    clip is brought to a random level, one gain for both parts.

    Arguments
    ---------
    category : str
        One of `CLASSES`.
    index : int
        Number of the clip within its class, from 0.
    seed : int
        Number of the data set, from 0.
    sample_rate : int
        Hz, at least 16000.
    seconds : float
        Length of the clip, at least 1.

    Returns
    -------
    Clip
        Stem and background, `[samples]` each, their sum within -0.99 to 0.99.

    Raises
    ------
    ValueError
        If there is no such class.

    Example
    -------
    >>> clip = synthesize_clip("siren", 0, seed=1, seconds=2.0)
    >>> clip.wav.shape
    torch.Size([32000])
    """
    key = (seed, target_number(category), index)
    draw, n_samples = np.random.default_rng(key), round(seconds * sample_rate)
    event = _event(category, draw, n_samples, sample_rate)
    background = _background(draw, n_samples, sample_rate)
    snr = _snr(event, background, sample_rate)
    background *= np.sqrt(snr) / _amplitude(*SNR_DB, draw)
    rms = np.sqrt(np.mean((event + background) ** 2))
    parts = np.stack([event, background]) * _amplitude(*LEVEL_DB, draw) / rms
    clip = Clip(*torch.from_numpy(parts).float())
    gain = common_gain(clip.wav / MAX_PEAK, clip.stem / MAX_PEAK)
    return Clip(gain * clip.stem, gain * clip.background)


# ------------------------------------------------------------- data set


@dataclass(frozen=True)
class _Plan:
    """What fixes every byte of a data set; as JSON, its identity."""

    clips_per_class: int
    seed: int
    sample_rate: int
    seconds: float
    n_folds: int
    classes: tuple[str, ...]
    format: int = FORMAT

    def __post_init__(self) -> None:
        every = ", so that each fold holds each class; or lower n_folds"
        rules: dict[str, tuple[float, str]] = {
            "seed": (0, ""),
            "sample_rate": (MIN_SAMPLE_RATE, " Hz"),
            "seconds": (MIN_SECONDS, " s"),
            "n_folds": (1, ""),
            "clips_per_class": (self.n_folds, every),
        }
        for name, (low, rest) in rules.items():
            value = getattr(self, name)
            if not value >= low:
                raise ValueError(
                    f"{name}={value} must be at least {low}{rest}."
                )
        if not self.classes:
            raise ValueError("classes=() must name at least one class.")
        for category in self.classes:
            target_number(category)

    @property
    def description(self) -> bytes:
        """The content of `dataset.json`."""
        return json.dumps(vars(self), indent=2).encode() + b"\n"

    def rows(self) -> list[tuple[str, int, dict[str, object]]]:
        """Category, index and metadata of every clip."""
        pairs = product(self.classes, range(self.clips_per_class))
        return [(*pair, _metadata(*pair, self.n_folds)) for pair in pairs]

    def files(self) -> list[str]:
        """Every file but the description, relative to the folder."""
        names = [row["filename"] for *_, row in self.rows()]
        wavs = [f"{a}/{name}" for a in ("audio", "stems") for name in names]
        return ["meta/esc50.csv", *wavs]


def _metadata(category: str, index: int, n_folds: int) -> dict[str, object]:
    """The metadata of one clip; a class keeps its number in a subset."""
    target, fold = target_number(category), index % n_folds + 1
    source = 100000 + index * len(CLASSES) + target
    return {
        "filename": f"{fold}-{source}-A-{target}.wav",
        "fold": fold,
        "target": target,
        "category": category,
        "esc10": True,  # ten classes: its small subset is all of it
        "src_file": source,
        "take": "A",
    }


def _write_clips(folder: Path, plan: _Plan) -> None:
    """Write wavs, metadata and description into a new folder."""
    for name in ("audio", "stems", "meta"):
        (folder / name).mkdir(parents=True)
    rate, rows = plan.sample_rate, plan.rows()
    for category, index, row in rows:
        clip = synthesize_clip(
            category, index, plan.seed, sample_rate=rate, seconds=plan.seconds
        )
        write_wav(folder / "audio" / str(row["filename"]), clip.wav, rate)
        write_wav(folder / "stems" / str(row["filename"]), clip.stem, rate)
    table = pd.DataFrame([row for *_, row in rows]).sort_values("filename")
    table.to_csv(folder / "meta/esc50.csv", index=False, lineterminator="\n")
    (folder / "dataset.json").write_bytes(plan.description)


def _is_written(folder: Path, plan: _Plan) -> bool:
    """True if the folder holds the data set, False if it holds nothing."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    identity = folder / "dataset.json"
    if not identity.is_file() or identity.read_bytes() != plan.description:
        raise DataError(
            f"folder={str(folder)!r} holds something else than this data set;"
            " name another folder, or delete this one."
        )
    missing = [file for file in plan.files() if not (folder / file).is_file()]
    if missing:
        raise DataError(
            f"folder={str(folder)!r} lacks {len(missing)} of its files, the"
            f" first is {missing[0]}; delete the folder to write it again."
        )
    return True


def _write_folder(place: Path, plan: _Plan) -> None:
    """Write the data set, unless another process is first with the same."""
    try:
        with replace_folder(place) as temporary:
            _write_clips(temporary, plan)
    except OSError:
        if not _is_written(place, plan):
            raise


def write_dataset(
    folder: str | os.PathLike[str],
    clips_per_class: int = 40,
    seed: int = 1234,
    *,
    sample_rate: int = 16000,
    seconds: float = 5.0,
    n_folds: int = 5,
    classes: Iterable[str] | None = None,
) -> Path:
    """Write the synthetic data set in ESC-50's layout, with its stems.

    `audio/*.wav`, `meta/esc50.csv`, and `stems/*.wav`: under the same names,
    each clip's event without its background. A clip depends on seed, class
    and number only, so fewer clips or classes give a part of the larger set.
    The folder appears when it is whole; if it is there already, it is kept.

    Arguments
    ---------
    folder : str or os.PathLike
        Where the data set is to be: absent, empty, or this data set.
    clips_per_class : int
        At least `n_folds`, so that every fold holds every class.
    seed : int
        From 0.
    sample_rate : int
        Hz, at least 16000.
    seconds : float
        Length of each clip, at least 1.
    n_folds : int
        At least 1; a class's clips are spread evenly over them.
    classes : iterable of str, optional
        A choice from `CLASSES`, in any order; all of them by default.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        If an argument is out of its range, or there is no such class.
    DataError
        If the folder holds something else, or lacks files.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "data"
    >>> data = write_dataset(folder, 1, n_folds=1, seconds=1.0)
    >>> sorted(path.name for path in data.iterdir())
    ['audio', 'dataset.json', 'meta', 'stems']
    """
    chosen = CLASSES if classes is None else tuple(sorted(set(classes)))
    plan = _Plan(
        clips_per_class, seed, sample_rate, float(seconds), n_folds, chosen
    )
    place = Path(folder).resolve()
    if not _is_written(place, plan):
        _write_folder(place, plan)
    return Path(folder)
