"""The arrow file <-> waveform, for files on a disk.

Reading gives float32 `[channels, frames]`; `load_wav` goes on to one channel
at one rate, `[samples]`. Content decides how a file is read, never its name.
What cannot be trusted (cut off, empty, not finite) is refused or reported.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from soundfile import SoundFile, SoundFileError
from torch import Tensor

from focalaudio.errors import AudioError
from focalaudio.files import replace_file
from focalaudio.repairs import PatchedFile, find_repair
from focalaudio.sniffing import (
    MAX_RATE,
    MIN_RATE,
    check_header,
    check_is_file,
    declared_per_present,
    describe_unreadable,
    report_cut,
    report_damage,
)
from focalaudio.waveforms import (
    BLOCK_VALUES,
    check_finite,
    check_peak,
    check_whole,
    mix_to_mono,
    resample,
)

AnyPath = str | os.PathLike[str]

# how files of sound are called; what is in them decides how they are read
AUDIO_SUFFIXES = frozenset({
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64"),
})  # fmt: skip
MAX_CHANNELS = 1_024  # libsndfile reads no more
MAX_WAV_BYTES = 2**32 - 2**12  # sizes in a WAV header have 32 bits
SAMPLE_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4}


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says.

    Arguments
    ---------
    path : pathlib.Path
        The file.
    sample_rate : int
        Frames per second, Hz.
    n_channels, n_frames : int
        Channels, and samples per channel that are in the file.
    format : str
        Container and encoding, for instance `WAV PCM_16`.
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
    """Read the header of an audio file; raises as `read_audio` does.

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


def read_audio(path: AnyPath, *, strict: bool = False) -> tuple[Tensor, int]:
    """Read an audio file as it is.

    A file that holds less than it declares is read as far as it goes, with a
    warning that gives both durations; one of a damaged header, whose samples
    are there, is read with a warning (see `focalaudio.repairs`).

    Arguments
    ---------
    path : str or os.PathLike
        The file; what is in it counts, not its name.
    strict : bool
        Whether a file that is cut off or damaged is an error.

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

    Example
    -------
    >>> path = getfixture("tmp_path") / "ramp.wav"
    >>> read_audio(write_wav(path, torch.arange(3) / 4, 16000))
    (tensor([[0.0000, 0.2500, 0.5000]]), 16000)
    """
    with _opened(Path(path)) as sound:
        size = max(1, BLOCK_VALUES // sound.channels)
        blocks = list(_blocks(sound, Path(path), size, strict))
        rate = sound.samplerate
    if not blocks:
        raise AudioError(f"{path} has a header and no sound; fetch it again.")
    audio = torch.cat(blocks, dim=1)  # [channels, frames]
    check_finite(audio, str(path))
    return audio, rate


def load_wav(
    path: AnyPath, sample_rate: int | None = None, *, strict: bool = False
) -> Tensor:
    """Read an audio file as one channel at one rate.

    Arguments
    ---------
    path, strict
        As in `read_audio`, whose errors are raised here too.
    sample_rate : int, optional
        Wanted rate in Hz; the file's own if left out.

    Returns
    -------
    torch.Tensor
        `[samples]`, float32.

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
    path, strict
        As in `read_audio`, whose errors are raised here too.
    n_frames : int
        Frames in a block, at least 1; the last block may be shorter.

    Yields
    ------
    torch.Tensor
        `[channels, frames]`, float32, at the file's own rate.

    Example
    -------
    >>> path = getfixture("tmp_path") / "long.wav"
    >>> _ = write_wav(path, torch.zeros(10), 16000)
    >>> [block.shape[1] for block in iter_blocks(path, 4)]
    [4, 4, 2]
    """
    check_whole("n_frames", n_frames, 1)
    first = 0
    with _opened(Path(path)) as sound:
        for block in _blocks(sound, Path(path), n_frames, strict):
            check_finite(block, str(path), first=first)
            first += block.shape[1]
            yield block


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

    Raises
    ------
    AudioError
        If `wav` has no samples, one that is not finite, or one beyond 1.
    ValueError, OSError
        If an argument is out of range; if the disk refuses.

    Example
    -------
    >>> path = getfixture("tmp_path") / "new" / "loud.wav"
    >>> load_wav(write_wav(path, torch.tensor([0.5, -2.0]), 16000, gain=0.5))
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
    path, sample_rate, subtype
        As in `write_wav`, whose errors are raised here too.
    n_channels : int
        1 to 1024.

    Yields
    ------
    callable
        Writes a block, `[samples]` or `[channels, samples]`, -1 to 1.

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
    with replace_file(Path(path)) as temporary:
        temporary.touch()  # a refusal has its errno; libsndfile has none
        try:
            name = _to_native(temporary)
            with SoundFile(name, "w", *layout, format="WAV") as sound:
                yield partial(_write_block, sound, str(path))
                check_header(Path(path), sample_rate, sound.frames, "WAV")
        except SoundFileError as error:
            raise _name_refusal(Path(path), temporary, error) from error


def _to_native(path: Path) -> str | bytes:
    """Return a name as libsndfile opens it, also one that is no text."""
    return os.fsencode(path) if os.name == "posix" else str(path)


def _name_refusal(path: Path, written: Path, error: Exception) -> OSError:
    """Ask the system why it refused what libsndfile only knows it did."""
    number, words = errno.EIO, _words(error)
    try:
        with written.open("ab", buffering=0) as file:
            file.write(bytes(BLOCK_VALUES))
    except OSError as refusal:
        number, words = refusal.errno or number, refusal.strerror or words
    return OSError(
        number, f"{words}: nothing of it was written; make room", str(path)
    )


@contextmanager
def _opened(path: Path) -> Iterator[SoundFile]:
    """Open by content, with every fault of the file as an `AudioError`."""
    check_is_file(path)
    try:
        with open(path, "rb") as named:
            yield from _decoded(path, PatchedFile(named, find_repair(named)))
    except OSError as error:
        raise AudioError(
            f"{path} cannot be read: {error.strerror or error}; is it a "
            "sound, and may you read it?"
        ) from error


def _decoded(path: Path, file: PatchedFile) -> Iterator[SoundFile]:
    try:
        with _Stream(file) as sound:
            check_header(path, sound.samplerate, sound.frames, sound.format)
            yield sound
    except SoundFileError as error:
        if file.error is None:
            raise AudioError(
                describe_unreadable(path, _words(error))
            ) from error
    if file.error is not None:
        raise file.error


class _Stream(SoundFile):
    """Sound that is read from start to end.

    soundfile goes to where it is after every block, and a decoder of MP3 that
    is sent anywhere starts again without the frames before: a click.
    """

    def seekable(self) -> bool:
        return False


def _words(error: SoundFileError) -> str:
    """Give libsndfile's own words, without the name of the stream."""
    return str(getattr(error, "error_string", error)).strip(" .")


def _blocks(
    sound: SoundFile, path: Path, size: int, strict: bool
) -> Iterator[Tensor]:
    """Give all frames in blocks `[channels, size]`."""
    left, rate = sound.frames, sound.samplerate
    with open(path, "rb") as file:
        repair = find_repair(file)
    if repair.problem:
        report_damage(path, repair.problem, strict)
    offset = 0 if repair.head else repair.start
    declared = sound.frames * declared_per_present(path, offset)
    if declared > sound.frames:
        report_cut(path, declared / rate, sound.frames / rate, strict)
    while left:
        block = sound.read(min(size, left), "float32", always_2d=True)
        if not len(block):
            present = (sound.frames - left) / rate
            report_cut(path, sound.frames / rate, present, strict)
            return
        left -= len(block)
        yield torch.from_numpy(block.T)  # [channels, frames]


def _write_block(sound: SoundFile, name: str, block: Tensor) -> None:
    check_finite(block, name, first=sound.frames)
    check_peak(block, name)
    frames = sound.frames + block.shape[-1]
    if frames * sound.channels * SAMPLE_BYTES[sound.subtype] > MAX_WAV_BYTES:
        raise AudioError(
            f"{name} passes 4 GiB, the most a WAV file holds; write parts."
        )
    sound.write(torch.atleast_2d(block).T.detach().cpu().numpy())


def _check_writable(rate: int, n_channels: int, subtype: str) -> None:
    check_whole("sample_rate", rate, MIN_RATE, MAX_RATE)
    check_whole("n_channels", n_channels, 1, MAX_CHANNELS)
    if subtype not in SAMPLE_BYTES:
        raise ValueError(
            f"{subtype=} must be one of {', '.join(SAMPLE_BYTES)}."
        )
