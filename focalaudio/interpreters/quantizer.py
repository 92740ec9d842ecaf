"""`features -> nearest codes of the clip's class`: PIQ's partitioned codebook.

Vector quantization (arXiv 1711.00937) in which each code belongs to one
class, or to all; a clip may use only the codes of its predicted class and the
shared ones, in training and evaluation alike (arXiv 2303.12659).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHARED = -1  # class of a code that every class may use


@dataclass(frozen=True)
class Quantized:
    """Vectors replaced by their nearest permitted codes.

    Arguments
    ---------
    straight : torch.Tensor
        `[batch, code_dim, rows, cols]`: the codes, with the gradient of the
        vectors (straight-through).
    codes : torch.Tensor
        `[batch, code_dim, rows, cols]`: the codes, with their own gradient.
    indices : torch.Tensor
        `[batch, rows, cols]`, int64, which codes.
    """

    straight: Tensor
    codes: Tensor
    indices: Tensor


def _assign_classes(n_codes: int, n_classes: int, n_shared: int = 0) -> Tensor:
    """Say which class each code belongs to; the last codes are shared."""
    own = n_codes - n_shared
    if n_shared < 0 or own < n_classes:
        raise ValueError(
            f"n_codes={n_codes} less n_shared={n_shared} leaves {own} codes "
            f"for {n_classes} classes; give each class at least one."
        )
    classes = torch.linspace(-0.5, n_classes - 0.51, own).round().long()
    # on the device `meta` torch loads its compiler for a `cat`
    return F.pad(classes, (0, n_shared), value=SHARED)


class Quantizer(nn.Module):
    """A codebook that is partitioned by class.

    Code k belongs to class `round(linspace(-0.5, n_classes - 0.51,
    n_codes - n_shared))[k]`, as in the published weights; the last ones are
    shared.

    Arguments
    ---------
    n_codes : int
        Codes in all.
    code_dim : int
        Size of a code.
    n_classes : int
        Classes that share out the codes.
    n_shared : int
        Codes that every class may use.

    Raises
    ------
    ValueError
        If a class would have no code of its own.
    """

    code_classes: Tensor

    def __init__(
        self, n_codes: int, code_dim: int, n_classes: int, n_shared: int = 0
    ) -> None:
        super().__init__()
        self.codebook = nn.Parameter(
            torch.empty(n_codes, code_dim).uniform_(-1 / n_codes, 1 / n_codes)
        )
        self.register_buffer(
            "code_classes",
            _assign_classes(n_codes, n_classes, n_shared),
            persistent=False,
        )

    def forward(self, features: Tensor, class_ids: Tensor) -> Quantized:
        """Replace each vector by the nearest code that its clip may use.

        `features` are `[batch, code_dim, rows, cols]`; `class_ids` `[batch]`,
        int64, the predicted classes.
        """
        vectors = features.permute(0, 2, 3, 1)
        indices = self.find_nearest(vectors.detach().flatten(1, 2), class_ids)
        indices = indices.view(vectors.shape[:3])
        codes = self.codebook[indices].permute(0, 3, 1, 2)
        straight = features + (codes - features).detach()
        return Quantized(straight, codes, indices)

    @torch.no_grad()
    def find_nearest(self, vectors: Tensor, class_ids: Tensor) -> Tensor:
        """Return the nearest code `[batch, n]` that the class may use."""
        permitted = (self.code_classes == class_ids[:, None]) | (
            self.code_classes == SHARED
        )
        codebook = self.codebook.float()
        # in full precision: low precision ties neighbors and overflows
        with torch.autocast(vectors.device.type, enabled=False):
            # |v - c|^2 without |v|^2, which is the same for all codes
            products = vectors.float() @ codebook.T
        distances = codebook.square().sum(1) - 2 * products
        distances = distances.clamp(max=torch.finfo(torch.float).max)
        return distances.masked_fill(~permitted[:, None], torch.inf).argmin(-1)
