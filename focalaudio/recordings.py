"""`file of any length -> windows`: what `load_wav` gives, in flat memory.

Blocks `[channels, frames]` -> mono -> resampled with enough of both neighbors
-> overlapping windows `[samples]`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from focalaudio.audio import AnyPath, audio_info, iter_blocks
from focalaudio.waveforms import (
    ROLLOFF,
    ZERO_CROSSINGS,
    check_whole,
    mix_to_mono,
    resample,
)

BLOCK_FRAMES = 2**18  # read at once: 6 s at 44.1 kHz


def count_samples(n_frames: int, from_rate: int, to_rate: int) -> int:
    """Return how many samples `resample` makes: `ceil(n * to / from)`.

    Example
    -------
    >>> count_samples(442, 44100, 16000)
    161
    """
    return -(-n_frames * to_rate // from_rate)


def iter_windows(
    path: AnyPath,
    sample_rate: int,
    n_window: int,
    n_hop: int,
    *,
    first: int = 0,
    strict: bool = False,
) -> Iterator[Tensor]:
    """Cut a recording of any length into overlapping windows.

    Every sample is in a window. The last window ends with the recording and
    is shorter where they do not fit; there is one window at least.

    Arguments
    ---------
    path, strict
        As in `focalaudio.audio.read_audio`, whose errors are raised too.
    sample_rate : int
        Wanted rate, Hz.
    n_window : int
        Samples in a window, at least 1.
    n_hop : int
        Samples from the start of one window to that of the next, 1 to
        `n_window`.
    first : int
        Windows to leave out at the start.

    Yields
    ------
    torch.Tensor
        `[samples]`, at most `n_window`.

    Raises
    ------
    ValueError
        If a length is out of range.

    Example
    -------
    >>> from focalaudio.audio import write_wav
    >>> path = getfixture("tmp_path") / "long.wav"
    >>> _ = write_wav(path, torch.zeros(10), 16000)
    >>> [len(window) for window in iter_windows(path, 16000, 4, 3)]
    [4, 4, 4]
    """
    check_whole("n_window", n_window, 1)
    check_whole("n_hop", n_hop, 1, n_window)
    held, is_first = torch.empty(0), first == 0
    for block in _iter_mono(path, sample_rate, first * n_hop, strict):
        held = torch.cat((held, block))
        while len(held) >= n_window:
            yield held[:n_window]
            held, is_first = held[n_hop:], False
    # what the last whole window has not
    if is_first or len(held) > n_window - n_hop:
        yield held


def _iter_mono(
    path: AnyPath, sample_rate: int, skip: int, strict: bool
) -> Iterator[Tensor]:
    """Read as `load_wav`, in blocks `[samples]`, but for `skip` samples."""
    check_whole("sample_rate", sample_rate, 1)
    info = audio_info(path)
    size = max(1, BLOCK_FRAMES // info.n_channels)
    blocks = map(mix_to_mono, iter_blocks(path, size, strict=strict))
    return _resample_blocks(blocks, info.sample_rate, sample_rate, skip)


def _resample_blocks(
    blocks: Iterable[Tensor], from_rate: int, to_rate: int, skip: int
) -> Iterator[Tensor]:
    """Resample, each sample with all the neighbors that its kernel reaches."""
    # groups of `down` samples become `up`; the first group in `held` is `first`
    divisor = math.gcd(from_rate, to_rate)
    down, up = from_rate // divisor, to_rate // divisor
    context = _count_groups(down, up)
    held, first, done = torch.empty(0), 0, 0
    for block in blocks:
        held = torch.cat((held, block))
        ready = first + len(held) // down - context
        if ready * up <= done:
            continue
        if ready * up > skip:
            # of few lengths: torch keeps something for each that it has seen
            reached = held[: (ready - first + context) * down]
            start, end = max(done, skip) - first * up, (ready - first) * up
            yield resample(reached, down, up)[start:end]
        done = ready * up
        before = max(0, ready - context)
        held, first = held[(before - first) * down :], before
    start = max(done, skip) - first * up
    rest = resample(held, down, up)[start:]
    if len(rest):
        yield rest


def _count_groups(down: int, up: int) -> int:
    """How many groups of `down` samples a kernel reaches to either side."""
    reach = math.ceil(ZERO_CROSSINGS / (ROLLOFF * min(1.0, up / down))) + 1
    return -(-reach // down)
