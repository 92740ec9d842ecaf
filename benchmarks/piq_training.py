#!/usr/bin/env python3
"""What does it cost to train PIQ's decoder: SpeechBrain's, `paper`, `light`?

    python benchmarks/piq_training.py [--steps 2] [--device cuda]

Seconds and peak memory of one training step (forward, loss, backward, Adam)
on the features `[1, 1024, 7, 7]` of one clip of 5 s. SpeechBrain's step is its
recipe's without the classifier: features enlarged twice, decoder, cross-entropy
of the mask, codebook, commitment. Times are the best of `--steps`, taken in
turns in one process (CPU seconds are what it computed: where others compute
too, compare these); memory is the growth of a process of its own.

With `--data_folder DIR --classifier RUN --seconds 600` it trains `paper` and
`light` for the same wall time instead, on the cached features of the training
folds, each with its own batch size and learning rate (`RECIPES`), and prints
their reconstruction loss on the validation fold: see `recipes/ESC50/README.md`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor

import torch
import torch.nn.functional as F
from answers import Answer, print_answers
from limits import largest_shares
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.lobes.models.PIQ import VectorQuantizedPSIFocalNet_Audio
from torch import Tensor, nn

from focalaudio.brains.decoders import FeatureCache
from focalaudio.classifier import ClassifierOutput, SoundClassifier
from focalaudio.data.pipelines import open_esc50
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import PIQInterpreter
from focalaudio.interpreters.decoders import LightDecoder, PaperDecoder
from focalaudio.interpreters.piq import (
    PIQLoss,
    build_decoder,
    find_loud_cells,
)
from focalaudio.models import SoundModel, load_model
from focalaudio.spectrogram import Spectrogram, Spectrum

N_CODES, N_CLASSES, THRESHOLD = 1024, 50, 0.35
RECIPES = {  # decoder -> batch size, Adam's learning rate
    "paper": (6, 2e-4),  # as published
    "light": (16, 2e-3),  # hparams/train_piq.yaml
}
WEIGHT_DECAY = 2e-6
PAPER_LAYOUTS = {(26, 32): "conv2d", (7, 7): "focalnet", (14, 14): "vit"}
GOALS = {"paper": "1.2x", "light": "kept"}
GB = 1e9  # bytes

Step = Callable[[], None]
Loss = Callable[[PIQInterpreter, Tensor, Tensor, Spectrum], Tensor]


def speechbrain_loss(
    interpreter: PIQInterpreter,
    features: Tensor,
    class_ids: Tensor,
    spectrum: Spectrum,
) -> Tensor:
    """Return the loss of SpeechBrain's recipe."""
    enlarged = F.interpolate(
        features, scale_factor=2, mode="bilinear", antialias=True
    )
    logits, latents, codes = interpreter.decoder(enlarged, class_ids)
    loud = find_loud_cells(spectrum.log_magnitude, THRESHOLD).to(logits)
    mask = logits.squeeze(1).sigmoid()
    errors = loud * (mask + 1e-10).log() + (1 - loud) * (1 - mask + 1e-10).log()
    return (
        -errors.mean()
        + F.mse_loss(codes, latents.detach())
        + F.mse_loss(latents, codes.detach())
    )


def focalaudio_loss(
    interpreter: PIQInterpreter,
    features: Tensor,
    class_ids: Tensor,
    spectrum: Spectrum,
) -> Tensor:
    """Return the loss of our recipe."""
    decoded = interpreter.decoder(features, class_ids)
    return interpreter.compute_loss(decoded, spectrum).total()


CONTENDERS: dict[str, tuple[Callable[[int], nn.Module], Loss]] = {
    "speechbrain": (
        lambda dim: VectorQuantizedPSIFocalNet_Audio(
            dim=dim, K=N_CODES, numclasses=N_CLASSES, shared_keys=0
        ),
        speechbrain_loss,
    ),
    "paper": (
        lambda dim: PaperDecoder(dim, N_CLASSES, N_CODES, layout="focalnet"),
        focalaudio_loss,
    ),
    "light": (
        lambda dim: LightDecoder(dim, N_CLASSES, N_CODES),
        focalaudio_loss,
    ),
}


def build_step(name: str, dim: int, device: str) -> Step:
    """Return one contender's training step, on the same clip for all."""
    generator = torch.Generator().manual_seed(1234)
    features = torch.randn(1, dim, 7, 7, generator=generator).to(device)
    wavs = torch.randn(1, 80000, generator=generator)
    class_ids = torch.tensor([7], device=device)
    build, compute_loss = CONTENDERS[name]
    # the features are given: the classifier only completes the interpreter
    classifier = SoundClassifier(build_encoder("focalnet_test"), N_CLASSES)
    interpreter = PIQInterpreter(
        classifier, Spectrogram(), build(dim), THRESHOLD
    )
    interpreter.to(device).train()
    spectrum = interpreter.spectrogram(wavs.to(device))
    optimizer = build_optimizer(interpreter.decoder, RECIPES["paper"][1])

    def step() -> None:
        loss = compute_loss(interpreter, features, class_ids, spectrum)
        update(optimizer, loss)

    return step


def build_optimizer(decoder: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return the optimizer of both recipes."""
    return torch.optim.Adam(decoder.parameters(), lr, weight_decay=WEIGHT_DECAY)


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take one step down the loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def time_step(step: Step, device: str) -> tuple[float, float]:
    """Return how long a step takes, and how long this process computes, s."""
    start, busy = time.perf_counter(), time.process_time()
    step()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, time.process_time() - busy


def peak_memory() -> int:
    """Return the most memory that this process has had, bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def grow(name: str, dim: int, device: str) -> int:
    """Return how much memory decoder, optimizer and two steps take, bytes."""
    before = peak_memory()
    step = build_step(name, dim, device)
    step()
    step()  # Adam's moments are there from the first on
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    return peak_memory() - before


def measure_memory(name: str, dim: int, device: str) -> int:
    """Return what `grow` does in a process of its own."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(grow, name, dim, device).result()


def measure_seconds(
    steps: Mapping[str, Step], device: str, n_steps: int
) -> dict[str, tuple[float, float]]:
    """Return each contender's best wall and CPU time, s; they take turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(n_steps):
        for name, step in steps.items():
            times[name].append(time_step(step, device))
    return {
        name: (min(wall for wall, _ in rows), min(busy for _, busy in rows))
        for name, rows in times.items()
    }


def compare_steps(arguments: argparse.Namespace) -> None:
    """Print seconds and memory per clip, ratios last."""
    dim, device = arguments.dim, arguments.device
    # torch imports much with the first optimizer: no part of any contender
    build_optimizer(nn.Linear(1, 1), 1.0)
    # before this process computes anything: its children are copies of it
    memory = {name: measure_memory(name, dim, device) for name in CONTENDERS}
    steps = {name: build_step(name, dim, device) for name in CONTENDERS}
    seconds = measure_seconds(steps, device, arguments.steps)
    print(f"one training step, features [1, {dim}, 7, 7], {device}")
    print("decoder      seconds    CPU s  memory (GB)")
    for name, (wall, busy) in seconds.items():
        size = memory[name] / GB
        print(f"{name:11} {wall:8.3f} {busy:8.3f} {size:8.2f}")
    print_answers(
        [
            compare(name, seconds, memory, largest_shares(steps[name]))
            for name in ("paper", "light")
        ]
    )


def compare(
    name: str,
    seconds: Mapping[str, tuple[float, float]],
    memory: Mapping[str, int],
    bound: str,
) -> Answer:
    """Say how much more SpeechBrain's decoder takes than another."""
    theirs, ours = seconds["speechbrain"], seconds[name]
    return Answer(
        f"PIQ training step, `{name}` decoder",
        "SpeechBrain's VectorQuantizedPSIFocalNet_Audio",
        f"{theirs[0] / ours[0]:.2f} x; CPU {theirs[1] / ours[1]:.2f} x; "
        f"memory {memory['speechbrain'] / memory[name]:.2f} x",
        GOALS[name],
        bound,
    )


class Folds:
    """Batches of clips with the frozen classifier's output, computed once.

    Arguments
    ---------
    dataset : DynamicItemDataset
        Gives `id` and `sig`.
    model : SoundModel
        The classifier, on the device.
    """

    def __init__(self, dataset: DynamicItemDataset, model: SoundModel) -> None:
        self.dataset, self.model = dataset, model
        self.device = next(model.classifier.parameters()).device
        self.cache = FeatureCache(self._look)
        for batch in self.batches(16):
            self.look(batch)

    def batches(
        self, batch_size: int, shuffle: bool = False
    ) -> Iterable[PaddedBatch]:
        """Return a loader."""
        return make_dataloader(
            self.dataset, batch_size=batch_size, shuffle=shuffle
        )

    def analyze(self, batch: PaddedBatch) -> Spectrum:
        """Return the spectrum of a batch."""
        return self.model.spectrogram(*batch.to(self.device).sig)

    def look(self, batch: PaddedBatch) -> ClassifierOutput:
        """Return what the classifier says, computed at first sight."""
        return self.cache(batch.id, *batch.to(self.device).sig)

    def _look(self, wavs: Tensor) -> ClassifierOutput:
        spectrum = self.model.spectrogram(wavs)
        return self.model.classifier(spectrum.log_magnitude, spectrum.n_frames)

    def compute_loss(
        self, interpreter: PIQInterpreter, batch: PaddedBatch
    ) -> PIQLoss:
        """Decode the features of a batch and compare."""
        output = self.look(batch)
        decoded = interpreter.decoder(
            output.features.to(self.device), output.class_ids.to(self.device)
        )
        return interpreter.compute_loss(decoded, self.analyze(batch))


def train(
    interpreter: PIQInterpreter,
    folds: Folds,
    recipe: tuple[int, float],
    seconds: float,
) -> tuple[int, float]:
    """Train for so long and return how many steps that was, and how long."""
    batch_size, lr = recipe
    optimizer = build_optimizer(interpreter.decoder.train(), lr)
    start, n_steps = time.perf_counter(), 0
    while True:
        for batch in folds.batches(batch_size, shuffle=True):
            loss = folds.compute_loss(interpreter, batch).total()
            update(optimizer, loss)
            n_steps += 1
            loss.item()  # waits for the device
            spent = time.perf_counter() - start
            if spent >= seconds:
                return n_steps, spent


@torch.no_grad()
def validate(interpreter: PIQInterpreter, folds: Folds) -> float:
    """Return the reconstruction loss, a mean over clips, nats."""
    interpreter.eval()
    losses = [
        folds.compute_loss(interpreter, batch).reconstruction.item()
        for batch in folds.batches(1)
    ]
    return sum(losses) / len(losses)


def build_interpreter(
    name: str, model: SoundModel, folds: Folds, device: str
) -> PIQInterpreter:
    """Return an interpreter whose decoder fits the classifier's features."""
    options = {}
    if name == "paper":
        features = folds.look(next(iter(folds.batches(1)))).features
        grid = tuple(features.shape[2:])
        if grid not in PAPER_LAYOUTS:
            raise SystemExit(f"grid={grid}: no published decoder is for it.")
        options = {"layout": PAPER_LAYOUTS[grid]}
    torch.manual_seed(1234)
    decoder = build_decoder(name, model.classifier, N_CODES, options=options)
    return PIQInterpreter(
        model.classifier, model.spectrogram, decoder, THRESHOLD
    ).to(device)


def compare_trainings(arguments: argparse.Namespace) -> None:
    """Print what both decoders reach in the same wall time."""
    seconds, device = arguments.seconds, arguments.device
    model = load_model(arguments.classifier)
    model.classifier.freeze().to(device)
    model.spectrogram.to(device)
    data = open_esc50(
        arguments.data_folder, [1, 2, 3], [4], [5], model.reader,
        labels=model.labels,
    )  # fmt: skip
    folds, valid = Folds(data.train, model), Folds(data.valid, model)
    print(f"{seconds:g} s of training each, {device}")
    print("decoder   seconds   steps  reconstruction (nats per cell)")
    reached = {}
    for name, recipe in RECIPES.items():
        interpreter = build_interpreter(name, model, folds, device)
        n_steps, spent = train(interpreter, folds, recipe, seconds)
        reached[name] = validate(interpreter, valid)
        print(f"{name:8} {spent:8.1f} {n_steps:7} {reached[name]:9.4f}")
    ratio = reached["paper"] / reached["light"]
    print(f"paper / light: {ratio:.2f} x the reconstruction loss")


def main() -> None:
    """Read the options and run one of the two comparisons."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dim", type=int, default=1024, help="channels")
    parser.add_argument("--data_folder", help="ESC-50's layout")
    parser.add_argument("--classifier", help="folder of a finished run")
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
    if (arguments.data_folder is None) != (arguments.classifier is None):
        parser.error("--data_folder and --classifier go together")
    if arguments.data_folder is None:
        compare_steps(arguments)
    else:
        compare_trainings(arguments)


if __name__ == "__main__":
    main()
