"""`spectrum + classifier's output -> scores`: is a clip like any class at all?

What the classifier has said of a clip is all that most scores need; the one of
spectra asks the clip itself. See `focalaudio.metrics` for the scores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from speechbrain.utils.distributed import if_main_process
from torch import Tensor

from focalaudio.contract import CELLS, Classifier, ClassifierOutput
from focalaudio.decisions import Decision
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.layouts import OURS
from focalaudio.encoders.weight_files import digest_weights, write_weights
from focalaudio.errors import ModelError
from focalaudio.files import replace_file
from focalaudio.interpreters.maps import by_design, own_cells
from focalaudio.metrics import novelty
from focalaudio.metrics.novelty import SCORES, STORABLE, NoveltyRule
from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.models.bundle_files import SHAPE, SHAPE_FILE
from focalaudio.spectrogram import Spectrum

_Scorer = Callable[[Classifier, Spectrum, ClassifierOutput], Tensor]


def _of_logits(
    score: Callable[[Tensor, Decision], Tensor],
    classifier: Classifier,
    spectrum: Spectrum,
    output: ClassifierOutput,
) -> Tensor:
    """Score clips by their logits alone."""
    return score(output.logits, output.decision)


def _evidence(
    classifier: Classifier, spectrum: Spectrum, output: ClassifierOutput
) -> Tensor:
    """Score clips by what their finest cells give to the predicted class."""
    fine = classifier.share_decoder is not None
    share = by_design(
        classifier,
        output,
        spectrum,
        output.class_ids,
        maps=["class_share" if fine else "class_probability"],
    )
    # a clip rings on in the padding, of which nothing is given to a class
    return novelty.evidence(share, spectrum.log_magnitude * own_cells(spectrum))


OF_LOGITS: dict[str, Callable[[Tensor, Decision], Tensor]] = {
    "probability": novelty.probability,
    "entropy": novelty.entropy,
    "energy": novelty.energy,
}
SCORERS: dict[str, _Scorer] = {
    **{name: partial(_of_logits, score) for name, score in OF_LOGITS.items()},
    "evidence": _evidence,
}


SPECTRUM = "spectrum"  # the score that needs a SpectralShape
DIGEST = "digest"  # of its weights


@dataclass(frozen=True)
class Novelty:
    """When a clip is like any class at all.

    Arguments
    ---------
    rules : tuple of NoveltyRule
        All of them must say so; at least one.
    shape : SpectralShape
        What is usual, which a rule of `spectrum` needs.

    Raises
    ------
    ValueError
        If there is no rule, if two are of one score, or none of `spectrum`
        though there is a shape, or the reverse.

    Example
    -------
    >>> Novelty((NoveltyRule("energy", 2.5),)).scores
    ('energy',)
    """

    rules: tuple[NoveltyRule, ...]
    shape: SpectralShape | None = None

    def __post_init__(self) -> None:
        if not self.rules or len(set(self.scores)) < len(self.scores):
            raise ValueError(
                f"novelty: scores {list(self.scores)} must be one or more, and "
                "differ."
            )
        if (SPECTRUM in self.scores) != (self.shape is not None):
            raise ValueError(
                "novelty: a rule of score='spectrum' and a spectral shape need "
                "each other."
            )

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores of the rules."""
        return tuple(rule.score for rule in self.rules)

    def describe(self) -> dict[str, Any]:
        """Return the rules as data, and which shape they need."""
        made: dict[str, Any] | None = None
        if self.shape is not None:
            arguments: Any = self.shape.arguments
            made = {**arguments, DIGEST: digest_weights(self.shape)}
        return {"novelty": [asdict(rule) for rule in self.rules], SHAPE: made}


def storable_scores(classifier: Classifier) -> tuple[str, ...]:
    """List the scores of which a rule on a classifier can be.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> storable_scores(SoundClassifier(build_encoder("focalnet_test"), 2))
    ('probability', 'entropy', 'energy', 'evidence', 'spectrum')
    """
    has_cells = classifier.lacks(CELLS) is None
    return tuple(
        name for name in STORABLE if has_cells or not SCORES[name].of_cells
    )


def score_clips(
    score: str,
    classifier: Classifier,
    spectrum: Spectrum,
    output: ClassifierOutput,
    shape: SpectralShape | None = None,
) -> Tensor:
    """Say how much clips are like the training data, by a score's name.

    Arguments
    ---------
    score : str
        One of `storable_scores`.
    classifier : SoundClassifier
        Made the output.
    spectrum : Spectrum
        Of whole clips.
    output : ClassifierOutput
        Of the same clips.
    shape : SpectralShape
        What is usual; `spectrum` needs it.

    Returns
    -------
    torch.Tensor
        `[batch]`; `SCORES` says which way it points.

    Raises
    ------
    KeyError
        If there is no such score, or no shape for it.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2).eval()
    >>> spectrum = Spectrogram()(torch.rand(3, 8000))
    >>> output = classifier(spectrum.log_magnitude)
    >>> score_clips("evidence", classifier, spectrum, output).shape
    torch.Size([3])
    """
    if score == SPECTRUM and shape is not None:
        known = shape.to(spectrum.log_magnitude.device)
        return known(spectrum, output.class_ids)
    return SCORERS[score](classifier, spectrum, output)


def judge_clips(
    novelty: Novelty | None,
    classifier: Classifier,
    spectrum: Spectrum,
    output: ClassifierOutput,
) -> Tensor:
    """Say which clips are like any class, by all rules.

    Arguments
    ---------
    novelty : Novelty
        Every clip is known if None.
    classifier, spectrum, output
        As in `score_clips`.

    Returns
    -------
    torch.Tensor
        `[batch]`, bool.
    """
    known = torch.ones_like(output.class_ids, dtype=torch.bool)
    if novelty is None:
        return known
    seen = classifier, spectrum, output, novelty.shape
    for rule in novelty.rules:
        known = known & rule.is_known(score_clips(rule.score, *seen))
    return known


def read_rules(values: Any) -> tuple[NoveltyRule, ...]:
    """Read rules from data: a list of them, or one, as older versions wrote it.

    Raises
    ------
    ValueError, TypeError
        If one is not a score and a threshold.

    Example
    -------
    >>> read_rules({"score": "energy", "threshold": 2})
    (NoveltyRule(score='energy', threshold=2.0),)
    """
    each = [values] if isinstance(values, Mapping) else list(values)
    if not each:
        raise ValueError("There is no rule.")
    return tuple(NoveltyRule(**one) for one in each)


def save_shape(novelty: Novelty, run: str | Path) -> None:
    """Write what rules are measured from beside them; one process does."""
    if novelty.shape is not None and if_main_process():
        with replace_file(Path(run) / SHAPE_FILE) as temporary:
            write_weights(novelty.shape, temporary)


def read_novelty(run: str | Path, classifier: Classifier) -> Novelty:
    """Read the rules that a run of `novelty.py` chose for a classifier.

    Arguments
    ---------
    run : str or pathlib.Path
        Its folder.
    classifier : SoundClassifier
        What the rules are to be of.

    Returns
    -------
    Novelty
        The rules, and what they need.

    Raises
    ------
    FileNotFoundError
        If there is no `novelty.json`, or a file that it needs is missing.
    ModelError
        If it is damaged, or of another classifier.
    """
    path = Path(run) / "novelty.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"novelty={run} must be a run of novelty.py; it has no {path.name}."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        digest, rules = values["classifier_digest"], values["novelty"]
        made, shape = values.get(SHAPE), None
        if made is not None:
            wanted = made.pop(DIGEST)
            shape = SpectralShape(**made)
        novelty = Novelty(read_rules(rules), shape)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} holds no rule: {error!r}") from error
    if digest != digest_weights(classifier):
        raise ModelError(
            f"{path} is of another classifier than the one that is given; give "
            "a run of novelty.py on this one."
        )
    if shape is not None:
        load_weights(shape, path.with_name(SHAPE_FILE), OURS)
        if digest_weights(shape) != wanted:
            raise ModelError(
                f"{path.with_name(SHAPE_FILE)} is not what {path.name} was "
                "chosen with; give the command of novelty.py once more."
            )
    return novelty
