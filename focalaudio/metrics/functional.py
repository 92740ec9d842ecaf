"""Formulas: tensors in, one value per clip out.

`f(.)` is the probability of the class predicted on the whole clip `X` (where a
clip has several labels, of the most probable one); kept is `mask * X`, removed
`(1 - mask) * X`. Definitions as in arXiv 2303.12659 and arXiv 2403.13086; every
result is averaged over clips by the tracker. How logits become probabilities
and answers is the classifier's own `focalaudio.decisions.Decision`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from focalaudio.decisions import ONE, Decision

ROUNDING = 1e-6  # of probabilities in float32, from batch to batch


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Say which clips are classified right: `1[argmax f(X) = target]`.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`.
    targets : torch.Tensor
        `[batch]`, int64.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 or 1; its mean is the accuracy. Higher is better.

    Example
    -------
    >>> accuracy(torch.eye(2), torch.tensor([0, 0]))
    tensor([1., 0.])
    """
    return (logits.argmax(-1) == targets).float()


def exact_match(
    logits: Tensor, targets: Tensor, decision: Decision = ONE
) -> Tensor:
    """Say of which clips every class is decided right.

    With one label for a clip, that is `accuracy`; with several, the strictest
    thing to ask for: all labels that are there, and no other.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`.
    targets : torch.Tensor
        `[batch, n_classes]`, 1 of a class that is there, else 0; or `[batch]`,
        int64, the only class.
    decision : Decision
        What the logits mean.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 or 1. Higher is better.

    Example
    -------
    >>> from focalaudio.decisions import SEVERAL
    >>> logits = torch.tensor([[3.0, 1.0], [3.0, -1.0]])
    >>> exact_match(logits, torch.ones(2, 2), SEVERAL)
    tensor([1., 0.])
    """
    true = _mark(targets, logits)
    return (decision.decide(logits) == true).all(-1).float()


def _mark(targets: Tensor, logits: Tensor) -> Tensor:
    """Say which classes are there, `[batch, n_classes]`, bool."""
    if targets.dim() == logits.dim():
        return targets > 0
    none = torch.zeros_like(logits, dtype=torch.bool)
    return none.scatter(-1, targets[:, None], 1)


def answer_columns(
    logits: Tensor, targets: Tensor, decision: Decision = ONE
) -> dict[str, Tensor]:
    """Say how right the answers are, in the columns that fit the question.

    Arguments
    ---------
    logits, targets, decision
        As in `exact_match`.

    Returns
    -------
    dict
        `accuracy`, `[batch]`, 0 or 1; where a clip has several labels also
        `hit`, whether the most probable class is one of them.

    Example
    -------
    >>> from focalaudio.decisions import SEVERAL
    >>> logits, marked = torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    >>> answer_columns(logits, marked, SEVERAL)
    {'accuracy': tensor([0.]), 'hit': tensor([1.])}
    """
    columns = {"accuracy": exact_match(logits, targets, decision)}
    if decision.is_several:
        best = logits.argmax(-1, keepdim=True)
        columns["hit"] = _mark(targets, logits).gather(-1, best)[:, 0].float()
    return columns


def fidelity(
    logits: Tensor, kept_logits: Tensor, decision: Decision = ONE
) -> Tensor:
    """Say where the class stays: `1[argmax f(kept) = argmax f(X)]`.

    Also known as Fid-In or input fidelity; top-1. Where a clip has several
    labels: where the decision on the most probable class stays, `1[(f(kept) >=
    .5) = (f(X) >= .5)]`.

    Arguments
    ---------
    logits, kept_logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips and of the kept parts.
    decision : Decision
        What the logits mean.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 or 1. Higher is better.

    Example
    -------
    >>> fidelity(torch.eye(2), torch.tensor([[2.0, 1.0], [2.0, 1.0]]))
    tensor([1., 0.])
    """
    class_ids = logits.argmax(-1)
    whole, kept = (
        class_decided(each, class_ids, decision)
        for each in (logits, kept_logits)
    )
    return (whole == kept).float()


def class_decided(
    logits: Tensor, class_ids: Tensor, decision: Decision = ONE
) -> Tensor:
    """Say which clips a class is decided to be in.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`.
    class_ids : torch.Tensor
        `[batch]`, int64.
    decision : Decision
        What the logits mean.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 or 1: the class has the highest probability; or, where a
        clip has several labels, one of at least .5.

    Example
    -------
    >>> class_decided(torch.tensor([[2.0, 3.0]]), torch.tensor([0]))
    tensor([0.])
    """
    decided = decision.decide(logits).float()
    return decided.gather(-1, class_ids[:, None]).squeeze(-1)


def predicted_probability(
    logits: Tensor, whole_logits: Tensor, decision: Decision = ONE
) -> Tensor:
    """Return the probability of the class predicted on the whole clip.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips or of parts of them.
    whole_logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips.
    decision : Decision
        What the logits mean.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1.

    Example
    -------
    >>> predicted_probability(torch.zeros(1, 4), torch.eye(4)[:1])
    tensor([0.2500])
    """
    return class_probability(logits, whole_logits.argmax(-1), decision)


def class_probability(
    logits: Tensor, class_ids: Tensor, decision: Decision = ONE
) -> Tensor:
    """Return the probability of a class of each clip.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`.
    class_ids : torch.Tensor
        `[batch]`, int64.
    decision : Decision
        What the logits mean.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1.

    Example
    -------
    >>> class_probability(torch.tensor([[0.0, 99.0]]), torch.tensor([1]))
    tensor([1.])
    """
    probs = decision.probs(logits)
    return probs.gather(-1, class_ids[:, None]).squeeze(-1)


def faithfulness(probability: Tensor, removed_probability: Tensor) -> Tensor:
    """Return how much the prediction needs the kept part: `f(X) - f(removed)`.

    Arguments
    ---------
    probability, removed_probability : torch.Tensor
        `[batch]`, of the class predicted on the whole clip, 0 to 1.

    Returns
    -------
    torch.Tensor
        `[batch]`, -1 to 1. Higher is better.

    Example
    -------
    >>> faithfulness(torch.tensor([0.75]), torch.tensor([0.25]))
    tensor([0.5000])
    """
    return probability - removed_probability


def faithfulness_of_kept(
    probability: Tensor, kept_probability: Tensor
) -> Tensor:
    """Return what is lost by keeping only a part: `f(X) - f(kept)`.

    This is what the public implementation of arXiv 2402.02754 logs as
    faithfulness; never to be mixed with `faithfulness`.

    Arguments
    ---------
    probability, kept_probability : torch.Tensor
        `[batch]`, of the class predicted on the whole clip, 0 to 1.

    Returns
    -------
    torch.Tensor
        `[batch]`, -1 to 1. Lower is better.

    Example
    -------
    >>> faithfulness_of_kept(torch.tensor([0.75]), torch.tensor([0.5]))
    tensor([0.2500])
    """
    return probability - kept_probability


def average_increase(probability: Tensor, kept_probability: Tensor) -> Tensor:
    """Say where the kept part is more convincing: `100 * 1[f(kept) > f(X)]`.

    By more than `ROUNDING`, since a batch of another size is rounded otherwise.

    Arguments
    ---------
    probability, kept_probability : torch.Tensor
        `[batch]`, of the class predicted on the whole clip, 0 to 1.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 or 100 %. Higher is better.

    Example
    -------
    >>> average_increase(torch.tensor([0.5, 0.5]), torch.tensor([0.6, 0.5]))
    tensor([100.,   0.])
    """
    return 100 * (kept_probability > probability + ROUNDING).float()


def average_drop(probability: Tensor, kept_probability: Tensor) -> Tensor:
    """Return the relative loss: `100 * max(0, f(X) - f(kept)) / f(X)`.

    Arguments
    ---------
    probability, kept_probability : torch.Tensor
        `[batch]`, of the class predicted on the whole clip, 0 to 1.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 100 %; `nan` where `f(X)` is 0. Lower is better.

    Example
    -------
    >>> average_drop(torch.tensor([0.8, 0.5]), torch.tensor([0.2, 0.6]))
    tensor([75.,  0.])
    """
    return 100 * (probability - kept_probability).clamp(min=0) / probability


def average_gain(probability: Tensor, kept_probability: Tensor) -> Tensor:
    """Return the relative win: `100 * max(0, f(kept) - f(X)) / (1 - f(X))`.

    Arguments
    ---------
    probability, kept_probability : torch.Tensor
        `[batch]`, of the class predicted on the whole clip, 0 to 1.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 100 %; `nan` where `f(X)` is 1. Higher is better.

    Example
    -------
    >>> average_gain(torch.tensor([0.5, 1.0]), torch.tensor([0.75, 1.0]))
    tensor([50., nan])
    """
    gained = (kept_probability - probability).clamp(min=0)
    return 100 * gained / (1 - probability)


def sparseness(saliency: Tensor) -> Tensor:
    """Return the Gini index of each clip's saliency.

    `sum_i (2 i - n - 1) s_i / (n sum_i s_i)` over the cells in rising order
    (arXiv 1810.06583).

    Arguments
    ---------
    saliency : torch.Tensor
        `[batch, ...]`, non-negative.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 (flat) to 1 (one cell); `nan` for a map of zeros. Higher
        is better.

    Example
    -------
    >>> sparseness(torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    tensor([0.0000, 0.5000])
    """
    cells = saliency.flatten(1).double().sort(dim=1).values
    n = cells.shape[1]
    ranks = torch.arange(1, n + 1, device=cells.device, dtype=cells.dtype)
    weighted = (cells * (2 * ranks - n - 1)).sum(1)
    return (weighted / (n * cells.sum(1))).float()


def complexity(saliency: Tensor) -> Tensor:
    """Return the entropy of the cells' shares of each clip's saliency.

    `-sum_i p_i ln p_i` with `p_i = s_i / sum_j s_j` (arXiv 2005.00631).

    Arguments
    ---------
    saliency : torch.Tensor
        `[batch, ...]`, non-negative.

    Returns
    -------
    torch.Tensor
        `[batch]`, nats, 0 to `ln n`; `nan` for a map of zeros. Lower is
        better.

    Example
    -------
    >>> complexity(torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    tensor([0.6931, 0.0000])
    """
    cells = saliency.flatten(1).double()
    shares = cells / cells.sum(1, keepdim=True)
    return torch.special.entr(shares).sum(1).float()
