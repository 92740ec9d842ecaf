#!/usr/bin/env python3
"""Does interpreting a long recording take more memory than a short one?

    python benchmarks/streaming.py --data_folder DIR [--minutes 10]
        [--threads 2]

Joins clips of the data set (ESC-50's layout) to a recording of `--minutes` and
to one of a quarter of that, at the clips' own rate, and interprets each with
`explain_stream` in a process of its own with `--threads` threads
(`--encoder_name` with random weights, by design). Peak memory is the process's
largest resident set, with Python and its libraries. Prints seconds, memory and
speed; the ratio of memory last. A short recording is profiled for what takes
the time.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from itertools import cycle
from pathlib import Path

import torch
from answers import Answer, print_answers
from limits import largest_functions
from memory import MB, peak_memory, run_alone
from turns import time_turn

from focalaudio.audio import audio_info, load_wav, wav_writer
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.inference.sources import find_sounds
from focalaudio.inference.streaming import explain_stream
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.memory import keep_freed_memory
from focalaudio.spectrogram import Spectrogram

N_CLASSES = 10
GOAL = "200x with two threads, memory flat"


def join_clips(data_folder: Path, minutes: float, path: Path) -> Path:
    """Write a recording of so many minutes from clips, in their order."""
    clips = find_sounds([data_folder / "audio"]).files
    if not clips:
        raise SystemExit(f"{data_folder / 'audio'} holds no clips.")
    rate = audio_info(clips[0]).sample_rate
    left = round(60 * minutes * rate)
    with wav_writer(path, rate) as write:
        for clip in cycle(clips):
            wav = load_wav(clip, rate)[:left]
            write(wav.clamp(-1, 1))  # lossy formats go beyond
            left -= len(wav)
            if not left:
                return path
    return path


def build_interpreter(encoder_name: str) -> ThresholdInterpreter:
    """Return one of random weights, by design."""
    torch.manual_seed(0)
    classifier = SoundClassifier(build_encoder(encoder_name), N_CLASSES)
    return ThresholdInterpreter(classifier, Spectrogram())


def interpret(path: Path, out: Path, encoder_name: str, batch: int) -> None:
    """Interpret a recording."""
    labels = [f"class {index}" for index in range(N_CLASSES)]
    keep_freed_memory()  # as `focalaudio explain --stream` does
    interpreter = build_interpreter(encoder_name)
    explain_stream(
        interpreter, ClipReader(), labels, path, out, batch_size=batch
    )


def measure_one(
    threads: int, path: Path, out: Path, encoder_name: str, batch: int
) -> tuple[float, float, int]:
    """Interpret; return wall and CPU time in s, and peak memory in bytes."""
    torch.set_num_threads(threads)
    job = partial(interpret, path, out, encoder_name, batch)
    return *time_turn(job), peak_memory()


def measure(
    data_folder: Path,
    minutes: float,
    threads: int,
    encoder_name: str,
    batch: int,
) -> tuple[float, float, int]:
    """Do what `measure_one` does in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = join_clips(data_folder, minutes, Path(folder) / "long.wav")
        out = Path(folder) / "out"
        return run_alone(measure_one, threads, path, out, encoder_name, batch)


def profile(data_folder: Path, encoder_name: str, batch: int) -> str:
    """Say what takes most of a recording of two minutes."""
    with tempfile.TemporaryDirectory() as folder:
        path = join_clips(data_folder, 2.0, Path(folder) / "long.wav")
        out = Path(folder) / "out"
        interpret(path, out, encoder_name, batch)  # what is loaded late
        again = Path(folder) / "again"
        torch.set_num_threads(1)  # a profile sees one thread
        return largest_functions(
            partial(interpret, path, again, encoder_name, batch)
        )


def main() -> None:
    """Read the options, measure both recordings, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data_folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--encoder_name", default="focalnet_nano")
    parser.add_argument("--batch_size", type=int, default=8)
    arguments = parser.parse_args()
    choice = arguments.encoder_name, arguments.batch_size
    threads = arguments.threads
    print("minutes  seconds    CPU s  peak memory (MB)  x real time")
    peaks = []
    quarter = arguments.minutes / 4  # long enough to have all threads at work
    for minutes in (quarter, arguments.minutes):
        seconds, cpu, peak = measure(
            arguments.data_folder, minutes, threads, *choice
        )
        peaks.append(peak)
        speed = 60 * minutes / seconds
        print(
            f"{minutes:7g} {seconds:8.1f} {cpu:8.1f} {peak / MB:17.0f} "
            f"{speed:12.1f}"
        )
    growth = peaks[1] / peaks[0]
    print(
        f"memory of {arguments.minutes:g} minutes / {quarter:g} minutes: "
        f"{growth:.3f}"
    )
    per_core = 60 * arguments.minutes / cpu
    answer = Answer(
        f"`explain_stream`, `{choice[0]}`, {threads} thread(s)",
        "real time",
        f"{speed:.0f}x, {per_core:.0f}x per CPU second; memory of "
        f"{arguments.minutes:g} minutes {growth:.3f} of a quarter's",
        GOAL,
        profile(arguments.data_folder, *choice),
    )
    print_answers([answer])


if __name__ == "__main__":
    main()
