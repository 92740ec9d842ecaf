"""`Interpretation -> columns`: every metric of a batch, one value per clip.

The names are those of `focalaudio.metrics.table.METRICS`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from focalaudio.decisions import Decision
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.metrics import functional as formulas
from focalaudio.metrics.boxes import boxes_to_cells
from focalaudio.metrics.curves import Classify, area, insertion_and_deletion
from focalaudio.metrics.mixtures import (
    ideal_binary_mask,
    keep_best,
    mask_iou,
    oracle_scores,
    pointing_game,
    saliency_auc,
    si_sdr,
    source_kept,
    source_share,
)
from focalaudio.metrics.timing import (
    find_marked,
    find_sounding,
    frame_f1,
    time_chance,
    time_iou,
    time_pointing,
)
from focalaudio.spectrogram import Spectrum, group_by_length

Columns = dict[str, Tensor]


@dataclass(frozen=True)
class Sources:
    """The two known sources of a batch of mixtures.

    Arguments
    ---------
    first, second : torch.Tensor
        `[batch, samples]`.
    first_energy, second_energy : torch.Tensor
        `[batch, time, freq]`, of their short-time spectra.
    targets, other_targets : torch.Tensor
        `[batch]`, int64, classes of the first and of the second; -1 for none.

    Example
    -------
    >>> wavs, energy = torch.ones(2, 9), torch.ones(2, 3, 4)
    >>> targets = torch.tensor([0, 1]), torch.tensor([2, 2])
    >>> sources = Sources(wavs, 2 * wavs, energy, 2 * energy, *targets)
    >>> chosen, found = sources.choose(torch.tensor([0, 2]))
    >>> chosen.first[:, 0], found
    (tensor([1., 2.]), tensor([True, True]))
    """

    first: Tensor
    second: Tensor
    first_energy: Tensor
    second_energy: Tensor
    targets: Tensor
    other_targets: Tensor

    def choose(self, class_ids: Tensor) -> tuple[Sources, Tensor]:
        """Put the source of each clip's class first.

        Arguments
        ---------
        class_ids : torch.Tensor
            `[batch]`, int64, the classes that are explained.

        Returns
        -------
        tuple
            The sources, swapped where the class is that of the second, and
            `[batch]`, bool: whether either has that class.
        """
        swap = (class_ids == self.other_targets) & (class_ids != self.targets)
        found = swap | (class_ids == self.targets)

        def pick(one: Tensor, other: Tensor) -> Tensor:
            shape = (-1,) + (1,) * (one.dim() - 1)
            return torch.where(swap.view(shape), other, one)

        pairs = (
            (self.first, self.second),
            (self.first_energy, self.second_energy),
            (self.targets, self.other_targets),
        )
        chosen = [
            pick(*order) for pair in pairs for order in (pair, pair[::-1])
        ]
        return Sources(*chosen), found


def _part_columns(
    logits: Tensor,
    kept_logits: Tensor,
    removed_logits: Tensor,
    targets: Tensor,
    decision: Decision,
) -> Columns:
    """Return every column that follows from the three classifications."""
    whole, kept, removed = (
        formulas.predicted_probability(part, logits, decision)
        for part in (logits, kept_logits, removed_logits)
    )
    return {
        "probability": whole,
        "kept_probability": kept,
        "removed_probability": removed,
        **formulas.answer_columns(logits, targets, decision),
        "fidelity": formulas.fidelity(logits, kept_logits, decision),
        "faithfulness": formulas.faithfulness(whole, removed),
        "faithfulness_of_kept": formulas.faithfulness_of_kept(whole, kept),
        "average_increase": formulas.average_increase(whole, kept),
        "average_drop": formulas.average_drop(whole, kept),
        "average_gain": formulas.average_gain(whole, kept),
    }


def _saliency_columns(saliency: Tensor, spectrum: Spectrum) -> Columns:
    """Measure how concentrated each saliency is, over the clip's own frames."""
    columns = {
        name: saliency.new_empty(len(saliency))
        for name in ("sparseness", "complexity")
    }
    for frames, rows in group_by_length(spectrum.n_frames):
        own = saliency[rows, :frames]
        columns["sparseness"][rows] = formulas.sparseness(own).to(own)
        columns["complexity"][rows] = formulas.complexity(own).to(own)
    return columns


def interpretation_columns(
    interpretation: Interpretation,
    parts: tuple[Tensor, Tensor],
    targets: Tensor,
) -> Columns:
    """Return every column that needs neither curves nor a known source.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    parts : tuple of torch.Tensor
        Logits of the kept and of the removed parts, `[batch, n_classes]`.
    targets : torch.Tensor
        `[batch, n_classes]`, 1 of the true classes, else 0; or `[batch]`,
        int64, the only ones.

    Returns
    -------
    dict
        From a column's name to `[batch]`.

    Example
    -------
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum = spectrogram(torch.rand(1, 1000))
    >>> logits, whole = torch.eye(2)[:1], torch.ones(1, 6, 513)
    >>> record = Interpretation(
    ...     logits, torch.tensor([0]), whole, whole, spectrum, spectrogram
    ... )
    >>> columns = interpretation_columns(record, (logits, logits), logits)
    >>> columns["fidelity"], columns["kept_fraction"]
    (tensor([1.]), tensor([1.]))
    """
    return {
        **_part_columns(
            interpretation.logits, *parts, targets, interpretation.decision
        ),
        **_saliency_columns(interpretation.saliency, interpretation.spectrum),
        **size_columns(interpretation),
    }


def size_columns(interpretation: Interpretation) -> Columns:
    """Return how much of each clip a mask keeps, of its cells and its energy.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.

    Returns
    -------
    dict
        `kept_fraction` and `kept_energy`, `[batch]`; the second is `nan` for
        silence.
    """
    return {
        "kept_fraction": interpretation.kept_fraction,
        "kept_energy": interpretation.kept_energy,
    }


def curve_columns(
    interpretation: Interpretation, classify: Classify, n_steps: int
) -> Columns:
    """Return the areas under both curves, the columns that cost more passes.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    classify : callable
        As in `focalaudio.metrics.curves.insertion_and_deletion`.
    n_steps : int
        Of a curve; each costs two passes.

    Returns
    -------
    dict
        `insertion` and `deletion`, `[batch]`.
    """
    curves = insertion_and_deletion(
        interpretation.saliency,
        interpretation.log_magnitude,
        interpretation.spectrum.n_frames,
        classify,
        interpretation.class_ids,
        n_steps,
        decision=interpretation.decision,
    )
    names = ("insertion", "deletion")
    return {name: area(c) for name, c in zip(names, curves, strict=True)}


def source_columns(interpretation: Interpretation, sources: Sources) -> Columns:
    """Return every column that compares with the known sources.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch of mixtures.
    sources : Sources
        Of the same.

    Returns
    -------
    dict
        From a column's name to `[batch]`. Where the explained class is that of
        neither source, `source_kept` is of the first and the others but
        `source_found` are `nan`; these are, too, where one of the sources is
        silence, which any mask tells from the other.

    Example
    -------
    >>> from focalaudio.spectrogram import Spectrogram, power_spectrum
    >>> spectrogram = Spectrogram()
    >>> wavs = torch.rand(1, 1000), torch.rand(1, 1000)
    >>> spectrum = spectrogram(sum(wavs))
    >>> energies = [power_spectrum(spectrogram(wav).stft) for wav in wavs]
    >>> targets = torch.tensor([0]), torch.tensor([1])
    >>> sources = Sources(*wavs, *energies, *targets)
    >>> whole = torch.ones(1, 6, 513)
    >>> record = Interpretation(
    ...     torch.eye(2)[:1], targets[0], whole, whole, spectrum, spectrogram
    ... )
    >>> columns = source_columns(record, sources)
    >>> bool(columns["si_sdr_improvement"].abs() < 0.01)
    True
    """
    chosen, found = sources.choose(interpretation.class_ids)
    # a source rings on in the padding, which is no part of the clip
    own = interpretation.spectrum.own_frames[:, :, None]
    source, other = chosen.first_energy * own, chosen.second_energy * own
    ratio = si_sdr(interpretation.wavs, chosen.first)
    mixture = si_sdr(chosen.first + chosen.second, chosen.first)
    columns = {
        "source_share": source_share(interpretation.mask, source, other),
        **_place_columns(interpretation, source, other),
        "si_sdr": ratio,
        "si_sdr_improvement": ratio - mixture,
    }
    both_sound = (source.sum((1, 2)) > 0) & (other.sum((1, 2)) > 0)
    compares = found & both_sound
    return {
        "source_found": found.float(),
        "source_kept": source_kept(interpretation.mask, source),
    } | {
        name: column.masked_fill(~compares, torch.nan)
        for name, column in columns.items()
    }


def annotation_columns(
    interpretation: Interpretation, boxes: Tensor
) -> Columns:
    """Return every column that compares with what a person marked.

    The cells in a box of the explained class are those in which the source is
    louder; all other cells sound of something else.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.
    boxes : torch.Tensor
        `[batch, n_boxes, 5]`, see `focalaudio.metrics.boxes.boxes_to_cells`.

    Returns
    -------
    dict
        From a column's name to `[batch]`; all but `source_found` are `nan`
        where no box is of the explained class.

    Example
    -------
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum = spectrogram(torch.rand(1, 16000))
    >>> early = torch.zeros_like(spectrum.log_magnitude)
    >>> early[:, :30] = 1
    >>> record = Interpretation(
    ...     torch.eye(2)[:1], torch.tensor([0]), early, early, spectrum,
    ...     spectrogram,
    ... )
    >>> boxes = torch.tensor([[[0.0, 0.5, 0.0, torch.inf, 0.0]]])
    >>> columns = annotation_columns(record, boxes)
    >>> columns["time_pointing"], columns["time_chance"].round(decimals=1)
    (tensor([1.]), tensor([0.5000]))
    """
    spectrum = interpretation.spectrum
    truth = boxes_to_cells(
        boxes, interpretation.class_ids, spectrum, interpretation.synthesis
    )
    rest = spectrum.own_frames[:, :, None] & ~truth
    found = truth.any(2).any(1)
    columns = _place_columns(interpretation, truth.float(), rest.float())
    return {"source_found": found.float()} | {
        name: column.masked_fill(~found, torch.nan)
        for name, column in columns.items()
    }


def _place_columns(
    interpretation: Interpretation, source: Tensor, other: Tensor
) -> Columns:
    """Compare where the map and the mask are with where a source is.

    `source` and `other` are energies, `[batch, time, freq]`.
    """
    saliency, mask = interpretation.saliency, interpretation.mask
    own = interpretation.spectrum.own_frames
    sounding = find_sounding(source, own)
    marked = find_marked(saliency, own)
    inside = saliency.masked_fill(~own[:, :, None], -torch.inf)
    return {
        "iou": mask_iou(mask, ideal_binary_mask(source, other)),
        "pointing": pointing_game(inside, source, other),
        "auc": saliency_auc(saliency, source, other),
        "time_pointing": time_pointing(saliency, sounding, own),
        "time_iou": time_iou(marked, sounding),
        "frame_f1": frame_f1(marked, sounding),
        "time_chance": time_chance(sounding, own),
    }


def oracle_interpretations(
    interpretation: Interpretation, sources: Sources
) -> dict[str, Interpretation]:
    """Make masks of an oracle, of the same size as an interpretation's.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch of mixtures.
    sources : Sources
        Of the same.

    Returns
    -------
    dict
        From a name of `oracle_scores` to an interpretation whose saliency is
        those scores and whose mask keeps as many cells.
    """
    chosen, _ = sources.choose(interpretation.class_ids)
    scores = oracle_scores(chosen.first_energy, chosen.second_energy)
    n_frames = interpretation.spectrum.n_frames
    sizes = interpretation.mask.float().sum((1, 2))
    return {
        name: replace(
            interpretation,
            saliency=ranking,
            mask=keep_best(ranking, sizes, n_frames),
        )
        for name, ranking in scores.items()
    }
