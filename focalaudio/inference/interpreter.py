"""`sounds -> labels, and what they were heard in`: a model in one line.

SpeechBrain's habits: `from_hparams`, `classify_file`, `classify_batch`. Each
clip is prepared as in training (cropped or padded, scaled), by itself: an
answer does not depend on what else is in the batch, nor on its padding. What
comes back has the clip's own length and level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from focalaudio.audio import load_wav
from focalaudio.errors import escape_text
from focalaudio.inference.clips import (
    PreparedClips,
    SeenClips,
    SoundInterpretation,
    check_logits,
    prepare_clips,
    read_lens,
    read_wavs,
    restore_interpretation,
)
from focalaudio.inference.doors import ForeignDoors
from focalaudio.inference.run_opts import (
    PRECISIONS,
    check_run_opts,
    find_device,
    refuse_keywords,
)
from focalaudio.inference.stream_result import StreamResult
from focalaudio.inference.streaming import explain_stream
from focalaudio.inference.targets import Target, find_class, find_targets
from focalaudio.interpreters import Interpreter
from focalaudio.models.load import load_model
from focalaudio.models.model import SoundModel

Answer = tuple[Tensor, Tensor, Tensor, list[str]]
Wavs = Tensor | np.ndarray | Sequence[Any]
Maps = Sequence[str] | str | None
MOST_LABELS = 5  # in one line


class SoundInterpreter(ForeignDoors):
    """Classify sounds, and let hear what they were classified by.

    Arguments
    ---------
    model : SoundModel
        See `focalaudio.models.load_model`; moved to the device, frozen.
    run_opts : mapping
        `device` ("cpu", "cuda:0", ...), `precision` ("fp32", "bf16" or
        "fp16") and `compile` (with torch.compile), all of them optional. Of
        SpeechBrain's other keys, those that do not change how a loaded model
        is run are taken too.

    Raises
    ------
    ValueError
        If `run_opts` has another key, or a value that does not exist here.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.data.pipelines import ClipReader
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.models import SoundModel
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> parts = (classifier.eval(), Spectrogram(), ClipReader())
    >>> interpreter = SoundInterpreter(SoundModel(*parts, ["dog", "rain"]))
    >>> probs, score, index, labels = interpreter.classify_batch(
    ...     torch.rand(3, 8000)
    ... )
    >>> probs.shape, len(labels)
    (torch.Size([3, 2]), 3)
    >>> interpreter.explain_batch(torch.rand(3, 8000), target="dog").class_ids
    tensor([0, 0, 0])
    """

    def __init__(
        self, model: SoundModel, run_opts: Mapping[str, Any] | None = None
    ) -> None:
        options = check_run_opts(run_opts or {})
        self.model = model
        self.labels = list(model.labels)
        self.sample_rate = model.spectrogram.sample_rate
        self.dtype = PRECISIONS[options["precision"]]
        self.reader = model.reader
        self.spectrogram = model.spectrogram
        self.classifier = model.classifier.freeze()
        self.to(options["device"])
        if options["compile"]:
            self.classifier.compile_network()

    @classmethod
    def from_hparams(
        cls,
        source: str | Path | None = None,
        savedir: str | Path | None = None,
        run_opts: Mapping[str, Any] | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        trust_remote_yaml: bool = False,
        **speechbrain: Any,
    ) -> SoundInterpreter:
        """Load a model; whoever made it, nothing in its files is run.

        Arguments
        ---------
        source : str or pathlib.Path
            Folder of a bundle (`focalaudio export`) or of a finished run, or
            a name on the hub, `owner/name` or `owner/name@revision`. A folder
            of two parts is written `./owner/name`. The model that comes with
            the package if None.
        savedir : str or pathlib.Path
            Where what is fetched is kept; the cache if None.
        run_opts : mapping
            See the class.
        revision : str
            Of a name on the hub; its latest if None.
        local_files_only : bool
            Use what was fetched before, and no network.
        trust_remote_yaml : bool
            Load the bundle's `hyperparams.yaml` with HyperPyYAML. Such a file
            can run any command as you: say True only of a file that you have
            read, or whose author you would hand your keyboard.
        **speechbrain
            Its other keywords, `hparams_file`, `overrides` and so on: refused,
            with what to do instead.

        Returns
        -------
        SoundInterpreter
            Ready to use.

        Raises
        ------
        FileNotFoundError
            If there is no such model.
        ModelError
            If its files are damaged, unsafe, or do not fit each other.
        ValueError
            If `run_opts`, `revision` or another keyword make no sense.
        """
        refuse_keywords(speechbrain)
        check_run_opts(run_opts or {})
        model = load_model(
            source, savedir, revision, local_files_only, trust_remote_yaml
        )
        return cls(model, run_opts)

    def to(self, device: str | torch.device) -> SoundInterpreter:
        """Move the model, decoders included, to a device; return this.

        A `ValueError` if there is no such device.
        """
        self.device = find_device(device)
        self.model.to(self.device)
        return self

    def __repr__(self) -> str:
        """Say in one line what the model knows, and how it is explained."""
        first = ", ".join(map(escape_text, self.labels[:MOST_LABELS]))
        more = len(self.labels) - MOST_LABELS
        labels = f"{first} and {more} more" if more > 0 else first
        seconds = self.reader.clip_seconds
        clips = "whole clips" if seconds is None else f"clips of {seconds:g} s"
        return (
            f"<SoundInterpreter of {len(self.labels)} classes ({labels}), "
            f"{clips} at {self.sample_rate} Hz, "
            f"{type(self.classifier.encoder).__name__} on {self.device}, "
            f"explained by {self.model.interpreter().name}>"
        )

    def classify_batch(
        self, wavs: Wavs, wav_lens: Wavs | None = None
    ) -> Answer:
        """Classify clips.

        Arguments
        ---------
        wavs : torch.Tensor, numpy.ndarray or sequence
            `[batch, samples]` or `[samples]`, at `sample_rate`, any level; of
            any floating type, or int16 or int32, which are scaled to -1 to 1.
        wav_lens : torch.Tensor, numpy.ndarray or sequence
            `[batch]`, relative lengths, 0 to 1; all 1 if None.

        Returns
        -------
        tuple
            Probabilities `[batch, classes]`, calibrated if the model has a
            temperature, the highest of each clip `[batch]`, its class
            `[batch]`, and the labels, a list.

        Raises
        ------
        AudioError
            If a sample is not finite.
        TypeError
            If samples are of a type that is not sound by itself: uint8, bool,
            complex numbers, whole numbers of other sizes.
        ValueError
            If `wavs` or `wav_lens` have another shape.
        """
        output = self.look(wavs, wav_lens).output
        logits = output.logits / self.model.temperature
        return self._answer(output.decision.probs(logits))

    def classify_file(self, path: str | Path) -> Answer:
        """Classify a file of any format and rate; see `classify_batch`."""
        return self.classify_batch(load_wav(path, self.sample_rate))

    def interpret_batch(
        self, wavs: Wavs, wav_lens: Wavs | None = None
    ) -> tuple[Tensor, list[str]]:
        """Return the part of each clip that its class was heard in.

        Arguments as in `classify_batch`. The sound is `[batch, samples]`, of
        the input's length and level; with it come the predicted labels.
        """
        interpretation = self.explain_batch(wavs, wav_lens)
        labels = self._answer(interpretation.probs)[3]
        return interpretation.wavs, labels

    def interpret_file(self, path: str | Path) -> tuple[Tensor, list[str], int]:
        """Return `interpret_batch` of a file, and the sound's rate in Hz."""
        wav = load_wav(path, self.sample_rate)
        return *self.interpret_batch(wav), self.sample_rate

    def explain_batch(
        self,
        wavs: Wavs,
        wav_lens: Wavs | None = None,
        target: Target | None = None,
        quantile: float | None = None,
        method: str | None = None,
        maps: Maps = None,
        mask: str | None = None,
        options: Mapping[str, Any] | None = None,
        against: str | int | None = None,
    ) -> SoundInterpretation:
        """Return all there is to know of a prediction.

        Arguments
        ---------
        wavs, wav_lens
            See `classify_batch`.
        target : str or int, or one for each clip
            Labels or class ids to explain; the predicted ones if None.
        quantile, method, maps, mask, options
            How it is explained, see `SoundModel.interpreter`; what is None is
            the model's own.
        against : str or int
            Label or class id: explain what speaks for the target rather than
            for this class, the difference of the two classes' saliency where
            it is above 0. The target must be another; of a clip that is
            predicted so nothing is kept.

        Returns
        -------
        SoundInterpretation
            `wavs` and `removed_wavs` have the input's length and level and add
            up to it; the rest is of the clips as the classifier got them.
            `is_known` says which clips there is evidence for any class in:
            never silence, and what the model's own rules let through.

        Raises
        ------
        AudioError, ModelError, ValueError
            If the sound, the model or an argument will not do.
        """
        interpreter = self.interpreter(
            quantile, method, maps, mask, options, against
        )
        seen = self.look(wavs, wav_lens)
        (found,) = self.explain_with([interpreter], seen, target)
        return found

    def interpreter(
        self,
        quantile: float | None = None,
        method: str | None = None,
        maps: Maps = None,
        mask: str | None = None,
        options: Mapping[str, Any] | None = None,
        against: str | int | None = None,
    ) -> Interpreter:
        """Make an interpreter; arguments as in `explain_batch`."""
        other = None
        if against is not None:
            other = find_class("against", against, self.labels)
        return self.model.interpreter(
            method, maps, mask, quantile, options, other
        )

    def look(self, wavs: Wavs, wav_lens: Wavs | None = None) -> SeenClips:
        """Analyze and classify clips, once for all that is asked of them.

        Arguments and errors as in `classify_batch`.
        """
        sound, scale = read_wavs(wavs)
        clips = self.prepare(sound, wav_lens)
        with torch.no_grad(), self._autocast():
            looking = Interpreter(self.classifier, self.spectrogram)
            spectrum, output = looking.look(clips.wavs, clips.lens)
        check_logits(output.logits, clips)
        return SeenClips(clips, spectrum, output, scale)

    def explain_with(
        self,
        interpreters: Sequence[Interpreter],
        seen: SeenClips,
        target: Target | None = None,
    ) -> list[SoundInterpretation]:
        """Explain clips in several ways; they are not classified again.

        Arguments
        ---------
        interpreters : sequence of Interpreter
            Made by `interpreter`.
        seen : SeenClips
            Of `look`.
        target
            See `explain_batch`.

        Returns
        -------
        list of SoundInterpretation
            One of each interpreter.

        Raises
        ------
        ValueError
            If there is no such class, or one is explained against itself.
        """
        against = [each.against for each in interpreters]
        batch = len(seen.clips.wavs)
        targets = find_targets(target, self.labels, batch, against)
        class_ids = None
        if targets is not None:
            class_ids = torch.tensor(targets, device=self.device)
        record = (seen.spectrum, seen.output)
        with torch.no_grad(), self._autocast():
            found = [
                each.interpret(*record, class_ids) for each in interpreters
            ]
            is_known = self.model.is_known(*record) & ~seen.clips.silent
        known: dict[str, Any] = {
            "temperature": self.model.temperature,
            "is_known": is_known,
            "labels": tuple(self.labels),
            "scale": seen.scale,
        }
        return [
            restore_interpretation(replace(each, **known), seen.clips)
            for each in found
        ]

    def explain_present(
        self, wav: Wavs, least: float = 0.5, **choice: Any
    ) -> dict[str, SoundInterpretation]:
        """Explain each class that a clip is said to have.

        Arguments
        ---------
        wav : torch.Tensor, numpy.ndarray or sequence
            `[samples]`; see `classify_batch`.
        least : float
            Probability from which on a class is there, 0 to 1.
        **choice
            How it is explained, see `interpreter`.

        Returns
        -------
        dict
            From the labels to explanations, batches of one, the most probable
            first; empty if there is none; not the one that they are explained
            against. The clip is classified once.

        Raises
        ------
        AudioError, ModelError, ValueError
            If the sound, the model or an argument will not do.
        """
        seen, way = self.look(wav), self.interpreter(**choice)
        if len(seen.clips.wavs) != 1:
            raise ValueError(
                f"wav holds {len(seen.clips.wavs)} clips; give one."
            )
        output = seen.output
        logits = output.logits[0] / self.model.temperature
        probs = output.decision.probs(logits).tolist()
        ranked = sorted(zip(probs, self.labels, strict=True), reverse=True)
        other = None if way.against is None else self.labels[way.against]
        return {
            label: self.explain_with([way], seen, label)[0]
            for probability, label in ranked
            if probability >= least and label != other
        }

    def explain_file(
        self,
        path: str | Path,
        target: Target | None = None,
        quantile: float | None = None,
        method: str | None = None,
        maps: Maps = None,
        mask: str | None = None,
        options: Mapping[str, Any] | None = None,
        against: str | int | None = None,
    ) -> SoundInterpretation:
        """Return `explain_batch` of a file, a batch of one."""
        wav = load_wav(path, self.sample_rate)
        choice = (quantile, method, maps, mask, options, against)
        return self.explain_batch(wav, None, target, *choice)

    def explain_stream(
        self,
        path: str | Path,
        out: str | Path,
        quantile: float | None = None,
        method: str | None = None,
        maps: Maps = None,
        mask: str | None = None,
        target: str | int | None = None,
        against: str | int | None = None,
        options: Mapping[str, Any] | None = None,
        **stream: Any,
    ) -> StreamResult:
        """Explain a recording of any length, window by window, on disk.

        Arguments
        ---------
        path : str or pathlib.Path
            The recording.
        out : str or pathlib.Path
            Folder of the sound and of the timeline.
        quantile, method, maps, mask, against, options
            See `explain_batch`.
        target : str or int
            Label or class id to explain in every window; what each is
            classified as if None.
        **stream
            Of `focalaudio.inference.streaming.explain_stream`: `overlap`,
            `batch_size`, `progress`, `strict`, `rules`, `media`.

        Returns
        -------
        StreamResult
            The files, and what was heard when.

        Raises
        ------
        FileNotFoundError, AudioError, ModelError, ValueError
            If the recording, the model or an argument will not do.
        FocalAudioError
            If another call is writing the same.
        """
        interpreter = self.interpreter(
            quantile, method, maps, mask, options, against
        )
        asked = find_targets(target, self.labels, 1)
        with self._autocast():
            return explain_stream(
                interpreter,
                self.reader,
                self.labels,
                path,
                out,
                temperature=self.model.temperature,
                novelty=self.model.novelty,
                target=None if asked is None else asked[0],
                **stream,
            )

    def prepare(
        self, wavs: Wavs, wav_lens: Wavs | None = None
    ) -> PreparedClips:
        """Return the clips as the classifier wants them, by `prepare_clips`."""
        sound, _ = read_wavs(wavs)
        lens = read_lens(wav_lens)
        return prepare_clips(sound.to(self.device), lens, self.reader)

    def _answer(self, probs: Tensor) -> Answer:
        score, index = probs.max(dim=-1)
        return probs, score, index, [self.labels[i] for i in index.tolist()]

    def _autocast(self) -> torch.autocast:
        kind = self.device.type
        on = self.dtype is not None
        return torch.autocast(kind, self.dtype if on else None, enabled=on)
