"""What a stream has done so far, on disk, so that it can go on.

`<folder>/kept.f32` (float32 samples), `windows.csv` and `state.json`. The state
is replaced after each batch, when what it speaks of is on the disk: whatever
stands behind that in the other two files is cut off when the stream goes on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from focalaudio.files import replace_file
from focalaudio.report.timeline import COLUMNS
from focalaudio.waveforms import BLOCK_VALUES

logger = logging.getLogger(__name__)

SAMPLE = np.dtype("<f4")
HEADER = ",".join(COLUMNS) + "\n"


@dataclass(frozen=True)
class StreamState:
    """How far a stream is.

    Arguments
    ---------
    n_windows : int
        Windows that are interpreted.
    n_samples : int
        Samples that are final.
    n_bytes : int
        Of the windows' CSV.
    peak : float
        Largest magnitude of the final samples.
    tail : torch.Tensor
        `[samples]`, what is still to be cross-faded with the next window.

    Example
    -------
    >>> StreamState().tail.shape
    torch.Size([0])
    """

    n_windows: int = 0
    n_samples: int = 0
    n_bytes: int = len(HEADER)
    peak: float = 0.0
    tail: Tensor = field(default_factory=lambda: torch.empty(0))


class StreamParts:
    """The files of a stream that is not finished.

    Arguments
    ---------
    folder : pathlib.Path
        Made if needed; what is in it is used, if it was made with the same
        settings, or replaced.
    settings : mapping
        Whatever the results depend on, as plain values.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "a.part"
    >>> parts = StreamParts(folder, {"n_window": 4})
    >>> state = parts.append(parts.state, 1, torch.ones(3), "", torch.ones(1))
    >>> StreamParts(folder, {"n_window": 4}).state.n_samples
    3
    >>> StreamParts(folder, {"n_window": 5}).state.n_samples
    0
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.wav, self.csv = folder / "kept.f32", folder / "windows.csv"
        self.note = folder / "state.json"
        text = json.dumps(settings, sort_keys=True)
        self._digest = hashlib.sha256(text.encode()).hexdigest()
        self.state = self._read_state() or self._begin()

    def append(
        self,
        state: StreamState,
        n_windows: int,
        wav: Tensor,
        text: str,
        tail: Tensor,
    ) -> StreamState:
        """Add what a batch gave; it is on the disk when this returns.

        Arguments
        ---------
        state : StreamState
            Before the batch.
        n_windows : int
            Windows in it.
        wav : torch.Tensor
            `[samples]`, float32, final.
        text : str
            The windows' lines of CSV.
        tail : torch.Tensor
            `[samples]`, float32, not final.

        Returns
        -------
        StreamState
            After the batch.
        """
        lines = text.encode()
        _write_at(self.wav, state.n_samples * SAMPLE.itemsize, _to_bytes(wav))
        _write_at(self.csv, state.n_bytes, lines)
        peak = float(wav.abs().max()) if len(wav) else 0.0
        self.state = StreamState(
            state.n_windows + n_windows,
            state.n_samples + len(wav),
            state.n_bytes + len(lines),
            max(state.peak, peak),
            tail,
        )
        self._write_state(self.state)
        return self.state

    def iter_wav(self) -> Iterator[Tensor]:
        """Give the final samples in blocks `[samples]`, then the tail."""
        left = self.state.n_samples
        with self.wav.open("rb") as file:
            while left:
                size = min(left, BLOCK_VALUES) * SAMPLE.itemsize
                block = np.frombuffer(file.read(size), SAMPLE)
                left -= len(block)
                yield torch.from_numpy(block.astype(np.float32))
        yield self.state.tail

    def remove(self) -> None:
        """Remove the files, and the folder if nobody put others there."""
        leftovers = self.folder.glob(".*.json")  # of a kill while writing
        for path in (self.wav, self.csv, self.note, *leftovers):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _begin(self) -> StreamState:
        """Start from nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.note.unlink(missing_ok=True)
        self.wav.write_bytes(b"")
        self.csv.write_text(HEADER, "ascii")
        self._write_state(StreamState())
        return StreamState()

    def _write_state(self, state: StreamState) -> None:
        values = vars(state) | {
            "tail": base64.b64encode(_to_bytes(state.tail)).decode(),
            "digest": self._digest,
        }
        with replace_file(self.note) as temporary:
            temporary.write_text(json.dumps(values), "ascii")

    def _read_state(self) -> StreamState | None:
        """Return the state, if there is one that these settings made."""
        try:
            values = json.loads(self.note.read_text("ascii"))
            digest, tail = values.pop("digest"), values.pop("tail")
            samples = np.frombuffer(base64.b64decode(tail), SAMPLE)
            tail = torch.from_numpy(samples.astype(np.float32))
            state = StreamState(**values, tail=tail)
        except FileNotFoundError:
            return None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            logger.warning(
                "%s is damaged (%r): starting again.", self.note, error
            )
            return None
        if digest != self._digest or not self._cut_to(state):
            logger.warning(
                "%s is of another stream: starting again.", self.note
            )
            return None
        return state

    def _cut_to(self, state: StreamState) -> bool:
        """Cut off what the state does not know; False if there is less."""
        sizes = {
            self.wav: state.n_samples * SAMPLE.itemsize,
            self.csv: state.n_bytes,
        }
        for path, size in sizes.items():
            if not path.is_file() or path.stat().st_size < size:
                return False
            os.truncate(path, size)
        return True


def _to_bytes(wav: Tensor) -> bytes:
    return wav.numpy().astype(SAMPLE).tobytes()


def _write_at(path: Path, position: int, data: bytes) -> None:
    """Write into a file, and wait until the disk has it."""
    with path.open("r+b") as file:
        file.seek(position)
        file.write(data)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
