"""`somebody else's classifier -> SoundInterpreter`: one door for each make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor, nn

from focalaudio.foreign.doors import (
    SpeechBrainLogits,
    TransformersLogits,
    read_speechbrain,
    read_transformers,
)
from focalaudio.inference.foreign import wrap_classifier
from focalaudio.models.model import SoundModel

Kind = TypeVar("Kind", bound="ForeignDoors")


class ForeignDoors:
    """The ways in which a `SoundInterpreter` is made of a foreign classifier.

    Arguments
    ---------
    model : SoundModel
        Whoever made its classifier.
    run_opts : mapping
        See `SoundInterpreter`.
    """

    def __init__(
        self, model: SoundModel, run_opts: Mapping[str, Any] | None = None
    ) -> None:
        raise NotImplementedError

    @classmethod
    def from_classifier(
        cls: type[Kind],
        classify: Callable[[Tensor], Any],
        labels: Sequence[str],
        sample_rate: int,
        run_opts: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Kind:
        """Explain a classifier of any make.

        The mask acts on an STFT; what it keeps is made sound again, and that
        is what the classifier is asked about.

        Arguments
        ---------
        classify : callable
            A torch module or a function: waveforms `[batch, samples]` to
            logits `[batch, n_classes]`, with gradients or without.
        labels : sequence of str
            In the order of the logits.
        sample_rate : int
            Hz, of the waveforms that it reads.
        run_opts : mapping
            See the class; the device is by default the one that the
            classifier's weights are on.
        **options
            Of `focalaudio.inference.foreign.wrap_classifier`: `clip_seconds`,
            `scale_peak`, `takes`, `differentiable`, `spectrogram`,
            `explanation`, `decoders`, `labels_per_clip` (`several` if each
            logit goes through a sigmoid of its own).

        Returns
        -------
        SoundInterpreter
            Ready to use; explains by `rise` unless asked otherwise.

        Raises
        ------
        ModelError, ValueError
            If the classifier does not do what it should, or an argument will
            not do.

        Example
        -------
        >>> import torch
        >>> from focalaudio import SoundInterpreter
        >>> def classify(wavs):  # is there more below or above a few kHz?
        ...     low = (wavs[:, 1:] + wavs[:, :-1]).square().mean(1)
        ...     high = (wavs[:, 1:] - wavs[:, :-1]).square().mean(1)
        ...     return torch.stack((low, high), 1)
        >>> interpreter = SoundInterpreter.from_classifier(
        ...     classify, ["low", "high"], 16000
        ... )
        >>> hum = torch.linspace(0, 600, 8000).sin()
        >>> interpreter.explain_batch(hum).class_ids
        tensor([0])
        """
        model = wrap_classifier(classify, labels, sample_rate, **options)
        return cls(model, {**_where_it_is(classify), **(run_opts or {})})

    @classmethod
    def from_speechbrain(
        cls: type[Kind],
        model: Any,
        scale: float = 1.0,
        run_opts: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Kind:
        """Explain a classifier that SpeechBrain has loaded.

        Arguments
        ---------
        model : speechbrain.inference.classifiers.EncoderClassifier
            Or another whose `classify_batch` returns scores first. Labels and
            sample rate are its own.
        scale : float
            Factor on its scores; 30 for ECAPA's cosines, 1 for
            log-probabilities.
        run_opts, **options
            See `from_classifier`.

        Returns
        -------
        SoundInterpreter
            Ready to use.

        Raises
        ------
        ModelError, ValueError
            If it classifies nothing, or an argument will not do.
        """
        labels, sample_rate = read_speechbrain(model)
        classify = SpeechBrainLogits(model, scale)
        model = wrap_classifier(classify, labels, sample_rate, **options)
        return cls(model, {**_where_it_is(classify), **(run_opts or {})})

    @classmethod
    def from_transformers(
        cls: type[Kind],
        model: Any,
        feature_extractor: Any,
        run_opts: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Kind:
        """Explain an audio classifier that transformers has loaded.

        Gradient methods work for AST, wav2vec2, and whatever shares the
        latter's feature extractor; for others they are refused.

        Arguments
        ---------
        model : transformers.PreTrainedModel
            `AutoModelForAudioClassification`. Labels are its own.
        feature_extractor : transformers.FeatureExtractionMixin
            `AutoFeatureExtractor` of the same; the sample rate is its own.
        run_opts, **options
            See `from_classifier`.

        Returns
        -------
        SoundInterpreter
            Ready to use.

        Raises
        ------
        ModelError, ValueError
            If it classifies nothing, or an argument will not do.
        """
        labels, sample_rate = read_transformers(model, feature_extractor)
        classify = TransformersLogits(model, feature_extractor)
        if not classify.differentiable:
            options.setdefault("differentiable", False)
        model = wrap_classifier(classify, labels, sample_rate, **options)
        return cls(model, {**_where_it_is(classify), **(run_opts or {})})


def _where_it_is(classify: Any) -> dict[str, Any]:
    """Return the run option of the device that a module's weights are on."""
    weights = classify.parameters() if isinstance(classify, nn.Module) else ()
    devices = [each.device for each in weights]
    return {"device": devices[0]} if devices else {}
