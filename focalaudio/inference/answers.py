"""`a model, as it is asked -> what its answers depend on`: data to compare.

What was found before and is gone on with must have been found in the same way,
whoever kept it: a folder of results, or a stream that was stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import torch

from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders.weight_files import digest_weights
from focalaudio.interpreters import Interpreter
from focalaudio.models.novelty import Novelty
from focalaudio.version import __version__


def to_number(value: Any) -> int | float:
    """Return a number of another make as Python's, for `json.dumps`.

    Example
    -------
    >>> import json
    >>> import numpy as np
    >>> json.dumps([np.int64(2), np.float32(0.5)], default=to_number)
    '[2, 0.5]'
    """
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"{value!r} is no number.")


def describe_answers(
    interpreters: Sequence[Interpreter],
    reader: ClipReader,
    labels: Sequence[str],
    temperature: float = 1.0,
    novelty: Novelty | None = None,
    dtype: torch.dtype | None = None,
) -> dict[str, Any]:
    """Name all of a model that its answers depend on.

    Arguments
    ---------
    interpreters : sequence of Interpreter
        Of one classifier and one spectrogram; at least one.
    reader, labels, temperature, novelty
        See `focalaudio.models.SoundModel`.
    dtype : torch.dtype
        What it is computed in, by autocast; float32 if None.

    Returns
    -------
    dict
        Equal for answers that are; of what JSON can hold.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.interpreters import ThresholdInterpreter
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 1)
    >>> way = ThresholdInterpreter(classifier, Spectrogram())
    >>> described = describe_answers([way], ClipReader(), ["dog"])
    >>> described["reader"], described["temperature"]
    (['ClipReader', 16000, 5.0], 1.0)
    """
    analysis = interpreters[0].spectrogram
    classifier = interpreters[0].classifier
    return {
        "version": __version__,
        "weights": [digest_weights(each) for each in interpreters],
        "answers_to_noise": list(classifier.answers_to_noise),
        "explanation": [
            [type(each).__name__, each.settings] for each in interpreters
        ],
        "analysis": [
            analysis.sample_rate,
            analysis.n_fft,
            analysis.window_samples,
            analysis.hop_samples,
        ],
        "reader": [
            type(reader).__name__,
            reader.sample_rate,
            reader.clip_seconds,
        ],
        "labels": list(labels),
        "labels_per_clip": classifier.labels_per_clip,
        "temperature": temperature,
        "novelty": novelty and novelty.describe(),
        "precision": "" if dtype is None else str(dtype),
    }
