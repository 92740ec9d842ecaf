"""`clips -> further passes -> sanity, stability` of interpreters.

The passes are made once for each batch, whatever the number of interpreters;
`focalaudio.metrics.checks` says what the maps that come out amount to.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from focalaudio.classifier import SoundClassifier
from focalaudio.contract import ClassifierOutput
from focalaudio.interpreters.base import Interpreter
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.metrics.bands import band_edges, remove_bands
from focalaudio.metrics.checks import (
    CHANGES,
    Change,
    Clip,
    complexity_rise,
    infidelity,
    least_probable,
    rank_correlation,
    silence_patches,
)
from focalaudio.metrics.columns import Columns
from focalaudio.spectrogram import Spectrum

N_BANDS = 6  # octaves, the lowest down to 0; each costs a pass
SEED = 0  # of the weights that nobody trained

Measure = Callable[[Interpreter, Interpretation], Columns]


@dataclass(frozen=True)
class Look:
    """Clips, and what a classifier says of them.

    Arguments
    ---------
    wavs : torch.Tensor
        `[batch, samples]`, as the classifier was given them.
    lens : torch.Tensor
        `[batch]`, relative lengths, 0 to 1.
    clip_ids : sequence of str
        One per clip: its noise and its patches depend on it alone.
    spectrum : Spectrum
        Of the clips.
    output : ClassifierOutput
        Of the same.
    """

    wavs: Tensor
    lens: Tensor
    clip_ids: Sequence[str]
    spectrum: Spectrum
    output: ClassifierOutput

    @property
    def seeds(self) -> list[int]:
        """A number for each clip, the same in every batch and order."""
        return [zlib.crc32(os.fsencode(clip_id)) for clip_id in self.clip_ids]


def make_untrained(module: nn.Module, seed: int = SEED) -> Any:
    """Make a module once more, with the weights that training starts from.

    Arguments
    ---------
    module : torch.nn.Module
        It and the modules that it was made of remember their arguments, see
        `focalaudio.arguments`. It stays as it is.
    seed : int
        Of the weights.

    Returns
    -------
    torch.nn.Module
        Of the same class, on the CPU, nothing shared; the same for each seed.

    Raises
    ------
    TypeError
        If a module does not remember how it was made.

    Example
    -------
    >>> from focalaudio.encoders import build_encoder
    >>> trained = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> one, other = make_untrained(trained), make_untrained(trained)
    >>> torch.equal(one.head.cosine.weight, other.head.cosine.weight)
    True
    >>> torch.equal(one.head.cosine.weight, trained.head.cosine.weight)
    False
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return _make_again(module)


def _make_again(module: nn.Module) -> nn.Module:
    arguments = getattr(module, "arguments", None)
    if not isinstance(arguments, dict):
        raise TypeError(
            f"{type(module).__name__} does not remember its arguments, so it "
            "cannot be made again without training; decorate its class with "
            "focalaudio.arguments.remember_arguments."
        )
    made = {
        name: _make_again(value) if isinstance(value, nn.Module) else value
        for name, value in arguments.items()
    }
    return type(module)(**made)


class Checker:
    """Check what maps depend on, and what they do not.

    Arguments
    ---------
    interpreter : Interpreter
        Any of the classifier's.
    checks : sequence of str
        Of `CHECKS`.

    Raises
    ------
    ValueError
        If there is no such check, or the classifier is foreign and cannot be
        made once more.

    Example
    -------
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.interpreters import ThresholdInterpreter
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 3)
    >>> parts = classifier, Spectrogram()
    >>> interpreter = ThresholdInterpreter(*parts, method="loudest")
    >>> wavs, lens = torch.rand(1, 4000) - 0.5, torch.ones(1)
    >>> seen = interpreter.look(wavs, lens)
    >>> checker = Checker(interpreter, ["class_sensitivity", "randomization"])
    >>> measure = checker.pass_on(Look(wavs, lens, ["a"], *seen))
    >>> measure(interpreter, interpreter.interpret(*seen))
    {'class_sensitivity': tensor([1.]),
     'randomization': tensor([1.]),
     'complexity_rise': tensor([0.])}
    """

    def __init__(self, interpreter: Interpreter, checks: Sequence[str]) -> None:
        self.interpreter = interpreter
        names = (checks,) if isinstance(checks, str) else checks
        self.checks = tuple(names or ())
        unknown = [name for name in self.checks if name not in CHECKS]
        if unknown:
            raise ValueError(
                f"checks={list(self.checks)} must be of {', '.join(CHECKS)}."
            )
        made = getattr(interpreter.classifier, "arguments", None)
        if "randomization" in self.checks and made is None:
            raise ValueError(
                "checks: randomization makes the classifier once more, without "
                "training, which cannot be done with a foreign one; leave it "
                "out."
            )

    @cached_property
    def untrained(self) -> SoundClassifier:
        """The classifier as it was before it was trained, frozen."""
        trained = self.interpreter.classifier
        device = trained.device
        return make_untrained(trained).to(device).freeze()

    @torch.no_grad()
    def pass_on(self, look: Look) -> Measure:
        """Make the passes that all interpreters share.

        Returns a callable: from an interpreter of the same classifier, and
        what it makes of the clips, to the columns of all checks.
        """
        measures = [CHECKS[name](self, look) for name in self.checks]

        def measure(
            interpreter: Interpreter, interpretation: Interpretation
        ) -> Columns:
            columns: Columns = {}
            for check in measures:
                columns |= check(interpreter, interpretation)
            return columns

        return measure

    def _class_sensitivity(self, look: Look) -> Measure:
        """Compare with the map of the class that the clip is least of."""
        class_ids = least_probable(look.output.logits)

        def measure(
            interpreter: Interpreter, interpretation: Interpretation
        ) -> Columns:
            other, _ = interpreter.explain(
                look.output, look.spectrum, class_ids
            )
            return {"class_sensitivity": _compare(interpretation, other)}

        return measure

    def _randomization(self, look: Look) -> Measure:
        """Compare with the map of a classifier that was never trained."""
        spectrum = look.spectrum
        said = self.untrained(spectrum.log_magnitude, spectrum.n_frames)

        def measure(
            interpreter: Interpreter, interpretation: Interpretation
        ) -> Columns:
            blank = interpreter.with_classifier(self.untrained)
            other, _ = blank.explain(said, spectrum, interpretation.class_ids)
            return {
                "randomization": _compare(interpretation, other),
                "complexity_rise": complexity_rise(
                    interpretation.saliency, other
                ),
            }

        return measure

    def _infidelity(self, look: Look) -> Measure:
        """Compare what a map says of patches with what their silence costs."""
        patches = silence_patches(
            look.spectrum.log_magnitude,
            look.spectrum.n_frames,
            self.interpreter.ask(look.spectrum),
            look.output.logits,
            look.seeds,
            decision=look.output.decision,
        )

        def measure(
            interpreter: Interpreter, interpretation: Interpretation
        ) -> Columns:
            clips = interpretation.saliency, interpretation.log_magnitude
            return {"infidelity": infidelity(*clips, patches)}

        return measure

    def _bands(self, look: Look) -> Measure:
        """Silence octaves, and see whether maps foretell what that costs."""
        removal = remove_bands(
            self.interpreter.ask(look.spectrum),
            look.spectrum.log_magnitude,
            band_edges(self.interpreter.spectrogram.sample_rate, N_BANDS),
            logits=look.output.logits,
            decision=look.output.decision,
        )

        def measure(
            interpreter: Interpreter, interpretation: Interpretation
        ) -> Columns:
            told = removal.sum_bands(
                interpretation.saliency * interpretation.log_magnitude
            )
            agreement = rank_correlation(told[:, None], removal.drop[:, None])
            return {**removal.most_needed(), "band_agreement": agreement}

        return measure

    def _stability(self, look: Look) -> Measure:
        """Compare with the maps of clips that were changed a little."""
        clips = self._split(look)
        looks = {
            name: self._look_changed(change, clips, look)
            for name, change in CHANGES.items()
        }

        def measure(
            interpreter: Interpreter, interpretation: Interpretation
        ) -> Columns:
            columns = {}
            for name, (spectrum, output) in looks.items():
                changed, _ = interpreter.explain(
                    output, spectrum, interpretation.class_ids
                )
                undone = _undo(CHANGES[name], clips, changed, spectrum.n_frames)
                columns[name] = _compare(interpretation, undone)
            return columns

        return measure

    def _split(self, look: Look) -> list[Clip]:
        """Take clips apart, each without its padding."""
        spectrogram = self.interpreter.spectrogram
        return [
            Clip(
                wav[:samples],
                spectrogram.sample_rate,
                spectrogram.hop_samples,
                seed,
            )
            for wav, samples, seed in zip(
                look.wavs,
                look.spectrum.n_samples.tolist(),
                look.seeds,
                strict=True,
            )
        ]

    def _look_changed(
        self, change: Change, clips: Sequence[Clip], look: Look
    ) -> tuple[Spectrum, ClassifierOutput]:
        """Look at clips that were changed, each on its own."""
        changed = torch.zeros_like(look.wavs)
        for row, clip in enumerate(clips):
            changed[row, : len(clip.wav)] = change.apply(clip)
        return self.interpreter.look(changed, look.lens)


def _undo(
    change: Change, clips: Sequence[Clip], changed: Tensor, n_frames: Tensor
) -> Tensor:
    """Undo a change of the clips in the maps of what they became."""
    undone = torch.zeros_like(changed)
    for row, frames in enumerate(n_frames.tolist()):
        undone[row, :frames] = change.undo(changed[row, :frames], clips[row])
    return undone


def _compare(interpretation: Interpretation, other: Tensor) -> Tensor:
    """Correlate the ranks of a map with those of another, `[batch]`."""
    n_frames = interpretation.spectrum.n_frames
    return rank_correlation(interpretation.saliency, other, n_frames)


# what `checks` may name; the columns are those of
# `focalaudio.metrics.table.METRICS` that need checks
CHECKS: dict[str, Callable[[Checker, Look], Measure]] = {
    "class_sensitivity": Checker._class_sensitivity,
    "randomization": Checker._randomization,
    "infidelity": Checker._infidelity,
    "bands": Checker._bands,
    "stability": Checker._stability,
}
