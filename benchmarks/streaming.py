#!/usr/bin/env python3
"""Does interpreting a long recording take more memory than a short one?

    python benchmarks/streaming.py --data_folder DIR [--minutes 10]

Joins clips of the data set (ESC-50's layout) to a recording of one minute and
one of `--minutes`, at the clips' own rate, and interprets each with
`explain_stream` in a process of its own (`--encoder_name` with random weights,
by design). Peak memory is the process's largest resident set, with Python and
its libraries. Prints seconds, memory and speed; the ratio of memory last.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from pathlib import Path

import torch

from focalaudio.audio import audio_info, load_wav, wav_writer
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.inference.streaming import explain_stream
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.spectrogram import Spectrogram

MB = 1e6  # bytes
N_CLASSES = 10


def join_clips(data_folder: Path, minutes: float, path: Path) -> Path:
    """Write a recording of so many minutes from clips, in their order."""
    clips = sorted((data_folder / "audio").iterdir())
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


def interpret(
    path: Path, out: Path, encoder_name: str, batch_size: int
) -> tuple[float, float]:
    """Interpret a recording; return seconds and peak memory in bytes."""
    torch.manual_seed(0)
    classifier = SoundClassifier(build_encoder(encoder_name), N_CLASSES)
    interpreter = ThresholdInterpreter(classifier, Spectrogram())
    labels = [f"class {index}" for index in range(N_CLASSES)]
    start = time.perf_counter()
    explain_stream(
        interpreter, ClipReader(), labels, path, out, batch_size=batch_size
    )
    seconds = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return seconds, 1024 * usage.ru_maxrss


def measure(
    data_folder: Path, minutes: float, encoder_name: str, batch_size: int
) -> tuple[float, float]:
    """Do what `interpret` does in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, mp_context=context) as pool,
    ):
        path = join_clips(data_folder, minutes, Path(folder) / "long.wav")
        arguments = (path, Path(folder) / "out", encoder_name, batch_size)
        return pool.submit(interpret, *arguments).result()


def main() -> None:
    """Read the options, measure both recordings, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data_folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--encoder_name", default="focalnet_nano")
    parser.add_argument("--batch_size", type=int, default=8)
    arguments = parser.parse_args()
    print("minutes  seconds  peak memory (MB)  x real time")
    peaks = []
    for minutes in (1.0, arguments.minutes):
        seconds, peak = measure(
            arguments.data_folder,
            minutes,
            arguments.encoder_name,
            arguments.batch_size,
        )
        peaks.append(peak)
        speed = 60 * minutes / seconds
        print(f"{minutes:7g} {seconds:8.1f} {peak / MB:17.0f} {speed:12.1f}")
    print(
        f"memory of {arguments.minutes:g} minutes / 1 minute: "
        f"{peaks[1] / peaks[0]:.3f}"
    )


if __name__ == "__main__":
    main()
