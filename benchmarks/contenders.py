"""What `evaluation.py` compares: the recipe's evaluation of a fold, and ours.

Both have the same classifier, random or published, and the settings of the
recipe's own file; each says of every clip what it found.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataloader import make_dataloader
from torch import Tensor, nn
from transformers import FocalNetBackbone, FocalNetConfig

from focalaudio.brains.interpretation import InterpreterBrain
from focalaudio.classifier import SoundClassifier
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

SETTINGS = "hparams/amt_focalnet.yaml"  # beside the script
N_CLASSES = 50
SEED = 1234
SPREAD = 0.7  # at 1, rounding grows over the blocks until masks differ
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
