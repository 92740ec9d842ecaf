"""`wavs -> Interpretation`: the one pipeline that every interpreter shares.

wavs -> spectrum -> classifier -> saliency -> mask -> kept / removed -> wavs.
An interpreter only says how the classifier's output becomes saliency and
mask; prediction and explanation travel together in one record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from focalaudio.contract import Classifier, ClassifierOutput
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.masks import apply_mask, check_quantile, keep_and_remove
from focalaudio.spectrogram import Spectrogram, Spectrum, zero_tails


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
    # class id that others are explained rather than; None if there is none
    against: int | None = None
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
            against=self.against,
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
