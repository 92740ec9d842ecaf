"""`recording of any length -> kept sound, timeline`, in flat memory.

Overlapping windows, in batches, some of them at once: each is prepared as a
clip is (peak 1), interpreted, brought back to the recording's own level and put
on the disk; at the end, neighbors are cross-faded. A stream that was stopped
counts the windows that are there, and goes on after the last whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from focalaudio.audio import AnyPath
from focalaudio.boxes import RULES, BoxRules
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
from focalaudio.inference.stream_plan import describe_plan, plan_stream
from focalaudio.inference.stream_result import StreamResult, finish_stream
from focalaudio.inference.targets import refuse_itself
from focalaudio.inference.threads import map_at_once
from focalaudio.inference.windows import WindowStore, list_limits
from focalaudio.interpreters import Interpreter
from focalaudio.models.novelty import Novelty, judge_clips
from focalaudio.recordings import iter_windows

MOST_AT_ONCE = 4  # batches, each of which takes memory


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
        If an argument is out of range, or the target explained against itself.
    FocalAudioError
        If another call is writing the same.
    OSError
        If the disk refuses.
    """
    refuse_itself([target], [interpreter.against], labels)
    plan = plan_stream(reader, path, overlap, batch_size)
    stem = Path(out) / name_results(plan.info.path)
    device = _device(interpreter)
    known = reader, labels, temperature, novelty, _dtype(device)
    settings = {
        **describe_answers([interpreter], *known),
        **describe_plan(plan),
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
        return finish_stream(done, plan, labels, stem, media)


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
