"""`model + sounds -> which rules tell known from unknown`: none of these.

Thresholds are chosen so that a share of the validation clips is known; then
sounds of other kinds are tried on every score: what of them gets an answer that
should get none? Chosen and tried on one model, this says how a rule works on
it, not how a score works in general. Of a model that has heard all clips, what
others of the same recipe said of clips that they had not heard chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from focalaudio.encoders.weight_files import digest_weights
from focalaudio.inference.novelty_known import hear_known, recall_known
from focalaudio.inference.novelty_scores import Rules, Scored, score_sounds
from focalaudio.inference.novelty_sounds import SILENCE, TEST, VALID, Sounds
from focalaudio.metrics.novelty import calibrate_together
from focalaudio.models.novelty import (
    OF_LOGITS,
    SPECTRUM,
    Novelty,
    storable_scores,
)
from focalaudio.report.novelty import AND


def measure_novelty(
    sounds: Sounds,
    keep: float = 0.9,
    score: str | Sequence[str] = ("energy", SPECTRUM),
) -> tuple[dict[str, Any], Novelty]:
    """Measure what every score lets through, and choose rules.

    Arguments
    ---------
    sounds : Sounds
        Known and unknown ones, with their model.
    keep : float
        Share of the validation clips that are to be known, 0 to 1.
    score : str or sequence of str
        Of the rules that are chosen, all of which must say that a sound is
        known: of `focalaudio.models.novelty.storable_scores`; where runs are
        held out, of those that need no more than logits and spectra.

    Returns
    -------
    tuple
        What was measured, and the chosen rules. The former is a dict:
        `novelty`, the rules, each a `score` and a `threshold`;
        `spectral_shape`, how what they need is made; `keep`;
        `n_clips`, of each group; `classifier_digest`; and `rows`, one for each
        score, and one for the rules if they are several: `score`, `threshold`,
        the share of each group that gets an answer, `test_accuracy` (of all
        test clips) and `test_known_accuracy` (of those that get one), and
        `silence_by_score`, what the score alone would let through of silence.
        Where runs are held out, `test` is their clips again, each by the
        thresholds that the others choose, if there are any.

    Raises
    ------
    DataError, AudioError
        If the data or a sound will not do.
    ValueError
        If `keep` is out of range, no model can hold a rule of a score, or one
        is named twice.
    """
    model = sounds.model
    wanted = (score,) if isinstance(score, str) else tuple(score)
    possible = storable_scores(model.classifier)
    if sounds.answers:
        possible = (*OF_LOGITS, SPECTRUM)
    for name in wanted:
        if name not in possible:
            raise ValueError(
                f"score={name!r} must be one of {', '.join(possible)}, "
                "which are all that can be chosen here."
            )
    if not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(f"score={list(wanted)} must be scores that differ.")
    if sounds.answers:
        known = recall_known(sounds, SPECTRUM in wanted)
    else:
        known = hear_known(sounds)
    groups = known.groups | {
        name: score_sounds(model, wavs, known.space, shape=known.shape)[0]
        for name, wavs in sounds.unknown()
    }
    scores = groups[VALID].scores
    tried = [(name,) for name in scores] + [wanted] * (len(wanted) > 1)
    rules = {
        names: calibrate_together({n: scores[n] for n in names}, keep)
        for names in tried
    }
    shape = known.shape if SPECTRUM in wanted else None
    chosen = Novelty(rules[wanted], shape)
    measured = {
        **chosen.describe(),
        "keep": keep,
        "n_clips": {name: len(group.silent) for name, group in groups.items()},
        "classifier_digest": digest_weights(model.classifier),
        "rows": [
            _judge(own, groups, known.answered(own, keep))
            for own in rules.values()
        ],
    }
    return measured, chosen


def _judge(
    rules: Rules, groups: Mapping[str, Scored], answered: Tensor
) -> dict[str, Any]:
    """Say what rules let through of each group, and of the test clips."""
    shares = {
        name: float(group.known(rules).float().mean())
        for name, group in groups.items()
    }
    right = groups[TEST].correct.float()
    silence = groups[SILENCE]
    alone = replace(silence, silent=torch.zeros_like(silence.silent))
    return {
        "score": AND.join(rule.score for rule in rules),
        # several have theirs in `novelty`
        "threshold": rules[0].threshold if len(rules) == 1 else None,
        **shares,
        TEST: float(answered.float().mean()),
        "test_accuracy": float(right.mean()),
        "test_known_accuracy": float(right[answered].mean()),
        "silence_by_score": float(alone.known(rules).float().mean()),
    }
