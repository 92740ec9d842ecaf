"""`Interpretation + another classifier -> columns`: what a judge says of it.

The names are those of `focalaudio.metrics.table.METRICS`; g is the judge.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from focalaudio.decisions import ONE, Decision
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.metrics import functional as formulas
from focalaudio.metrics.columns import Columns
from focalaudio.metrics.curves import Classify
from focalaudio.metrics.removal import random_drops


def judge_columns(
    interpretation: Interpretation,
    logits: Tensor,
    parts: tuple[Tensor, Tensor],
    decision: Decision = ONE,
) -> Columns:
    """Return what another classifier, the judge, says of the same parts.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    logits : torch.Tensor
        `[batch, n_classes]`, the judge's, of the whole clips.
    parts : tuple of torch.Tensor
        The judge's logits of the kept and of the removed parts.
    decision : Decision
        What the judge's logits mean.

    Returns
    -------
    dict
        `judge_agreement`, what the judge's fidelity is to be read beside,
        `judge_fidelity` and `judge_faithfulness`, `[batch]`.

    Example
    -------
    >>> import torch
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum = spectrogram(torch.rand(1, 1000))
    >>> sure, whole = 99 * torch.eye(2)[:1], torch.ones(1, 6, 513)
    >>> record = Interpretation(
    ...     sure, torch.tensor([0]), whole, whole, spectrum, spectrogram
    ... )
    >>> list(judge_columns(record, sure, (0 * sure, sure)).values())
    [tensor([1.]), tensor([1.]), tensor([0.])]
    """
    kept, removed = parts
    class_ids = interpretation.class_ids
    whole, without = (
        formulas.class_probability(each, class_ids, decision)
        for each in (logits, removed)
    )
    return {
        "judge_agreement": formulas.class_decided(logits, class_ids, decision),
        "judge_fidelity": formulas.class_decided(kept, class_ids, decision),
        "judge_faithfulness": formulas.faithfulness(whole, without),
    }


def removal_columns(
    interpretation: Interpretation,
    classify: Classify,
    logits: Tensor,
    clip_ids: Sequence[str],
    n_samples: int,
    decision: Decision = ONE,
) -> Columns:
    """Return what random parts of an explanation, and of the rest, are worth.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    classify, logits, clip_ids, n_samples, decision
        As in `focalaudio.metrics.removal.random_drops`.

    Returns
    -------
    dict
        `f_fidelity_plus` and `f_fidelity_minus`, `[batch]`.

    Example
    -------
    >>> import torch
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum = spectrogram(torch.rand(1, 1000))
    >>> logits, whole = torch.eye(2)[:1], torch.ones(1, 6, 513)
    >>> record = Interpretation(
    ...     logits, torch.tensor([0]), whole, whole, spectrum, spectrogram
    ... )
    >>> def classify(clips, rows):  # the class is what sounds at all
    ...     sounds = clips.sum((1, 2))
    ...     return torch.stack((sounds, 0 * sounds), 1)
    >>> logits = classify(spectrum.log_magnitude, [0])
    >>> columns = removal_columns(record, classify, logits, ["dog"], 2)
    >>> columns["f_fidelity_minus"]
    tensor([0.])
    """
    plus, minus = random_drops(
        interpretation.mask,
        interpretation.log_magnitude,
        interpretation.spectrum.n_frames,
        classify,
        interpretation.class_ids,
        logits,
        clip_ids,
        n_samples,
        decision=decision,
    )
    return {"f_fidelity_plus": plus, "f_fidelity_minus": minus}
