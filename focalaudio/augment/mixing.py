"""`wavs, targets -> mixtures whose parts are known`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from focalaudio.augment.ranges import check_range
from focalaudio.decisions import ONE, Decision
from focalaudio.mixtures import EPS_ENERGY, energy, scale_to_snr


@dataclass(frozen=True)
class MixedClips:
    """A batch of mixtures whose parts are known.

    Arguments
    ---------
    own, added : torch.Tensor
        `[batch, samples]`, each clip and what was added to it (zeros if
        nothing was).
    lens : torch.Tensor
        `[batch]`, relative lengths of the mixtures.
    own_targets, added_targets : torch.Tensor
        `[batch, n_classes]`.
    decision : Decision
        Of one label for a clip, or several: what the mixtures are.

    Example
    -------
    >>> wavs, targets = torch.tensor([[1.0, 0.0]]), torch.eye(2)
    >>> mixed = MixedClips(
    ...     wavs, wavs.flip(1), torch.ones(1), targets[:1], targets[1:]
    ... )
    >>> mixed.wavs, mixed.targets
    (tensor([[1., 1.]]), tensor([[0.5000, 0.5000]]))
    """

    own: Tensor
    added: Tensor
    lens: Tensor
    own_targets: Tensor
    added_targets: Tensor
    decision: Decision = ONE

    @property
    def wavs(self) -> Tensor:
        """The mixtures, `[batch, samples]`."""
        return self.own + self.added

    @property
    def targets(self) -> Tensor:
        """Targets of the mixtures, `[batch, n_classes]`.

        By the share of energy; where a clip has several labels, those of both.
        """
        own, theirs = energy(self.own), energy(self.added)
        # 1 where nothing is added, however quiet the clip
        share = 1 - (theirs / (own + theirs).clamp(min=EPS_ENERGY))[:, None]
        return self.decision.mix(share, self.own_targets, self.added_targets)


class MixClips(nn.Module):
    """Add another clip of the batch at a random ratio; share the label.

    Arguments
    ---------
    probability : float
        Of a clip to be mixed, 0 to 1.
    max_ratio : float
        Largest ratio of the energies, either way, in dB.
    other_class : bool
        Take partners of another class where the batch has one: two clips of
        one class teach no place. With several labels, one that shares none.
    halves : float
        Share of the clips, 0 to 1, that come one after the other instead of
        at once: what each cell holds is known exactly then.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Example
    -------
    >>> mixer = MixClips(probability=1.0).train()
    >>> clips, targets = torch.ones(2, 4), torch.eye(2)
    >>> mixed = mixer(clips, torch.ones(2), targets)
    >>> torch.equal(mixed.own, clips)
    True
    """

    def __init__(
        self,
        probability: float = 0.5,
        max_ratio: float = 12.0,
        other_class: bool = False,
        halves: float = 0.0,
    ) -> None:
        super().__init__()
        check_range(0, 1, probability=probability, halves=halves)
        check_range(0, max_ratio=max_ratio)
        self.probability = probability
        self.max_ratio = max_ratio
        self.other_class = other_class
        self.halves = halves

    def forward(
        self,
        wavs: Tensor,
        lens: Tensor,
        targets: Tensor,
        decision: Decision = ONE,
    ) -> MixedClips:
        """Mix a batch and keep the parts.

        Arguments
        ---------
        wavs : torch.Tensor
            `[batch, samples]`.
        lens : torch.Tensor
            `[batch]`, relative lengths, 0 to 1.
        targets : torch.Tensor
            `[batch, n_classes]`.
        decision : Decision
            Of one label for a clip, or several.

        Returns
        -------
        MixedClips
            In evaluation nothing is added.
        """
        if not (self.training and self.probability > 0):
            return MixedClips(
                wavs, torch.zeros_like(wavs), lens, targets, targets, decision
            )
        batch, device = len(wavs), wavs.device
        other = torch.randperm(batch, device=device)
        if self.other_class:
            other = _prefer_others(other, decision.held(targets))
        snr = self.max_ratio * (2 * torch.rand(batch, device=device) - 1)
        mixed = torch.rand(batch, device=device) < self.probability
        added = scale_to_snr(wavs, wavs[other], snr) * mixed[:, None]
        lens = torch.where(mixed, torch.maximum(lens, lens[other]), lens)
        if self.halves > 0:
            wavs, added = self._part(wavs, added, mixed)
        return MixedClips(wavs, added, lens, targets, targets[other], decision)

    def _part(
        self, own: Tensor, added: Tensor, mixed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let some clips end where what was added begins, or the reverse."""
        batch, n_samples = own.shape
        draw = torch.rand(3, batch, device=own.device)
        cut = ((0.25 + 0.5 * draw[0]) * n_samples).long()[:, None]
        first = torch.arange(n_samples, device=own.device) < cut
        first = torch.where((draw[1] < 0.5)[:, None], first, ~first)
        whole = ~(mixed & (draw[2] < self.halves))[:, None]
        return own * (whole | first), added * (whole | ~first)


def _prefer_others(other: Tensor, marked: Tensor) -> Tensor:
    """Replace partners that share a class by the next that shares none."""
    batch = len(other)
    order = (other[:, None] + torch.arange(batch, device=other.device)) % batch
    differs = ~(marked[order] & marked[:, None]).any(2)
    return order.gather(1, differs.int().argmax(1, keepdim=True))[:, 0]
