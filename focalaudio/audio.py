"""The arrow file <-> waveform: the only place that opens audio files.

Reading gives float32 `[channels, frames]`; `load_wav` goes on to one channel
at one rate, `[samples]`. Content decides how a file is read, never its name.
What cannot be trusted (cut off, empty, not finite) is refused or reported.
"""

import errno
import io
import math
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import soundfile
import torch
from torch import Tensor
from torch.nn import functional as F

from focalaudio.errors import AudioError

AnyPath = str | os.PathLike[str]

MIN_RATE, MAX_RATE = 1_000, 10_000_000  # Hz; beyond: a header gone wrong
MAX_CHANNELS = 1_024  # libsndfile reads no more
MAX_FRAMES = 2**40  # libsndfile says 2**63 - 1 when the header is silent
MAX_WAV_BYTES = 2**32 - 2**12  # sizes in a WAV header have 32 bits
SAMPLE_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4}
BLOCK_VALUES = 2**20  # samples of all channels in one step of a long job

# Resampling kernel: torchaudio's defaults, written down for the odd ratios.
ZERO_CROSSINGS, ROLLOFF = 6, 0.99
MAX_BANK = 2**22  # from_rate * to_rate / gcd**2; beyond: gigabytes of kernels

OGG_PAGE = 65_307  # bytes of the longest page
OGG_LAST_PAGE = 4  # flag in a page's header
# Byte order and name of the chunk that holds the samples.
SAMPLE_CHUNKS = {
    b"RIFF": ("<", b"data"),
    b"RIFX": (">", b"data"),
    b"RF64": ("<", b"data"),
    b"FORM": (">", b"SSND"),
}
# Written by recorders that stream and cannot come back to fill the size in.
UNKNOWN_SIZES = {0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000}

READABLE = {
    b"RIFF": "a WAV file",
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"FORM": "an AIFF file",
    b"ID3": "an MP3 file",
    b"\xff\xfb": "an MP3 file",
}
FOREIGN = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
    b"\x1aE\xdf\xa3": "a Matroska or WebM video",
    b"version https://git-lfs": "a Git LFS pointer (git lfs pull gets it)",
}


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says.

    Arguments
    ---------
    path : pathlib.Path
        The file.
    sample_rate : int
        Frames per second, Hz.
    n_channels : int
        1 for mono, 2 for stereo.
    n_frames : int
        Samples per channel that are in the file.
    format : str
        Container and encoding, for instance `WAV PCM_16`.

    Example
    -------
    >>> AudioInfo(Path("a.wav"), 16000, 1, 8000, "WAV PCM_16").duration
    0.5
    """

    path: Path
    sample_rate: int
    n_channels: int
    n_frames: int
    format: str

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_frames / self.sample_rate


def audio_info(path: AnyPath) -> AudioInfo:
    """Read the header of an audio file.

    Arguments
    ---------
    path : str or os.PathLike
        The file.

    Returns
    -------
    AudioInfo
        Rate, channels, frames and format.

    Raises
    ------
    FileNotFoundError, AudioError
        If there is no such file; if it is empty or not audio.

    Example
    -------
    >>> path = getfixture("tmp_path") / "silence.wav"
    >>> audio_info(write_wav(path, torch.zeros(2, 4000), 8000)).duration
    0.5
    """
    with _opened(Path(path)) as sound:
        return AudioInfo(
            path=Path(path),
            sample_rate=sound.samplerate,
            n_channels=sound.channels,
            n_frames=sound.frames,
            format=f"{sound.format} {sound.subtype}",
        )


def read_audio(
    path: AnyPath,
    *,
    start: int = 0,
    n_frames: int | None = None,
    strict: bool = False,
) -> tuple[Tensor, int]:
    """Read an audio file, or a part of it, as it is.

    A file that holds less than it declares is read as far as it goes, with a
    warning that gives both durations.

    Arguments
    ---------
    path : str or os.PathLike
        The file.
    start : int
        First frame to read, 0 to the file's frames - 1.
    n_frames : int, optional
        Frames to read, at least 1; fewer come back at the end of the file.
    strict : bool
        Whether a file that is cut off is an error.

    Returns
    -------
    torch.Tensor
        `[channels, frames]`, float32; integer formats lie within -1 to 1.
    int
        Sample rate in Hz.

    Raises
    ------
    FileNotFoundError, AudioError
        If there is no such file; if it is empty, damaged or not finite.
    ValueError
        If `start` or `n_frames` is out of range.

    Example
    -------
    >>> path = getfixture("tmp_path") / "ramp.wav"
    >>> _ = write_wav(path, torch.arange(8) / 8, 16000)
    >>> read_audio(path, start=4, n_frames=2)
    (tensor([[0.5000, 0.6250]]), 16000)
    """
    with _opened(Path(path)) as sound:
        size = max(1, BLOCK_VALUES // sound.channels)
        blocks = list(_blocks(sound, Path(path), size, strict, start, n_frames))
        rate = sound.samplerate
    if not blocks:
        raise AudioError(f"{path} ends before start={start}; fetch it again.")
    audio = torch.cat(blocks, dim=1)  # [channels, frames]
    check_finite(audio, str(path), first=start)
    return audio, rate


def load_wav(
    path: AnyPath, sample_rate: int | None = None, *, strict: bool = False
) -> Tensor:
    """Read an audio file as one channel at one rate.

    Arguments
    ---------
    path : str or os.PathLike
        The file, of any rate and number of channels.
    sample_rate : int, optional
        Wanted rate in Hz; the file's own if left out.
    strict : bool
        Whether a file that is cut off is an error (else a warning).

    Returns
    -------
    torch.Tensor
        `[samples]`, float32.

    Raises
    ------
    FileNotFoundError, AudioError
        If there is no such file; if it is empty, damaged or not finite.

    Example
    -------
    >>> path = getfixture("tmp_path") / "stereo.wav"
    >>> load_wav(write_wav(path, torch.zeros(2, 44100), 44100), 16000).shape
    torch.Size([16000])
    """
    audio, rate = read_audio(path, strict=strict)
    wanted = rate if sample_rate is None else sample_rate
    return resample(mix_to_mono(audio), rate, wanted)


def iter_blocks(
    path: AnyPath, n_frames: int, *, strict: bool = False
) -> Iterator[Tensor]:
    """Read a recording of any length block by block, in flat memory.

    Arguments
    ---------
    path : str or os.PathLike
        The file.
    n_frames : int
        Frames in a block, at least 1; the last block may be shorter.
    strict : bool
        Whether a file that is cut off is an error (else a warning).

    Yields
    ------
    torch.Tensor
        `[channels, frames]`, float32, at the file's own rate.

    Raises
    ------
    FileNotFoundError, AudioError
        If there is no such file; if it is empty, damaged or not finite.

    Example
    -------
    >>> path = getfixture("tmp_path") / "long.wav"
    >>> _ = write_wav(path, torch.zeros(10), 16000)
    >>> [block.shape[1] for block in iter_blocks(path, 4)]
    [4, 4, 2]
    """
    _check_whole("n_frames", n_frames, 1)
    first = 0
    with _opened(Path(path)) as sound:
        for block in _blocks(sound, Path(path), n_frames, strict):
            check_finite(block, str(path), first=first)
            first += block.shape[1]
            yield block


def mix_to_mono(audio: Tensor) -> Tensor:
    """Average the channels.

    Arguments
    ---------
    audio : torch.Tensor
        `[..., channels, samples]`.

    Returns
    -------
    torch.Tensor
        `[..., samples]`.

    Raises
    ------
    ValueError
        If there is no dimension of channels.

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
    from_rate : int
        Rate of `wav` in Hz, at least 1.
    to_rate : int
        Wanted rate in Hz, at least 1; any pair of rates works.

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
    _check_whole("from_rate", from_rate, 1)
    _check_whole("to_rate", to_rate, 1)
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

    Arguments
    ---------
    wavs : torch.Tensor
        `[..., samples]`, any scale.

    Returns
    -------
    torch.Tensor
        Same shape, within -1 to 1, signs kept.

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


def fit_length(wav: Tensor, n_samples: int) -> Tensor:
    """Cut the end off, or add zeros to it.

    Arguments
    ---------
    wav : torch.Tensor
        `[..., samples]`.
    n_samples : int
        Wanted length, at least 0.

    Returns
    -------
    torch.Tensor
        `[..., n_samples]`.

    Raises
    ------
    ValueError
        If `n_samples` is negative.

    Example
    -------
    >>> fit_length(torch.ones(2), 3)
    tensor([1., 1., 0.])
    """
    _check_whole("n_samples", n_samples, 0)
    return F.pad(wav, (0, n_samples - wav.shape[-1]))


def check_finite(wav: Tensor, name: str, *, first: int = 0) -> None:
    """Refuse NaN and infinite samples.

    Arguments
    ---------
    wav : torch.Tensor
        `[..., samples]`.
    name : str
        What the message calls it: a path or an argument.
    first : int
        Position of `wav`'s first sample in a longer recording.

    Raises
    ------
    AudioError
        If a sample is not finite; gives the count and the first position.

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


def common_gain(*wavs: Tensor) -> float:
    """Find one gain that brings all waveforms within -1 to 1.

    Sounds that are to be compared must be written with the same gain.

    Arguments
    ---------
    *wavs : torch.Tensor
        Any shapes, any scale.

    Returns
    -------
    float
        Above 0, at most 1.

    Raises
    ------
    AudioError
        If a sample is not finite.

    Example
    -------
    >>> common_gain(torch.tensor([0.5, -2.0]), torch.tensor([1.0]))
    0.5
    """
    for index, wav in enumerate(wavs):
        check_finite(wav, f"wavs[{index}]")
    return 1 / max([1.0, *map(_peak, wavs)])


def write_wav(
    path: AnyPath,
    wav: Tensor,
    sample_rate: int,
    *,
    gain: float = 1.0,
    subtype: str = "PCM_16",
) -> Path:
    """Write a WAV file, whole or not at all; nothing is clipped.

    Arguments
    ---------
    path : str or os.PathLike
        The file; missing folders are made, an existing file is replaced.
    wav : torch.Tensor
        `[samples]` or `[channels, samples]`, within -1 to 1 after `gain`.
    sample_rate : int
        Hz, 1000 to 10 million.
    gain : float
        Factor for all samples, see `common_gain`.
    subtype : str
        PCM_16, PCM_24, PCM_32 or FLOAT.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    AudioError
        If `wav` has no samples, one that is not finite, or one beyond 1.
    ValueError, OSError
        If an argument is out of range; if the disk refuses.

    Example
    -------
    >>> path = getfixture("tmp_path") / "new" / "loud.wav"
    >>> loud = torch.tensor([0.5, -2.0])
    >>> load_wav(write_wav(path, loud, 16000, gain=common_gain(loud)))
    tensor([ 0.2500, -1.0000])
    """
    audio = wav[None] if wav.dim() == 1 else wav
    if audio.dim() != 2 or not len(audio):
        raise ValueError(
            f"wav has shape {tuple(wav.shape)} but must be [samples] or "
            "[channels, samples]; write the clips of a batch one by one."
        )
    size = max(1, BLOCK_VALUES // len(audio))
    with wav_writer(path, sample_rate, len(audio), subtype=subtype) as write:
        for block in audio.split(size, dim=1):
            write(block.double() * gain)
    return Path(path)


@contextmanager
def wav_writer(
    path: AnyPath,
    sample_rate: int,
    n_channels: int = 1,
    *,
    subtype: str = "PCM_16",
) -> Iterator[Callable[[Tensor], None]]:
    """Write a WAV file of any length block by block, in flat memory.

    The file gets its name when the `with` block ends without an error.

    Arguments
    ---------
    path : str or os.PathLike
        The file; missing folders are made, an existing file is replaced.
    sample_rate : int
        Hz, 1000 to 10 million.
    n_channels : int
        1 to 1024.
    subtype : str
        PCM_16, PCM_24, PCM_32 or FLOAT.

    Yields
    ------
    callable
        Writes a block, `[samples]` or `[channels, samples]`, -1 to 1.

    Raises
    ------
    AudioError, ValueError, OSError
        As in `write_wav`.

    Example
    -------
    >>> path = getfixture("tmp_path") / "long.wav"
    >>> with wav_writer(path, 16000) as write:
    ...     for _ in range(3):
    ...         write(torch.zeros(16000))
    >>> audio_info(path).duration
    3.0
    """
    _check_writable(sample_rate, n_channels, subtype)
    layout = (sample_rate, n_channels, subtype)
    with _replaced(Path(path)) as temporary:
        try:
            with soundfile.SoundFile(
                str(temporary), "w", *layout, format="WAV"
            ) as sound:
                yield partial(_write_block, sound, str(path))
                _check_not_empty(Path(path), sound)
        except soundfile.SoundFileError as error:
            raise OSError(
                f"{path} cannot be written ({_words(error)}); "
                "is there space left on the disk?"
            ) from error


# Opening


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open by content, with every fault of the file as an `AudioError`."""
    _check_is_file(path)
    with (
        open(path, "rb") as named,
        _NamelessFile(named.fileno(), closefd=False) as file,
    ):
        try:
            with soundfile.SoundFile(file) as sound:
                _check_header(path, sound)
                yield sound
        except soundfile.SoundFileError as error:
            raise AudioError(_describe_unreadable(path, error)) from error


class _NamelessFile(io.FileIO):
    """A file by number, as soundfile goes by the extension of a name."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        # A damaged header may ask for a place before the start.
        with suppress(OSError):
            super().seek(offset, whence)
        return self.tell()


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise AudioError(f"{path} is a folder; give one of its audio files.")
    if not path.exists():
        raise FileNotFoundError(
            errno.ENOENT, "No such audio file", str(path.absolute())
        )
    if not path.is_file():
        raise AudioError(f"{path} is a pipe or device; save it to a file.")


def _check_header(path: Path, sound: soundfile.SoundFile) -> None:
    if not MIN_RATE <= sound.samplerate <= MAX_RATE:
        raise AudioError(
            f"{path} says sample_rate={sound.samplerate} Hz, which must be "
            f"{MIN_RATE} to {MAX_RATE}; the header is damaged or not of sound."
        )
    if sound.frames > MAX_FRAMES:
        raise AudioError(
            f"{path} does not say how long it is; re-encode it, for instance "
            "with `ffmpeg -i OLD NEW.wav`."
        )
    if sound.format == "OGG" and _ogg_is_cut(path):
        raise AudioError(
            f"{path} ({_size(path)} bytes) is an Ogg file that is cut off; "
            "fetch it again, or save the rest with `ffmpeg -i OLD NEW.wav`."
        )
    _check_not_empty(path, sound)


def _check_not_empty(path: Path, sound: soundfile.SoundFile) -> None:
    if not sound.frames:
        raise AudioError(f"{path} is empty: a header and 0 samples.")


def _ogg_is_cut(path: Path) -> bool:
    """Whether the last page is incomplete or not marked as the last."""
    with open(path, "rb") as file:
        file.seek(max(0, _size(path) - OGG_PAGE))
        tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or not page[5] & OGG_LAST_PAGE:
        return True
    n_segments = page[26]
    return len(page) < 27 + n_segments + sum(page[27 : 27 + n_segments])


# Reading


def _blocks(
    sound: soundfile.SoundFile,
    path: Path,
    size: int,
    strict: bool,
    start: int = 0,
    n_frames: int | None = None,
) -> Iterator[Tensor]:
    """Give the frames from `start` on in blocks `[channels, size]`."""
    left = _frames_to_read(sound, start, n_frames)
    declared = sound.frames * _declared_per_present(path)
    if declared > sound.frames:
        _report_cut(path, sound, declared, sound.frames, strict)
    if start:
        sound.seek(start)
    while left:
        block = sound.read(min(size, left), "float32", always_2d=True)
        if not len(block):
            _report_cut(path, sound, sound.frames, sound.frames - left, strict)
            return
        left -= len(block)
        yield torch.from_numpy(block.T)  # [channels, frames]


def _frames_to_read(
    sound: soundfile.SoundFile, start: int, n_frames: int | None
) -> int:
    if not 0 <= start < sound.frames:
        raise ValueError(
            f"start={start} must be 0 to {sound.frames - 1}, the last frame."
        )
    rest = sound.frames - start
    if n_frames is None:
        return rest
    _check_whole("n_frames", n_frames, 1)
    return min(n_frames, rest)


def _declared_per_present(path: Path) -> float:
    """Bytes of samples that the header promises, per byte that is there."""
    with open(path, "rb") as file:
        order, wanted = SAMPLE_CHUNKS.get(file.read(12)[:4], ("<", None))
        declared, long_size = 0, 0
        while wanted and len(header := file.read(8)) == 8:
            name, declared = struct.unpack(f"{order}4sI", header)
            if name == wanted:
                break
            if name == b"ds64":
                long_size = _peek_data_size(file)
            file.seek(declared + declared % 2, os.SEEK_CUR)
        present = _size(path) - file.tell()
    if declared in UNKNOWN_SIZES:
        declared = long_size
    return declared / present if present > 0 else 1.0


def _peek_data_size(file: BinaryIO) -> int:
    """Read the second number of RF64's list of 64-bit sizes."""
    numbers = file.read(16)
    file.seek(-len(numbers), os.SEEK_CUR)
    return int.from_bytes(numbers[8:], "little")


def _report_cut(
    path: Path,
    sound: soundfile.SoundFile,
    declared: float,
    present: float,
    strict: bool,
) -> None:
    message = (
        f"{path} is cut off: it declares {declared / sound.samplerate:.2f} s "
        f"but holds {present / sound.samplerate:.2f} s"
    )
    if strict:
        raise AudioError(f"{message}; fetch it again, or use strict=False.")
    warnings.warn(f"{message}, which is what is read.", stacklevel=4)


# Saying what a file is


def _describe_unreadable(path: Path, error: soundfile.SoundFileError) -> str:
    with open(path, "rb") as file:
        kind = _looks_like(file.read(512))
    advice = "give a WAV, FLAC, Ogg or MP3 file; ffmpeg converts most others"
    if kind in READABLE.values():
        advice = "it is cut off, damaged or of a rare encoding; fetch it again"
    return (
        f"{path} ({_size(path)} bytes) cannot be read: it looks like {kind} "
        f"({_words(error)}); {advice}."
    )


def _looks_like(head: bytes) -> str:
    """Say in words what a file's first bytes are."""
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp":
        return "an MP4 or M4A file"
    for magic, kind in (READABLE | FOREIGN).items():
        if head.startswith(magic):
            return kind
    return _looks_like_text(head)


def _looks_like_text(head: bytes) -> str:
    text = head.decode("utf-8", errors="ignore").strip("\ufeff \t\r\n")
    if text.lower().startswith(("<!doctype html", "<html")):
        return "an HTML page"
    # One broken character is forgiven: `head` may end in the middle of it.
    whole = head.decode("utf-8", errors="replace").count("\ufffd") <= 1
    if whole and all(c.isprintable() or c.isspace() for c in text):
        return "text"
    return "unknown data, perhaps samples without a header"


def _words(error: soundfile.SoundFileError) -> str:
    """Give libsndfile's own words, without the name of the stream."""
    return str(getattr(error, "error_string", error)).strip(" .")


def _size(path: Path) -> int:
    return path.stat().st_size


# Resampling


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


# Writing


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Give a temporary name that becomes `path` if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}.part")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_block(sound: soundfile.SoundFile, name: str, block: Tensor) -> None:
    check_finite(block, name, first=sound.frames)
    if (peak := _peak(block)) > 1:
        raise AudioError(
            f"{name} has peak={peak:.4g}, which must be at most 1 or it would "
            "be clipped; pass gain=common_gain(...) of all sounds to compare."
        )
    frames = sound.frames + block.shape[-1]
    if frames * sound.channels * SAMPLE_BYTES[sound.subtype] > MAX_WAV_BYTES:
        raise AudioError(
            f"{name} passes 4 GiB, the most a WAV file holds; write parts."
        )
    sound.write(torch.atleast_2d(block).T.detach().cpu().numpy())


def _check_writable(rate: int, n_channels: int, subtype: str) -> None:
    _check_whole("sample_rate", rate, MIN_RATE, MAX_RATE)
    _check_whole("n_channels", n_channels, 1, MAX_CHANNELS)
    if subtype not in SAMPLE_BYTES:
        raise ValueError(
            f"{subtype=} must be one of {', '.join(SAMPLE_BYTES)}."
        )


def _peak(wav: Tensor) -> float:
    return float(wav.detach().abs().max()) if wav.numel() else 0.0


def _check_whole(
    name: str, value: int, least: int, most: float = math.inf
) -> None:
    if not isinstance(value, Integral) or not least <= value <= most:
        raise ValueError(
            f"{name}={value} must be a whole number, {least} to {most}."
        )
