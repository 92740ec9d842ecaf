"""What each metric is, stated once: its words, its formula, the better way.

`f(.)` is the probability of the class predicted on the whole clip `X`, `S`
and `O` are the magnitudes of a known source and of the rest, `m` is the mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

# what every row of an interpretation's `clips.csv` begins with
CLIP_COLUMNS = (
    "clip_id",
    "label",
    "predicted",
    "probability",
    "kept_probability",
    "removed_probability",
)


@dataclass(frozen=True)
class Metric:
    """A column of `clips.csv`, and of every table that sums it up.

    Arguments
    ---------
    name : str
        Of the column.
    words : str
        For people.
    formula : str
        One line, or where it is from.
    needs : str
        What it is computed of: the `whole` clip's class, the kept and removed
        `parts`, the `saliency`, the `curves` of insertion and deletion, the
        `mask`, or the known `sources`.
    direction : str
        Which way is better: `up`, `down`, or nothing.
    low, high : float
        The ends of its range.
    unit : str
        Of the range.

    Example
    -------
    >>> drop = METRICS["average_drop"]
    >>> drop.header, drop.span
    ('average_drop (down)', '0..100 %')
    """

    name: str
    words: str
    formula: str
    needs: Literal["whole", "parts", "saliency", "curves", "mask", "sources"]
    direction: Literal["up", "down", ""] = "up"
    low: float = 0.0
    high: float = 1.0
    unit: str = ""

    @property
    def header(self) -> str:
        """The name with the better way, as tables have it."""
        return (
            f"{self.name} ({self.direction})" if self.direction else self.name
        )

    @property
    def span(self) -> str:
        """Both ends with their unit; an end that is infinite is left out."""
        ends = "..".join(
            f"{end:g}" if math.isfinite(end) else ""
            for end in (self.low, self.high)
        )
        return f"{ends} {self.unit}".removeprefix("..").strip()


# in the order of tables
METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "accuracy",
            "Accuracy (share of clips classified right)",
            "1[argmax f(X) = label]",
            "whole",
        ),
        Metric(
            "loss",
            "Cross-entropy (of training runs)",
            "-ln f(X) of the label",
            "whole",
            "down",
            high=math.inf,
            unit="nats",
        ),
        Metric(
            "fidelity",
            "Fidelity (kept part gets the same class)",
            "1[argmax f(kept) = argmax f(X)]",
            "parts",
        ),
        Metric(
            "faithfulness",
            "Faithfulness (probability lost when the kept part is removed)",
            "f(X) - f(removed)",
            "parts",
            low=-1.0,
        ),
        Metric(
            "faithfulness_of_kept",
            "Probability lost when only the kept part is left "
            '(what the reference logs as "faithfulness")',
            "f(X) - f(kept)",
            "parts",
            "down",
            low=-1.0,
        ),
        Metric(
            "average_increase",
            "Average increase (share of clips whose kept part is surer)",
            "100 * 1[f(kept) > f(X)]",
            "parts",
            high=100.0,
            unit="%",
        ),
        Metric(
            "average_drop",
            "Average drop (share of the probability that is lost)",
            "100 * max(0, f(X) - f(kept)) / f(X)",
            "parts",
            "down",
            high=100.0,
            unit="%",
        ),
        Metric(
            "average_gain",
            "Average gain (share of what is missing that is won)",
            "100 * max(0, f(kept) - f(X)) / (1 - f(X))",
            "parts",
            high=100.0,
            unit="%",
        ),
        Metric(
            "sparseness",
            "Sparseness (how few cells hold the saliency)",
            "Gini index of the saliency",
            "saliency",
        ),
        Metric(
            "complexity",
            "Complexity (over how many cells the saliency spreads)",
            "entropy of the saliency's shares, up to ln n",
            "saliency",
            "down",
            high=math.inf,
            unit="nats",
        ),
        Metric(
            "insertion",
            "Insertion (how soon the class appears; with `--curve_steps N`)",
            "area under f while cells come by falling saliency",
            "curves",
        ),
        Metric(
            "deletion",
            "Deletion (how long the class lasts; with `--curve_steps N`)",
            "area under f while cells go by falling saliency",
            "curves",
            "down",
        ),
        Metric(
            "kept_fraction",
            "Share of the cells that is kept",
            "sum of m / n",
            "mask",
            "",
        ),
        Metric(
            "source_found",
            "Share of clips whose predicted class is that of a source",
            "1[argmax f(X) = class of a source]",
            "sources",
        ),
        Metric(
            "source_kept",
            "Share of the source's energy that is kept",
            "sum (m S)^2 / sum S^2; of the label's source if none is found",
            "sources",
        ),
        Metric(
            "source_share",
            "Share of the kept energy that belongs to the source",
            "sum (m S)^2 / (sum (m S)^2 + sum (m O)^2)",
            "sources",
        ),
        Metric(
            "iou",
            "Overlap of the mask with the cells in which the source is louder",
            "intersection over union with the ideal binary mask",
            "sources",
        ),
        Metric(
            "pointing",
            "Share of clips whose most salient cell is one of these",
            "1[S > O at the largest saliency]",
            "sources",
        ),
        Metric(
            "auc",
            "How well the saliency ranks these cells above the others",
            "area under the ROC curve, over all cells that sound; chance .5",
            "sources",
        ),
        Metric(
            "si_sdr",
            "SI-SDR of the interpretation against the source",
            "arXiv 1811.02508",
            "sources",
            low=-math.inf,
            high=math.inf,
            unit="dB",
        ),
        Metric(
            "si_sdr_improvement",
            "The same, less the SI-SDR of the mixture",
            "SI-SDR(interpretation) - SI-SDR(mixture)",
            "sources",
            low=-math.inf,
            high=math.inf,
            unit="dB",
        ),
    )
}
