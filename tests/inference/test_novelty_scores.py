"""Laws of the scores that a model gives to sounds."""

import pytest
import torch

from focalaudio.audio import load_wav
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.novelty_scores import score_sounds
from focalaudio.models import load_model


@pytest.fixture(scope="module")
def model(exported):
    return load_model(exported)


def test_scores_do_not_depend_on_the_batch(model):
    wavs = [torch.randn(n) for n in (16000, 3000, 9000)]
    together, embeddings = score_sounds(model, wavs)
    for place, wav in enumerate(wavs):
        alone, embedding = score_sounds(model, [wav])
        torch.testing.assert_close(
            embedding[0], embeddings[place], rtol=1e-4, atol=1e-4
        )
        for name, values in alone.scores.items():
            torch.testing.assert_close(
                values[0], together.scores[name][place], rtol=1e-4, atol=1e-4
            )


def test_what_is_right_is_what_the_classifier_says(model, dataset):
    paths = sorted((dataset / "audio").glob("5-*.wav"))
    ids = [int(SoundInterpreter(model).classify_file(p)[2]) for p in paths]
    wavs = [load_wav(path, 16000) for path in paths]
    assert score_sounds(model, wavs, targets=ids)[0].correct.all()
    assert not score_sounds(model, wavs)[0].correct.any()
