"""`spectrum + classifier's output -> scores`: is a clip like any class at all?

What the classifier has said of a clip is all that is needed; see
`focalaudio.metrics.novelty` for the scores themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from focalaudio.contract import CELLS, Classifier, ClassifierOutput
from focalaudio.decisions import Decision
from focalaudio.encoders.weight_files import digest_weights
from focalaudio.errors import ModelError
from focalaudio.interpreters.maps import by_design
from focalaudio.metrics import novelty
from focalaudio.metrics.novelty import SCORES, STORABLE, NoveltyRule
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
    return novelty.evidence(share, spectrum.log_magnitude)


OF_LOGITS: dict[str, Callable[[Tensor, Decision], Tensor]] = {
    "probability": novelty.probability,
    "entropy": novelty.entropy,
    "energy": novelty.energy,
}
SCORERS: dict[str, _Scorer] = {
    **{name: partial(_of_logits, score) for name, score in OF_LOGITS.items()},
    "evidence": _evidence,
}


def storable_scores(classifier: Classifier) -> tuple[str, ...]:
    """List the scores of which a rule on a classifier can be.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> storable_scores(SoundClassifier(build_encoder("focalnet_test"), 2))
    ('probability', 'entropy', 'energy', 'evidence')
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

    Returns
    -------
    torch.Tensor
        `[batch]`; `SCORES` says which way it points.

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
    return SCORERS[score](classifier, spectrum, output)


def judge_clips(
    rule: NoveltyRule | None,
    classifier: Classifier,
    spectrum: Spectrum,
    output: ClassifierOutput,
) -> Tensor:
    """Say which clips are like any class, by a rule.

    Arguments
    ---------
    rule : NoveltyRule
        Of one of the scores of `score_clips`; every clip is known if None.
    classifier, spectrum, output
        As in `score_clips`.

    Returns
    -------
    torch.Tensor
        `[batch]`, bool.
    """
    if rule is None:
        return torch.ones_like(output.class_ids, dtype=torch.bool)
    return rule.is_known(score_clips(rule.score, classifier, spectrum, output))


def read_rule(run: str | Path, classifier: Classifier) -> NoveltyRule:
    """Read the rule that a run of `novelty.py` chose for a classifier.

    Arguments
    ---------
    run : str or pathlib.Path
        Its folder.
    classifier : SoundClassifier
        What the rule is to be of.

    Returns
    -------
    NoveltyRule
        Score and threshold.

    Raises
    ------
    FileNotFoundError
        If there is no `novelty.json`.
    ModelError
        If it is damaged, or of another classifier.
    """
    path = Path(run) / "novelty.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        digest, rule = values["classifier_digest"], values["novelty"]
        rule = NoveltyRule(rule["score"], float(rule["threshold"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} holds no rule: {error!r}") from error
    if digest != digest_weights(classifier):
        raise ModelError(
            f"{path} is of another classifier than the one that is given; give "
            "a run of novelty.py on this one."
        )
    return rule
