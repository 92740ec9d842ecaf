"""`logits -> how sure a classifier may be`: is it as right as it says?

After Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
arXiv 1706.04599: the expected calibration error, and the one temperature that
logits are divided by. It changes no prediction, only how sure one is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from focalaudio.decisions import ONE, Decision

N_BINS = 15  # of the calibration error, as in arXiv 1706.04599
BELOW_ONE = 1 - 2**-53  # torchmetrics would give 1 a bin of its own
LOWEST, HIGHEST = 0.1, 10.0  # temperature
N_HALVINGS = 50  # of the range of its logarithm


def calibration_error(
    probability: Sequence[float], accuracy: Sequence[float]
) -> float:
    """Return the expected calibration error of the predicted classes.

    Mean over clips of `|accuracy - mean probability|` within 15 equal bins of
    probability, 1 in the last (arXiv 1706.04599).

    Arguments
    ---------
    probability : sequence of float
        Of the predicted class, 0 to 1, one per clip.
    accuracy : sequence of float
        1 where the prediction is right, else 0.

    Returns
    -------
    float
        0 to 1; lower is better.

    Example
    -------
    >>> round(calibration_error([0.9, 0.9], [1.0, 0.0]), 4)
    0.4
    """
    # loads for seconds: only after a training or an evaluation
    from torchmetrics.functional.classification import (
        binary_calibration_error,
    )

    error = binary_calibration_error(
        torch.tensor(list(probability), dtype=torch.double).clamp(
            max=BELOW_ONE
        ),
        torch.tensor(list(accuracy)).long(),
        n_bins=N_BINS,
        norm="l1",
    )
    return float(error)


def find_temperature(
    logits: Tensor, marked: Tensor, decision: Decision = ONE
) -> float:
    """Return the temperature T that softmax(logits / T) is most likely with.

    The mean cross-entropy is convex in 1 / T, and its slope there is the mean
    of (expected logit - logit of the true class): its zero is found by halving.
    Where a clip has several labels, the same of the sum over the classes, each
    of which is there or not.

    Arguments
    ---------
    logits : torch.Tensor
        `[clips, classes]`, of clips that were not trained on, at least one.
    marked : torch.Tensor
        `[clips, classes]`, 1 of the true classes, else 0.
    decision : Decision
        What the logits mean.

    Returns
    -------
    float
        0.1 to 10; above 1 if the classifier is surer than it is right. Where
        no prediction is wrong, the lowest; where any is as likely, as of one
        class, 1.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no row.

    Example
    -------
    Sure of 88 %, right in three of four clips: exp(2 / T) shall be 3.

    >>> logits = torch.tensor([[2.0, 0.0]]).repeat(4, 1)
    >>> marked = torch.eye(2)[[0, 0, 0, 1]]
    >>> round(find_temperature(logits, marked), 4)
    1.8205
    """
    if logits.dim() != 2 or marked.shape != logits.shape or not len(logits):
        raise ValueError(
            f"logits has shape {tuple(logits.shape)} and marked "
            f"{tuple(marked.shape)}; both must be [clips, classes], of at "
            "least one clip."
        )
    logits = logits.double()
    if not decision.is_several:  # by how much the others are above the true
        logits = logits - (logits * marked).sum(1, keepdim=True)
    if not logits.any():
        return 1.0
    low, high = math.log(LOWEST), math.log(HIGHEST)
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        surplus = decision.probs(logits / math.exp(middle)) - marked
        slope = (surplus * logits).sum(1).mean()
        if slope <= 0:  # it pays to be surer, if by less than a number can say
            high = middle
        else:
            low = middle
    return math.exp(low)
