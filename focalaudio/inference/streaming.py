"""`recording of any length -> kept sound, timeline`, in flat memory.

Overlapping windows, in batches: each is prepared as a clip is (peak 1),
interpreted, brought back to the recording's own level and cross-faded with its
neighbors. What is done is on disk after each batch, and a stream that was
stopped goes on from there.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from focalaudio.audio import (
    MAX_WAV_BYTES,
    SAMPLE_BYTES,
    AnyPath,
    AudioInfo,
    audio_info,
    wav_writer,
)
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders.weight_files import digest_weights
from focalaudio.errors import AudioError
from focalaudio.files import replace_file
from focalaudio.inference.stream_parts import (
    StreamParts,
    StreamState,
)
from focalaudio.interpreters import Interpreter
from focalaudio.recordings import count_samples, iter_windows
from focalaudio.report.timeline import (
    Segment,
    format_windows,
    merge_windows,
    read_windows,
    write_audacity_labels,
)
from focalaudio.version import __version__
from focalaudio.waveforms import check_whole

WINDOW_SECONDS = 5.0  # where the reader takes clips whole
SUBTYPE = "PCM_24"  # a quiet recording keeps its 16 bits at its own level


@dataclass(frozen=True)
class StreamResult:
    """What was written of a recording, and its segments.

    Arguments
    ---------
    kept : pathlib.Path
        WAV, what the classifier listened to.
    windows : pathlib.Path
        CSV, one line per window: start_s, end_s, label, probability.
    labels : pathlib.Path
        Audacity's label track, one line per segment.
    segments : tuple of Segment
        Runs of windows with the same label, without gap from 0 to the end.
    n_samples : int
        Length of `kept`.
    sample_rate : int
        Hz, of `kept`: the model's.
    gain : float
        Factor on `kept`, below 1 only where it would be clipped.

    Example
    -------
    >>> paths = [Path(name) for name in ("a.wav", "a.csv", "a.txt")]
    >>> StreamResult(*paths, (), 8000, 16000, 1.0).duration
    0.5
    """

    kept: Path
    windows: Path
    labels: Path
    segments: tuple[Segment, ...] = field(repr=False)
    n_samples: int
    sample_rate: int
    gain: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate


@dataclass(frozen=True)
class _Plan:
    """How a recording is cut into windows."""

    info: AudioInfo
    sample_rate: int
    n_window: int
    n_hop: int
    batch_size: int

    def __post_init__(self) -> None:
        if self.n_samples * SAMPLE_BYTES[SUBTYPE] > MAX_WAV_BYTES:
            raise AudioError(
                f"{self.info.path} lasts {self.info.duration / 3600:.1f} h, "
                "more than a WAV file holds of its interpretation (4 GiB); "
                "cut it in parts."
            )

    @property
    def n_samples(self) -> int:
        """How many there will be, if the file's header is right."""
        info = self.info
        return count_samples(info.n_frames, info.sample_rate, self.sample_rate)

    @property
    def n_windows(self) -> int:
        """How many there will be, if the file's header is right."""
        return 1 + max(0, -(-(self.n_samples - self.n_window) // self.n_hop))


def explain_stream(
    interpreter: Interpreter,
    reader: ClipReader,
    labels: Sequence[str],
    path: AnyPath,
    out: AnyPath,
    overlap: float = 0.5,
    batch_size: int = 8,
    *,
    progress: bool = True,
    strict: bool = False,
) -> StreamResult:
    """Interpret a recording of any length, and say what was heard when.

    Writes `<name>_kept.wav`, at the model's sample rate, as long as `load_wav`
    makes the recording and at the recording's own level; `<name>_windows.csv`;
    and `<name>_labels.txt`. A window is as long as the reader's clips. Where
    it stands is kept in `<name>.part/`: the same call goes on from there after
    any interruption, and its results are the same, byte by byte.

    Arguments
    ---------
    interpreter : Interpreter
        In evaluation mode, on any device.
    reader : ClipReader
        Prepares each window as the classifier wants clips.
    labels : sequence of str
        In the order of the class ids.
    path : str or os.PathLike
        The recording.
    out : str or os.PathLike
        Folder of the results; files of these names are replaced.
    overlap : float
        Share of a window that the next one has too, 0 to 0.5.
    batch_size : int
        Windows at once, at least 1; results do not depend on it.
    progress : bool
        Whether to show a bar on stderr.
    strict : bool
        Whether a file that is cut off is an error (else a warning).

    Returns
    -------
    StreamResult
        The files and the segments.

    Raises
    ------
    FileNotFoundError, AudioError
        If there is no such file; if it is empty, damaged or not finite, or
        longer than a WAV file can hold.
    ValueError
        If an argument is out of range.
    OSError
        If the disk refuses.

    Example
    -------
    >>> from focalaudio.audio import write_wav
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.interpreters import ThresholdInterpreter
    >>> from focalaudio.spectrogram import Spectrogram
    >>> folder = getfixture("tmp_path")
    >>> path = write_wav(folder / "a.wav", torch.zeros(20000), 16000)
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> interpreter = ThresholdInterpreter(classifier, Spectrogram())
    >>> result = explain_stream(
    ...     interpreter, ClipReader(16000, 0.5), ["dog", "rain"],
    ...     path, folder / "out", progress=False,
    ... )
    >>> result.kept.name, result.duration
    ('a_kept.wav', 1.25)
    """
    plan = _plan(reader, path, overlap, batch_size)
    stem = Path(out) / Path(path).stem
    settings = _describe(plan, interpreter, labels)
    parts = StreamParts(stem.with_name(f"{stem.name}.part"), settings)
    state = parts.state
    windows = iter_windows(
        path,
        plan.sample_rate,
        plan.n_window,
        plan.n_hop,
        first=state.n_windows,
        strict=strict,
    )
    with _bar(plan, state, progress) as bar:
        for batch in _batches(windows, batch_size):
            explained = explain_windows(interpreter, reader, batch)
            state = _add(parts, state, plan, labels, explained)
            bar.update(len(batch))
    return _finish(parts, state, plan, stem)


@dataclass(frozen=True)
class ExplainedWindows:
    """What was heard in a batch of windows.

    Arguments
    ---------
    wavs : tuple of torch.Tensor
        `[samples]` each, the kept part, at the recording's own level and as
        long as the window.
    class_ids : tuple of int
        The predicted classes.
    probabilities : tuple of float
        Of the predicted classes, 0 to 1.

    Example
    -------
    >>> ExplainedWindows((torch.zeros(3),), (0,), (0.9,)).class_ids
    (0,)
    """

    wavs: tuple[Tensor, ...]
    class_ids: tuple[int, ...]
    probabilities: tuple[float, ...]


@torch.no_grad()
def explain_windows(
    interpreter: Interpreter, reader: ClipReader, windows: Sequence[Tensor]
) -> ExplainedWindows:
    """Interpret windows in one batch.

    Arguments
    ---------
    interpreter : Interpreter
        In evaluation mode, on any device.
    reader : ClipReader
        Prepares each window.
    windows : sequence of torch.Tensor
        `[samples]` each, at the reader's rate, at most as long as its clips.

    Returns
    -------
    ExplainedWindows
        On the CPU.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.interpreters import ThresholdInterpreter
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> interpreter = ThresholdInterpreter(classifier, Spectrogram())
    >>> windows = [torch.zeros(8000), torch.rand(500)]
    >>> explained = explain_windows(interpreter, ClipReader(), windows)
    >>> [len(wav) for wav in explained.wavs]
    [8000, 500]
    """
    clips = [reader.prepare(window) for window in windows]
    sizes = torch.tensor([len(clip) for clip in clips])
    device = next(interpreter.parameters()).device
    interpretation = interpreter(
        pad_sequence(clips, batch_first=True).to(device),
        (sizes / sizes.max()).to(device),
    )
    chosen = interpretation.class_ids[:, None]
    probs = interpretation.probs.gather(1, chosen).squeeze(1)
    return ExplainedWindows(
        tuple(
            wav[: len(window)] * window.abs().max()  # undoes prepare's gain
            for wav, window in zip(
                interpretation.wavs.cpu(), windows, strict=True
            )
        ),
        tuple(interpretation.class_ids.tolist()),
        tuple(probs.tolist()),
    )


def cross_fade(tail: Tensor, wav: Tensor, n_hop: int) -> tuple[Tensor, Tensor]:
    """Fade from the end of one window into the next.

    The two weights, squared sine and squared cosine, add up to one: where both
    windows have the same sound, so has the result.

    Arguments
    ---------
    tail : torch.Tensor
        `[overlap]`, the last window's, from the start of the next one on;
        empty before the first.
    wav : torch.Tensor
        `[samples]`, the next window, at least as long as `tail`.
    n_hop : int
        Samples from the start of this window to that of the next.

    Returns
    -------
    tuple of torch.Tensor
        What is final, at most `n_hop` samples, and the new tail.

    Example
    -------
    >>> final, tail = cross_fade(torch.ones(2), torch.zeros(5), 3)
    >>> final, tail
    (tensor([0.8536, 0.1464, 0.0000]), tensor([0., 0.]))
    """
    n = len(tail)
    phase = (torch.arange(n) + 0.5) * (math.pi / 2 / max(n, 1))
    faded = torch.lerp(tail, wav[:n], phase.sin() ** 2)
    joined = torch.cat((faded, wav[n:]))
    return joined[:n_hop], joined[n_hop:]


def _plan(
    reader: ClipReader, path: AnyPath, overlap: float, batch_size: int
) -> _Plan:
    check_whole("batch_size", batch_size, 1)
    if not 0 <= overlap <= 0.5:
        raise ValueError(f"{overlap=} must be between 0 and 0.5.")
    seconds = reader.clip_seconds or WINDOW_SECONDS
    n_window = max(1, round(seconds * reader.sample_rate))
    n_hop = math.ceil(n_window * (1 - overlap))
    info = audio_info(path)
    return _Plan(info, reader.sample_rate, n_window, n_hop, batch_size)


def _describe(
    plan: _Plan, interpreter: Interpreter, labels: Sequence[str]
) -> dict[str, Any]:
    """Name all that the results depend on, to the last bit."""
    path = plan.info.path.resolve()
    return {
        "version": __version__,
        "recording": str(path),
        "bytes": path.stat().st_size,
        "modified": path.stat().st_mtime_ns,
        "sample_rate": plan.sample_rate,
        "windows": [plan.n_window, plan.n_hop, plan.batch_size],
        "interpreter": [type(interpreter).__name__, interpreter.settings],
        "weights": digest_weights(interpreter),
        "device": str(next(interpreter.parameters()).device),
        "labels": list(labels),
    }


def _bar(plan: _Plan, state: StreamState, progress: bool) -> Any:
    return tqdm(
        total=plan.n_windows,
        initial=state.n_windows,
        unit="window",
        desc=plan.info.path.name,
        disable=not progress,
    )


def _batches(windows: Iterable[Tensor], size: int) -> Iterator[list[Tensor]]:
    iterator = iter(windows)
    while batch := list(islice(iterator, size)):
        yield batch


def _add(
    parts: StreamParts,
    state: StreamState,
    plan: _Plan,
    labels: Sequence[str],
    explained: ExplainedWindows,
) -> StreamState:
    """Cross-fade a batch with what is there, and keep both on disk."""
    finals, tail, rows = [], state.tail, []
    for index, wav in enumerate(explained.wavs):
        start = (state.n_windows + index) * plan.n_hop
        final, tail = cross_fade(tail, wav, plan.n_hop)
        finals.append(final)
        rows.append(
            Segment(
                start / plan.sample_rate,
                (start + len(wav)) / plan.sample_rate,
                labels[explained.class_ids[index]],
                explained.probabilities[index],
            )
        )
    text = format_windows(rows)
    return parts.append(state, len(rows), torch.cat(finals), text, tail)


def _finish(
    parts: StreamParts, state: StreamState, plan: _Plan, stem: Path
) -> StreamResult:
    """Give the results their names; only then is the part removed."""
    kept, windows, labels = (
        stem.with_name(f"{stem.name}_{what}")
        for what in ("kept.wav", "windows.csv", "labels.txt")
    )
    gain = 1 / max(1.0, state.peak, *state.tail.abs().tolist())
    with wav_writer(kept, plan.sample_rate, subtype=SUBTYPE) as write:
        for block in parts.iter_wav():
            write(block.double() * gain)
    segments = tuple(merge_windows(read_windows(parts.csv)))
    write_audacity_labels(segments, labels)
    with replace_file(windows) as temporary:
        shutil.copyfile(parts.csv, temporary)
    parts.remove()
    n_samples = state.n_samples + len(state.tail)
    return StreamResult(
        kept, windows, labels, segments, n_samples, plan.sample_rate, gain
    )
