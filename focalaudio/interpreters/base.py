"""`wavs -> Interpretation`: the one pipeline that every interpreter shares.

wavs -> spectrum -> classifier -> saliency -> mask -> kept / removed -> wavs.
An interpreter only says how the classifier's output becomes saliency and
mask; prediction and explanation travel together in one record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from focalaudio.boxes import RULES, BoxRules, HeardBox, find_boxes
from focalaudio.contract import Classifier, ClassifierOutput
from focalaudio.decisions import ONE, Decision
from focalaudio.errors import escape_text
from focalaudio.masks import apply_mask, check_quantile, keep_and_remove
from focalaudio.spectrogram import (
    Spectrogram,
    Spectrum,
    power_spectrum,
    zero_tails,
)

MOST_TOLD = 3  # clips in one line


@dataclass(frozen=True)
class Interpretation:
    """What a classifier said of a batch of clips, and what it listened to.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`, of the whole clips.
    class_ids : torch.Tensor
        `[batch]`, int64, the classes that are explained: the predicted ones
        unless others were asked for.
    saliency : torch.Tensor
        `[batch, time, freq]`, non-negative.
    mask : torch.Tensor
        `[batch, time, freq]`, bool or 0 to 1.
    spectrum : Spectrum
        Of the whole clips.
    synthesis : Spectrogram
        Made the spectrum, and turns parts of it into sound when asked to.
    temperature : float
        That `probs` divides the logits by.
    is_known : torch.Tensor
        `[batch]`, bool, whether there is evidence for any class, by the rules
        of the model; None where no model was asked, but a classifier alone.
    labels : tuple of str
        Of the classes, in the order of the class ids; empty where no model was
        asked.
    scale : float
        That the samples were multiplied by to be sound: 1 unless they were
        whole numbers.
    decision : focalaudio.decisions.Decision
        What the logits mean: one label for a clip, or several.
    """

    logits: Tensor
    class_ids: Tensor
    saliency: Tensor
    mask: Tensor
    spectrum: Spectrum
    synthesis: Spectrogram = field(repr=False)
    temperature: float = 1.0
    is_known: Tensor | None = None
    labels: tuple[str, ...] = field(default=(), repr=False)
    scale: float = 1.0
    decision: Decision = field(default=ONE, repr=False)

    @cached_property
    def wavs(self) -> Tensor:
        """The kept part as sound, `[batch, samples]`, as long as the input."""
        kept = apply_mask(self.mask, self.spectrum.stft)
        return self.synthesis.invert(kept, self.spectrum.n_samples)

    @cached_property
    def removed_wavs(self) -> Tensor:
        """The rest, `[batch, samples]`; the two add up to the input."""
        _, removed = keep_and_remove(self.mask, self.spectrum.stft)
        return self.synthesis.invert(removed, self.spectrum.n_samples)

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor]:
        return keep_and_remove(self.mask, self.log_magnitude)

    @property
    def as_classified(self) -> Interpretation:
        """The same of the clips as the classifier got them, cropped or not."""
        return self

    @property
    def log_magnitude(self) -> Tensor:
        """Natural log1p magnitude of the whole clips, `[batch, time, freq]`."""
        return self.spectrum.log_magnitude

    @property
    def kept(self) -> Tensor:
        """`mask * log_magnitude`, `[batch, time, freq]`."""
        return self._parts[0]

    @property
    def removed(self) -> Tensor:
        """`(1 - mask) * log_magnitude`, `[batch, time, freq]`."""
        return self._parts[1]

    @property
    def probs(self) -> Tensor:
        """Probabilities of the whole clips, `[batch, n_classes]`."""
        return self.decision.probs(self.logits / self.temperature)

    @property
    def present(self) -> Tensor:
        """Which classes are said to be there, `[batch, n_classes]`, bool."""
        return self.decision.decide(self.logits)

    @property
    def kept_fraction(self) -> Tensor:
        """Share of each clip's own cells that is kept, `[batch]`, 0 to 1."""
        cells = self.spectrum.n_frames * self.mask.shape[2]
        return self.mask.float().sum((1, 2)) / cells

    @property
    def kept_energy(self) -> Tensor:
        """Share of each clip's energy in the kept part, `[batch]`, 0 to 1.

        `nan` of silence.
        """
        energy = power_spectrum(self.spectrum.stft)
        energy = energy * self.spectrum.own_frames[:, :, None]
        kept = (energy * self.mask.float().square()).sum((1, 2))
        return kept / energy.sum((1, 2))

    def label_of(self, class_id: int) -> str:
        """Return a class's label, `class 3` if it is not known."""
        return self.labels[class_id] if self.labels else f"class {class_id}"

    def boxes(
        self,
        by: str = "saliency",
        offset: float = 0.0,
        rules: BoxRules = RULES,
    ) -> list[HeardBox]:
        """Return where the explained class was heard, in seconds and Hz.

        Arguments
        ---------
        by : str
            What a box's score is a share of: `saliency` or `energy`.
        offset : float
            s that are added to the boxes' times: where the clips begin in a
            longer recording.
        rules : BoxRules
            Which parts of a mask are one box, and which are told.

        Returns
        -------
        list of HeardBox
            Clip by clip, the highest score of each first; none of clips
            without evidence for any class.

        Raises
        ------
        ValueError
            If `by` is neither of the two.
        """
        if by not in ("saliency", "energy"):
            raise ValueError(f"by={by!r} must be 'saliency' or 'energy'.")
        weights = self.saliency
        if by == "energy":
            weights = power_spectrum(self.spectrum.stft)
        return [
            replace(
                box.move(offset),
                clip=row,
                class_id=class_id,
                label=self.label_of(class_id),
            )
            for row, class_id in enumerate(self.class_ids.tolist())
            if self.is_known is None or self.is_known[row]
            for box in find_boxes(
                self.mask[row, : int(self.spectrum.n_frames[row])],
                weights[row, : int(self.spectrum.n_frames[row])],
                self.synthesis,
                int(self.spectrum.n_samples[row]),
                rules,
            )
        ]

    def describe(self, row: int) -> str:
        """Say in words what a clip is classified as, and what is explained."""
        probs, explained = self.probs[row], int(self.class_ids[row])
        ranked = probs.argsort(descending=True).tolist()
        predicted = ranked[0]
        label = escape_text(self.label_of(predicted))
        line = ", ".join(
            f"{escape_text(self.label_of(index))} ({probs[index]:.3f})"
            for index in ranked
            if self.present[row, index]
        )
        if not line:
            line = f"none of the classes (closest: {label})"
        if self.is_known is not None and not self.is_known[row]:
            line = f"no evidence for any class (closest: {label})"
        if explained != predicted:
            label = escape_text(self.label_of(explained))
            line += f", explained: {label} ({probs[explained]:.3f})"
        return line

    def __repr__(self) -> str:
        """Say in one line what the clips are classified as."""
        n_clips, kept = len(self.class_ids), self.kept_fraction.tolist()
        told = [
            f"{self.describe(row)}, kept {kept[row]:.1%}"
            for row in range(min(n_clips, MOST_TOLD))
        ]
        if n_clips > MOST_TOLD:
            told.append(f"and {n_clips - MOST_TOLD} more")
        clips = "1 clip" if n_clips == 1 else f"{n_clips} clips"
        return f"<Interpretation of {clips}: {'; '.join(told)}>"


class Interpreter(nn.Module):
    """A frozen classifier and a way to see what it listened to.

    Subclasses implement `explain`. The interpreter owns the classifier: it
    takes no gradient and stays in evaluation mode.

    Arguments
    ---------
    classifier : focalaudio.contract.Classifier
        Ours or a foreign one; frozen in place.
    spectrogram : Spectrogram
        The analysis that the classifier was trained with; of a foreign one,
        the one that masks are made for.
    """

    # fraction of a clip's cells to drop; None if masks are not thresholded
    quantile: float | None = None
    # whether threads may explain at once, if they may ask the classifier: no
    # call changes anything, and chance is of generators of its own
    is_thread_safe = False

    def __init__(
        self, classifier: Classifier, spectrogram: Spectrogram
    ) -> None:
        super().__init__()
        self.classifier = classifier.freeze()
        self.spectrogram = spectrogram

    @property
    def settings(self) -> dict[str, Any]:
        """What results made by this interpreter must name."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What tables call this interpreter."""
        return name_settings(self.settings)

    def at_quantile(self, quantile: float) -> Interpreter:
        """Return the same interpreter, of the same classifier, at a quantile.

        `quantile` is the fraction of a clip's cells to drop, 0 to 1. Every
        weight is shared. A `ValueError` if it is outside, or this interpreter
        has none.
        """
        check_quantile(quantile)
        if self.quantile is None:
            raise ValueError(
                f"quantile={quantile} means nothing to {type(self).__name__}, "
                "whose masks are as large as they want to be."
            )
        other = copy(self)
        other.quantile = float(quantile)
        return other

    def with_classifier(self, classifier: Classifier) -> Interpreter:
        """Return the same interpreter, decoder included, of another classifier.

        `classifier` is built as this one's is, and is frozen in place; this
        interpreter keeps its own.
        """
        other = copy(self)
        other._modules = dict(self._modules)  # a shallow copy shares them
        other.classifier = classifier.freeze()
        return other

    def explain(
        self, output: ClassifierOutput, spectrum: Spectrum, class_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Turn the classifier's output into saliency and mask.

        Arguments
        ---------
        output : ClassifierOutput
            Of the whole clips.
        spectrum : Spectrum
            Of the whole clips.
        class_ids : torch.Tensor
            `[batch]`, int64, the classes to explain.

        Returns
        -------
        tuple of torch.Tensor
            Saliency (non-negative) and mask (bool or 0 to 1), both
            `[batch, time, freq]` and zero beyond each clip's end.
        """
        raise NotImplementedError

    def forward(
        self,
        wavs: Tensor,
        lens: Tensor | None = None,
        class_ids: Tensor | None = None,
    ) -> Interpretation:
        """Classify clips and interpret the classification, in one pass.

        Arguments
        ---------
        wavs : torch.Tensor
            `[batch, samples]`, at the spectrogram's sample rate.
        lens : torch.Tensor
            `[batch]`, relative lengths, 0 to 1; all 1 if None.
        class_ids : torch.Tensor
            `[batch]`, int64, the classes to explain; the predicted if None.

        Returns
        -------
        Interpretation
            On the same device.
        """
        spectrum, output = self.look(wavs, lens)
        return self.interpret(spectrum, output, class_ids)

    def look(
        self, wavs: Tensor, lens: Tensor | None = None
    ) -> tuple[Spectrum, ClassifierOutput]:
        """Analyze and classify whole clips, the only pass that they need.

        Any number of interpreters of the same classifier can `interpret` what
        one of them has looked at.

        Arguments as in `forward`; returns the spectrum, and what the classifier
        says of it.
        """
        spectrum = self.spectrogram(wavs, lens)
        heard = zero_tails(wavs, spectrum.n_samples)
        return spectrum, self.classifier.look(spectrum, heard)

    def interpret(
        self,
        spectrum: Spectrum,
        output: ClassifierOutput,
        class_ids: Tensor | None = None,
    ) -> Interpretation:
        """Interpret clips that were looked at.

        `spectrum` and `output` are of the whole clips, by this interpreter's
        classifier; `class_ids` as in `forward`.
        """
        if class_ids is None:
            class_ids = output.class_ids
        saliency, mask = self.explain(output, spectrum, class_ids)
        return Interpretation(
            output.logits,
            class_ids,
            saliency,
            mask,
            spectrum,
            self.spectrogram,
            decision=output.decision,
        )

    def ask(
        self, spectrum: Spectrum, judge: Classifier | None = None
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Return a function that classifies clips whose cells were changed.

        Arguments
        ---------
        spectrum : Spectrum
            Of the whole clips.
        judge : Classifier
            Is asked instead of the interpreter's own, if given.

        Returns
        -------
        callable
            Maps log-magnitudes `[copies, time, freq]`, and the rows `[copies]`
            of the clips that they were made of, to logits.
        """
        asked = self.classifier if judge is None else judge
        return lambda drawn, rows: asked.classify_drawn(drawn, spectrum, rows)

    def classify_split(
        self, mask: Tensor, spectrum: Spectrum, judge: Classifier | None = None
    ) -> tuple[Tensor, Tensor]:
        """Classify what a mask keeps and what it removes, in one batch.

        A classifier of ours is shown `mask * log_magnitude`; a foreign one
        hears the sound of `mask * STFT`, which is `Interpretation.wavs`.

        Arguments
        ---------
        mask : torch.Tensor
            `[batch, time, freq]`, bool or 0 to 1.
        spectrum, judge
            As in `ask`.

        Returns
        -------
        tuple of torch.Tensor
            Logits of both parts, each `[batch, n_classes]`.
        """
        asked = self.classifier if judge is None else judge
        parts = torch.cat(keep_and_remove(mask, asked.maskable(spectrum)))
        rows = torch.arange(len(mask), device=mask.device).repeat(2)
        kept, removed = asked.classify_part(parts, spectrum, rows).chunk(2)
        return kept, removed

    def classify_parts(
        self, interpretation: Interpretation, judge: Classifier | None = None
    ) -> tuple[Tensor, Tensor]:
        """Classify the kept and the removed parts, in one batch.

        By the `judge`, another classifier of the same spectrogram and classes,
        if one is given. Returns the logits of both, each `[batch, n_classes]`.
        """
        found = interpretation.as_classified
        return self.classify_split(found.mask, found.spectrum, judge)

    def classify_kept(self, interpretation: Interpretation) -> Tensor:
        """Classify the kept parts only, for half the price of `classify_parts`.

        Fidelity and `faithfulness_of_kept` need no more.

        Returns their logits, `[batch, n_classes]`.
        """
        found = interpretation.as_classified
        mask, spectrum = found.mask, found.spectrum
        kept = apply_mask(mask, self.classifier.maskable(spectrum))
        rows = torch.arange(len(mask), device=mask.device)
        return self.classifier.classify_part(kept, spectrum, rows)


def name_settings(settings: Mapping[str, Any]) -> str:
    """Return method or maps, then everything else.

    A binary mask is named only where a decoder could have drawn another one.

    Example
    -------
    >>> settings = {"method": "by_design", "maps": ["stage_1", "stage_3"]}
    >>> name_settings(settings | {"quantile": 0.9, "mask": "binary"})
    'stage_1*stage_3, quantile 0.9'
    >>> name_settings({"method": "random", "quantile": 0.9})
    'random, quantile 0.9'
    """
    rest = dict(settings)
    method = rest.pop("method")
    maps = "*".join(rest.pop("maps", ()))
    if rest.get("mask") == "binary" and "decoder" not in rest:
        del rest["mask"]
    details = (f"{key} {value}" for key, value in rest.items())
    return ", ".join((maps or method, *details))
