"""`logits of all clips -> class by class`: how well several labels are found.

Where a clip has several labels, each class is a question of its own. The
average precision asks whether its clips come first in the order of its logits;
no threshold is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_average_precision as precision_of,
)

from focalaudio.decisions import SEVERAL


def average_precisions(logits: Tensor, marked: Tensor) -> Tensor:
    """Return the average precision of each class.

    `sum_k (R_k - R_(k-1)) P_k` over the logits in falling order, P the
    precision and R the recall of all clips down to the k-th; clips that tie
    come at once.

    Arguments
    ---------
    logits : torch.Tensor
        `[clips, n_classes]`; any rising function of them will do.
    marked : torch.Tensor
        `[clips, n_classes]`, 1 of a class that is there, else 0.

    Returns
    -------
    torch.Tensor
        `[n_classes]`, 0 to 1; `nan` of a class that no clip has.

    Example
    -------
    >>> logits = torch.tensor([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    >>> marked = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    >>> average_precisions(logits, marked)  # (1 + 2 / 3) / 2
    tensor([0.8333,    nan])
    """
    found = (marked > 0).long()
    return torch.stack(
        [
            precision_of(_rank(logits[:, index]), found[:, index]).float()
            if found[:, index].any()
            else torch.tensor(math.nan)
            for index in range(logits.shape[1])
        ]
    )


def _rank(values: Tensor) -> Tensor:
    """Return each value's place in their order, 0 to 1; equal ones share it."""
    places = values.unique(return_inverse=True)[1]
    return places.double() / len(values)


def mean_precision(logits: Tensor, marked: Tensor) -> float:
    """Return the mean of `average_precisions` over the classes that have one.

    Also known as mAP (macro). `nan` if no clip has a label.

    Example
    -------
    >>> mean_precision(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    1.0
    """
    return float(average_precisions(logits, marked).nanmean())


def describe_precision(
    logits: Tensor, marked: Tensor, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """Say of each class how well it is found.

    Arguments
    ---------
    logits, marked
        As in `average_precisions`.
    labels : sequence of str
        In the order of the class ids.

    Returns
    -------
    list of dict
        One per class: `class`; `n`, the clips that have it; `recall`, the share
        of these in which it is found, at a probability of at least .5;
        `precision`, the share of right ones among the clips in which it is
        found; `average_precision`. `nan` where there is no such clip.

    Example
    -------
    >>> logits, marked = torch.tensor([[2.0], [1.0]]), torch.tensor([[1], [0]])
    >>> describe_precision(logits, marked, ["dog"])[0]
    {'class': 'dog', 'n': 1, 'recall': 1.0, 'precision': 0.5,
     'average_precision': 1.0}
    """
    found, true = SEVERAL.decide(logits), marked > 0
    right, n_found, n_true = (
        each.sum(0).double() for each in (found & true, found, true)
    )
    columns = zip(
        labels,
        true.sum(0).tolist(),
        (right / n_true).tolist(),
        (right / n_found).tolist(),
        average_precisions(logits, marked).tolist(),
        strict=True,
    )
    names = ("class", "n", "recall", "precision", "average_precision")
    return [dict(zip(names, row, strict=True)) for row in columns]
