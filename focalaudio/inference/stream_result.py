"""`explained windows of a recording -> sound, timeline, boxes`, on the disk.

Neighbors are cross-faded, and of what both have each has its half. A window
after the other is read from the file of explained windows: memory is flat.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from focalaudio.audio import wav_writer
from focalaudio.boxes import HeardBox, join_boxes
from focalaudio.data.annotations import UNKNOWN
from focalaudio.inference.stream_plan import SUBTYPE, StreamPlan
from focalaudio.inference.windows import WindowStore
from focalaudio.report.boxes import segments_to_boxes, write_raven
from focalaudio.report.timeline import (
    NO_EVIDENCE,
    Segment,
    merge_windows,
    write_audacity_labels,
    write_windows,
)
from focalaudio.waveforms import common_gain

ENDINGS = (  # of the files of a recording
    "_kept.wav",
    "_windows.csv",
    "_labels.txt",
    "_timeline.Table.1.selections.txt",
    "_timeline.png",
    ".Table.1.selections.txt",
)
SEAM = 0.02  # s, about a cell: boxes that end and begin so close are one


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


def finish_stream(
    done: WindowStore,
    plan: StreamPlan,
    labels: Sequence[str],
    stem: Path,
    media: bool,
) -> StreamResult:
    """Write the results; only then is the unfinished file removed.

    Arguments
    ---------
    done : WindowStore
        All windows of the recording, explained.
    plan : StreamPlan
        How they were cut.
    labels : sequence of str
        In the order of the class ids.
    stem : pathlib.Path
        Folder and name of the results, to which each file adds its ending.
    media : bool
        Whether to write the sound and the picture, beside the tables.

    Returns
    -------
    StreamResult
        The files and the segments.

    Raises
    ------
    OSError
        If the disk refuses.
    """
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
    plan: StreamPlan,
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
    windows: Iterable[np.void], plan: StreamPlan, labels: Sequence[str]
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
