"""`classifier output -> saliency`: the classifier's own maps, and the floors.

Activation map thresholding (arXiv 2402.02754) starts from the modulation maps
of a FocalNet or the attention maps of a ViT. They are the same whichever
class is asked about. What each cell of the last feature map says of a class
is known too, from the same forward pass: see `CLASS_MAPS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from focalaudio.contract import CELLS, Classifier, ClassifierOutput
from focalaudio.decisions import ONE, Decision
from focalaudio.saliency import combine_maps
from focalaudio.spectrogram import EPS_POWER, Spectrum

# What is left of loudness in a product with a map of a class: enough that loud
# cells of the class come first, too little to prefer another source.
LOUDNESS_POWER = 0.25
SILENCE = 2 * math.log1p(math.sqrt(EPS_POWER))  # log-magnitude, with a margin


def class_evidence(
    cell_logits: Tensor,
    class_ids: Tensor,
    cell_weights: Tensor | None = None,
    decision: Decision = ONE,
) -> Tensor:
    """Return what each cell says for a class beyond the average class.

    What a cell adds to all logits alike decides nothing between classes, so
    the mean over classes is taken off, where a clip has one label; the least
    of a clip's cells becomes 0. With a linear head `cell_logits` are class
    activation maps (CAM, arXiv 1512.04150).

    Arguments
    ---------
    cell_logits : torch.Tensor
        `[batch, n_classes, rows, cols]`, of `SoundClassifier.cell_logits`.
    class_ids : torch.Tensor
        `[batch]`, int64, the classes to explain.
    cell_weights : torch.Tensor
        `[batch, rows, cols]`, share of each cell in the logit; alike if None.
    decision : Decision
        What the logits mean.

    Returns
    -------
    torch.Tensor
        `[batch, rows, cols]`, non-negative; up to a constant for each clip,
        its sum is the lead of the class over the average class, or the logit
        of the class where a clip has several labels.

    Example
    -------
    >>> cells = torch.tensor([[[[3.0, 1.0]], [[1.0, 1.0]]]])
    >>> class_evidence(cells, torch.tensor([0]))
    tensor([[[0.5000, 0.0000]]])
    """
    own = cell_logits[torch.arange(len(class_ids)), class_ids]
    average = decision.common(cell_logits)
    if cell_weights is None:
        n_cells = cell_logits[0, 0].numel()
        evidence = own / n_cells - average / n_cells
    else:
        evidence = (own - average) * cell_weights
    return evidence - evidence.amin((1, 2), keepdim=True)


def class_probability(
    cell_logits: Tensor, class_ids: Tensor, decision: Decision = ONE
) -> Tensor:
    """Return what each cell alone would make of a class: its probability.

    Arguments as in `class_evidence`; returns `[batch, rows, cols]`, 0 to 1,
    whose sum over classes is 1 where a clip has one label.

    Example
    -------
    >>> class_probability(torch.zeros(1, 2, 1, 1), torch.tensor([1]))
    tensor([[[0.5000]]])
    """
    shares = decision.probs(cell_logits, dim=1)
    return shares[torch.arange(len(class_ids)), class_ids]


# Maps of a class, from the classifier's output and the class ids.
CLASS_MAPS: dict[str, Callable[..., Tensor]] = {
    "class_evidence": lambda classifier, output, class_ids: class_evidence(
        classifier.cell_logits(output).float(),
        class_ids,
        output.cell_weights,
        classifier.decision,
    ),
    "class_probability": lambda classifier, output, class_ids: (
        class_probability(
            classifier.cell_logits(output).float(),
            class_ids,
            classifier.decision,
        )
    ),
    "class_share": lambda classifier, output, class_ids: class_probability(
        classifier.share_logits(output).float(), class_ids, classifier.decision
    ),
}
# those that say how much of a cell is the class's: 0 to 1
SHARES = ("class_probability", "class_share")


def map_names(classifier: Classifier) -> tuple[str, ...]:
    """List the maps by which a classifier can be explained.

    The encoder's own, from the input on, then those of a class, `class_share`
    if there is a share decoder (none of them, if the encoder's embedding is no
    mean over its features); and `loudness`, the log-magnitude to the power
    of `LOUDNESS_POWER`, a factor for the others.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> map_names(SoundClassifier(build_encoder("focalnet_test"), 3))
    ('stage_1', 'stage_2', 'class_evidence', 'class_probability', 'loudness')
    """
    of_class = [
        name
        for name in CLASS_MAPS
        if name != "class_share" or classifier.share_decoder is not None
        if classifier.lacks(CELLS) is None
    ]
    return (*classifier.encoder.map_names, *of_class, "loudness")


def choose_maps(
    classifier: Classifier, maps: Sequence[str] | str | None
) -> tuple[str, ...]:
    """Check the names of maps; one is a list of one.

    The encoder's last map, the paper's, if None. A `ValueError` if there are
    none, or one that the classifier does not have.
    """
    if maps is None:
        maps = classifier.encoder.map_names[-1:]
    chosen = (maps,) if isinstance(maps, str) else tuple(maps)
    known = map_names(classifier)
    if not set(chosen) <= set(known) or not set(chosen) - {"loudness"}:
        missing = classifier.lacks(CELLS) if {*chosen} & {*CLASS_MAPS} else None
        raise ValueError(
            f"maps={list(chosen)} must name at least one of "
            f"{', '.join(known)}; several are multiplied, and loudness is a "
            "factor for others only."
            f"{f' What is missing: {missing}.' if missing else ''}"
        )
    return chosen


def by_design(
    classifier: Classifier,
    output: ClassifierOutput,
    spectrum: Spectrum,
    class_ids: Tensor,
    *,
    maps: Sequence[str],
) -> Tensor:
    """Multiply the classifier's own maps and stretch them over the clips.

    Arguments
    ---------
    classifier, output, spectrum
        The classifier, what it says of whole clips, and their spectrum.
    class_ids : torch.Tensor
        `[batch]`, int64, the classes to explain.
    maps : sequence of str
        Names, of `map_names`.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, float32, non-negative.
    """
    # in full precision: low precision ties regions at the threshold
    named = {
        name: found.float()
        for name, found in zip(
            classifier.encoder.map_names, output.maps, strict=True
        )
        if name in maps
    }
    named |= {
        name: find(classifier, output, class_ids)
        for name, find in CLASS_MAPS.items()
        if name in maps
    }
    layout = classifier.layout
    # one grid may reach further than another
    grids = [
        layout.align(named[name], output.spans)
        for name in maps
        if name in named
    ]
    saliency = layout.carry_back(
        combine_maps(grids),
        spectrum.n_frames,
        spectrum.log_magnitude.shape[1:],
        output.spans,
    )
    if "loudness" in maps:
        saliency = saliency * hear(spectrum) ** LOUDNESS_POWER
    return saliency


def random(
    classifier: Classifier,
    output: ClassifierOutput,
    spectrum: Spectrum,
    class_ids: Tensor,
) -> Tensor:
    """Return uniform noise, a floor: the same for every clip and every time.

    Arguments as in `by_design`; returns `[batch, time, freq]`, 0 to 1. A
    frame's noise does not depend on how many follow.
    """
    generator = torch.Generator().manual_seed(0)
    shape = spectrum.log_magnitude.shape[1:]
    noise = torch.rand(shape, generator=generator)
    return noise.to(spectrum.log_magnitude) * own_cells(spectrum)


def loudest(
    classifier: Classifier,
    output: ClassifierOutput,
    spectrum: Spectrum,
    class_ids: Tensor,
) -> Tensor:
    """Return the log-magnitude, a floor that knows nothing of the classifier.

    Arguments as in `by_design`; returns `[batch, time, freq]`, non-negative.
    """
    return hear(spectrum) * own_cells(spectrum)


def hear(spectrum: Spectrum) -> Tensor:
    """Return the log-magnitude, `[batch, time, freq]`, 0 of digital silence.

    The spectrogram gives silence a little, the same in every cell, so that its
    root has a gradient; a mask would keep all of these cells or none.
    """
    return spectrum.log_magnitude * (spectrum.log_magnitude > SILENCE)


def own_cells(spectrum: Spectrum) -> Tensor:
    """Return 1 for a clip's own frames, 0 for padding: `[batch, time, 1]`."""
    return spectrum.own_frames.float().unsqueeze(-1)
