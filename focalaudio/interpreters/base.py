"""`wavs -> Interpretation`: the one pipeline that every interpreter shares.

wavs -> spectrum -> classifier -> saliency -> mask -> kept / removed -> wavs.
An interpreter only says how the classifier's output becomes saliency and
mask; prediction and explanation travel together in one record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from focalaudio.classifier import ClassifierOutput, SoundClassifier
from focalaudio.masks import keep_and_remove
from focalaudio.spectrogram import Spectrogram, Spectrum


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
    wavs : torch.Tensor
        `[batch, samples]`, the kept part as sound, as long as the input.
    removed_wavs : torch.Tensor
        `[batch, samples]`, the rest; the two add up to the input.

    Example
    -------
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.interpreters import ByDesignInterpreter
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3).eval()
    >>> interpreter = ByDesignInterpreter(classifier, Spectrogram())
    >>> with torch.no_grad():
    ...     interpretation = interpreter(torch.rand(2, 16000))
    >>> interpretation.wavs.shape, interpretation.kept.shape
    (torch.Size([2, 16000]), torch.Size([2, 87, 513]))
    """

    logits: Tensor
    class_ids: Tensor
    saliency: Tensor
    mask: Tensor
    spectrum: Spectrum
    wavs: Tensor = field(repr=False)
    removed_wavs: Tensor = field(repr=False)

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor]:
        return keep_and_remove(self.mask, self.log_magnitude)

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
        return self.logits.float().softmax(dim=-1)

    @property
    def kept_fraction(self) -> Tensor:
        """Share of each clip's own cells that is kept, `[batch]`, 0 to 1."""
        cells = self.spectrum.n_frames * self.mask.shape[2]
        return self.mask.float().sum((1, 2)) / cells


class Interpreter(nn.Module):
    """A frozen classifier and a way to see what it listened to.

    Subclasses implement `explain`. The interpreter owns the classifier: it
    takes no gradient and stays in evaluation mode.

    Arguments
    ---------
    classifier : SoundClassifier
        Frozen in place.
    spectrogram : Spectrogram
        The analysis that the classifier was trained with.

    Example
    -------
    >>> from focalaudio.encoders import build_encoder
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> interpreter = Interpreter(classifier, Spectrogram()).train()
    >>> interpreter.classifier.training
    False
    """

    def __init__(
        self, classifier: SoundClassifier, spectrogram: Spectrogram
    ) -> None:
        super().__init__()
        self.classifier = classifier.freeze()
        self.spectrogram = spectrogram

    @property
    def settings(self) -> dict[str, Any]:
        """What results made by this interpreter must name."""
        raise NotImplementedError

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
        spectrum = self.spectrogram(wavs, lens)
        output = self.classifier(spectrum.log_magnitude, spectrum.n_frames)
        if class_ids is None:
            class_ids = output.class_ids
        saliency, mask = self.explain(output, spectrum, class_ids)
        kept, removed = keep_and_remove(mask, spectrum.stft)
        return Interpretation(
            output.logits,
            class_ids,
            saliency,
            mask,
            spectrum,
            self.spectrogram.invert(kept, spectrum.n_samples),
            self.spectrogram.invert(removed, spectrum.n_samples),
        )

    def judge(self, interpretation: Interpretation) -> tuple[Tensor, Tensor]:
        """Classify the kept and the removed parts, in one batch.

        Arguments
        ---------
        interpretation : Interpretation
            Made by this interpreter.

        Returns
        -------
        tuple of torch.Tensor
            Logits of the kept and of the removed parts, `[batch, n_classes]`.
        """
        parts = torch.cat((interpretation.kept, interpretation.removed))
        n_frames = interpretation.spectrum.n_frames.repeat(2)
        kept, removed = self.classifier(parts, n_frames).logits.chunk(2)
        return kept, removed
