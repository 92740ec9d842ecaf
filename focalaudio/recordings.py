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
    """Return how many samples `resample` makes of `n_frames`.

    Arguments
    ---------
    n_frames : int
        At `from_rate`.
    from_rate, to_rate : int
        Hz.

    Returns
    -------
    int
        `ceil(n_frames * to_rate / from_rate)`.

    Example
    -------
    >>> count_samples(442, 44100, 16000)
    161
    """
    return -(-n_frames * to_rate // from_rate)


def resample_blocks(
    blocks: Iterable[Tensor], from_rate: int, to_rate: int, *, skip: int = 0
) -> Iterator[Tensor]:
    """Resample a long waveform that comes in blocks.

    Joined, the results are `resample` of the joined blocks: every sample is
    computed with all the neighbors that its kernel reaches.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        `[samples]` each, of any lengths.
    from_rate, to_rate : int
        Hz.
    skip : int
        Samples of the result to leave out at its start; blocks before them
        are not resampled, and the others are the same as without it.

    Yields
    ------
    torch.Tensor
        `[samples]`, at least one.

    Example
    -------
    >>> wav = torch.rand(900)
    >>> joined = torch.cat([*resample_blocks(wav.split(250), 44100, 16000)])
    >>> torch.allclose(joined, resample(wav, 44100, 16000), atol=1e-6)
    True
    """
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


def iter_mono(
    path: AnyPath, sample_rate: int, *, skip: int = 0, strict: bool = False
) -> Iterator[Tensor]:
    """Read a recording of any length as one channel at one rate, in blocks.

    Arguments
    ---------
    path : str or os.PathLike
        The file, of any rate and number of channels.
    sample_rate : int
        Wanted rate, Hz.
    skip : int
        Samples to leave out at the start, at `sample_rate`.
    strict : bool
        Whether a file that is cut off is an error (else a warning).

    Yields
    ------
    torch.Tensor
        `[samples]`, float32; joined, what `load_wav` gives, to 1e-5.

    Raises
    ------
    FileNotFoundError, AudioError
        If there is no such file; if it is empty, damaged or not finite.

    Example
    -------
    >>> from focalaudio.audio import write_wav
    >>> path = getfixture("tmp_path") / "stereo.wav"
    >>> _ = write_wav(path, torch.zeros(2, 44100), 44100)
    >>> sum(len(block) for block in iter_mono(path, 16000))
    16000
    """
    check_whole("sample_rate", sample_rate, 1)
    info = audio_info(path)
    size = max(1, BLOCK_FRAMES // info.n_channels)
    blocks = map(mix_to_mono, iter_blocks(path, size, strict=strict))
    yield from resample_blocks(blocks, info.sample_rate, sample_rate, skip=skip)


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
    path : str or os.PathLike
        The file.
    sample_rate : int
        Wanted rate, Hz.
    n_window : int
        Samples in a window, at least 1.
    n_hop : int
        Samples from the start of one window to that of the next, 1 to
        `n_window`.
    first : int
        Windows to leave out at the start.
    strict : bool
        Whether a file that is cut off is an error (else a warning).

    Yields
    ------
    torch.Tensor
        `[samples]`, at most `n_window`.

    Raises
    ------
    FileNotFoundError, AudioError
        If there is no such file; if it is empty, damaged or not finite.
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
    for block in iter_mono(
        path, sample_rate, skip=first * n_hop, strict=strict
    ):
        held = torch.cat((held, block))
        while len(held) >= n_window:
            yield held[:n_window]
            held, is_first = held[n_hop:], False
    # what the last whole window has not
    if is_first or len(held) > n_window - n_hop:
        yield held


def _count_groups(down: int, up: int) -> int:
    """How many groups of `down` samples a kernel reaches to either side."""
    reach = math.ceil(ZERO_CROSSINGS / (ROLLOFF * min(1.0, up / down))) + 1
    return -(-reach // down)
