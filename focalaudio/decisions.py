"""`logits -> probabilities, decisions, losses`: one label a clip, or several.

With one label for each clip a softmax shares what is sure among the classes;
with several, or none, each class has a sigmoid that knows nothing of the
others. All that differs between the two is here, once: `ONE` and `SEVERAL`.
A classifier has its decision, and hands it on with what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SEPARATOR = ";"  # between the labels of a clip, in every table that is written


def _exact(logits: Tensor) -> Tensor:
    """Return logits in single precision, at the least."""
    return logits.to(torch.promote_types(logits.dtype, torch.float))


class Decision:
    """How the logits of a classifier are to be read, and learnt.

    Example
    -------
    >>> logits = torch.tensor([[2.0, 1.0, -1.0]])
    >>> ONE.decide(logits), SEVERAL.decide(logits)
    (tensor([[ True, False, False]]), tensor([[ True,  True, False]]))
    """

    labels_per_clip: str

    def __repr__(self) -> str:
        return f"<Decision: {self.labels_per_clip}>"

    @property
    def is_several(self) -> bool:
        """Whether a clip may have several labels, or none."""
        return self.labels_per_clip == "several"

    def probs(self, logits: Tensor, dim: int = -1) -> Tensor:
        """Turn logits into probabilities, of the same shape."""
        raise NotImplementedError

    def decide(self, logits: Tensor) -> Tensor:
        """Say which classes are there, `[..., n_classes]`, bool."""
        raise NotImplementedError

    def entropy(self, logits: Tensor) -> Tensor:
        """Return the entropy of what is said, in nats, `[...]`."""
        raise NotImplementedError

    def energy(self, logits: Tensor) -> Tensor:
        """Return how much there is for any class, `[...]`, any sign."""
        raise NotImplementedError

    def losses(
        self, logits: Tensor, targets: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        """Return what a clip's (or a cell's) answer costs, in nats.

        From `[batch, n_classes, ...]` and targets of the same shape, 0 to 1,
        to `[batch, ...]`.
        """
        raise NotImplementedError

    def class_losses(self, logits: Tensor, class_ids: Tensor) -> Tensor:
        """Return `-ln f` of a class of each clip, `[batch]`, nats."""
        raise NotImplementedError

    def common(self, logits: Tensor) -> Tensor:
        """Return what decides for no class, as it is in the logits of all.

        From `[batch, n_classes, ...]` to `[batch, ...]`.
        """
        raise NotImplementedError

    def mix(self, share: Tensor, own: Tensor, added: Tensor) -> Tensor:
        """Return the targets of a mixture of two clips.

        `share` `[batch, 1]` is how much of the energy is the first clip's, 0 to
        1; the targets of both, and of the mixture, are `[batch, n_classes]`.
        """
        raise NotImplementedError

    def show(self, share: Tensor, own: Tensor, added: Tensor) -> Tensor:
        """Return the targets of a part of a mixture; arguments as in `mix`.

        `share` is of the energy that the part shows.
        """
        raise NotImplementedError

    def forget(
        self, targets: Tensor, class_ids: Tensor, chosen: Tensor
    ) -> Tensor:
        """Take a class out of some targets.

        What a classifier says of a clip that lacks all it was heard in should
        be nothing. From targets `[batch, n_classes]`, class ids `[batch]`, and
        which clips are meant, `[batch]`, bool, to targets.
        """
        raise NotImplementedError

    def even(self, n_classes: int) -> float:
        """Return every class's target of a sound that is none of them."""
        raise NotImplementedError

    def held(self, targets: Tensor) -> Tensor:
        """Say which classes `[batch, n_classes]` targets are of, bool."""
        raise NotImplementedError

    def draw(self, targets: Tensor) -> Tensor:
        """Return one of the classes of each clip, `[batch]`, int64."""
        raise NotImplementedError

    def name(self, logits: Tensor, labels: Sequence[str]) -> list[str]:
        """Say in a table's cell which classes each clip is decided to have."""
        return [
            SEPARATOR.join(labels[index] for index in row.nonzero()[:, 0])
            for row in self.decide(logits).cpu()
        ]

    def split(self, text: str) -> list[str]:
        """Return the labels that a table's cell holds."""
        raise NotImplementedError


class _One(Decision):
    labels_per_clip = "one"

    def probs(self, logits: Tensor, dim: int = -1) -> Tensor:
        return _exact(logits).softmax(dim)

    def decide(self, logits: Tensor) -> Tensor:
        best = logits.argmax(-1, keepdim=True)
        return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, best, 1)

    def entropy(self, logits: Tensor) -> Tensor:
        logs = _exact(logits).log_softmax(-1)
        return -(logs.exp() * logs).sum(-1)

    def energy(self, logits: Tensor) -> Tensor:
        return _exact(logits).logsumexp(-1)

    def losses(
        self, logits: Tensor, targets: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        return F.cross_entropy(
            _exact(logits), targets, reduction="none", label_smoothing=smoothing
        )

    def class_losses(self, logits: Tensor, class_ids: Tensor) -> Tensor:
        return F.cross_entropy(_exact(logits), class_ids, reduction="none")

    def common(self, logits: Tensor) -> Tensor:
        return logits.mean(1)

    def mix(self, share: Tensor, own: Tensor, added: Tensor) -> Tensor:
        return share * own + (1 - share) * added

    def show(self, share: Tensor, own: Tensor, added: Tensor) -> Tensor:
        return self.mix(share, own, added)

    def forget(
        self, targets: Tensor, class_ids: Tensor, chosen: Tensor
    ) -> Tensor:
        weight = targets.gather(1, class_ids[:, None]) * chosen[:, None]
        taken = targets.scatter_add(1, class_ids[:, None], -weight)
        return taken + weight / targets.shape[1]

    def even(self, n_classes: int) -> float:
        return 1 / n_classes

    def held(self, targets: Tensor) -> Tensor:
        return self.decide(targets)

    def draw(self, targets: Tensor) -> Tensor:
        return targets.argmax(1)

    def split(self, text: str) -> list[str]:
        return [text]


class _Several(Decision):
    labels_per_clip = "several"

    def probs(self, logits: Tensor, dim: int = -1) -> Tensor:
        return _exact(logits).sigmoid()

    def decide(self, logits: Tensor) -> Tensor:
        return logits >= 0  # a probability of one half

    def entropy(self, logits: Tensor) -> Tensor:
        logits = _exact(logits)
        return F.binary_cross_entropy_with_logits(
            logits, logits.sigmoid(), reduction="none"
        ).sum(-1)

    def energy(self, logits: Tensor) -> Tensor:
        return F.softplus(_exact(logits)).sum(-1)

    def losses(
        self, logits: Tensor, targets: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        half = torch.full_like(targets, 0.5)
        return F.binary_cross_entropy_with_logits(
            _exact(logits),
            torch.lerp(targets, half, smoothing),
            reduction="none",
        ).mean(1)

    def class_losses(self, logits: Tensor, class_ids: Tensor) -> Tensor:
        own = _exact(logits).gather(1, class_ids[:, None]).squeeze(1)
        return F.softplus(-own)

    def common(self, logits: Tensor) -> Tensor:
        return torch.zeros_like(logits[:, 0])

    def mix(self, share: Tensor, own: Tensor, added: Tensor) -> Tensor:
        # both are to be heard, whichever is louder
        return torch.maximum(own * (share > 0), added * (share < 1))

    def show(self, share: Tensor, own: Tensor, added: Tensor) -> Tensor:
        # what most is left of is there, what little is left of is there a bit
        heard = own * (2 * share).clamp(max=1)
        return torch.maximum(heard, added * (2 - 2 * share).clamp(max=1))

    def forget(
        self, targets: Tensor, class_ids: Tensor, chosen: Tensor
    ) -> Tensor:
        weight = targets.gather(1, class_ids[:, None]) * chosen[:, None]
        return targets.scatter_add(1, class_ids[:, None], -weight)

    def even(self, n_classes: int) -> float:
        return 0.0

    def held(self, targets: Tensor) -> Tensor:
        return targets > 0

    def draw(self, targets: Tensor) -> Tensor:
        nothing = ~targets.any(1, keepdim=True)  # then any class will do
        return (targets + nothing).multinomial(1)[:, 0]

    def split(self, text: str) -> list[str]:
        return text.split(SEPARATOR) if text else []


ONE, SEVERAL = _One(), _Several()
DECISIONS: dict[str, Decision] = {
    each.labels_per_clip: each for each in (ONE, SEVERAL)
}


def find_decision(labels_per_clip: str) -> Decision:
    """Return the decision that the key of a YAML file means.

    Arguments
    ---------
    labels_per_clip : str
        `one` or `several`.

    Returns
    -------
    Decision
        `ONE` or `SEVERAL`.

    Raises
    ------
    ValueError
        If it is neither.

    Example
    -------
    >>> find_decision("several").probs(torch.zeros(1, 3))
    tensor([[0.5000, 0.5000, 0.5000]])
    """
    if labels_per_clip not in DECISIONS:
        raise ValueError(
            f"labels_per_clip={labels_per_clip!r} must be 'one' (a softmax) or "
            "'several' (a sigmoid for each class)."
        )
    return DECISIONS[labels_per_clip]


def mark_classes(
    class_ids: Tensor | Iterable[int | Sequence[int]], n_classes: int
) -> Tensor:
    """Mark the classes of each clip, `[batch, n_classes]`, 0 or 1.

    Arguments
    ---------
    class_ids : torch.Tensor or iterable
        Of each clip its class, or a list of its classes, or of none.
    n_classes : int
        How many there are.

    Returns
    -------
    torch.Tensor
        float, on the CPU.

    Example
    -------
    >>> mark_classes([1, [0, 1], []], 2)
    tensor([[0., 1.],
            [1., 1.],
            [0., 0.]])
    """
    rows = [
        [int(ids)] if isinstance(ids, int | Tensor) else list(ids)
        for ids in class_ids
    ]
    marked = torch.zeros(len(rows), n_classes)
    for row, ids in zip(marked, rows, strict=True):
        row[ids] = 1
    return marked
