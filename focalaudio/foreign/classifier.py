"""`STFT -> masked sound -> somebody else's classifier -> logits`.

A foreign classifier hears. What a mask keeps of a clip is brought back to
sound, and that is what it is asked about: the same sound that people get to
hear. How it works inside is nobody's business, so it has no maps and no cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from focalaudio.contract import GRADIENT, Classifier, ClassifierOutput
from focalaudio.decisions import find_decision
from focalaudio.errors import ModelError, name_type
from focalaudio.image import ImageLayout
from focalaudio.spectrogram import (
    EPS_POWER,
    Spectrogram,
    Spectrum,
    group_by_length,
)

IMAGE_SIZE = (216, 128)  # what L-MAC's decoder sees of a clip: time, frequency
SOUND, STFT = "sound", "stft"
PROBE_SECONDS = 1.0  # of what a classifier is tried out with
PROBE_LEVEL = 0.1
MOST_KEPT = 16  # of the logits of noise


class ForeignClassifier(Classifier):
    """Ask a function of sound as one of our classifiers is asked.

    Clips of different lengths are given to it apart, each without its padding.
    It is tried out with noise when this is made, so that what does not fit is
    said before any work.

    Arguments
    ---------
    classify : callable
        Maps waveforms `[batch, samples]` to logits `[batch, n_classes]`, a
        tensor or an array. A `torch.nn.Module` is frozen, and moved to the
        device with this.
    n_classes : int
        How many logits there must be.
    spectrogram : Spectrogram
        What masks are made for; need not be what the classifier reads.
    takes : str
        `sound`; or `stft`: `classify` maps a complex STFT `[batch, time,
        freq]`, of that spectrogram, to logits, and nothing is lost on the way
        from a masked STFT to a sound and back.
    differentiable : bool
        Whether gradients reach its input; found out if None.
    n_samples : int
        Length of the noise that it is tried out with; 1 s if None.
    labels_per_clip : str
        `one`: a softmax makes probabilities of its logits; `several`: a
        sigmoid of each. See `focalaudio.decisions`.

    Raises
    ------
    ValueError
        If `takes` or `labels_per_clip` is neither of its two.
    ModelError
        If the classifier does not do what it should.

    Example
    -------
    >>> def classify(wavs):  # is it loud?
    ...     loud = wavs.abs().mean(1)
    ...     return torch.stack((loud, 0.1 - loud), 1)
    >>> spectrogram = Spectrogram()
    >>> classifier = ForeignClassifier(classify, 2, spectrogram)
    >>> wavs = torch.rand(3, 8000)
    >>> output = classifier.look(spectrogram(wavs), wavs)
    >>> torch.equal(output.logits, classify(wavs)), classifier.differentiable
    (True, True)
    """

    def __init__(
        self,
        classify: Callable[[Tensor], Any],
        n_classes: int,
        spectrogram: Spectrogram,
        takes: str = SOUND,
        differentiable: bool | None = None,
        n_samples: int | None = None,
        labels_per_clip: str = "one",
    ) -> None:
        super().__init__()
        self.labels_per_clip = find_decision(labels_per_clip).labels_per_clip
        if takes not in (SOUND, STFT):
            raise ValueError(f"takes={takes!r} must be '{SOUND}' or '{STFT}'.")
        self.classify = classify
        self.n_classes = n_classes
        self.spectrogram = spectrogram
        self.takes = takes
        self.share_decoder = None
        self.layout = ImageLayout(IMAGE_SIZE)
        self.freeze()
        if n_samples is None:
            n_samples = round(PROBE_SECONDS * spectrogram.sample_rate)
        self.differentiable = bool(differentiable)
        said = self._try_out(n_samples)
        self.answers_to_noise = _round(said[0, :MOST_KEPT].tolist())
        if differentiable is None:
            self.differentiable = self._reaches_input(n_samples)
        if not any(True for _ in self.parameters()):
            # weights tell classifiers apart; a function has only its answers
            self.register_buffer("answers", said.cpu().round(decimals=3))

    def lacks(self, need: str) -> str | None:
        """See `Classifier.lacks`."""
        if not need:
            return None
        if need != GRADIENT:
            return "nothing is known of the inside of a foreign classifier"
        if self.differentiable:
            return None
        return "no gradient reaches the input of this classifier"

    def compile_network(self) -> None:
        """Compile the classifier, if it is a module."""
        if not isinstance(self.classify, nn.Module):
            raise ValueError(
                "compile=True: classify is a plain function; compile it "
                "yourself, or give a torch.nn.Module."
            )
        self.classify.compile()

    def look(self, spectrum: Spectrum, wavs: Tensor) -> ClassifierOutput:
        """See `Classifier.look`; this one hears `wavs` themselves."""
        if self.takes == STFT:
            logits = self._see(self.maskable(spectrum), spectrum.n_frames)
        else:
            logits = self._hear(wavs, spectrum.n_samples)
        image = self.layout.draw(spectrum.log_magnitude, spectrum.n_frames)
        return ClassifierOutput(
            logits, logits, image, (), decision=self.decision
        )

    def maskable(self, spectrum: Spectrum) -> Tensor:
        """Return the STFT, complex."""
        return torch.view_as_complex(spectrum.stft.contiguous())

    def classify_part(
        self, parts: Tensor, spectrum: Spectrum, rows: Tensor
    ) -> Tensor:
        """See `Classifier.classify_part`; the parts are made sound."""
        if self.takes == STFT:
            return self._see(parts, spectrum.n_frames[rows])
        n_samples = spectrum.n_samples[rows]
        wavs = self.spectrogram.invert(torch.view_as_real(parts), n_samples)
        return self._hear(wavs, n_samples)

    def classify_drawn(
        self, log_magnitude: Tensor, spectrum: Spectrum, rows: Tensor
    ) -> Tensor:
        """See `Classifier.classify_drawn`."""
        stft = self.maskable(spectrum)[rows, : log_magnitude.shape[1]]
        # what the analysis adds to silence has no phase
        silent = stft.abs().square() < EPS_POWER
        phase = torch.where(silent, torch.ones_like(stft), stft).sgn()
        magnitude = log_magnitude.float().expm1()
        return self.classify_part(magnitude * phase, spectrum, rows)

    def _hear(self, wavs: Tensor, n_samples: Tensor) -> Tensor:
        """Classify copies of sounds, each without its padding."""
        logits = wavs.new_empty(len(wavs), self.n_classes)
        for length, rows in group_by_length(n_samples):
            logits[rows] = self._ask(wavs[rows, :length].clone())
        return logits

    def _see(self, stft: Tensor, n_frames: Tensor) -> Tensor:
        """Classify copies of complex STFTs, each without its padding."""
        logits = stft.real.new_empty(len(stft), self.n_classes)
        for frames, rows in group_by_length(n_frames):
            logits[rows] = self._ask(stft[rows, :frames].clone())
        return logits

    def _ask(self, clips: Tensor) -> Tensor:
        """Ask for logits of clips of one length, and check their shape."""
        try:
            if self.differentiable:
                said = self.classify(clips)
            else:  # it may leave torch, where gradients are not taken
                with torch.no_grad():
                    said = self.classify(clips.detach())
        except Exception as error:  # whatever it may be: it is not ours
            raise ModelError(
                f"classify failed on {self.takes} of shape "
                f"{tuple(clips.shape)}: {error!r}"
            ) from error
        wanted = (len(clips), self.n_classes)
        try:
            logits = torch.as_tensor(said).to(clips.device).float()
        except (RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"classify returned {name_type(said)}; it must return "
                f"the logits only, a tensor or an array of shape {wanted}."
            ) from error
        if logits.shape != wanted:
            raise ModelError(
                f"classify returned logits of shape {tuple(logits.shape)} for "
                f"{len(clips)} clips; with {self.n_classes} labels it must "
                f"return {wanted}."
            )
        return logits

    def _make_noise(self, n_samples: int) -> Tensor:
        """Return two clips of what it takes, the same every time."""
        generator = torch.Generator().manual_seed(0)
        noise = PROBE_LEVEL * torch.randn(2, n_samples, generator=generator)
        noise = noise.to(next(self.parameters(), noise).device)
        if self.takes == STFT:
            return self.maskable(self.spectrogram(noise))
        return noise

    @torch.no_grad()
    def _try_out(self, n_samples: int) -> Tensor:
        """Return the logits of noise, two clips at once."""
        said = self._ask(self._make_noise(n_samples))
        if not said.isfinite().all():
            raise ModelError(
                "classify returned logits that are not finite for white noise."
            )
        return said

    @torch.enable_grad()
    def _reaches_input(self, n_samples: int) -> bool:
        """Find out whether a gradient comes back from the logits."""
        noise = self._make_noise(n_samples).requires_grad_()
        try:
            said = self.classify(noise.clone())  # it may work in place
            (found,) = torch.autograd.grad(said.sum(), noise, allow_unused=True)
        except (AttributeError, RuntimeError, TypeError):
            return False  # it left torch, or cut the gradient off
        return found is not None


def _round(logits: Sequence[float]) -> tuple[float, ...]:
    """Keep two digits of the largest: other devices compute the others."""
    largest = max(map(abs, logits)) or 1.0
    digits = 1 - math.floor(math.log10(largest))
    return tuple(round(each, digits) for each in logits)
