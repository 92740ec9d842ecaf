#!/usr/bin/env python3
"""How many clips does training take in a second, from the second epoch on?

    python benchmarks/training.py [--quick] [--clips 32] [--workers 1]

`focalnet_nano` and ClassifierBrain on a folder of 44.1 kHz files, plain (no
augmentation, mixing or views). `ours` reads with ClipReader; `reference` reads
as SpeechBrain's recipe does, which decodes and resamples every time; `workers`
is ours with `num_workers`, as the recipes read ahead; `ready` is the same
step, forward, backward and AdamW, on spectrograms that are there already: all
that the encoder must do. Waveforms of both readers must agree before anything
is timed. Files are
the package's clips, written to a temporary folder. An epoch is a turn.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import soundfile
import torch
import torch.nn.functional as F
import torchaudio
from answers import Answer, print_answers
from limits import largest_functions
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.epoch_loop import EpochCounter
from torch import Tensor
from turns import Job, print_times, ratio, take_turns

from focalaudio.audio import load_wav, write_wav
from focalaudio.augment import (
    Augment,
    MaskedViews,
    MaskSpectrogram,
    MixClips,
    RandomOutliers,
)
from focalaudio.brains import ClassifierBrain
from focalaudio.brains.averaging import build_average
from focalaudio.brains.checkpoints import History
from focalaudio.brains.loggers import TrainLoggers
from focalaudio.brains.training import WarmupCosine
from focalaudio.classifier import SoundClassifier
from focalaudio.data.examples import list_examples
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.models import SoundModel
from focalaudio.spectrogram import Spectrogram

RATE, FILE_RATE, SECONDS = 16000, 44100, 5.0
LABELS = [str(index) for index in range(10)]
LR, BATCH = 1e-3, 8
N_EPOCHS = 1000  # more than are timed
TOLERANCE = 1e-2  # of a sample: two resamplers
SAME = "clips lie in memory by then: both do the same work"
GOALS = ("10x", "within 10 % of the encoder alone", "never slower")


class PlainReader:
    """Read a clip as SpeechBrain's recipe does, every time anew."""

    def __init__(self) -> None:
        self.resampler = torchaudio.transforms.Resample(FILE_RATE, RATE)

    def __call__(self, path: str) -> Tensor:
        """Decode, mix down, resample, scale; `[samples]`."""
        samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
        wav = self.resampler(torch.from_numpy(samples).mean(1))
        return wav / wav.abs().max()


def write_files(folder: Path, n_clips: int) -> list[Path]:
    """Write clips of the package, again and again, at a data set's rate."""
    examples = list_examples()
    return [
        write_wav(
            folder / f"{index}.wav",
            _five_seconds(examples[index % len(examples)].path),
            FILE_RATE,
        )
        for index in range(n_clips)
    ]


def _five_seconds(path: Path) -> Tensor:
    wav = load_wav(path, FILE_RATE).clamp(-1, 1)
    n_samples = round(SECONDS * FILE_RATE)
    return wav.repeat(-(-n_samples // len(wav)))[:n_samples]


def open_files(
    paths: Sequence[Path], read: Callable[[str], Tensor]
) -> DynamicItemDataset:
    """Return a dataset of files."""
    rows = {
        path.stem: {
            "path": str(path),
            "label": LABELS[index % len(LABELS)],
            "target": index % len(LABELS),
        }
        for index, path in enumerate(paths)
    }
    dataset = DynamicItemDataset(rows)
    dataset.add_dynamic_item(read, takes="path", provides="sig")
    dataset.set_output_keys(["id", "sig", "label", "target"])
    return dataset


def build_brain() -> ClassifierBrain:
    """Return a Brain whose training does nothing but train."""
    torch.manual_seed(1234)
    encoder = build_encoder("focalnet_nano", in_channels=1)
    classifier = SoundClassifier(encoder, len(LABELS), "linear")
    spectrogram = Spectrogram()
    modules = {
        "outliers": RandomOutliers(0.0),
        "augment": Augment(()),
        "mixer": MixClips(0.0, 0.0),
        "mask_spectrogram": MaskSpectrogram(0, 1, 1),
        "views": MaskedViews(0.0),
        "spectrogram": spectrogram,
        "classifier": classifier,
    }
    hparams: dict[str, Any] = {
        "average": build_average(classifier, 0.0),
        "evidence_floor": 1.0,
        "evidence_weight": 0.0,
        "history": History(),
        "label_smoothing": 0.0,
        "labels": LABELS,
        "model": SoundModel(classifier, spectrogram, ClipReader(), LABELS),
        "share_weight": 0.0,
        "schedule": WarmupCosine(LR, n_epochs=N_EPOCHS),
        "select_by": "epoch",
        "train_logger": TrainLoggers([]),
    }
    return ClassifierBrain(
        modules=modules,
        opt_class=partial(torch.optim.AdamW, lr=LR),
        hparams=hparams,
        run_opts={"device": "cpu", "noprogressbar": True},
    )


def epoch_job(dataset: DynamicItemDataset, workers: int = 0) -> Job:
    """Return a job that trains one more epoch."""
    brain = build_brain()
    loader = {"batch_size": BATCH, "shuffle": True, "num_workers": workers}

    def train() -> None:
        brain.fit(EpochCounter(1), dataset, train_loader_kwargs=loader)

    return train


def ready_job(dataset: DynamicItemDataset) -> Job:
    """Return a job that trains one more epoch on spectrograms in memory."""
    brain = build_brain()
    classifier = brain.modules.classifier.train()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=LR)
    spectra = brain.modules.spectrogram(
        torch.stack([clip["sig"] for clip in dataset])
    )
    batches = spectra.log_magnitude.split(BATCH)
    targets = torch.tensor([clip["target"] for clip in dataset]).split(BATCH)

    def train() -> None:
        for shown, target in zip(batches, targets, strict=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(classifier(shown).logits, target)
            loss.backward()
            optimizer.step()

    return train


def check(ours: DynamicItemDataset, theirs: DynamicItemDataset) -> None:
    """Stop unless both readers hear the same."""
    apart = max(
        float((one["sig"] - other["sig"]).abs().max())
        for one, other in zip(ours, theirs, strict=True)
    )
    print(f"waveforms: at most {apart:.1e} apart")
    if not apart <= TOLERANCE:
        raise SystemExit("the readers differ: nothing is timed.")


def run(folder: Path, n_clips: int, turns: int, workers: int) -> None:
    """Check, train in turns, print."""
    paths = write_files(folder, n_clips)
    ours = open_files(paths, ClipReader(RATE, SECONDS))
    theirs = open_files(paths, PlainReader())
    check(ours, theirs)
    ahead = ClipReader(RATE, SECONDS)  # as `SoundData.read_ahead` does
    left = 0 if ahead.read_ahead(map(str, paths), workers) else workers
    jobs = {
        "reference": epoch_job(theirs),
        "ready": ready_job(ours),
        "ours": epoch_job(ours),
        "workers": epoch_job(open_files(paths, ahead), left),
    }
    take_turns(jobs, 1)  # the first epoch
    times = take_turns(jobs, turns)
    print_times(times)
    speeds = {
        name: n_clips / sorted(cpu for _, cpu in each)[len(each) // 2]
        for name, each in times.items()
    }
    for name, speed in speeds.items():
        print(f"{name}: {speed:.1f} clips per CPU second")
    bound = largest_functions(jobs["ours"])
    question = "training of `focalnet_nano` from 44.1 kHz, epochs 2 and later"
    print_answers(
        [
            Answer(
                question,
                "decoding and resampling every time",
                f"{ratio(times, 'reference', 'ours')}; "
                f"{speeds['ours']:.0f} clips per CPU second",
                GOALS[0],
                bound,
            ),
            Answer(
                question,
                "the encoder alone on ready tensors",
                ratio(times, "ready", "ours"),
                GOALS[1],
                bound,
            ),
            Answer(
                f"`num_workers={workers}`, epochs 2 and later",
                "`num_workers=0`",
                ratio(times, "ours", "workers"),
                GOALS[2],
                SAME if left == 0 else "starting the processes",
            ),
        ]
    )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--quick", action="store_true", help="16 clips, 2 turns"
    )
    arguments = parser.parse_args()
    n_clips, turns = arguments.clips, arguments.turns
    if arguments.quick:
        n_clips, turns = 16, 2
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), n_clips, turns, arguments.workers)


if __name__ == "__main__":
    main()
