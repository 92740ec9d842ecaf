"""What each metric is, stated once: its words, its formula, the better way.

`f(.)` is the probability of the class predicted on the whole clip `X` (where a
clip has several labels, of the most probable one: see docs/metrics.md), `S`
and `O` are the magnitudes of a known source and of the rest, `m` is the mask,
`s` the saliency. `rho` is Spearman's rank correlation over the clip's cells.
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

INF = math.inf


@dataclass(frozen=True)
class Metric:
    """A column of `clips.csv`, and of every table that sums it up.

    Arguments
    ---------
    name : str
        Of the column.
    needs : str
        What it is computed of: the `whole` clip's class, the kept and removed
        `parts`, the `saliency`, the `curves` of insertion and deletion, the
        `mask`, what another `judge` says of the parts, `random` parts of them,
        the known `sources`, or further passes that are `checks`.
    direction : str
        Which way is better: `up`, `down`, or nothing.
    words : str
        For people.
    formula : str
        One line, or where it is from.
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
    needs: Literal[
        "whole",
        "parts",
        "saliency",
        "curves",
        "mask",
        "judge",
        "random",
        "sources",
        "checks",
    ]
    direction: Literal["up", "down", ""]
    words: str
    formula: str
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
METRICS = {m.name: m for m in (
    Metric("accuracy", "whole", "up",
        "Accuracy (share of clips classified right)",
        "1[argmax f(X) = label]; of several labels, 1[every class decided "
        "right]"),
    Metric("hit", "whole", "up",
        "Share of clips whose most probable class is a label (of several)",
        "1[argmax f(X) in labels]"),
    Metric("loss", "whole", "down",
        "Cross-entropy (of training runs)",
        "-ln f(X) of the label; of several labels, the mean over classes",
        high=INF, unit="nats"),
    Metric("fidelity", "parts", "up",
        "Fidelity (kept part gets the same class)",
        "1[argmax f(kept) = argmax f(X)]; of several labels, 1[f(kept) and "
        "f(X) on the same side of .5]"),
    Metric("faithfulness", "parts", "up",
        "Faithfulness (probability lost when the kept part is removed)",
        "f(X) - f(removed)", low=-1.0),
    Metric("faithfulness_of_kept", "parts", "down",
        "Probability lost when only the kept part is left (what the "
        'reference logs as "faithfulness")',
        "f(X) - f(kept)", low=-1.0),
    Metric("average_increase", "parts", "up",
        "Average increase (share of clips whose kept part is surer)",
        "100 * 1[f(kept) > f(X)]", high=100.0, unit="%"),
    Metric("average_drop", "parts", "down",
        "Average drop (share of the probability that is lost)",
        "100 * max(0, f(X) - f(kept)) / f(X)", high=100.0, unit="%"),
    Metric("average_gain", "parts", "up",
        "Average gain (share of what is missing that is won)",
        "100 * max(0, f(kept) - f(X)) / (1 - f(X))", high=100.0, unit="%"),
    Metric("sparseness", "saliency", "up",
        "Sparseness (how few cells hold the saliency)",
        "Gini index of the saliency"),
    Metric("complexity", "saliency", "down",
        "Complexity (over how many cells the saliency spreads)",
        "entropy of the saliency's shares, up to ln n", high=INF, unit="nats"),
    Metric("insertion", "curves", "up",
        "Insertion (how soon the class appears; with `--curve_steps N`)",
        "area under f while cells come by falling saliency"),
    Metric("deletion", "curves", "down",
        "Deletion (how long the class lasts; with `--curve_steps N`)",
        "area under f while cells go by falling saliency"),
    Metric("kept_fraction", "mask", "",
        "Share of the cells that is kept",
        "sum of m / n"),
    Metric("kept_energy", "mask", "",
        "Share of the clip's energy that is kept",
        "sum (m X)^2 / sum X^2"),
    Metric("judge_agreement", "judge", "",
        "Whole clip gets the class explained from the judge (with `--judge`)",
        "1[argmax g(X) = class]; of several labels, 1[g(X) >= .5]"),
    Metric("judge_fidelity", "judge", "up",
        "Kept part gets the class explained from the judge",
        "1[argmax g(kept) = class]; of several labels, 1[g(kept) >= .5]"),
    Metric("judge_faithfulness", "judge", "up",
        "Probability that the judge loses with the kept part",
        "g(X) - g(removed)", low=-1.0),
    Metric("f_fidelity_plus", "random", "up",
        "Probability lost with random halves of the kept part (with "
        "`--f_fidelity_samples N`)",
        "E[g(X) - g((1 - r m) X)], r in {0, 1} of mean .5", low=-1.0),
    Metric("f_fidelity_minus", "random", "down",
        "Probability lost with random halves of the removed part (the same)",
        "E[g(X) - g((1 - r (1 - m)) X)]", low=-1.0),
    Metric("source_found", "sources", "up",
        "Share of clips whose predicted class is that of a source",
        "1[argmax f(X) = class of a source]"),
    Metric("source_kept", "sources", "up",
        "Share of the source's energy that is kept",
        "sum (m S)^2 / sum S^2; of the label's source if none is found"),
    Metric("source_share", "sources", "up",
        "Share of the kept energy that belongs to the source",
        "sum (m S)^2 / (sum (m S)^2 + sum (m O)^2)"),
    Metric("iou", "sources", "up",
        "Overlap of the mask with the cells in which the source is louder",
        "intersection over union with the ideal binary mask"),
    Metric("pointing", "sources", "up",
        "Share of clips whose most salient cell is one of these",
        "1[S > O at the largest saliency]"),
    Metric("auc", "sources", "up",
        "How well the saliency ranks these cells above the others",
        "area under the ROC curve, over all cells that sound; chance .5"),
    Metric("time_pointing", "sources", "up",
        "Share of clips in whose most salient frame the source sounds",
        "1[source within 40 dB of its loudest frame in the most salient one]"),
    Metric("time_iou", "sources", "up",
        "Overlap of the frames above the mean saliency with these",
        "intersection over union of frames"),
    Metric("frame_f1", "sources", "up",
        "The same, as F1 of frames",
        "2 common / (frames above the mean + frames of the source)"),
    Metric("time_chance", "sources", "",
        "Share of the frames in which the source sounds",
        "what pointing at any frame gets"),
    Metric("si_sdr", "sources", "up",
        "SI-SDR of the interpretation against the source",
        "arXiv 1811.02508", low=-INF, high=INF, unit="dB"),
    Metric("si_sdr_improvement", "sources", "up",
        "The same, less the SI-SDR of the mixture",
        "SI-SDR(interpretation) - SI-SDR(mixture)",
        low=-INF, high=INF, unit="dB"),
    Metric("class_sensitivity", "checks", "down",
        "Likeness of the maps of the most and the least probable class",
        "rho(s of argmax f(X), s of argmin f(X))", low=-1.0),
    Metric("randomization", "checks", "down",
        "Likeness to the map of the same classifier untrained",
        "rho(s, s untrained)", low=-1.0),
    Metric("complexity_rise", "checks", "up",
        "How much more the map spreads untrained",
        "(H(s untrained) - H(s)) / H(s), H the complexity",
        low=-1.0, high=INF),
    Metric("infidelity", "checks", "down",
        "Error in foretelling what the silence of a random patch costs",
        "mean over patches I of (b sum(I s) - 100 (f(X) - f(X - I)))^2",
        high=1e4, unit="%^2"),
    Metric("band_drop", "checks", "",
        "Probability lost without the octave that is needed most",
        "max over bands b of f(X) - f(X without b)", low=-1.0),
    Metric("band_low", "checks", "",
        "Lower edge of that octave",
        "of six octaves, the lowest down to 0", high=INF, unit="Hz"),
    Metric("band_high", "checks", "",
        "Upper edge of that octave",
        "the highest ends at half the sample rate", high=INF, unit="Hz"),
    Metric("band_agreement", "checks", "up",
        "Does the map foretell which octaves are needed?",
        "rho over bands (sum of s X in b, f(X) - f(X without b))", low=-1.0),
    Metric("stability_shift", "checks", "up",
        "Likeness to the map of the clip rotated by a quarter, rotated back",
        "rho(s, s shifted)", low=-1.0),
    Metric("stability_gain", "checks", "up",
        "Likeness to the map of the clip 6 dB softer",
        "rho(s, s at -6 dB)", low=-1.0),
    Metric("stability_noise", "checks", "up",
        "Likeness to the map under white noise 30 dB below the clip",
        "rho(s, s in noise)", low=-1.0),
    Metric("stability_coding", "checks", "up",
        "Likeness to the map after a round trip through Ogg Vorbis",
        "rho(s, s coded)", low=-1.0),
)}  # fmt: skip
