"""`recording -> its windows`: how it is cut, before any of it is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from focalaudio.audio import (
    MAX_WAV_BYTES,
    SAMPLE_BYTES,
    AnyPath,
    AudioInfo,
    audio_info,
)
from focalaudio.data.pipelines import ClipReader
from focalaudio.errors import AudioError
from focalaudio.recordings import count_samples
from focalaudio.waveforms import check_whole

WINDOW_SECONDS = 5.0  # where the reader takes clips whole
SUBTYPE = "PCM_24"  # a quiet recording keeps its 16 bits at its own level


@dataclass(frozen=True)
class StreamPlan:
    """How a recording is cut into windows.

    Arguments
    ---------
    info : AudioInfo
        Of the file.
    sample_rate : int
        Hz, the model's.
    n_window, n_hop : int
        Samples of a window, and from the start of one to that of the next.
    batch_size : int
        Windows of a batch.
    n_samples : int
        Of the recording at `sample_rate`, if the file's header is right.
    """

    info: AudioInfo
    sample_rate: int
    n_window: int
    n_hop: int
    batch_size: int
    n_samples: int

    @property
    def n_windows(self) -> int:
        """How many there will be, if the file's header is right."""
        return 1 + max(0, -(-(self.n_samples - self.n_window) // self.n_hop))


def plan_stream(
    reader: ClipReader, path: AnyPath, overlap: float, batch_size: int
) -> StreamPlan:
    """Look at a recording, and say how it is cut into windows.

    Arguments
    ---------
    reader, path, overlap, batch_size
        See `focalaudio.inference.streaming.explain_stream`.

    Returns
    -------
    StreamPlan
        Its windows are as long as the reader's clips.

    Raises
    ------
    FileNotFoundError, AudioError
        If there is no such file, it is no sound, or longer than a WAV file can
        hold.
    ValueError
        If an argument is out of range.
    """
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
    return StreamPlan(info, rate, n_window, n_hop, int(batch_size), n_samples)


def describe_plan(plan: StreamPlan) -> dict[str, Any]:
    """Name a recording and its windows: all that a stream's results depend on.

    The file's size and the time of its last change stand for what is in it.
    """
    path = plan.info.path.resolve()
    return {
        "recording": str(path),
        "bytes": path.stat().st_size,
        "modified": path.stat().st_mtime_ns,
        "windows": [plan.n_window, plan.n_hop, plan.batch_size],
    }
