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

import torch
from torch import Tensor

from focalaudio.audio import load_wav
from focalaudio.contract import ClassifierOutput
from focalaudio.inference.clips import (
    PreparedClips,
    prepare_clips,
    restore_interpretation,
)
from focalaudio.inference.doors import ForeignDoors
from focalaudio.inference.run_opts import (
    PRECISIONS,
    check_run_opts,
    refuse_keywords,
)
from focalaudio.inference.streaming import StreamResult, explain_stream
from focalaudio.interpreters import Interpretation, Interpreter
from focalaudio.models.load import load_model
from focalaudio.models.model import SoundModel

Answer = tuple[Tensor, Tensor, Tensor, list[str]]
Target = str | int | Sequence[str | int] | Tensor
Maps = Sequence[str] | str | None


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
        self.device = options["device"]
        self.dtype = PRECISIONS[options["precision"]]
        self.reader = model.reader
        self.spectrogram = model.spectrogram.to(self.device)
        self.classifier = model.classifier.freeze().to(self.device)
        for decoder in model.decoders.values():
            decoder.to(self.device)
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

    def classify_batch(
        self, wavs: Tensor, wav_lens: Tensor | None = None
    ) -> Answer:
        """Classify clips.

        Arguments
        ---------
        wavs : torch.Tensor
            `[batch, samples]` or `[samples]`, at `sample_rate`, any level.
        wav_lens : torch.Tensor
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
        ValueError
            If `wavs` or `wav_lens` have another shape.
        """
        clips = self.prepare(wavs, wav_lens)
        logits = self._classify(clips).logits.float()
        return self._answer((logits / self.model.temperature).softmax(dim=-1))

    def classify_file(self, path: str | Path) -> Answer:
        """Classify a file of any format and rate; see `classify_batch`."""
        return self.classify_batch(load_wav(path, self.sample_rate))

    def interpret_batch(
        self, wavs: Tensor, wav_lens: Tensor | None = None
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
        wavs: Tensor,
        wav_lens: Tensor | None = None,
        target: Target | None = None,
        quantile: float | None = None,
        method: str | None = None,
        maps: Maps = None,
        mask: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Interpretation:
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

        Returns
        -------
        Interpretation
            `wavs` and `removed_wavs` have the input's length and level and add
            up to it; the rest is of the clips as the classifier got them.
            `is_known` says which clips there is evidence for any class in:
            never silence, and what the model's own rule lets through.

        Raises
        ------
        AudioError, ModelError, ValueError
            If the sound, the model or an argument will not do.
        """
        clips = self.prepare(wavs, wav_lens)
        class_ids = self._find_targets(target, len(clips.wavs))
        interpreter = self.model.interpreter(
            method, maps, mask, quantile, options
        )
        with torch.no_grad(), self._autocast():
            seen = interpreter.look(clips.wavs, clips.lens)
            found = interpreter.interpret(*seen, class_ids)
            is_known = self.model.is_known(*seen) & ~clips.silent
        found = replace(
            found, temperature=self.model.temperature, is_known=is_known
        )
        return restore_interpretation(found, clips)

    def explain_file(
        self,
        path: str | Path,
        target: Target | None = None,
        quantile: float | None = None,
        method: str | None = None,
        maps: Maps = None,
        mask: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Interpretation:
        """Return `explain_batch` of a file, a batch of one."""
        return self.explain_batch(
            load_wav(path, self.sample_rate),
            None,
            target,
            quantile,
            method,
            maps,
            mask,
            options,
        )

    def explain_stream(
        self,
        path: str | Path,
        out: str | Path,
        quantile: float | None = None,
        method: str | None = None,
        maps: Maps = None,
        mask: str | None = None,
        **options: Any,
    ) -> StreamResult:
        """Explain a recording of any length, window by window, on disk.

        Arguments
        ---------
        path : str or pathlib.Path
            The recording.
        out : str or pathlib.Path
            Folder of the sound and of the timeline.
        quantile, method, maps, mask
            See `explain_batch`.
        **options
            Of `focalaudio.inference.streaming.explain_stream`: `overlap`,
            `batch_size`, `progress`, `strict`.

        Returns
        -------
        StreamResult
            The files, and what was heard when.

        Raises
        ------
        FileNotFoundError, AudioError, ModelError, ValueError
            If the recording, the model or an argument will not do.
        """
        interpreter = self.model.interpreter(method, maps, mask, quantile)
        with self._autocast():
            return explain_stream(
                interpreter,
                self.reader,
                self.labels,
                path,
                out,
                temperature=self.model.temperature,
                novelty=self.model.novelty,
                **options,
            )

    def prepare(
        self, wavs: Tensor, wav_lens: Tensor | None = None
    ) -> PreparedClips:
        """Return the clips as the classifier wants them, by `prepare_clips`."""
        wavs = wavs[None] if wavs.dim() == 1 else wavs
        return prepare_clips(wavs.to(self.device), wav_lens, self.reader)

    def _find_targets(self, target: Target | None, batch: int) -> Tensor | None:
        """Return the class ids `[batch]` that targets mean; None for None."""
        if target is None:
            return None
        if isinstance(target, Tensor):
            target = target.tolist()
        if isinstance(target, str | int):
            target = [target] * batch
        if len(target) != batch:
            raise ValueError(
                f"target has {len(target)} classes for {batch} clips; give "
                "one for all, or one for each."
            )
        ids = [self._class_id(one) for one in target]
        return torch.tensor(ids, device=self.device)

    def _class_id(self, target: str | int) -> int:
        if target in self.labels:
            return self.labels.index(str(target))
        is_id = isinstance(target, int) and not isinstance(target, bool)
        if is_id and 0 <= int(target) < len(self.labels):
            return int(target)
        raise ValueError(
            f"target={target!r} is no class of this model; it knows "
            f"{', '.join(self.labels)} (or their ids, from 0)."
        )

    def _classify(self, clips: PreparedClips) -> ClassifierOutput:
        with torch.no_grad(), self._autocast():
            looking = Interpreter(self.classifier, self.spectrogram)
            return looking.look(clips.wavs, clips.lens)[1]

    def _answer(self, probs: Tensor) -> Answer:
        score, index = probs.max(dim=-1)
        return probs, score, index, [self.labels[i] for i in index.tolist()]

    def _autocast(self) -> torch.autocast:
        kind = self.device.type
        on = self.dtype is not None
        return torch.autocast(kind, self.dtype if on else None, enabled=on)
