#!/usr/bin/env python3
"""What does a training step of L-MAC cost, beside SpeechBrain's?

    python benchmarks/lmac_training.py [--quick] [--parts same published]

`same`: one FocalNet and one decoder, ours, for both. `reference` takes the
steps of SpeechBrain's recipe, with its STFT: analyze twice, classify the whole
clip, then the kept part, then the removed part. `ours` is the loss of our
recipe: one STFT, the frozen classifier's output from the cache, both parts in
one batch. Losses and the decoder's gradients must agree before anything is
timed. The recipe sums the mask's size over a batch; here both take its mean.
`published`: SpeechBrain's Cnn14 and its decoder CNN14PSI_stft, beside
FocalNet-B and our decoder. These compute different things: the row says what
training costs, not who computes better. Random weights, clips of 5 s; memory
is that of a process of its own. A step is forward pass, loss, backward pass
and Adam.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from answers import Answer, print_answers
from limits import largest_shares
from memory import GB, grow, run_alone
from peers import check, draw_weights
from speechbrain.lobes.models.Cnn14 import Cnn14, CNN14PSI_stft
from speechbrain.processing.features import (
    STFT,
    Filterbank,
    spectral_magnitude,
)
from torch import Tensor, nn
from turns import Job, print_times, ratio, take_turns

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import LMACInterpreter
from focalaudio.interpreters.lmac import LMACLoss, build_decoder
from focalaudio.spectrogram import Spectrogram

RATE, SAMPLES, N_CLASSES, N_MELS = 16000, 80000, 50, 80
LR, WEIGHT_DECAY = 2e-4, 2e-6
CNN14_WIDTH = 2048  # channels of its last block, and of the decoder
GOAL = "measured"

Loss = Callable[[Tensor], Tensor]


class Analysis(nn.Module):
    """SpeechBrain's STFT to log-magnitude, as its recipe calls it."""

    def __init__(self, spectrogram: Spectrogram) -> None:
        super().__init__()
        self.stft = STFT(
            RATE,
            n_fft=spectrogram.n_fft,
            win_length=1000 * spectrogram.window_samples / RATE,
            hop_length=1000 * spectrogram.hop_samples / RATE,
        )

    def forward(self, wavs: Tensor) -> Tensor:
        """Return the magnitude, `[batch, time, freq]`."""
        return spectral_magnitude(self.stft(wavs), power=0.5)


def build_interpreter(encoder_name: str) -> LMACInterpreter:
    """Return one of random weights; only its decoder learns."""
    torch.manual_seed(0)
    encoder = draw_weights(build_encoder(encoder_name, in_channels=1))
    classifier = SoundClassifier(encoder, N_CLASSES)
    decoder = build_decoder(classifier)
    return LMACInterpreter(classifier, Spectrogram(), decoder).train()


def our_loss(interpreter: LMACInterpreter, wavs: Tensor) -> Loss:
    """Return our recipe's loss; what the frozen classifier says is cached."""
    spectrum = interpreter.spectrogram(wavs)
    with torch.no_grad():
        seen = interpreter.classifier(spectrum.log_magnitude, spectrum.n_frames)

    def compute(wavs: Tensor) -> Tensor:
        spectrum = interpreter.spectrogram(wavs)
        drawn = interpreter.decoder(seen.features, seen.class_ids)
        return interpreter.compute_loss(drawn, spectrum, seen.class_ids).total()

    return compute


def plain_total(
    kept: Tensor, removed: Tensor, ids: Tensor, mask: Tensor
) -> Tensor:
    """Return the recipe's sum of terms, without its oracles (weight 0)."""
    terms = (
        F.nll_loss(kept.log_softmax(1), ids),
        F.nll_loss(removed.log_softmax(1), ids),
        mask.abs().mean(),
    )
    return LMACLoss(*terms).total()


def reference_loss(interpreter: LMACInterpreter) -> Loss:
    """Return the loss by the steps of SpeechBrain's recipe."""
    analyze = Analysis(interpreter.spectrogram)
    classifier = interpreter.classifier

    def compute(wavs: Tensor) -> Tensor:
        shown = torch.log1p(analyze(wavs))
        seen = classifier(shown)
        drawn = interpreter.decoder(seen.features, seen.class_ids)
        mask = classifier.layout.carry_back(
            drawn.mask_logits,
            torch.full((len(wavs),), shown.shape[1]),
            shown.shape[1:],
        ).sigmoid()
        again = torch.log1p(analyze(wavs))  # as compute_objectives does
        kept = classifier(mask * again).logits
        removed = classifier((1 - mask) * again).logits
        return plain_total(kept, removed, seen.class_ids, mask)

    return compute


class Published(nn.Module):
    """SpeechBrain's frozen Cnn14, its head, and the decoder that learns."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.analyze = Analysis(Spectrogram())
        self.fbank = Filterbank(
            n_mels=N_MELS, n_fft=1024, sample_rate=RATE, log_mel=False
        )
        self.encoder = Cnn14(
            mel_bins=N_MELS, emb_dim=CNN14_WIDTH, return_reps=True
        )
        self.head = nn.Linear(CNN14_WIDTH, N_CLASSES)
        self.eval().requires_grad_(False)
        self.decoder = CNN14PSI_stft(dim=CNN14_WIDTH)

    def classify(self, magnitude: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return what the blocks give, and the logits."""
        embedding, blocks = self.encoder(torch.log1p(self.fbank(magnitude)))
        return blocks, self.head(embedding).squeeze(1)

    def forward(self, wavs: Tensor) -> Tensor:
        """Return the loss."""
        magnitude = self.analyze(wavs)
        blocks, logits = self.classify(magnitude)
        mask = self.decoder(blocks).squeeze(1).sigmoid()
        shown = torch.log1p(self.analyze(wavs))[:, : mask.shape[1]]
        kept, removed = (
            self.classify(torch.expm1(part * shown))[1]
            for part in (mask, 1 - mask)
        )
        return plain_total(kept, removed, logits.argmax(1), mask)


def step_job(decoder: nn.Module, compute: Loss, wavs: Tensor) -> Job:
    """Return a job that takes one step down a loss."""
    optimizer = torch.optim.Adam(
        decoder.parameters(), LR, weight_decay=WEIGHT_DECAY
    )

    def step() -> None:
        optimizer.zero_grad()
        compute(wavs).backward()
        optimizer.step()

    return step


def draw_wavs(batch: int) -> Tensor:
    """Return noise, the same for all."""
    generator = torch.Generator().manual_seed(1234)
    return torch.randn(batch, SAMPLES, generator=generator) / 10


def check_losses(interpreter: LMACInterpreter, wavs: Tensor) -> None:
    """Compare both losses, and what each says to the decoder."""
    first = interpreter.decoder.to_mask.weight
    found = []
    for compute in (reference_loss(interpreter), our_loss(interpreter, wavs)):
        loss = compute(wavs)
        found.append((*torch.autograd.grad(loss, first), loss.detach()))
    (gradient, loss), (our_gradient, our_total) = found
    check("losses of the reference and ours", our_total, loss)
    check("gradients of the reference and ours", our_gradient, gradient)


def compare_same(encoder_name: str, batch: int, turns: int) -> Answer:
    """Check, and time the same step taken both ways."""
    ours, wavs = build_interpreter(encoder_name), draw_wavs(batch)
    check_losses(ours, wavs)
    theirs = copy.deepcopy(ours)
    jobs = {
        "reference": step_job(theirs.decoder, reference_loss(theirs), wavs),
        "ours": step_job(ours.decoder, our_loss(ours, wavs), wavs),
    }
    take_turns(jobs, 1)
    times = take_turns(jobs, turns)
    print_times(times)
    return Answer(
        f"L-MAC training step, `{encoder_name}`, our decoder, batch {batch}",
        "the steps of SpeechBrain's recipe, same modules",
        ratio(times, "reference", "ours"),
        GOAL,
        largest_shares(jobs["ours"]),
    )


def published_job(name: str) -> Job:
    """Return a step of one contender on one clip."""
    wavs = draw_wavs(1)
    if name == "speechbrain":
        published = Published()
        return step_job(published.decoder, published, wavs)
    interpreter = build_interpreter("focalnet_base_srf")
    return step_job(interpreter.decoder, our_loss(interpreter, wavs), wavs)


def step_twice(name: str) -> None:
    """Take two steps: the second has all moments."""
    step = published_job(name)
    step()
    step()


def measure_memory(name: str) -> int:
    """Return by how much two steps raise the memory of a process, bytes."""
    # torch imports much with the first optimizer: no part of any contender
    torch.optim.Adam(nn.Linear(1, 1).parameters())
    return grow(step_twice, name)


def compare_published(turns: int) -> Answer:
    """Time both as they are published, and measure their memory."""
    names = ("speechbrain", "ours")
    memory = {name: run_alone(measure_memory, name) for name in names}
    jobs = {name: published_job(name) for name in names}
    take_turns(jobs, 1)
    times = take_turns(jobs, turns)
    print_times(times)
    sizes = ", ".join(
        f"{name} {size / GB:.2f} GB" for name, size in memory.items()
    )
    return Answer(
        "L-MAC training step, each with its own modules, one clip",
        "SpeechBrain's Cnn14 and CNN14PSI_stft; ours FocalNet-B",
        f"{ratio(times, 'speechbrain', 'ours')}; {sizes}",
        GOAL,
        largest_shares(jobs["ours"]),
    )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    known = ["same", "published"]
    parser.add_argument("--parts", nargs="+", choices=known, default=known)
    parser.add_argument("--encoder_name", default="focalnet_nano")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument(
        "--quick", action="store_true", help="2 turns, only `same`"
    )
    arguments = parser.parse_args()
    turns = 2 if arguments.quick else arguments.turns
    answers = []
    if "same" in arguments.parts:
        answers.append(
            compare_same(arguments.encoder_name, arguments.batch_size, turns)
        )
    if "published" in arguments.parts and not arguments.quick:
        answers.append(compare_published(max(1, turns // 3)))
    print_answers(answers)


if __name__ == "__main__":
    main()
