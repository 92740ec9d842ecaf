import pytest
import torch

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.reporting import explain_for_page
from focalaudio.models import Explanation, SoundModel
from focalaudio.spectrogram import Spectrogram

LABELS = ["dog", "rain", "cat"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test", in_channels=1)
    classifier = SoundClassifier(encoder, 3, "linear", image_size=(32, 32))
    for parameter in classifier.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        torch.nn.init.normal_(parameter, 0, fan_in**-0.5)
    own = Explanation(maps=["class_evidence"], quantile=0.8)
    parts = classifier.eval(), Spectrogram(), ClipReader(16000, 0.5), LABELS
    return SoundInterpreter(SoundModel(*parts, own, temperature=2.0))


@pytest.fixture(scope="module")
def wav():
    torch.manual_seed(1)
    return 0.1 * torch.rand(6000)


@pytest.fixture(scope="module")
def clip(model, wav):
    return explain_for_page(model, wav, "a", "cat")


def test_every_view_is_what_python_explains(clip, model, wav):
    assert [view.quantile for view in clip.views] == [0.8, 0.5, 0.7, 0.9, 0.8]
    for view in clip.views:
        found = model.explain_batch(
            wav, target=view.explained, quantile=view.quantile
        )
        frames = int(found.spectrum.n_frames[0])
        assert torch.equal(view.mask, found.mask[0, :frames])
        torch.testing.assert_close(view.kept, found.wavs[0])
        probability = found.probs[0, LABELS.index(view.explained)].item()
        assert view.scores["probability"] == pytest.approx(
            probability, abs=1e-6
        )


def test_the_true_class_is_compared_if_it_was_not_predicted(model, wav):
    predicted = explain_for_page(model, wav, "a").predicted
    for label in LABELS:
        clip = explain_for_page(model, wav, "a", label)
        first, *_, last = (view.explained for view in clip.views)
        assert first == predicted
        assert last == label or label == predicted
        assert last != predicted


def test_sounds_have_the_length_and_level_of_the_file(clip, wav):
    torch.testing.assert_close(clip.wav, wav, atol=1e-6, rtol=0)
    assert any("Padded" in warning for warning in clip.warnings)


def test_a_floor_is_explained_once(model, wav):
    clip = explain_for_page(model, wav, "a", method="random")
    assert [view.method for view in clip.views] == ["random"]


def test_silence_says_that_there_is_no_evidence(model):
    clip = explain_for_page(model, torch.zeros(8000), "a")
    assert any("No evidence" in warning for warning in clip.warnings)
    assert any("Low energy" in warning for warning in clip.warnings)


def test_no_class_is_explained_against_itself(model, wav):
    ranked = model.explain_batch(wav).logits[0].argsort(descending=True)
    _, second, third = (LABELS[int(each)] for each in ranked)

    def explained(**choice):
        clip = explain_for_page(model, wav, "a", **choice)
        return [view.explained for view in clip.views]

    assert explained()[-1] == explained(against=third)[-1] == second
    assert explained(against=second) == explained()[:-1]
