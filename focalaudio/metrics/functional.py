"""Formulas: tensors in, one value per clip out.

`f(.)` is the probability of the class predicted on the whole clip `X`; kept
is `mask * X`, removed `(1 - mask) * X`. Definitions as in arXiv 2303.12659
and arXiv 2403.13086; every result is averaged over clips by the tracker.
"""

from __future__ import annotations

from torch import Tensor


def correct(logits: Tensor, targets: Tensor) -> Tensor:
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
    >>> import torch
    >>> correct(torch.eye(2), torch.tensor([0, 0]))
    tensor([1., 0.])
    """
    return (logits.argmax(-1) == targets).float()


def fidelity(logits: Tensor, kept_logits: Tensor) -> Tensor:
    """Say where the class stays: `1[argmax f(kept) = argmax f(X)]`.

    Also known as Fid-In or input fidelity; top-1.

    Arguments
    ---------
    logits, kept_logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips and of the kept parts.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 or 1. Higher is better.

    Example
    -------
    >>> import torch
    >>> fidelity(torch.eye(2), torch.tensor([[2.0, 1.0], [2.0, 1.0]]))
    tensor([1., 0.])
    """
    return correct(kept_logits, logits.argmax(-1))


def predicted_probability(logits: Tensor, whole_logits: Tensor) -> Tensor:
    """Return the probability of the class predicted on the whole clip.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips or of parts of them.
    whole_logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1.

    Example
    -------
    >>> import torch
    >>> predicted_probability(torch.zeros(1, 4), torch.eye(4)[:1])
    tensor([0.2500])
    """
    class_ids = whole_logits.argmax(-1, keepdim=True)
    return logits.float().softmax(-1).gather(-1, class_ids).squeeze(-1)


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
    >>> import torch
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
    >>> import torch
    >>> faithfulness_of_kept(torch.tensor([0.75]), torch.tensor([0.5]))
    tensor([0.2500])
    """
    return probability - kept_probability


def energy_share(mask: Tensor, stft: Tensor) -> Tensor:
    """Return how much of a sound's energy a mask keeps: `|mask * S|^2 / |S|^2`.

    Arguments
    ---------
    mask : torch.Tensor
        `[batch, time, freq]`, bool or 0 to 1.
    stft : torch.Tensor
        `[batch, time, freq, 2]`, of a sound that is known apart.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1; `nan` for silence. A random mask keeps its own size.

    Example
    -------
    >>> import torch
    >>> mask = torch.tensor([[[True, False, False, False]]])
    >>> energy_share(mask, torch.ones(1, 1, 4, 2))
    tensor([0.2500])
    """
    energy = stft.square().sum(-1)
    kept = energy * mask.to(energy.dtype) ** 2
    return kept.sum((1, 2)) / energy.sum((1, 2))


def judge_parts(
    logits: Tensor, kept_logits: Tensor, removed_logits: Tensor, targets: Tensor
) -> dict[str, Tensor]:
    """Return every column that follows from the three classifications.

    Arguments
    ---------
    logits, kept_logits, removed_logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips and their parts.
    targets : torch.Tensor
        `[batch]`, int64, the true classes.

    Returns
    -------
    dict
        From a column's name to `[batch]`.

    Example
    -------
    >>> import torch
    >>> columns = judge_parts(*[torch.zeros(1, 2)] * 3, torch.tensor([0]))
    >>> columns["faithfulness"], columns["fidelity"]
    (tensor([0.]), tensor([1.]))
    """
    probability, kept_probability, removed_probability = (
        predicted_probability(part, logits)
        for part in (logits, kept_logits, removed_logits)
    )
    return {
        "probability": probability,
        "kept_probability": kept_probability,
        "removed_probability": removed_probability,
        "accuracy": correct(logits, targets),
        "fidelity": fidelity(logits, kept_logits),
        "faithfulness": faithfulness(probability, removed_probability),
        "faithfulness_of_kept": faithfulness_of_kept(
            probability, kept_probability
        ),
    }
