"""What interpreters and metrics ask of a classifier, whoever made it.

Ours sees log-magnitudes (`focalaudio.classifier.SoundClassifier`), a foreign
one hears sound (`focalaudio.foreign.ForeignClassifier`); nobody else needs to
know which it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from focalaudio.decisions import ONE, Decision, find_decision
from focalaudio.image import ImageLayout
from focalaudio.spectrogram import Spectrum

Kind = TypeVar("Kind", bound="Classifier")
# what a method of explanation may need of a classifier
MAPS, CELLS, GRADIENT = "maps", "cells", "gradient"


@dataclass(frozen=True)
class ClassifierOutput:
    """What the classifier says of a batch of clips, and what it is based on.

    Arguments
    ---------
    logits : torch.Tensor
        `[batch, n_classes]`, scores before the softmax, or the sigmoids.
    embeddings : torch.Tensor
        `[batch, channels]`, the head's input.
    features : torch.Tensor
        `[batch, channels, rows, cols]`, the encoder's last feature map.
    maps : tuple of torch.Tensor
        The encoder's maps, each `[batch, rows, cols]`, non-negative.
    cell_weights : torch.Tensor
        `[batch, rows, cols]`, the share of each cell of the features in the
        embedding, sums to 1; None if all weigh alike.
    image, fine : torch.Tensor
        What `SoundClassifier.share_logits` reads beside the cells: the
        encoder's input and its early features; None without a share decoder.
    spans : torch.Tensor
        `[batch]`, int64, of `ImageLayout.find_spans`; None for its default.
    decision : focalaudio.decisions.Decision
        What the logits mean: one label for a clip, or several.
    """

    logits: Tensor
    embeddings: Tensor
    features: Tensor
    maps: tuple[Tensor, ...]
    cell_weights: Tensor | None = None
    image: Tensor | None = None
    fine: Tensor | None = None
    spans: Tensor | None = None
    decision: Decision = ONE

    @property
    def probs(self) -> Tensor:
        """Probabilities, `[batch, n_classes]`; of one label, they sum to 1."""
        return self.decision.probs(self.logits)

    @property
    def class_ids(self) -> Tensor:
        """The most probable class of each clip, `[batch]`, int64."""
        return self.logits.argmax(dim=-1)


class Classifier(nn.Module):
    """What interpreters and metrics ask of a classifier, whoever made it.

    All that is made of sound, masks and logits goes through the methods below.
    """

    n_classes: int
    layout: ImageLayout
    encoder: Any  # its attributes are those that focalaudio.encoders.base names
    head: Any
    share_decoder: Any
    labels_per_clip = ONE.labels_per_clip
    frozen = False
    # what tells it from others of the same weights, if they are not all of it
    answers_to_noise: tuple[float, ...] = ()
    # whether threads may ask at once: no call changes anything of it
    is_thread_safe = False

    def freeze(self: Kind) -> Kind:
        """Stop learning for good: no gradient, always in evaluation mode."""
        self.frozen = True
        return self.requires_grad_(False).eval()

    def train(self: Kind, mode: bool = True) -> Kind:
        """Set the mode, unless the classifier is frozen."""
        return super().train(mode and not self.frozen)

    @property
    def device(self) -> torch.device:
        """Where its weights are, or what else it holds."""
        return next(chain(self.parameters(), self.buffers())).device

    @property
    def decision(self) -> Decision:
        """What its logits mean: one label for a clip, or several."""
        return find_decision(self.labels_per_clip)

    def lacks(self, need: str) -> str | None:
        """Say why methods that need it do not work; None if they do.

        `need` is `MAPS` (of the encoder), `CELLS` (whose mean is the
        embedding), `GRADIENT`, or nothing.
        """
        raise NotImplementedError

    def compile_network(self) -> None:
        """Compile what takes most of the time, with torch.compile."""
        raise NotImplementedError

    def look(self, spectrum: Spectrum, wavs: Tensor) -> ClassifierOutput:
        """Classify whole clips, by their spectrum and by their sound.

        `wavs` are `[batch, samples]`, zero after each clip's end.
        """
        raise NotImplementedError

    def maskable(self, spectrum: Spectrum) -> Tensor:
        """Return what masks multiply, `[batch, time, freq]`."""
        raise NotImplementedError

    def classify_part(
        self, parts: Tensor, spectrum: Spectrum, rows: Tensor
    ) -> Tensor:
        """Classify parts of clips.

        `parts` are `[copies, time, freq]`, of what `maskable` returns; `rows`
        `[copies]`, int64, say of which clips of the spectrum. Returns logits
        `[copies, n_classes]`.
        """
        raise NotImplementedError

    def classify_drawn(
        self, log_magnitude: Tensor, spectrum: Spectrum, rows: Tensor
    ) -> Tensor:
        """Classify clips whose log-magnitude was changed, their phase kept.

        Arguments and result as in `classify_part`.
        """
        raise NotImplementedError
