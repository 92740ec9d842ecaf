"""`what is known of a model -> README.md`, its card on a hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from focalaudio.metrics.novelty import SCORES, NoveltyRule
from focalaudio.metrics.statistics import describe
from focalaudio.metrics.table import METRICS
from focalaudio.models.bundle_files import DECODER_FILES, DECODERS
from focalaudio.report.held_out import Answers
from focalaudio.report.tables import read_csv

SHOWN = ("accuracy", "fidelity", "faithfulness", "kept_fraction")
TITLES = {"piq": "PIQ", "lmac": "L-MAC"}
CITATION = """\
```bibtex
@article{dellalibera2024focal,
  title = {Focal Modulation Networks for Interpretable Sound Classification},
  author = {Della Libera, Luca and Subakan, Cem and Ravanelli, Mirco},
  journal = {arXiv preprint arXiv:2402.02754},
  year = {2024}
}
```"""


@dataclass(frozen=True)
class Measurement:
    """One number that was measured on held-out clips.

    Arguments
    ---------
    name : str
        In words.
    value : float
        The mean over clips.
    low, high : float
        Ends of its 95 % bootstrap interval.
    n_clips : int
        How many clips it is the mean of.
    """

    name: str
    value: float
    low: float
    high: float
    n_clips: int

    def to_row(self) -> str:
        """Return a row of the card's table."""
        interval = f"{self.low:.3f} to {self.high:.3f}"
        return (
            f"| {self.name} | {self.value:.3f} | {interval} | {self.n_clips} |"
        )


@dataclass(frozen=True)
class Card:
    """What a model card says.

    Arguments
    ---------
    encoder : str
        Name of the encoder.
    labels : sequence of str
        In the order of the class ids.
    sound : str
        What the classifier reads, in words.
    origin : str
        On what, and how, it was trained; Markdown.
    example : str
        Where the example clip comes from.
    license : str
        Of the weights, as the hub abbreviates it.
    measurements : sequence of Measurement
        Of held-out clips; none if it was not measured.
    n_others : int
        How many models of the same recipe were measured instead of this one,
        each on clips that it had not heard; 0 if it is this one.
    decoders : sequence of str
        Methods whose decoders are in the bundle: `piq`, `lmac`.
    novelty : tuple of NoveltyRule
        When a sound is like any class at all; none if the model cannot say.
    several : bool
        Whether a clip may have several labels, or none.
    """

    encoder: str
    labels: Sequence[str]
    sound: str
    origin: str
    example: str
    license: str = "apache-2.0"
    measurements: Sequence[Measurement] = field(default_factory=tuple)
    n_others: int = 0
    decoders: Sequence[str] = ()
    novelty: Sequence[NoveltyRule] = ()
    several: bool = False

    def to_markdown(self) -> str:
        """Return the text of `README.md`."""
        return (
            "\n\n".join((self._head(), *self._sections(), "")).rstrip() + "\n"
        )

    def _head(self) -> str:
        license_ = json.dumps(self.license, ensure_ascii=False)
        return (
            f"---\nlicense: {license_}\nlibrary_name: focalaudio\n"
            "pipeline_tag: audio-classification\ntags:\n"
            "- audio-classification\n- interpretability\n- speechbrain\n---"
        )

    def _sections(self) -> Sequence[str]:
        labels = ", ".join(f"`{name.replace('`', '')}`" for name in self.labels)
        decoders = "".join(
            f" {TITLES[method]}, trained afterwards, is in "
            f"`{DECODER_FILES[DECODERS[method]]}` (`method={method}`)."
            for method in self.decoders
        )
        return (
            f"# Sound classifier that says what it listened to: {self.encoder}",
            f"Task: {self._question()} for a clip of sound "
            f"({self.sound}), with the part of the clip that it was heard in "
            f"as a mask, a picture and a sound.{decoders}{self._rule()}",
            f"Labels: {labels}.",
            f"## Training\n\n{self.origin}",
            f"## Measured\n\n{self._table()}",
            f"## Use\n\n{USAGE}",
            f"`example.wav` is {self.example}; `example_kept.wav` and "
            "`example.png` are its interpretation.",
            f"## License\n\n`{self.license.replace('`', '')}` (weights). The "
            "training data has a license of its own, which may say more.",
            f"## Citation\n\n{CITATION}",
        )

    def _question(self) -> str:
        """Return what the model answers."""
        if self.several:
            return (
                f"any of {len(self.labels)} labels, or none (each has a "
                "probability of its own),"
            )
        return f"one of {len(self.labels)} labels"

    def _rule(self) -> str:
        """Return a sentence on what gets no label, or nothing."""
        if not self.novelty:
            return ""
        limits = [
            f"{SCORES[rule.score].words} is "
            f"{'below' if SCORES[rule.score].higher_is_known else 'above'} "
            f"{rule.threshold:.4g}"
            for rule in self.novelty
        ]
        return (
            f" Where {', or '.join(limits)}, there is no evidence for any "
            "label (`is_known`); sounds of other kinds may pass all the same."
        )

    def _table(self) -> str:
        if not self.measurements:
            return "Nothing was measured with this bundle."
        head = "| What | Mean | 95 % interval | Clips |\n|---|---|---|---|\n"
        rows = "\n".join(row.to_row() for row in self.measurements)
        who = "On held-out clips."
        if self.n_others:
            who = (
                f"Not of this model, which has heard all clips, but of "
                f"{self.n_others} of the same recipe, each on those that it "
                "had not heard. Probabilities are scaled by what fits these "
                "clips best."
            )
        return (
            f"{head}{rows}\n\n{who} The intervals are bootstrap intervals over "
            "these clips; they do not cover other folds, seeds or recording "
            "conditions."
        )


USAGE = """\
```python
from focalaudio import SoundInterpreter

# a folder, or owner/name on the hub
model = SoundInterpreter.from_hparams("./this_folder")
probs, score, index, labels = model.classify_file("example.wav")
wavs, labels, sample_rate = model.interpret_file("example.wav")
```

or `focalaudio explain example.wav --model ./this_folder --out explained`. The
files are data: loading them runs no code of theirs."""


def measure_held_out(answers: Sequence[Answers]) -> list[Measurement]:
    """Return how often several classifiers were right, over all their clips.

    `answers` are those of `focalaudio.report.held_out.read_held_out`.
    """
    right = [float(value) for each in answers for value in each.correct]
    found = describe(right)
    words = METRICS["accuracy"].words
    ends = found["low"], found["high"]
    return [Measurement(words, found["mean"], *ends, len(right))]


def read_measurements(run: Path) -> list[Measurement]:
    """Read what a run measured, and how sure it is; nothing if it was not.

    From its `metrics.json` and `clips.csv`.
    """
    paths = run / "metrics.json", run / "clips.csv"
    if not all(path.exists() for path in paths):
        return []
    metrics = json.loads(paths[0].read_text("utf-8"))
    clips = read_csv(paths[1])
    shown = [
        (METRICS[name], describe([clip[name] for clip in clips]))
        for name in SHOWN
        if metrics.get(name) is not None and clips and name in clips[0]
    ]
    return [
        Measurement(
            metric.words,
            float(metrics[metric.name]),
            found["low"],
            found["high"],
            int(found["n"]),
        )
        for metric, found in shown
    ]
