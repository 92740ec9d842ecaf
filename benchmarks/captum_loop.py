#!/usr/bin/env python3
"""Is explaining a foreign classifier faster than captum, called plainly?

    python benchmarks/captum_loop.py [--quick] [--clips 8]

The classifier is a function of sound: SpeechBrain's mel filters and ECAPA-TDNN
of random weights. captum gets it as a function of the log-magnitude, clip by
clip and, for occlusion, patch by patch, which is its default; ours is
`explain_batch` of a batch of clips. Attributions must agree before anything is
timed. Passes are clips that the classifier hears.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import captum.attr
import torch
from answers import Answer, print_answers
from limits import largest_shares
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from torch import Tensor, nn
from turns import count_inputs, print_times, ratio, take_turns

from focalaudio import SoundInterpreter
from focalaudio.interpreters.captum import METHODS as OPTIONS

RATE, SECONDS, N_CLASSES, N_MELS = 16000, 2.0, 10, 40
METHODS = ("saliency", "occlusion")
TOLERANCE = 1e-4  # of the largest attribution
GOAL = "batched: 2x"


class Hearing(nn.Module):
    """Mel filters and ECAPA-TDNN: sound `[batch, samples]` to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = Fbank(sample_rate=RATE, n_mels=N_MELS)
        self.network = ECAPA_TDNN(N_MELS, lin_neurons=N_CLASSES)

    def forward(self, wavs: Tensor) -> Tensor:
        """Return logits `[batch, classes]`."""
        return self.network(self.features(wavs)).squeeze(1)


def attribute_plainly(
    model: SoundInterpreter, method: str, wavs: Tensor
) -> Tensor:
    """Call captum clip by clip, with its own defaults for passes."""
    asked, found = model.model.interpreter("loudest"), []
    for wav in wavs:
        spectrum, output = asked.look(wav[None])
        ask = asked.ask(spectrum)

        def classify(drawn: Tensor, ask: Callable[..., Tensor] = ask) -> Tensor:
            return ask(drawn, torch.zeros(len(drawn), dtype=torch.long))

        clip = spectrum.log_magnitude.clone().requires_grad_()
        target = int(output.class_ids)
        if method == "saliency":
            attribution = captum.attr.Saliency(classify).attribute(clip, target)
        else:
            _, options = OPTIONS["occlusion"]
            patch = (options["frames"], options["bins"])
            with torch.no_grad():
                attribution = captum.attr.Occlusion(classify).attribute(
                    clip, patch, strides=patch, baselines=0, target=target
                )
            attribution = attribution.relu()
        found.append(attribution.detach())
    return torch.cat(found)


def attribute_ours(
    model: SoundInterpreter, method: str, wavs: Tensor
) -> Tensor:
    """Explain a batch."""
    return model.explain_batch(wavs, method=method).saliency


def compare(
    model: SoundInterpreter,
    network: nn.Module,
    method: str,
    wavs: Tensor,
    n: int,
) -> Answer:
    """Check, count and time one method."""
    jobs = {
        "captum": partial(attribute_plainly, model, method, wavs),
        "ours": partial(attribute_ours, model, method, wavs),
    }
    theirs, ours = jobs["captum"](), jobs["ours"]()
    apart = float((theirs - ours).abs().max() / theirs.abs().max())
    print(f"\n{method}: at most {apart:.1e} of the largest value apart")
    if not apart <= TOLERANCE:
        raise SystemExit(f"{method} differs: nothing is timed.")
    passes = {
        name: count_inputs({"network": network}, job)["network"] / len(wavs)
        for name, job in jobs.items()
    }
    times = take_turns(jobs, n)
    print_times(times)
    return Answer(
        f"explaining a foreign classifier, `{method}`, {len(wavs)} clips",
        "captum in a loop",
        f"{ratio(times, 'captum', 'ours')}; passes per clip "
        f"{passes['captum']:.0f} and {passes['ours']:.0f}",
        GOAL,
        largest_shares(jobs["ours"]),
    )


def main() -> None:
    """Read the options, compare the methods."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--quick", action="store_true", help="2 clips, 2 turns")
    arguments = parser.parse_args()
    n_clips, turns = arguments.clips, arguments.turns
    if arguments.quick:
        n_clips, turns = 2, 2
    torch.manual_seed(1234)
    hearing = Hearing().eval()
    labels = [str(index) for index in range(N_CLASSES)]
    model = SoundInterpreter.from_classifier(hearing, labels, RATE)
    wavs = torch.randn(n_clips, round(SECONDS * RATE)) / 10
    print_answers(
        [compare(model, hearing, method, wavs, turns) for method in METHODS]
    )


if __name__ == "__main__":
    main()
