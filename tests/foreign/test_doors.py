"""The doors: what goes in and comes out is what the libraries themselves do."""

from types import SimpleNamespace

import pytest
import torch
import transformers
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier
from speechbrain.processing.features import InputNormalization

from focalaudio.audio import write_wav
from focalaudio.errors import DataError, ModelError
from focalaudio.foreign.doors import TransformersLogits
from focalaudio.inference.folder import explain_files
from focalaudio.inference.interpreter import SoundInterpreter

LABELS = ["cat", "dog", "rain"]
NAMES = dict(enumerate(LABELS))


def speechbrain_model():
    """A tiny ECAPA, as `EncoderClassifier.from_hparams` would make it."""
    torch.manual_seed(1)
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(LABELS)
    network = ECAPA_TDNN(
        20,
        lin_neurons=8,
        channels=[8] * 5,
        kernel_sizes=[3] * 5,
        dilations=[1] * 5,
        attention_channels=8,
        se_channels=8,
        res2net_scale=2,
    )
    modules = {
        "compute_features": Fbank(n_mels=20),
        "mean_var_norm": InputNormalization(
            norm_type="sentence", std_norm=False
        ),
        "embedding_model": network,
        "classifier": Classifier(8, out_neurons=3),
    }
    hparams = {"label_encoder": encoder, "sample_rate": 16000}
    return EncoderClassifier(modules, hparams, {"device": "cpu"})


def ast_model():
    torch.manual_seed(1)
    config = transformers.ASTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_length=64,
        num_mel_bins=32,
        id2label=NAMES,
    )
    extractor = transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=64)
    return transformers.ASTForAudioClassification(config).eval(), extractor


def wav2vec2_model():
    torch.manual_seed(1)
    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_stride=(5, 4),
        conv_kernel=(10, 4),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        classifier_proj_size=8,
        id2label=NAMES,
    )
    model = transformers.Wav2Vec2ForSequenceClassification(config)
    return model.eval(), transformers.Wav2Vec2FeatureExtractor()


@pytest.fixture(scope="module")
def ecapa():
    return speechbrain_model()


@pytest.fixture(scope="module", params=[ast_model, wav2vec2_model])
def hugging(request):
    return request.param()


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_speechbrain_says_what_it_says_itself(ecapa, tmp_path):
    interpreter = SoundInterpreter.from_speechbrain(ecapa)
    assert interpreter.labels == LABELS
    assert interpreter.sample_rate == 16000
    wavs = 0.1 * torch.randn(2, 8000)
    scores, _, index, labels = ecapa.classify_batch(wavs)
    probs, _, own_index, own_labels = interpreter.classify_batch(wavs)
    close(probs, scores.softmax(1))
    assert torch.equal(own_index, index)
    assert own_labels == labels
    path = write_wav(tmp_path / "a.wav", wavs[0], 16000)
    found = interpreter.explain_file(path, options={"n_masks": 8})
    assert found.wavs.shape == (1, 8000)


def test_relative_lengths_reach_speechbrain(ecapa):
    interpreter = SoundInterpreter.from_speechbrain(ecapa, scale=30.0)
    wavs, lens = 0.1 * torch.randn(2, 8000), torch.tensor([1.0, 0.5])
    probs = interpreter.classify_batch(wavs, lens)[0]
    short = ecapa.classify_batch(wavs[1:, :4000])[0]
    close(probs[1:], (30 * short).softmax(1))


def test_gradients_reach_the_input_of_speechbrain(ecapa):
    interpreter = SoundInterpreter.from_speechbrain(ecapa)
    found = interpreter.explain_batch(torch.randn(8000), method="saliency")
    assert found.saliency.max() > 0


def test_hugging_face_says_what_it_says_itself(hugging):
    model, extractor = hugging
    interpreter = SoundInterpreter.from_transformers(model, extractor)
    wavs = 0.1 * torch.randn(2, 8000)
    inputs = extractor(
        list(wavs.numpy()), sampling_rate=16000, return_tensors="pt"
    )
    with torch.no_grad():
        logits = model(**inputs).logits
    assert interpreter.labels == LABELS
    close(interpreter.explain_batch(wavs, method="loudest").logits, logits)


def test_gradients_reach_the_input_of_hugging_face(hugging):
    interpreter = SoundInterpreter.from_transformers(*hugging)
    found = interpreter.explain_batch(torch.randn(8000), method="saliency")
    assert found.saliency.max() > 0


def test_what_other_extractors_do_is_left_to_them():
    model, raw = wav2vec2_model()

    class Other:
        sampling_rate = 16000

        def __call__(self, wavs, **options):
            return raw(wavs, **options)

    interpreter = SoundInterpreter.from_transformers(model, Other())
    ours = SoundInterpreter.from_transformers(model, raw)
    wavs = torch.randn(2, 8000)
    close(
        interpreter.classify_batch(wavs)[0],
        ours.classify_batch(wavs)[0],
    )
    with pytest.raises(ValueError, match="no gradient reaches"):
        interpreter.explain_batch(wavs, method="saliency")


def test_silence_has_no_infinite_gradient():
    logits = TransformersLogits(*wav2vec2_model())
    wavs = torch.zeros(1, 4000, requires_grad=True)
    logits(wavs).sum().backward()
    assert wavs.grad.isfinite().all()


def test_what_classifies_nothing_is_refused(hugging):
    other = SimpleNamespace(hparams=SimpleNamespace())
    with pytest.raises(ModelError, match="classify_batch and.*label_encoder"):
        SoundInterpreter.from_speechbrain(other)
    with pytest.raises(ModelError, match="config has id2label"):
        SoundInterpreter.from_transformers(other, hugging[1])


def test_what_another_scale_found_is_not_gone_on_with(tmp_path):
    path = write_wav(tmp_path / "a.wav", 0.1 * torch.randn(8000), 16000)
    network = speechbrain_model()

    def explain(scale):
        model = SoundInterpreter.from_speechbrain(network, scale=scale)
        request = {"method": "random", "media": False}
        return explain_files(path, tmp_path / "out", model, **request)[0]

    assert explain(1.0).is_new
    assert not explain(1.0).is_new
    with pytest.raises(DataError, match="with answers_to_noise="):
        explain(30.0)
