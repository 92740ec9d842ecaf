"""`embedding -> the nearest known clips`: what should it sound like?

Clips of each class that a classifier finds most like a clip, in the space that
its head reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class EmbeddingIndex:
    """Known clips by their embedding.

    Arguments
    ---------
    embeddings : torch.Tensor
        `[n, channels]`, of `ClassifierOutput`.
    labels : sequence of str
        The class of each.
    paths : sequence of pathlib.Path
        The sound of each.

    Raises
    ------
    ValueError
        If there is not one label and one path for each embedding.

    Example
    -------
    >>> known = [Path("a.wav"), Path("b.wav"), Path("c.wav")]
    >>> index = EmbeddingIndex(torch.eye(3), ["dog", "dog", "cat"], known)
    >>> index.find(torch.tensor([1.0, 0.0, 1.0]), "dog", 1)
    [(PosixPath('a.wav'), 0.29289...)]
    """

    embeddings: Tensor
    labels: Sequence[str]
    paths: Sequence[Path]

    def __post_init__(self) -> None:
        sizes = len(self.embeddings), len(self.labels), len(self.paths)
        if len(set(sizes)) > 1:
            raise ValueError(
                f"There are {sizes[0]} embeddings, {sizes[1]} labels and "
                f"{sizes[2]} paths; give one of each for every clip."
            )

    def find(
        self, embedding: Tensor, label: str, count: int
    ) -> list[tuple[Path, float]]:
        """Return the nearest clips of a class.

        Arguments
        ---------
        embedding : torch.Tensor
            `[channels]`.
        label : str
            Of the clips that are looked for.
        count : int
            How many, at most.

        Returns
        -------
        list of tuple
            Path and distance, the nearest first: 1 less the cosine, 0 to 2.
        """
        own = [row for row, each in enumerate(self.labels) if each == label]
        if not own or count < 1:
            return []
        distances = 1 - torch.cosine_similarity(
            self.embeddings[own].double().cpu(),
            embedding[None].double().cpu(),
        )
        nearest = distances.topk(min(count, len(own)), largest=False)
        return [
            (self.paths[own[row]], distance)
            for row, distance in zip(
                nearest.indices.tolist(), nearest.values.tolist(), strict=True
            )
        ]
