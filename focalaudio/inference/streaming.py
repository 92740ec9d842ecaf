"""`recording of any length -> kept sound, timeline`, in flat memory.

Overlapping windows, in batches, some of them at once: each is prepared as a
clip is (peak 1), interpreted, brought back to the recording's own level and put
on the disk; at the end, neighbors are cross-faded. A stream that was stopped
counts the windows that are there, and goes on after the last whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
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
from focalaudio.boxes import RULES, BoxRules, HeardBox, join_boxes
from focalaudio.data.annotations import UNKNOWN
from focalaudio.data.pipelines import ClipReader
from focalaudio.errors import AudioError, escape_text
from focalaudio.files import claim_file
from focalaudio.inference.answers import describe_answers
from focalaudio.inference.clips import (
    check_logits,
    prepare_clips,
    restore_interpretation,
)
from focalaudio.inference.sources import name_results
from focalaudio.inference.threads import map_at_once
from focalaudio.inference.windows import WindowStore, list_limits
from focalaudio.interpreters import Interpreter
from focalaudio.models.novelty import Novelty, judge_clips
from focalaudio.recordings import count_samples, iter_windows
from focalaudio.report.boxes import segments_to_boxes, write_raven
from focalaudio.report.timeline import (
    NO_EVIDENCE,
    Segment,
    merge_windows,
    write_audacity_labels,
    write_windows,
)
from focalaudio.waveforms import check_whole, common_gain

MOST_AT_ONCE = 4  # batches, each of which takes memory
WINDOW_SECONDS = 5.0  # where the reader takes clips whole
ENDINGS = (  # of the files of a recording
    "_kept.wav",
    "_windows.csv",
    "_labels.txt",
    "_timeline.Table.1.selections.txt",
    "_timeline.png",
    ".Table.1.selections.txt",
)
SEAM = 0.02  # s, about a cell: boxes that end and begin so close are one
SUBTYPE = "PCM_24"  # a quiet recording keeps its 16 bits at its own level


@dataclass(frozen=True)
class StreamResult:
    """What was written of a recording, and its segments.

    Arguments
    ---------
    kept : pathlib.Path
        WAV, what the classifier listened to; None without media.
    windows : pathlib.Path
        CSV, one line per window: start_s, end_s, label, probability.
    labels : pathlib.Path
        Audacity's label track, one line per segment.
    raven : pathlib.Path
        Raven's selection table of the segments.
    picture : pathlib.Path
        PNG of the timeline; None without media.
    boxes : pathlib.Path
        Raven's selection table of the boxes, in s from the recording's start.
    segments : tuple of Segment
        Runs of windows with the same label, without gap from 0 to the end.
    heard : tuple of HeardBox
        Where in time and frequency; what goes on from window to window is one.
    n_samples : int
        Length of the recording, and of `kept`.
    sample_rate : int
        Hz, of `n_samples` and of `kept`: the model's.
    gain : float
        Factor on `kept`, below 1 only where it would be clipped.
    """

    kept: Path | None
    windows: Path
    labels: Path
    raven: Path
    picture: Path | None
    boxes: Path
    segments: tuple[Segment, ...] = field(repr=False)
    heard: tuple[HeardBox, ...] = field(repr=False)
    n_samples: int
    sample_rate: int
    gain: float

    @property
    def files(self) -> tuple[Path, ...]:
        """What was written, in the order to look at it."""
        tables = self.windows, self.labels, self.raven, self.boxes
        given = (self.kept, *tables, self.picture)
        return tuple(path for path in given if path is not None)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate


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
    temperature: float = 1.0,
    novelty: Novelty | None = None,
    target: int | None = None,
    rules: BoxRules = RULES,
    media: bool = True,
) -> StreamResult:
    """Interpret a recording of any length, and say what was heard when.

    Writes `<name>_kept.wav`, at the model's sample rate, as long as `load_wav`
    makes the recording and at the recording's own level, and beside it the
    tables and the picture that `StreamResult` names. A window is as long as the
    reader's clips. Windows that are done are kept in `<name>.unfinished`: the
    same call goes on from there after any interruption, and its results are
    the same, byte by byte.

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
        Windows of a batch, at least 1; results do not depend on it. On a CPU as
        many batches are explained at once as torch has threads, four at most.
    progress : bool
        Whether to show a bar on stderr.
    strict : bool
        Whether a file that is cut off is an error (else a warning).
    temperature : float
        That logits are divided by for the windows' probabilities.
    novelty : Novelty
        Windows that are like no class by it are labelled "no evidence", as
        silent ones always are, and, of several labels, those without any.
    target : int
        The class to explain in every window; what each is classified as if
        None. The timeline says what it is classified as.
    rules : BoxRules
        Which parts of a window's mask are one box, and which are told.
    media : bool
        Whether to write the sound and the picture, beside the tables.

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
    FocalAudioError
        If another call is writing the same.
    OSError
        If the disk refuses.
    """
    plan = _plan(reader, path, overlap, batch_size)
    stem = Path(out) / name_results(plan.info.path)
    device = _device(interpreter)
    known = reader, labels, temperature, novelty, _dtype(device)
    settings = {
        **describe_answers([interpreter], *known),
        **_describe(plan),
        "device": str(device),
        "target": target,
        "rules": asdict(rules),
    }
    unfinished = stem.with_name(f"{stem.name}.unfinished")
    ways = _Ways(
        interpreter,
        reader,
        temperature,
        novelty,
        target,
        rules,
        _precision(interpreter),
    )
    with claim_file(unfinished):
        done = WindowStore(
            unfinished, settings, plan.n_window, batch_size, rules.most
        )
        lengths = plan.sample_rate, plan.n_window, plan.n_hop
        windows = iter_windows(
            path, *lengths, first=done.n_found, strict=strict
        )
        with tqdm(
            total=plan.n_windows,
            initial=done.n_found,
            unit="window",
            desc=escape_text(plan.info.path.name),
            disable=not progress,
        ) as bar:
            batches = iter(lambda: list(islice(windows, batch_size)), [])
            explain = partial(_explain, ways, record=done.record)
            n_threads = _count_threads(interpreter)
            try:
                for records in map_at_once(explain, batches, n_threads):
                    done.append(records)
                    bar.update(len(records))
            except AudioError as error:
                if not isinstance(error.__cause__, OSError):
                    unfinished.unlink()  # mended it is another recording
                raise
        return _finish(done, plan, labels, stem, media)


@dataclass(frozen=True)
class _Plan:
    """How a recording is cut into windows."""

    info: AudioInfo
    sample_rate: int
    n_window: int
    n_hop: int
    batch_size: int
    n_samples: int  # at `sample_rate`, if the file's header is right

    @property
    def n_windows(self) -> int:
        """How many there will be, if the file's header is right."""
        return 1 + max(0, -(-(self.n_samples - self.n_window) // self.n_hop))


def _plan(
    reader: ClipReader, path: AnyPath, overlap: float, batch_size: int
) -> _Plan:
    check_whole("batch_size", batch_size, 1)
    if not 0 <= overlap <= 0.5:
        raise ValueError(f"{overlap=} must be between 0 and 0.5.")
    rate, seconds = reader.sample_rate, reader.clip_seconds or WINDOW_SECONDS
    n_window = max(1, round(seconds * rate))
    n_hop = math.ceil(n_window * (1 - overlap))
    info = audio_info(path)
    n_samples = count_samples(info.n_frames, info.sample_rate, rate)
    if n_samples * SAMPLE_BYTES[SUBTYPE] > MAX_WAV_BYTES:
        raise AudioError(
            f"{path} lasts {info.duration / 3600:.1f} h, more than a WAV file "
            "holds of its interpretation (4 GiB); cut it in parts."
        )
    return _Plan(info, rate, n_window, n_hop, int(batch_size), n_samples)


def _describe(plan: _Plan) -> dict[str, Any]:
    """Name a recording and its windows."""
    path = plan.info.path.resolve()
    return {
        "recording": str(path),
        "bytes": path.stat().st_size,
        "modified": path.stat().st_mtime_ns,
        "windows": [plan.n_window, plan.n_hop, plan.batch_size],
    }


def _device(interpreter: Interpreter) -> torch.device:
    found = chain(interpreter.parameters(), interpreter.buffers())
    return next(found).device


def _dtype(device: torch.device) -> torch.dtype | None:
    """Return what is computed in here, if autocast is on."""
    if not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)


def _count_threads(interpreter: Interpreter) -> int:
    """How many batches may be explained at once."""
    is_safe = interpreter.is_thread_safe
    is_safe = is_safe and interpreter.classifier.is_thread_safe
    if not is_safe or _device(interpreter).type != "cpu":
        return 1
    return min(torch.get_num_threads(), MOST_AT_ONCE)


def _precision(interpreter: Interpreter) -> Callable[[], torch.autocast]:
    """Return what other threads enter for the precision of this one."""
    kind = _device(interpreter).type
    dtype = torch.get_autocast_dtype(kind)
    enabled = torch.is_autocast_enabled(kind)
    return partial(torch.autocast, kind, dtype, enabled)


@dataclass(frozen=True)
class _Ways:
    """How windows are explained."""

    interpreter: Interpreter
    reader: ClipReader
    temperature: float
    novelty: Novelty | None
    target: int | None
    rules: BoxRules
    precision: Callable[[], torch.autocast]


def _explain(
    ways: _Ways, windows: Sequence[Tensor], record: np.dtype
) -> np.ndarray:
    """Interpret windows `[samples]` in one batch, on any thread."""
    with torch.no_grad(), ways.precision():
        return _explain_here(ways, windows, record)


def _explain_here(
    ways: _Ways, windows: Sequence[Tensor], record: np.dtype
) -> np.ndarray:
    """Interpret windows, in the precision that is set."""
    interpreter = ways.interpreter
    wavs = pad_sequence(list(windows), batch_first=True)
    sizes = torch.tensor([len(window) for window in windows])
    clips = prepare_clips(
        wavs.to(_device(interpreter)), sizes / wavs.shape[1], ways.reader
    )
    seen = interpreter.look(clips.wavs, clips.lens)
    check_logits(seen[1].logits, clips)
    predicted = seen[1].class_ids
    asked = None
    if ways.target is not None:
        asked = torch.full_like(predicted, ways.target)
    found = replace(
        interpreter.interpret(*seen, asked), temperature=ways.temperature
    )
    is_known = judge_clips(ways.novelty, interpreter.classifier, *seen)
    is_heard = is_known & found.present.any(1) & ~clips.silent
    class_ids = predicted.where(is_heard, UNKNOWN)
    restored = restore_interpretation(found, clips)
    kept = restored.wavs.cpu()
    records = np.zeros(len(windows), record)
    records["wav"][:, : kept.shape[1]] = kept
    records["explained"] = found.class_ids.cpu()
    records["boxes"] = list_limits(restored, records["boxes"], ways.rules)
    records["n_samples"] = sizes
    records["class_id"] = class_ids.cpu()
    records["probability"] = found.probs.amax(1).cpu()
    return records


def _finish(
    done: WindowStore,
    plan: _Plan,
    labels: Sequence[str],
    stem: Path,
    media: bool,
) -> StreamResult:
    """Write the results; only then is the unfinished file removed."""
    kept, csv, track, raven, picture, table = (
        stem.with_name(f"{stem.name}{what}") for what in ENDINGS
    )
    n_samples, gain = 0, 1.0
    for block in _join(done, plan.n_hop):
        n_samples, gain = n_samples + len(block), min(gain, common_gain(block))
    if media:
        with wav_writer(kept, plan.sample_rate, subtype=SUBTYPE) as write:
            for block in _join(done, plan.n_hop):
                write(block.double() * gain)
    rows = [*_name(done, plan, labels)]
    segments = tuple(merge_windows(rows))
    heard = tuple(_place_boxes(done, len(rows), plan, labels))
    highest = plan.sample_rate / 2
    write_audacity_labels(segments, track)
    write_windows(rows, csv)
    write_raven(segments_to_boxes(segments, highest), raven)
    write_raven(heard, table)
    if media:
        _save_timeline(segments, heard, highest, picture)
    done.path.unlink()
    return StreamResult(
        kept=kept if media else None,
        windows=csv,
        labels=track,
        raven=raven,
        picture=picture if media else None,
        boxes=table,
        segments=segments,
        heard=heard,
        n_samples=n_samples,
        sample_rate=plan.sample_rate,
        gain=gain,
    )


def _place_boxes(
    windows: Iterable[np.void],
    n_windows: int,
    plan: _Plan,
    labels: Sequence[str],
) -> Iterator[HeardBox]:
    """Yield boxes in s from the recording's start, each part of it once.

    As on the timeline, of two windows each has its half of what both have.
    """
    rate, half = plan.sample_rate, (plan.n_window - plan.n_hop) / 2
    last = n_windows - 1  # a header may have promised more
    found = []
    for index, window in enumerate(windows):
        if window["class_id"] == UNKNOWN:
            continue
        start, class_id = index * plan.n_hop, int(window["explained"])
        n_samples = int(window["n_samples"])
        first = start + (half if index > 0 else 0)
        end = start + (plan.n_window - half if index < last else n_samples)
        for limits in window["boxes"].tolist():
            box = _box_at(start / rate, limits, class_id, labels)
            begin, stop = max(box.begin, first / rate), min(box.end, end / rate)
            if begin < stop:
                found.append(replace(box, begin=begin, end=stop))
    found.sort(key=lambda box: box.begin)
    yield from join_boxes(found, SEAM)


def _box_at(
    start: float, limits: list[float], class_id: int, labels: Sequence[str]
) -> HeardBox:
    begin, end, low, high, score = limits
    box = HeardBox(begin, end, low, high, score, class_id, labels[class_id])
    return box.move(start)


def _join(windows: Iterable[np.void], n_hop: int) -> Iterator[Tensor]:
    """Cross-fade windows into blocks of sound, `[samples]`.

    The two weights, squared sine and squared cosine, add up to one: where both
    windows have the same sound, so has the result.
    """
    tail = torch.empty(0)
    for window in windows:
        wav = torch.from_numpy(window["wav"][: window["n_samples"]])
        n = len(tail)
        phase = (torch.arange(n) + 0.5) * (math.pi / 2 / max(n, 1))
        faded = torch.lerp(tail, wav[:n], phase.sin() ** 2)
        joined = torch.cat((faded, wav[n:]))
        yield joined[:n_hop]
        tail = joined[n_hop:]
    yield tail


def _name(
    windows: Iterable[np.void], plan: _Plan, labels: Sequence[str]
) -> Iterator[Segment]:
    """Say what was heard in each window, to the microsecond."""
    for index, window in enumerate(windows):
        start = index * plan.n_hop
        end = start + int(window["n_samples"])
        class_id = int(window["class_id"])
        is_known = class_id != UNKNOWN
        probability = round(float(window["probability"]), 6)
        yield Segment(
            round(start / plan.sample_rate, 6),
            round(end / plan.sample_rate, 6),
            labels[class_id] if is_known else NO_EVIDENCE,
            probability if is_known else math.nan,
        )


def _save_timeline(
    segments: Sequence[Segment],
    boxes: Sequence[HeardBox],
    highest: float,
    path: Path,
) -> None:
    """Draw the timeline; matplotlib is loaded for it alone."""
    from focalaudio.pictures import draw_timeline, save_picture

    save_picture(draw_timeline(segments, boxes, highest), path)
