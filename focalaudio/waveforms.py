"""Waveform -> waveform: tensors only, no files.

Time is the last dimension and samples are floating point, -1 to 1 where a
file is to hold them. Nothing here changes its input.
"""

import math
from numbers import Integral

import torch
from torch import Tensor
from torch.nn import functional as F

from focalaudio.errors import AudioError

BLOCK_VALUES = 2**20  # samples of all channels in one step of a long job
STEP_OF_16_BITS = 2**-15

# Resampling kernel: torchaudio's defaults, written down for the odd ratios.
ZERO_CROSSINGS, ROLLOFF = 6, 0.99
# What it leaves of a constant: a ripple, and so many samples at either end that
# the silence around it reaches, from 1 kHz or more to 16 kHz
RIPPLE, RINGING = 2**-11, 128
MAX_BANK = 2**22  # from_rate * to_rate / gcd**2; beyond: gigabytes of kernels


def mix_to_mono(audio: Tensor) -> Tensor:
    """Average the channels, `[..., channels, samples]` to `[..., samples]`.

    Example
    -------
    >>> mix_to_mono(torch.tensor([[1.0, 0.0], [0.0, 0.5]]))
    tensor([0.5000, 0.2500])
    """
    if audio.dim() < 2:
        raise ValueError(
            f"audio has shape {tuple(audio.shape)} but must be "
            "[channels, samples]; add the channel with wav[None]."
        )
    return audio.mean(dim=-2)


def resample(wav: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Change the sample rate with a Hann-windowed sinc.

    Arguments
    ---------
    wav : torch.Tensor
        `[..., samples]`, floating point.
    from_rate, to_rate : int
        Rate of `wav` and wanted rate in Hz, at least 1; any pair works.

    Returns
    -------
    torch.Tensor
        `[..., ceil(samples * to_rate / from_rate)]`; `wav` itself if the rates
        are equal.

    Raises
    ------
    ValueError
        If a rate is not a whole number of Hz, at least 1.

    Example
    -------
    >>> resample(torch.zeros(2, 441), 44100, 16000).shape
    torch.Size([2, 160])
    """
    check_whole("from_rate", from_rate, 1)
    check_whole("to_rate", to_rate, 1)
    if from_rate == to_rate or not wav.numel():
        return wav
    divisor = math.gcd(from_rate, to_rate)
    down, up = from_rate // divisor, to_rate // divisor
    if down * up > MAX_BANK:
        return _resample_directly(wav, down, up)

    from torchaudio.functional import resample as resample_by_bank

    return resample_by_bank(wav, down, up, ZERO_CROSSINGS, ROLLOFF)


def normalize_peak(wavs: Tensor) -> Tensor:
    """Scale every waveform to a largest magnitude of 1; silence stays silence.

    From `[..., samples]`, any scale, to the same shape, signs kept.

    Example
    -------
    >>> normalize_peak(torch.tensor([[0.1, -0.2], [0.0, 0.0]]))
    tensor([[ 0.5000, -1.0000],
            [ 0.0000,  0.0000]])
    """
    if not wavs.numel():
        return wavs
    peak = wavs.abs().amax(dim=-1, keepdim=True)
    return wavs / peak.masked_fill(peak == 0, 1)


def is_silent(wav: Tensor) -> bool:
    """Return whether nothing is to be heard in a waveform `[samples]`.

    No sample is further from their mean than one step of 16 bits: zeros, a
    constant offset, and what is left of them by a recorder's last bit. What
    resampling makes of a constant is one too: a two-thousandth of it anywhere,
    and all of it at the ends.

    Example
    -------
    >>> is_silent(torch.full((8,), 0.5)), is_silent(torch.tensor([0.0, 0.01]))
    (True, False)
    """
    if not len(wav):
        return True
    inside = wav[RINGING:-RINGING] if len(wav) > 4 * RINGING else wav
    mean = inside.mean()
    level = abs(float(mean))
    furthest = float((inside - mean).abs().max())
    at_ends = float((wav - mean).abs().max())
    return furthest <= max(STEP_OF_16_BITS, RIPPLE * level) and at_ends <= max(
        STEP_OF_16_BITS, level
    )


def fit_length(wav: Tensor, n_samples: int) -> Tensor:
    """Cut the end off, or add zeros to it.

    `[..., samples]` to `[..., n_samples]`; a `ValueError` for less than 0.

    Example
    -------
    >>> fit_length(torch.ones(2), 3)
    tensor([1., 1., 0.])
    """
    check_whole("n_samples", n_samples, 0)
    return F.pad(wav, (0, n_samples - wav.shape[-1]))


def common_gain(*wavs: Tensor) -> float:
    """Find one gain that brings all waveforms within -1 to 1.

    Sounds that are to be compared must be written with the same gain, above 0
    and at most 1. An `AudioError` if a sample is not finite.

    Example
    -------
    >>> common_gain(torch.tensor([0.5, -2.0]), torch.tensor([1.0]))
    0.5
    """
    for index, wav in enumerate(wavs):
        check_finite(wav, f"wavs[{index}]")
    return 1 / max([1.0, *map(_peak, wavs)])


def loudness_gain(wav: Tensor, reference: Tensor, sample_rate: int) -> float:
    """Return by how much a sound is to be raised to be as loud as another.

    Loudness is that of ITU-R BS.1770-4 (torchaudio's), of at least 0.4 s.

    Arguments
    ---------
    wav, reference : torch.Tensor
        `[samples]`, within -1 to 1.
    sample_rate : int
        Hz.

    Returns
    -------
    float
        dB; less than it takes if the peak would be above 1, and 0 if either is
        too soft to have a loudness (-70 LUFS).

    Example
    -------
    >>> tone = torch.sin(torch.arange(16000) * 0.4)
    >>> round(loudness_gain(0.1 * tone, 0.5 * tone, 16000), 2)
    13.98
    >>> round(loudness_gain(0.5 * tone, 5 * tone, 16000), 2)  # up to the peak
    6.02
    """
    from torchaudio.functional import loudness

    least = math.ceil(0.4 * sample_rate)
    sounds = (fit_length(w, max(least, len(w))) for w in (wav, reference))
    levels = [float(loudness(sound[None], sample_rate)) for sound in sounds]
    if not all(map(math.isfinite, levels)):
        return 0.0
    headroom = -20 * math.log10(_peak(wav))
    return min(levels[1] - levels[0], headroom)


def check_finite(wav: Tensor, name: str, *, first: int = 0) -> None:
    """Refuse NaN and infinite samples, with their count and first position.

    `name` is what the message calls `wav`, a path or an argument; `first` is
    the position of its first sample in a longer recording.

    Example
    -------
    >>> check_finite(torch.tensor([0.0, float("nan")]), "wav")
    Traceback (most recent call last):
    focalaudio.errors.AudioError: wav holds 1 NaN or infinite samples of 2, ...
    """
    bad = ~torch.isfinite(wav)
    if not bad.any():
        return
    position = first + int(torch.atleast_1d(bad).nonzero()[:, -1].min())
    raise AudioError(
        f"{name} holds {int(bad.sum())} NaN or infinite samples of "
        f"{wav.numel()}, the first at sample {position}; repair or remove it."
    )


def check_peak(wav: Tensor, name: str) -> None:
    """Refuse samples (finite ones) beyond -1 to 1, which a file would clip.

    Example
    -------
    >>> check_peak(torch.tensor([0.5, -2.0]), "wav")
    Traceback (most recent call last):
    focalaudio.errors.AudioError: wav has peak=2, which must be at most 1 or ...
    """
    if (peak := _peak(wav)) > 1:
        raise AudioError(
            f"{name} has peak={peak:.4g}, which must be at most 1 or it would "
            "be clipped; pass gain=common_gain(...) of all sounds to compare."
        )


def check_whole(
    name: str, value: int, least: int, most: float = math.inf
) -> None:
    """Refuse a rate, a length or a count that is out of range.

    A `ValueError` unless `value` is an int, no float, from `least` to `most`.

    Example
    -------
    >>> check_whole("n_frames", 0, 1)
    Traceback (most recent call last):
    ValueError: n_frames=0 must be a whole number, 1 to inf.
    """
    if not isinstance(value, Integral) or not least <= value <= most:
        raise ValueError(
            f"{name}={value} must be a whole number, {least} to {most}."
        )


def _peak(wav: Tensor) -> float:
    return float(wav.detach().abs().max()) if wav.numel() else 0.0


def _resample_directly(wav: Tensor, down: int, up: int) -> Tensor:
    """Weight the neighbours of every output sample on their own.

    Gives what a bank of `up` kernels gives, which is too big to hold where two
    rates share no large divisor.
    """
    cutoff = ROLLOFF * min(1.0, up / down)  # of the input's Nyquist rate
    width = math.ceil(ZERO_CROSSINGS / cutoff)
    taps = torch.arange(-width, width + 2, device=wav.device)
    padded = F.pad(wav, (width, width + 1))
    n_out = -(-wav.shape[-1] * up // down)
    rows = max(1, BLOCK_VALUES // (len(taps) * wav[..., 0].numel()))
    outputs = []
    for index in torch.arange(n_out, device=wav.device).split(rows):
        left, phase = index * down // up, (index * down % up).double() / up
        weights = cutoff * _sinc((taps - phase[:, None]) * cutoff)
        near = padded[..., left[:, None] + taps + width]  # [..., rows, taps]
        outputs.append((near * weights.to(wav)).sum(dim=-1))
    return torch.cat(outputs, dim=-1)


def _sinc(crossings: Tensor) -> Tensor:
    """Sinc under a Hann window that ends at `ZERO_CROSSINGS`."""
    inside = crossings.clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    window = torch.cos(inside * math.pi / ZERO_CROSSINGS / 2) ** 2
    return torch.sinc(inside) * window
