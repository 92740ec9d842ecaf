"""`waveform -> bytes of a sound file`, in memory."""

import io
from typing import Any

import torch
from soundfile import SoundFile
from torch import Tensor

from focalaudio.sniffing import MIN_RATE
from focalaudio.waveforms import (
    check_finite,
    check_peak,
    check_whole,
    fit_length,
)

VORBIS_QUALITY = 0.4  # libsndfile's own; 40 kb/s or so of one channel at 16 kHz
MAX_VORBIS_RATE = 192_000  # Hz; libsndfile crashes where Vorbis refuses
VORBIS_BLOCK = 2**14  # samples; libsndfile crashes on one write of a minute


def code_vorbis(
    wav: Tensor, sample_rate: int, quality: float = VORBIS_QUALITY
) -> Tensor:
    """Encode a waveform as Ogg Vorbis and decode it again, in memory.

    What is left is what a listener of the lossy file hears. It is the same
    every time.

    Arguments
    ---------
    wav : torch.Tensor
        `[samples]`, -1 to 1 or a little beyond.
    sample_rate : int
        Hz, 1000 to 192000.
    quality : float
        Of the encoder, 0 to 1, as libsndfile counts: 0.4 is the `-q 4` of
        `oggenc`.

    Returns
    -------
    torch.Tensor
        `[samples]`, float32, as long as `wav`, on its device.

    Raises
    ------
    ValueError
        If the rate or the quality is out of range, or `wav` no waveform.

    Example
    -------
    >>> wav = torch.sin(torch.arange(16000) / 10)
    >>> coded = code_vorbis(wav, 16000)
    >>> coded.shape, bool(0 < (coded - wav).square().mean() < 0.01)
    (torch.Size([16000]), True)
    """
    check_whole("sample_rate", sample_rate, MIN_RATE, MAX_VORBIS_RATE)
    if not 0 <= quality <= 1:
        raise ValueError(f"quality={quality} must be between 0 and 1.")
    if wav.dim() != 1 or not len(wav):
        raise ValueError(
            f"wav has shape {tuple(wav.shape)} but must be [samples], at least "
            "one; code the clips of a batch one by one."
        )
    coded = io.BytesIO(_encode(wav, sample_rate, quality))
    with SoundFile(coded) as sound:
        heard = torch.from_numpy(sound.read(dtype="float32"))
    return fit_length(heard, len(wav)).to(wav.device)


def encode_sound(
    wav: Tensor, sample_rate: int, quality: float | None = None
) -> bytes:
    """Return the bytes of a sound file: FLAC of 16 bits, or Ogg Vorbis.

    `wav` is `[samples]`, -1 to 1; with a `quality` (see `code_vorbis`) it is
    Ogg Vorbis. An `AudioError` for samples that are not finite, or beyond 1.

    Example
    -------
    >>> encode_sound(torch.zeros(9), 16000)[:4]
    b'fLaC'
    """
    check_finite(wav, "wav")
    check_peak(wav, "wav")
    return _encode(wav, sample_rate, quality)


def _encode(wav: Tensor, sample_rate: int, quality: float | None) -> bytes:
    layout: list[Any] = ["PCM_16", None, "FLAC"]
    if quality is not None:
        layout = ["VORBIS", None, "OGG", True, 1 - quality]
    coded, samples = io.BytesIO(), wav.detach().float().cpu().numpy()
    with SoundFile(coded, "w", sample_rate, 1, *layout) as sound:
        for start in range(0, len(samples), VORBIS_BLOCK):
            sound.write(samples[start : start + VORBIS_BLOCK])
    return coded.getvalue()
