#!/usr/bin/env python3
"""Does our evaluation say what SpeechBrain's recipe says, and how fast?

    python benchmarks/evaluation.py --reference SPEECHBRAIN \
        --data_folder ESC-10 [--checkpoint FOLDER]

Runs the same clips and the same FocalNet-B through the recipe
`recipes/ESC50/interpret/interpret_amt.py` of a checkout of SpeechBrain, which
is imported from where it lies, and through ours. Compared per clip: predicted
class, fidelity (both must be the same), and faithfulness of the kept part
(within `TOLERANCE`). Three contenders take turns in one process on the CPU:

    reference   the recipe's Brain, with the settings of its amt_focalnet.yaml
    same        InterpreterBrain, only the metrics that the recipe has
    all         InterpreterBrain as it is: every metric, kept and removed parts

Waveforms are in memory and of equal length (the recipe ignores lengths): the
first `--clips` of fold 5 that hold 5 s. A first evaluation of all of them is
compared and its encoder passes counted; short turns with the first
`--turn_clips` are timed, since a machine's other work comes and goes. Weights
are random, spread by their fan-in so that predictions differ (accuracy only
means that both count alike), or `embedding_model.ckpt` and `classifier.ckpt` of
`--checkpoint`. A few cells of the masks differ: the encoders add in another
order, and neighbours at the quantile are closer than that. Ends with 1 if the
two disagree.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import speechbrain as sb
import torch
from answers import Answer, print_answers
from hyperpyyaml import load_hyperpyyaml
from limits import largest_shares
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataloader import make_dataloader
from torch import Tensor, nn
from transformers import FocalNetBackbone, FocalNetConfig
from turns import Job, Times, count_inputs, ratio, take_turns

from focalaudio.audio import audio_info
from focalaudio.brains.interpretation import InterpreterBrain
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import open_esc50
from focalaudio.encoders import build_encoder
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.weight_files import read_state_dict
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.metrics.functional import (
    answer_columns,
    faithfulness_of_kept,
    fidelity,
    predicted_probability,
)
from focalaudio.spectrogram import Spectrogram

SCRIPT = "recipes/ESC50/interpret/interpret_amt.py"
SETTINGS = "hparams/amt_focalnet.yaml"  # beside the script
N_CLASSES, SECONDS = 50, 5.0  # s, of each clip
TOLERANCE = 1e-4  # of a difference of probabilities
SEED = 1234
SPREAD = 0.7  # at 1, rounding grows over the blocks until masks differ
GOALS = {"same": "2.6x", "all": "1.8x"}
COMPARED = ("accuracy", "fidelity", "faithfulness_of_kept")
RUN_OPTS = {"device": "cpu", "noprogressbar": True}
# `microsoft/focalnet-base`
WIDTHS = [128, 256, 512, 1024]
BASE = {"embed_dim": 128, "hidden_sizes": WIDTHS, "depths": [2, 2, 18, 2]}

Clips = list[dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """What a contender says of the clips, one value per clip in their order.

    Arguments
    ---------
    predicted : torch.Tensor
        `[clips]`, int64.
    fidelity, faithfulness : torch.Tensor
        `[clips]`, 0 or 1, and -1 to 1: of the kept part.
    masks : torch.Tensor
        `[clips, time, freq]`, bool.
    accuracy : float
        0 to 1.
    """

    predicted: Tensor
    fidelity: Tensor
    faithfulness: Tensor
    masks: Tensor
    accuracy: float


@dataclass(frozen=True)
class Contender:
    """One way to evaluate the clips.

    Arguments
    ---------
    brain : speechbrain.Brain
        Evaluates them.
    encoder, stft : torch.nn.Module
        What the brain calls with a batch; their calls are counted.
    read : callable
        Makes a verdict of the brain after an evaluation.
    """

    brain: sb.Brain
    encoder: nn.Module
    stft: nn.Module
    read: Callable[[Any, Clips], Verdict]

    def evaluate(self, clips: Clips, batch_size: int) -> None:
        """Evaluate all clips once."""
        self.brain.masks = []
        loader = make_dataloader(
            clips, batch_size=batch_size, collate_fn=PaddedBatch
        )
        self.brain.evaluate(loader)


class LastStats:
    """Stands for the recipe's logger: keeps what would be written."""

    def log_stats(self, stats_meta: Any, test_stats: dict[str, Any]) -> None:
        """Keep the metrics of a stage."""
        self.test_stats = test_stats


class SameMetricsBrain(InterpreterBrain):
    """Ours with the recipe's three metrics: no removed part is classified."""

    def columns(
        self, interpretation: Interpretation, targets: Tensor
    ) -> dict[str, Tensor]:
        """Classify the kept parts only."""
        logits = interpretation.logits
        kept = self.interpreter.classify_kept(interpretation)
        whole = predicted_probability(logits, logits)
        part = predicted_probability(kept, logits)
        return {
            **answer_columns(logits, targets),
            "fidelity": fidelity(logits, kept),
            "faithfulness_of_kept": faithfulness_of_kept(whole, part),
        }


def watch(brain: type[sb.Brain], find: Callable[[Any], Any]) -> type[sb.Brain]:
    """Return a brain that also remembers what its forward pass returned."""

    class Watched(brain):  # type: ignore[misc, valid-type]
        def compute_forward(self, batch: PaddedBatch, stage: sb.Stage) -> Any:
            predictions = super().compute_forward(batch, stage)
            self.masks.append(find(predictions))
            return predictions

    return Watched


def import_script(path: Path) -> ModuleType:
    """Import the recipe's script from where it lies."""
    spec = importlib.util.spec_from_file_location("interpret_amt", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise SystemExit(f"reference: {path} is not there.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_settings(path: Path, folder: str) -> dict[str, Any]:
    """Load the recipe's settings, but for what needs a network or a disk."""
    unneeded = ("embedding_model", "pretrained_esc50", "checkpointer")
    overrides: dict[str, Any] = dict.fromkeys(unneeded)
    overrides |= {
        "data_folder": folder,
        "output_folder": folder,
        "train_logger": None,
        "out_n_neurons": N_CLASSES,
    }
    with open(path, encoding="utf-8") as stream:
        return load_hyperpyyaml(stream, overrides)


def spread_weights(module: nn.Module) -> None:
    """Draw weights as wide as their fan-in allows, so that inputs differ."""
    for parameter in module.parameters():
        if parameter.dim() > 1:  # biases would make all inputs alike
            width = SPREAD * parameter[0].numel() ** -0.5
            nn.init.normal_(parameter, 0, width)


def fill(encoder: nn.Module, head: nn.Module, checkpoint: str | None) -> None:
    """Give the reference's modules random or published weights."""
    torch.manual_seed(SEED)
    files = {"embedding_model": encoder, "classifier": head}
    for name, module in files.items():
        if checkpoint is None:
            spread_weights(module)
        else:
            weights = read_state_dict(Path(checkpoint) / f"{name}.ckpt")
            module.load_state_dict(weights)
        module.eval()


def build_reference(path: Path, checkpoint: str | None) -> Contender:
    """Build the recipe's brain, with the settings of its own file."""
    brain_class = import_script(path).InterpreterESC50Brain
    with tempfile.TemporaryDirectory() as folder:
        hparams = load_settings(path.parent / SETTINGS, folder)
    encoder = FocalNetBackbone(FocalNetConfig(**BASE))
    fill(encoder, hparams["classifier"], checkpoint)
    hparams |= {"embedding_model": encoder, "train_logger": LastStats()}
    brain = watch(brain_class, lambda seen: (seen[0], seen[1] > 0.5))(
        hparams["modules"], hparams["opt_class"], hparams, RUN_OPTS
    )
    return Contender(brain, encoder, hparams["compute_stft"], read_reference)


def build_ours(
    brain_class: type[InterpreterBrain], reference: Contender
) -> Contender:
    """Build our brain, with the weights and settings of the reference."""
    theirs = reference.brain.hparams
    encoder = build_encoder("focalnet_base_srf", in_channels=3)
    load_weights(encoder, reference.encoder.state_dict())
    classifier = SoundClassifier(encoder, N_CLASSES, head="cosine", scale=1.0)
    classifier.head.cosine.load_state_dict(theirs.classifier.state_dict())
    spectrogram = Spectrogram(
        theirs.sample_rate,
        theirs.n_fft,
        theirs.win_length,
        theirs.hop_length,
    )
    interpreter = ThresholdInterpreter(
        classifier, spectrogram, quantile=theirs.quantile
    )
    hparams = {
        "interpreter": interpreter,
        "labels": [str(index) for index in range(N_CLASSES)],
    }
    brain = watch(brain_class, find_mask)(
        {"interpreter": interpreter}, hparams=hparams, run_opts=RUN_OPTS
    )
    return Contender(brain, encoder, spectrogram.stft, read_ours)


def find_mask(step: Any) -> tuple[Tensor, Tensor]:
    """Return logits and mask of the only interpretation."""
    (interpretation,) = step.interpretations.values()
    return interpretation.logits, interpretation.mask


def read_reference(brain: Any, clips: Clips) -> Verdict:
    """Collect what the recipe has found."""
    logits, masks = map(torch.cat, zip(*brain.masks, strict=True))
    return Verdict(
        logits.argmax(1),
        torch.stack(brain.top_3_fidelity.scores),  # its name; it is top-1
        torch.stack(brain.faithfulness.scores),
        masks,
        brain.hparams.train_logger.test_stats["acc"],
    )


def read_ours(brain: Any, clips: Clips) -> Verdict:
    """Collect what our rows say, in the order of the clips."""
    rows = {row["clip_id"]: row for row in brain.tracker.rows()}
    ordered = [rows[clip["id"]] for clip in clips]

    def column(name: str) -> Tensor:
        return torch.tensor([float(row[name]) for row in ordered])

    return Verdict(
        column("predicted").long(),
        column("fidelity"),
        column("faithfulness_of_kept"),
        torch.cat([mask for _, mask in brain.masks]),
        brain.tracker.mean("accuracy"),
    )


def compare(theirs: Verdict, ours: Verdict) -> list[str]:
    """Say what two verdicts disagree about, one line per metric."""
    others = int((theirs.predicted != ours.predicted).sum())
    unfaithful = int((theirs.fidelity != ours.fidelity).sum())
    apart = (theirs.faithfulness - ours.faithfulness).abs()
    off = int((~(apart <= TOLERANCE)).sum())  # nan is a difference too
    counts = {"predicted": others, "fidelity": unfaithful, "faithfulness": off}
    lines = [f"{name} differs on {n} clips" for name, n in counts.items() if n]
    if abs(theirs.accuracy - ours.accuracy) > TOLERANCE:
        lines.append(f"accuracy {theirs.accuracy} and {ours.accuracy}")
    return lines


def read_clips(data_folder: str, n_clips: int) -> Clips:
    """Return the first clips of fold 5 that hold 5 s, in memory."""
    dataset = open_esc50(data_folder, [1, 2, 3], [4], [5]).test
    whole = [
        clip_id
        for clip_id in dataset.data_ids
        if audio_info(dataset.data[clip_id]["path"]).duration >= SECONDS
    ]
    if len(whole) < n_clips:
        raise SystemExit(f"clips={n_clips}: fold 5 holds {len(whole)} of 5 s.")
    wanted = dataset.filtered_sorted(
        key_test={"id": lambda clip_id: clip_id in whole},
        select_n=n_clips,
    )
    # the recipe's name of the target
    return [
        clip | {"class_string_encoded": torch.tensor([clip["target"]])}
        for clip in wanted
    ]


def print_verdicts(verdicts: Mapping[str, Verdict]) -> None:
    """Print each contender's averages, and how far ours are from theirs."""
    print("\ncontender  accuracy  fidelity  faithfulness of the kept part")
    print("                               mean      median   classes predicted")
    for name, verdict in verdicts.items():
        print(
            f"{name:9} {verdict.accuracy:9.4f} "
            f"{verdict.fidelity.mean():9.4f} "
            f"{verdict.faithfulness.mean():9.6f} "
            f"{verdict.faithfulness.median():11.6f} "
            f"{len(verdict.predicted.unique()):10}"
        )
    theirs = verdicts["reference"]
    for name, ours in list(verdicts.items())[1:]:
        apart = (theirs.faithfulness - ours.faithfulness).abs().max()
        cells = int((theirs.masks != ours.masks).sum())
        print(
            f"reference and {name}: predicted class the same on "
            f"{int((theirs.predicted == ours.predicted).sum())} of "
            f"{len(ours.predicted)} clips, fidelity on "
            f"{int((theirs.fidelity == ours.fidelity).sum())}; faithfulness "
            f"at most {apart:.1e} apart; {cells} of {ours.masks.numel()} "
            "cells of the masks differ"
        )


def print_times(
    times: Times, counts: Mapping[str, Mapping[str, float]]
) -> None:
    """Print passes per clip, and seconds per turn."""
    print("\ncontender   passes    STFTs  seconds of each turn (CPU seconds)")
    print("          per clip per clip")
    for name, turns in times.items():
        listed = "  ".join(f"{wall:.1f} ({busy:.1f})" for wall, busy in turns)
        per_clip = counts[name]
        print(
            f"{name:9} {per_clip['encoder']:8.2f} {per_clip['stft']:8.2f}"
            f"  {listed}"
        )


def find_answers(times: Times, jobs: Mapping[str, Job]) -> list[Answer]:
    """Return how both of ours stand, and what takes their time."""
    return [
        Answer(
            f"evaluation of a fold, FocalNet-B, {name} metrics",
            "the reference's `interpret_amt.py`",
            ratio(times, "reference", name),
            goal,
            largest_shares(jobs[name]),
        )
        for name, goal in GOALS.items()
    ]


def run(arguments: argparse.Namespace) -> list[str]:
    """Evaluate, time and print; return what differs."""
    path = Path(arguments.reference)
    reference = build_reference(
        path if path.is_file() else path / SCRIPT, arguments.checkpoint
    )
    contenders = {
        "reference": reference,
        "same": build_ours(SameMetricsBrain, reference),
        "all": build_ours(InterpreterBrain, reference),
    }
    clips = read_clips(arguments.data_folder, arguments.clips)
    batch_size = arguments.batch_size
    print(
        f"FocalNet-B, {len(clips)} clips of {SECONDS:g} s, batches of "
        f"{batch_size}, CPU, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}"
    )
    counts, verdicts, faults = {}, {}, []
    for name, contender in contenders.items():
        seen = count_inputs(
            {"encoder": contender.encoder, "stft": contender.stft},
            partial(contender.evaluate, clips, batch_size),
        )
        counts[name] = {key: n / len(clips) for key, n in seen.items()}
        verdicts[name] = contender.read(contender.brain, clips)
        faults += [
            f"{name}: {line}"
            for line in compare(verdicts["reference"], verdicts[name])
        ]
    print_verdicts(verdicts)
    timed = clips[: arguments.turn_clips]
    jobs = {
        name: partial(contender.evaluate, timed, batch_size)
        for name, contender in contenders.items()
    }
    times = take_turns(jobs, arguments.turns)
    print_times(times, counts)
    print("\n".join(faults) or "the metrics are the same")
    print_answers(find_answers(times, jobs))
    return faults


def main() -> None:
    """Read the options, run, and fail where the two disagree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--reference", required=True, help="checkout of SpeechBrain"
    )
    parser.add_argument("--data_folder", required=True, help="ESC-50's layout")
    parser.add_argument("--checkpoint", help="folder of the published weights")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument(
        "--turn_clips", type=int, default=4, help="clips that each turn times"
    )
    parser.add_argument("--turns", type=int, default=6)
    arguments = parser.parse_args()
    if arguments.clips % arguments.batch_size:
        parser.error("the recipe averages batches: clips must fill them")
    faults = run(arguments)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
