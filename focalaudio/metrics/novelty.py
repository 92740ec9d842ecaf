"""`what is known of a clip -> one value`: is it like any class at all?

A softmax adds up to 1 whatever it is shown, so the class of a sound that is
like none of the training data means nothing. Each score here says how much a
clip is like them, one value per clip; `SCORES` says which way it points and who
proposed it. A rule is a score and a threshold; of some scores it can be part of
a model (`STORABLE`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from focalaudio.decisions import ONE, Decision

EPS_LOUDNESS = 1e-12  # protects the division by the loudness of silence
SHRINKAGE = 0.1  # of a covariance towards a multiple of the identity
N_NEIGHBORS = 5


def probability(logits: Tensor, decision: Decision = ONE) -> Tensor:
    """Return the highest probability of each clip.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`.
    decision : Decision
        What the logits mean.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1.

    Example
    -------
    >>> probability(torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]))
    tensor([0.5000, 0.7500])
    """
    return decision.probs(logits).amax(-1)


def entropy(logits: Tensor, decision: Decision = ONE) -> Tensor:
    """Return the entropy of each clip's probabilities.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`.
    decision : Decision
        What the logits mean.

    Returns
    -------
    torch.Tensor
        `[batch]`, nats, 0 to the logarithm of the number of classes; where a
        clip has several labels the sum over them, ln 2 each at the most.

    Example
    -------
    >>> entropy(torch.zeros(1, 2))  # ln 2
    tensor([0.6931])
    """
    return decision.entropy(logits)


def energy(logits: Tensor, decision: Decision = ONE) -> Tensor:
    """Return the log-sum-exp of each clip's logits.

    The negative free energy of arXiv 2010.03759 at temperature 1. Unlike the
    probabilities it knows how large the logits are. Where a clip has several
    labels it is the sum of those of each label, `ln(1 + exp(logit))` (arXiv
    2109.14162).

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`.
    decision : Decision
        What the logits mean.

    Returns
    -------
    torch.Tensor
        `[batch]`, any sign.

    Example
    -------
    >>> energy(torch.tensor([[0.0, 0.0], [2.0, 2.0]]))  # ln 2, 2 + ln 2
    tensor([0.6931, 2.6931])
    """
    return decision.energy(logits)


def evidence(share: Tensor, log_magnitude: Tensor) -> Tensor:
    """Return how much of each clip's loudness is given to a class.

    Arguments
    ---------
    share : torch.Tensor
        `[batch, time, freq]`, 0 to 1, how much of each cell is the class's.
    log_magnitude : torch.Tensor
        `[batch, time, freq]`, non-negative.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1; 0 of silence.

    Example
    -------
    >>> evidence(torch.tensor([[[1.0, 0.2]]]), torch.tensor([[[3.0, 1.0]]]))
    tensor([0.8000])
    """
    total = log_magnitude.float().sum((1, 2))
    given = (share * log_magnitude).float().sum((1, 2))
    return given / total.clamp(min=EPS_LOUDNESS)


def mahalanobis(embeddings: Tensor, means: Tensor, precision: Tensor) -> Tensor:
    """Return the squared distance of each clip to the nearest class.

    In units of the spread within classes, of all dimensions (arXiv 1807.03888).

    Arguments
    ---------
    embeddings : torch.Tensor
        `[batch, n_features]`.
    means : torch.Tensor
        `[n_classes, n_features]`.
    precision : torch.Tensor
        `[n_features, n_features]`, the inverse of the shared covariance.

    Returns
    -------
    torch.Tensor
        `[batch]`, non-negative.

    Example
    -------
    >>> means, precision = torch.tensor([[0.0], [4.0]]), torch.tensor([[0.25]])
    >>> mahalanobis(torch.tensor([[2.0], [6.0], [4.0]]), means, precision)
    tensor([1., 1., 0.])
    """
    away = embeddings[:, None] - means
    return ((away @ precision) * away).sum(-1).amin(1)


def neighbors(embeddings: Tensor, known: Tensor, k: int = 1) -> Tensor:
    """Return the distance of each clip to its k-th nearest training clip.

    On the unit sphere, as embeddings of arXiv 2204.06507 are.

    Arguments
    ---------
    embeddings : torch.Tensor
        `[batch, n_features]`.
    known : torch.Tensor
        `[n_known, n_features]`, of the training clips.
    k : int
        1 to `n_known`.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 2.

    Example
    -------
    >>> known = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> neighbors(torch.tensor([[5.0, 0.0]]), known, k=2)  # the root of 2
    tensor([1.4142])
    """
    sphere = torch.nn.functional.normalize
    away = sphere(embeddings)[:, None] - sphere(known)
    return away.norm(dim=-1).kthvalue(k, dim=1).values


@dataclass(frozen=True)
class EmbeddingSpace:
    """Where the embeddings of the training clips lie.

    Arguments
    ---------
    known : torch.Tensor
        `[n_known, n_features]`.
    means : torch.Tensor
        `[n_classes, n_features]`, of those classes that have clips.
    precision : torch.Tensor
        `[n_features, n_features]`, of what is left when the means are taken
        off.
    """

    known: Tensor
    means: Tensor
    precision: Tensor

    @classmethod
    def fit(cls, known: Tensor, targets: Tensor) -> EmbeddingSpace:
        """Describe embeddings `[n_known, n_features]` of classes `[n_known]`.

        The covariance is shrunk towards a multiple of the identity, since there
        may be fewer clips than features.

        Example
        -------
        >>> known = torch.tensor([[0.0, 0.0], [2.0, 0.0], [9.0, 1.0]])
        >>> EmbeddingSpace.fit(known, torch.tensor([0, 0, 4])).means
        tensor([[1., 0.],
                [9., 1.]])
        """
        _, places = targets.unique(return_inverse=True)
        means = torch.stack(
            [
                known[places == place].mean(0)
                for place in range(places.max() + 1)
            ]
        )
        rest = (known - means[places]).double()
        covariance = rest.T @ rest / len(known)
        scale = covariance.diagonal().mean()
        # of one clip of each class nothing is known but their distances
        scale = torch.where(scale > 0, scale, 1.0)
        sphere = scale * torch.eye(len(covariance)).to(covariance)
        shrunk = torch.lerp(covariance, sphere, SHRINKAGE)
        return cls(known, means, torch.linalg.pinv(shrunk).to(known))

    def score(self, embeddings: Tensor) -> dict[str, Tensor]:
        """Return `mahalanobis` and `neighbors` of embeddings, by name."""
        k = min(N_NEIGHBORS, len(self.known))
        return {
            "mahalanobis": mahalanobis(embeddings, self.means, self.precision),
            "neighbors": neighbors(embeddings, self.known, k),
        }


@dataclass(frozen=True)
class Score:
    """What a score is.

    Arguments
    ---------
    words : str
        What it measures.
    higher_is_known : bool
        Whether high values are those of sounds like the training data.
    source : str
        Who proposed it.
    of_cells : bool
        Whether it needs a classifier whose cells have a share of the logit.
    """

    words: str
    higher_is_known: bool
    source: str
    of_cells: bool = False


SCORES = {
    "probability": Score("the highest probability", True, "arXiv 1610.02136"),
    "entropy": Score("entropy of the probabilities", False, "arXiv 1612.01474"),
    "energy": Score("log-sum-exp of the logits", True, "arXiv 2010.03759"),
    "evidence": Score(
        "share of the loudness that the cells give to the class",
        True,
        "this project",
        of_cells=True,
    ),
    "spectrum": Score(
        "distance of the average spectrum, and of how it changes, to those of "
        "the class's training clips",
        False,
        "this project",
    ),
    "mahalanobis": Score(
        "distance of the embedding to the nearest class",
        False,
        "arXiv 1807.03888",
    ),
    "neighbors": Score(
        f"distance of the embedding to the {N_NEIGHBORS}th nearest training "
        "clip",
        False,
        "arXiv 2204.06507",
    ),
}
STORABLE = ("probability", "entropy", "energy", "evidence", "spectrum")


@dataclass(frozen=True)
class NoveltyRule:
    """When a clip is like the training data: a score and its threshold.

    Arguments
    ---------
    score : str
        A key of `SCORES`.
    threshold : float
        The last value of what is known.

    Raises
    ------
    ValueError
        If there is no such score, or the threshold is not finite.

    Example
    -------
    >>> rule = NoveltyRule("entropy", 0.5)
    >>> rule.is_known(torch.tensor([0.4, 0.5, 0.6, torch.nan]))
    tensor([ True,  True, False, False])
    """

    score: str
    threshold: float

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise ValueError(
                f"score={self.score!r} must be one of {', '.join(SCORES)}."
            )
        if not math.isfinite(self.threshold):
            raise ValueError(f"threshold={self.threshold} must be finite.")
        object.__setattr__(self, "threshold", float(self.threshold))

    def is_known(self, values: Tensor) -> Tensor:
        """Return which of the values are of known sounds, `[batch]`, bool."""
        if SCORES[self.score].higher_is_known:
            return values >= self.threshold
        return values <= self.threshold

    @classmethod
    def calibrate(
        cls, score: str, values: Sequence[float] | Tensor, keep: float = 0.9
    ) -> NoveltyRule:
        """Choose a threshold that keeps a share of known clips, and no more.

        It lies midway between the last value that it keeps and the next one, so
        that no clip is known or not by how its batch was rounded.

        Arguments
        ---------
        score : str
            A key of `SCORES`.
        values : sequence of float or torch.Tensor
            One per clip of a validation set, at least one.
        keep : float
            Share of them that are to be known, at the least; above 0, to 1.

        Returns
        -------
        NoveltyRule
            Its threshold is the last value if all are kept.

        Raises
        ------
        ValueError
            If there are no values, or `keep` is out of range.

        Example
        -------
        >>> NoveltyRule.calibrate("energy", [4.0, 1.0, 3.0, 2.0], keep=0.75)
        NoveltyRule(score='energy', threshold=1.5)
        """
        fewest = _count_kept(keep, len(values))
        if len(values) == 0:
            raise ValueError(f"There are no values to choose {score} by.")
        found = torch.as_tensor(values, dtype=torch.double).detach()
        higher = SCORES[score].higher_is_known
        # what is no number is never known
        found = found.nan_to_num(
            -math.inf if higher else math.inf, math.inf, -math.inf
        )
        ordered = found.sort(descending=higher).values
        edge = ordered[fewest - 1 : fewest + 1]
        middle = edge.mean() if edge.isfinite().all() else edge[0]
        return cls(score, float(middle))


def _count_kept(keep: float, n_clips: int) -> int:
    """Return how many clips a share of them is, at the least."""
    if not 0 < keep <= 1:
        raise ValueError(f"keep={keep} must be above 0 and at most 1.")
    # what is a whole number but for rounding is one
    return math.ceil(round(keep * n_clips, 9))


def calibrate_together(
    values: Mapping[str, Tensor], keep: float = 0.9
) -> tuple[NoveltyRule, ...]:
    """Choose a threshold of each of several scores, all of which must agree.

    They are equally tight: each alone keeps the same share of the known clips,
    the smallest one by which all together keep `keep` of them.

    Arguments
    ---------
    values : mapping
        From a score's name to its value of each clip of a validation set.
    keep : float
        Share of the clips that are to be known by all of the rules, at the
        least; above 0, to 1.

    Returns
    -------
    tuple of NoveltyRule
        One for each score; of one score, that of `NoveltyRule.calibrate`.

    Raises
    ------
    ValueError
        If there are no values, or `keep` is out of range.

    Example
    -------
    >>> loud, near = torch.tensor([1.0, 2, 3, 4]), torch.tensor([1.0, 2, 3, 4])
    >>> rules = calibrate_together({"energy": loud, "spectrum": near}, keep=0.5)
    >>> [rule.threshold for rule in rules]  # two of the four are both
    [1.5, 3.5]
    """
    if not values:
        raise ValueError("There is no score to choose a threshold of.")
    n_clips = len(next(iter(values.values())))
    tightest = _count_kept(keep, n_clips)
    rules: tuple[NoveltyRule, ...] = ()
    for n_known in range(tightest, n_clips + 1):
        share = n_known / n_clips if n_known > tightest else keep
        rules = tuple(
            NoveltyRule.calibrate(score, each, share)
            for score, each in values.items()
        )
        known = torch.stack(
            [rule.is_known(values[rule.score]) for rule in rules]
        )
        if known.all(0).sum() >= tightest:
            break
    return rules
