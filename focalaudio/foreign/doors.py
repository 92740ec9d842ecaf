"""SpeechBrain's and Hugging Face's classifiers -> `waveforms -> logits`.

Objects that the user has loaded: nothing is fetched or imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.compliance import kaldi

from focalaudio.errors import ModelError, name_type

EPS_VARIANCE = 1e-7  # transformers': protects the division by silence's


class SpeechBrainLogits(nn.Module):
    """The scores of a classifier of `speechbrain.inference`.

    Arguments
    ---------
    model : torch.nn.Module
        An `EncoderClassifier`, or another `Pretrained` whose `classify_batch`
        returns scores first.
    scale : float
        Factor on the scores. ECAPA's are cosines, trained with a scale of 30;
        log-probabilities need none.
    """

    def __init__(self, model: Any, scale: float = 1.0) -> None:
        super().__init__()
        self.model = model
        self.scale = scale

    def forward(self, wavs: Tensor) -> Tensor:
        """Map waveforms of one length `[batch, samples]` to logits."""
        lens = torch.ones(len(wavs), device=wavs.device)
        scores = self.model.classify_batch(wavs, lens)[0]
        return self.scale * scores.reshape(len(wavs), -1)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move, and tell SpeechBrain, which moves its input by a name."""
        super()._apply(fn, recurse)
        weights = next(self.parameters(), None)
        if weights is not None:
            self.model.device = str(weights.device)
        return self


def read_speechbrain(model: Any) -> tuple[list[str], int]:
    """Return the labels and the sample rate of a SpeechBrain classifier.

    Arguments
    ---------
    model : torch.nn.Module
        See `SpeechBrainLogits`.

    Returns
    -------
    tuple
        Labels in the order of the class ids, and Hz.

    Raises
    ------
    ModelError
        If it classifies nothing, or has no label encoder.
    """
    hparams = getattr(model, "hparams", None)
    encoder = getattr(hparams, "label_encoder", None)
    if not hasattr(model, "classify_batch") or encoder is None:
        raise ModelError(
            f"model is {name_type(model)}; it needs classify_batch and "
            "hparams.label_encoder, as SpeechBrain's EncoderClassifier has. "
            "For anything else there is SoundInterpreter.from_classifier."
        )
    names = encoder.ind2lab
    labels = [str(names[index]) for index in range(len(names))]
    own = getattr(hparams, "sample_rate", None)
    return labels, int(own or model.audio_normalizer.sample_rate)


class TransformersLogits(nn.Module):
    """The logits of an audio classifier of transformers, with gradients.

    Its feature extractor leaves torch, so what it does is done here once more:
    the normalization of raw waveforms (wav2vec2, HuBERT, WavLM and others) and
    the filter banks of AST. What other extractors do is left to them, without
    gradients.

    Arguments
    ---------
    model : torch.nn.Module
        `AutoModelForAudioClassification`.
    extractor : object
        `AutoFeatureExtractor` of the same.
    """

    def __init__(self, model: Any, extractor: Any) -> None:
        super().__init__()
        self.model = model
        self.extractor = extractor
        self.prepare = PREPARE.get(type(extractor).__name__, _leave_torch)

    @property
    def differentiable(self) -> bool:
        """Whether its features are made here."""
        return self.prepare is not _leave_torch

    def forward(self, wavs: Tensor) -> Tensor:
        """Map waveforms of one length `[batch, samples]` to logits."""
        features = self.prepare(self.extractor, wavs)
        return self.model(**features).logits


def read_transformers(model: Any, extractor: Any) -> tuple[list[str], int]:
    """Return the labels and the sample rate of an audio classifier.

    Arguments
    ---------
    model, extractor
        See `TransformersLogits`.

    Returns
    -------
    tuple
        Labels in the order of the class ids, and Hz.

    Raises
    ------
    ModelError
        If the model has no labels, or the extractor no rate.
    """
    config = getattr(model, "config", None)
    names = getattr(config, "id2label", None)
    rate = getattr(extractor, "sampling_rate", None)
    if not names or rate is None:
        raise ModelError(
            f"model is {name_type(model)} and feature_extractor "
            f"{name_type(extractor)}; give an audio classification model, "
            "whose config has id2label, and its own feature extractor."
        )
    return [str(names[index]) for index in range(len(names))], int(rate)


def _normalize_raw(extractor: Any, wavs: Tensor) -> Mapping[str, Tensor]:
    """Scale waveforms to mean 0 and variance 1, as wav2vec2's extractor."""
    if extractor.do_normalize:
        mean = wavs.mean(1, keepdim=True)
        variance = wavs.var(1, keepdim=True, correction=0)
        wavs = (wavs - mean) / (variance + EPS_VARIANCE).sqrt()
    return {"input_values": wavs}


def _filter_banks(extractor: Any, wavs: Tensor) -> Mapping[str, Tensor]:
    """Make Kaldi's filter banks of fixed length, as AST's extractor."""
    length = extractor.max_length
    banks = torch.stack([_filter_bank(extractor, wav) for wav in wavs])
    banks = F.pad(banks, (0, 0, 0, max(0, length - banks.shape[1])))
    banks = banks[:, :length]
    if extractor.do_normalize:
        banks = (banks - extractor.mean) / (2 * extractor.std)
    return {"input_values": banks}


def _filter_bank(extractor: Any, wav: Tensor) -> Tensor:
    """Return `[frames, bands]` of one waveform `[samples]`."""
    return kaldi.fbank(
        wav[None].float(),
        sample_frequency=extractor.sampling_rate,
        window_type="hanning",
        num_mel_bins=extractor.num_mel_bins,
    )


def _leave_torch(extractor: Any, wavs: Tensor) -> Mapping[str, Tensor]:
    """Let the extractor itself work, on the CPU."""
    made = extractor(
        [wav.cpu().numpy() for wav in wavs],
        sampling_rate=extractor.sampling_rate,
        return_tensors="pt",
    )
    return {name: value.to(wavs.device) for name, value in made.items()}


PREPARE: dict[str, Callable[[Any, Tensor], Mapping[str, Tensor]]] = {
    "ASTFeatureExtractor": _filter_banks,
    "Wav2Vec2FeatureExtractor": _normalize_raw,
}
