"""`Interpretation`: what a classifier said and listened to, in one record.

Logits, saliency, mask and spectrum of a batch of clips; the sounds, shares,
boxes and words that they make are computed when they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from torch import Tensor

from focalaudio.boxes import RULES, BoxRules, HeardBox, find_boxes
from focalaudio.decisions import ONE, Decision
from focalaudio.errors import escape_text
from focalaudio.masks import apply_mask, keep_and_remove
from focalaudio.spectrogram import Spectrogram, Spectrum, power_spectrum

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
    against : int
        Class id that the others are explained rather than; None if none is.
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
    against: int | None = None

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

    def refuse(self, row: int) -> str:
        """Say why a clip is given no class; nothing if it is given one."""
        if self.is_known is not None and not self.is_known[row]:
            return "no evidence for any class"
        return "" if self.present[row].any() else "none of the classes"

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
        if refused := self.refuse(row):
            line = f"{refused} (closest: {label})"
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
