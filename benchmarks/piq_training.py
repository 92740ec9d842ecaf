#!/usr/bin/env python3
"""What does it cost to train PIQ's decoder: SpeechBrain's, `paper`, `light`?

    python benchmarks/piq_training.py [--steps 2] [--device cuda]

Seconds and peak memory of one training step (forward, loss, backward, Adam)
on the features `[1, 1024, 7, 7]` of one clip of 5 s. SpeechBrain's step is its
recipe's without the classifier: features enlarged twice, decoder, cross-entropy
of the mask, codebook, commitment. Times are the best of `--steps`, taken in
turns in one process; memory is the growth of a process of its own.

    python benchmarks/piq_training.py --data_folder DIR --classifier RUN \
        --seconds 600

Trains `paper` and `light` for the same wall time on the cached features of
the training folds, each with its own batch size and learning rate (`RECIPES`),
and prints their reconstruction loss on the validation fold.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch
import torch.nn.functional as F
from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.lobes.models.PIQ import VectorQuantizedPSIFocalNet_Audio
from torch import Tensor, nn

from focalaudio.brains.piq import FeatureCache
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import open_esc50
from focalaudio.encoders import build_encoder
from focalaudio.inference import SoundModel, load_model
from focalaudio.interpreters import PIQInterpreter
from focalaudio.interpreters.decoders import LightDecoder, PaperDecoder
from focalaudio.interpreters.piq import build_decoder, find_loud_cells
from focalaudio.spectrogram import Spectrogram, Spectrum

N_CODES, N_CLASSES, THRESHOLD = 1024, 50, 0.35
RECIPES = {  # decoder -> batch size, Adam's learning rate
    "paper": (6, 2e-4),  # as published
    "light": (16, 2e-3),  # hparams/train_piq.yaml
}
WEIGHT_DECAY = 2e-6
PAPER_LAYOUTS = {(26, 32): "conv2d", (7, 7): "focalnet", (14, 14): "vit"}
GB = 1e9  # bytes

Step = Callable[[], None]


def speechbrain_loss(
    decoder: nn.Module, features: Tensor, class_ids: Tensor, spectrum: Spectrum
) -> Tensor:
    """Return the loss of SpeechBrain's recipe."""
    enlarged = F.interpolate(
        features, scale_factor=2, mode="bilinear", antialias=True
    )
    logits, latents, codes = decoder(enlarged, class_ids)
    loud = find_loud_cells(spectrum.log_magnitude, THRESHOLD).to(logits)
    mask = logits.squeeze(1).sigmoid()
    errors = loud * (mask + 1e-10).log() + (1 - loud) * (1 - mask + 1e-10).log()
    return (
        -errors.mean()
        + F.mse_loss(codes, latents.detach())
        + F.mse_loss(latents, codes.detach())
    )


def focalaudio_loss(
    decoder: nn.Module, features: Tensor, class_ids: Tensor, spectrum: Spectrum
) -> Tensor:
    """Return the loss of our recipe."""
    classifier = SoundClassifier(build_encoder("focalnet_test"), N_CLASSES)
    interpreter = PIQInterpreter(classifier, Spectrogram(), decoder, THRESHOLD)
    decoded = decoder(features, class_ids)
    return interpreter.compute_loss(decoded, spectrum).total()


CONTENDERS: dict[str, tuple[Callable[[int], nn.Module], Callable]] = {
    "speechbrain": (
        lambda dim: VectorQuantizedPSIFocalNet_Audio(
            dim=dim, K=N_CODES, shared_keys=0
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
    wavs = torch.randn(1, 80000, generator=generator).to(device)
    spectrum = Spectrogram().to(device)(wavs)
    class_ids = torch.tensor([7], device=device)
    build, compute_loss = CONTENDERS[name]
    decoder = build(dim).to(device).train()
    optimizer = build_optimizer(decoder, RECIPES["paper"][1])

    def step() -> None:
        loss = compute_loss(decoder, features, class_ids, spectrum)
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


def time_step(step: Step, device: str) -> float:
    """Return how long a step takes, s."""
    start = time.perf_counter()
    step()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


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


def measure_seconds(dim: int, device: str, n_steps: int) -> dict[str, float]:
    """Return each contender's best step, s; they take turns."""
    steps = {name: build_step(name, dim, device) for name in CONTENDERS}
    seconds = {name: torch.inf for name in CONTENDERS}
    for _ in range(n_steps):
        for name, step in steps.items():
            seconds[name] = min(seconds[name], time_step(step, device))
    return seconds


def compare_steps(arguments: argparse.Namespace) -> None:
    """Print seconds and memory per clip, ratios last."""
    dim, device = arguments.dim, arguments.device
    # before this process computes anything: its children are copies of it
    memory = {name: measure_memory(name, dim, device) for name in CONTENDERS}
    seconds = measure_seconds(dim, device, arguments.steps)
    print(f"one training step, features [1, {dim}, 7, 7], {device}")
    print("decoder      seconds     GB")
    for name in CONTENDERS:
        print(f"{name:11} {seconds[name]:8.3f} {memory[name] / GB:6.2f}")
    for name in ("paper", "light"):
        faster = seconds["speechbrain"] / seconds[name]
        smaller = memory["speechbrain"] / memory[name]
        print(
            f"speechbrain / {name}: {faster:.2f} x the time, "
            f"{smaller:.2f} x the memory"
        )


class Folds:
    """Batches of clips with the frozen classifier's features, computed once.

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
        self.cache = FeatureCache()
        with torch.no_grad():
            for batch in self.batches(16, shuffle=False):
                spectrum = self.analyze(batch)
                self.cache.add(
                    batch.id,
                    model.classifier(spectrum.log_magnitude, spectrum.n_frames),
                )

    def batches(self, batch_size: int, shuffle: bool) -> object:
        """Return a loader."""
        return make_dataloader(
            self.dataset, batch_size=batch_size, shuffle=shuffle
        )

    def analyze(self, batch: object) -> Spectrum:
        """Return the spectrum of a batch."""
        return self.model.spectrogram(*batch.to(self.device).sig)

    def compute_loss(
        self, interpreter: PIQInterpreter, batch: object
    ) -> object:
        """Decode the cached features of a batch and compare."""
        output = self.cache.find(batch.id)
        decoded = interpreter.decoder(
            output.features.to(self.device), output.class_ids.to(self.device)
        )
        return interpreter.compute_loss(decoded, self.analyze(batch))


def train(
    interpreter: PIQInterpreter, folds: Folds, recipe: tuple, seconds: float
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
    losses = []
    for batch in folds.batches(1, shuffle=False):
        loss = folds.compute_loss(interpreter, batch)
        losses.append(loss.reconstruction.item())
    return sum(losses) / len(losses)


def compare_trainings(arguments: argparse.Namespace) -> None:
    """Print what both decoders reach in the same wall time."""
    model = load_model(arguments.classifier)
    model.classifier.freeze().to(arguments.device)
    model.spectrogram.to(arguments.device)
    data = open_esc50(
        arguments.data_folder, [1, 2, 3], [4], [5], model.reader,
        labels=model.labels,
    )  # fmt: skip
    folds, valid = Folds(data.train, model), Folds(data.valid, model)
    batch = next(iter(folds.batches(1, shuffle=False)))
    grid = tuple(folds.cache.find(batch.id).features.shape[2:])
    if grid not in PAPER_LAYOUTS:
        raise SystemExit(f"grid={grid}: no published decoder is for it.")
    print(f"{arguments.seconds:g} s of training each, {arguments.device}")
    print("decoder   seconds   steps   reconstruction (nats)")
    reached = {}
    for name, recipe in RECIPES.items():
        torch.manual_seed(1234)
        layout = {"layout": PAPER_LAYOUTS[grid]} if name == "paper" else {}
        decoder = build_decoder(name, model.classifier, N_CODES, options=layout)
        interpreter = PIQInterpreter(
            model.classifier, model.spectrogram, decoder, THRESHOLD
        ).to(arguments.device)
        n_steps, spent = train(interpreter, folds, recipe, arguments.seconds)
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
