#!/usr/bin/env python3
"""How long does one clip take, from a file to a sound file, warm?

    python benchmarks/clip.py [--quick] [--encoder_name focalnet_tiny_srf]

FocalNet-B with the same random weights: `explain_file` and `write_wav` beside
the steps of the reference in plain code, with transformers' encoder and hooks,
SpeechBrain's STFT, ISTFT and head, torchvision's resizing. `plain` encodes the
clip once; `reference` does as the recipe does when it saves a clip, which
analyzes and encodes it in `compute_forward` and again in `interpret_sample`.
The predicted class must be the same and the two sounds agree to 60 dB before
anything is timed. The clip is one of the package's, brought to 44.1 kHz.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import soundfile
import torch
import torchaudio
import torchvision.transforms.functional as vision
from answers import Answer, print_answers
from limits import largest_shares
from peers import draw_weights
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.processing.features import ISTFT, STFT, spectral_magnitude
from speechbrain.processing.NMF import spectral_phase
from torch import Tensor, nn
from transformers import FocalNetBackbone, FocalNetConfig
from turns import Job, print_times, ratio, take_turns

from focalaudio import SoundInterpreter
from focalaudio.audio import load_wav, write_wav
from focalaudio.classifier import SoundClassifier
from focalaudio.data.examples import list_examples
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import ENCODERS, build_encoder
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.models import SoundModel
from focalaudio.spectrogram import Spectrogram
from focalaudio.waveforms import common_gain

RATE, FILE_RATE, SECONDS = 16000, 44100, 5.0  # Hz, Hz, s
QUANTILE, N_CLASSES, IMAGE = 0.9, 50, 224
LEAST_AGREEMENT = 60.0  # dB, of a sound over the difference of both
GOAL = "2x"


class PlainSteps(nn.Module):
    """The reference's steps, one after the other.

    Arguments
    ---------
    encoder : transformers.FocalNetBackbone
        In evaluation mode.
    head : speechbrain Classifier
        Of its last map's mean.
    spectrogram : Spectrogram
        Whose sizes SpeechBrain's transforms take.
    """

    def __init__(
        self, encoder: nn.Module, head: nn.Module, spectrogram: Spectrogram
    ) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        sizes = {
            "n_fft": spectrogram.n_fft,
            "win_length": 1000 * spectrogram.window_samples / RATE,
            "hop_length": 1000 * spectrogram.hop_samples / RATE,
        }
        self.stft, self.istft = STFT(RATE, **sizes), ISTFT(RATE, **sizes)

    def read(self, path: Path) -> Tensor:
        """Decode, mix down, resample, cut, scale: `[1, samples]`."""
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        wav = torch.from_numpy(samples).mean(1)
        wav = torchaudio.transforms.Resample(rate, RATE)(wav)
        wav = wav[: round(SECONDS * RATE)]
        return (wav / wav.abs().max())[None]

    @torch.no_grad()
    def interpret(self, wavs: Tensor) -> tuple[Tensor, int]:
        """Return the kept sound, and the predicted class."""
        stft = self.stft(wavs)
        magnitude = spectral_magnitude(stft, power=0.5)
        phase = spectral_phase(stft)
        log_magnitude = torch.log1p(magnitude)
        image = vision.resize(log_magnitude, (IMAGE, IMAGE))
        modulators: list[Tensor] = []
        hooks = [
            stage.layers[
                -1
            ].modulation.projection_context.register_forward_hook(
                lambda _module, _inputs, output: modulators.append(output)
            )
            for stage in self.encoder.focalnet.encoder.stages
        ]
        features = self.encoder(image[:, None].expand(-1, 3, -1, -1))
        for hook in hooks:
            hook.remove()
        embedding = features.feature_maps[-1].mean((-1, -2))
        class_id = int(self.head(embedding[:, None]).squeeze(1).argmax(1))
        maps = [
            vision.resize(each.norm(dim=-3, keepdim=True), stft.shape[1:3])
            for each in modulators
        ]
        saliency = maps[-1].squeeze(1)
        mask = saliency >= saliency.flatten(1).quantile(QUANTILE, dim=1)
        kept = mask * magnitude
        parts = torch.stack((phase.cos(), phase.sin()), -1)
        return self.istft(kept[..., None] * parts, wavs.shape[1]), class_id

    def explain(self, path: Path, out: Path, passes: int = 1) -> int:
        """Write the kept sound of a file; return the class."""
        wavs = self.read(path)
        for _ in range(passes):
            kept, class_id = self.interpret(wavs)
        soundfile.write(out, kept[0].numpy(), RATE, subtype="PCM_16")
        return class_id


def build_both(name: str) -> tuple[PlainSteps, SoundInterpreter]:
    """Return both ways with the same weights."""
    arguments = ENCODERS[name][1]
    config = FocalNetConfig(
        embed_dim=arguments["dim"],
        depths=arguments["depths"],
        hidden_sizes=[arguments["dim"] * 2**stage for stage in range(4)],
    )
    theirs = draw_weights(FocalNetBackbone(config)).eval()
    encoder = build_encoder(name, in_channels=3)
    load_weights(encoder, theirs.state_dict())
    classifier = SoundClassifier(encoder, N_CLASSES, "cosine", 1.0).eval()
    head = Classifier(encoder.n_features, lin_blocks=1, out_neurons=N_CLASSES)
    head.load_state_dict(classifier.head.cosine.state_dict())
    spectrogram, reader = Spectrogram(), ClipReader(RATE, SECONDS)
    labels = [str(index) for index in range(N_CLASSES)]
    model = SoundModel(classifier, spectrogram, reader, labels)
    return (
        PlainSteps(theirs, head.eval(), spectrogram),
        SoundInterpreter(model),
    )


def explain_ours(model: SoundInterpreter, path: Path, out: Path) -> int:
    """Write the kept sound of a file; return the class."""
    found = model.explain_file(path, quantile=QUANTILE)
    (kept,) = found.as_classified.wavs  # at the level of the plain steps
    write_wav(out, kept, RATE, gain=common_gain(kept))
    return int(found.class_ids)


def write_file(folder: Path) -> Path:
    """Write a clip of the package at the rate of a data set."""
    example = list_examples()[0]
    wav = load_wav(example.path, FILE_RATE)[: round(SECONDS * FILE_RATE)]
    return write_wav(folder / "clip.wav", wav.clamp(-1, 1), FILE_RATE)


def check(plain: Job, ours: Job, folder: Path) -> None:
    """Stop unless both ways say and keep the same."""
    said = [plain(), ours()]
    first, second = (load_wav(folder / f"{name}.wav") for name in "ab")
    error = (first - second).square().sum().clamp(min=1e-20)
    agreement = float(10 * (first.square().sum() / error).log10())
    print(f"classes {said}; the kept sounds agree to {agreement:.0f} dB")
    if said[0] != said[1] or not agreement >= LEAST_AGREEMENT:
        raise SystemExit("the two differ: nothing is timed.")


def run(folder: Path, name: str, turns: int) -> None:
    """Check, then time."""
    path = write_file(folder)
    steps, model = build_both(name)
    jobs = {
        "plain": partial(steps.explain, path, folder / "a.wav"),
        "reference": partial(steps.explain, path, folder / "a.wav", 2),
        "ours": partial(explain_ours, model, path, folder / "b.wav"),
    }
    check(jobs["plain"], jobs["ours"], folder)
    take_turns(jobs, 1)
    times = take_turns(jobs, turns)
    print_times(times)
    measured = "; ".join(
        f"{ratio(times, peer, 'ours')} ({peer})"
        for peer in ("reference", "plain")
    )
    answer = Answer(
        f"one clip, file to wav, warm, `{name}`",
        "the reference as it saves a clip (two passes), and in one pass",
        measured,
        GOAL,
        largest_shares(jobs["ours"]),
    )
    print_answers([answer])


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--encoder_name", default="focalnet_base_srf")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="3 turns")
    arguments = parser.parse_args()
    torch.manual_seed(1234)
    turns = 3 if arguments.quick else arguments.turns
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), arguments.encoder_name, turns)


if __name__ == "__main__":
    main()
