"""Laws of the interpreters by gradients, for every encoder and method."""

import builtins

import pytest
import torch
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import EncoderOutput, build_encoder
from focalaudio.interpreters import GradientInterpreter
from focalaudio.interpreters.attributions import METHODS
from focalaudio.masks import quantile_mask

ENCODERS = {
    "focalnet_test": {},
    "vit_test": {},
    "conv2d_piq": {"dim": 8, "image_size": (64, 48)},
}
FEW = {"n_samples": 3, "n_steps": 3}


def build(name, head="cosine"):
    classifier = SoundClassifier(build_encoder(name, **ENCODERS[name]), 5, head)
    for parameter in classifier.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        nn.init.normal_(parameter, 0, fan_in**-0.5)
    return classifier


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture(params=ENCODERS)
def interpreter(request, spectrogram, method, device):
    own = METHODS[method][1]
    options = {key: FEW[key] for key in FEW if key in own}
    classifier = build(request.param).to(device)
    return GradientInterpreter(classifier, spectrogram, method, 0.8, options)


class Listener(nn.Module):
    """An encoder whose features are its image, negative where that is dark."""

    n_features, in_channels, image_size = 1, 1, (64, 48)
    map_names = ()

    def forward(self, image):
        features = image - 0.01
        return EncoderOutput(features, features.mean((2, 3)), ())


@pytest.fixture
def listener(spectrogram, device):
    """A classifier in which sound speaks for class 0."""
    classifier = SoundClassifier(Listener(), 2, "linear").to(device)
    classifier.head.weight.data = torch.tensor([[1.0], [-1.0]], device=device)
    return GradientInterpreter(classifier, spectrogram, "gradcam", 0.5)


def test_saliency_is_the_size_of_what_is_attributed(interpreter, uneven):
    with torch.no_grad():
        interpretation = interpreter(*uneven[:2])
        spectrum = interpretation.spectrum
        output = interpreter.classifier(
            spectrum.log_magnitude, spectrum.n_frames
        )
        signed = interpreter.attribute(
            output, spectrum, interpretation.class_ids
        )
    torch.testing.assert_close(interpretation.saliency, signed.abs())
    negative = bool((signed < 0).any())
    assert negative == (interpreter.method != "gradcam")


def test_mask_is_the_quantile_of_the_saliency(interpreter, uneven):
    with torch.no_grad():
        interpretation = interpreter(*uneven[:2])
    n_frames = interpretation.spectrum.n_frames
    expected = quantile_mask(interpretation.saliency, 0.8, n_frames)
    expected &= interpretation.saliency > 0
    assert torch.equal(interpretation.mask, expected)
    for row, frames in enumerate(n_frames.tolist()):
        assert not interpretation.mask[row, frames:].any()
        assert (interpretation.saliency[row, frames:] == 0).all()


def test_the_classifier_is_left_as_it_was(interpreter, uneven):
    classifier = interpreter.classifier
    before = {k: v.clone() for k, v in classifier.state_dict().items()}
    with torch.no_grad():
        interpretation = interpreter(*uneven[:2])
        assert not torch.is_grad_enabled()
    for name, values in classifier.state_dict().items():
        assert torch.equal(values, before[name])
    for parameter in classifier.parameters():
        assert not parameter.requires_grad
        assert parameter.grad is None
    for module in classifier.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert not module.training
    assert not interpretation.spectrum.log_magnitude.requires_grad
    assert not interpretation.saliency.requires_grad
    assert not interpretation.wavs.requires_grad


def test_a_batch_is_interpreted_as_its_clips_are_in_any_order(
    interpreter, uneven
):
    wavs, lens, n_samples = uneven
    with torch.no_grad():
        batch = interpreter(wavs, lens)
        turned = interpreter(wavs.flip(0), lens.flip(0))
        alone = interpreter(wavs[3:, : int(n_samples[3])])
    largest = batch.saliency.amax((1, 2), keepdim=True)
    moved = (turned.saliency.flip(0) - batch.saliency).abs()
    assert (moved <= 1e-3 * largest).all()
    frames = alone.saliency.shape[1]
    moved = (batch.saliency[3, :frames] - alone.saliency[0]).abs()
    assert (moved <= 1e-3 * largest[3]).all()


def test_interpretations_repeat(interpreter, tone):
    with torch.no_grad():
        first = interpreter(tone)
        torch.rand(1)
        again = interpreter(tone)
    assert torch.equal(again.saliency, first.saliency)
    assert torch.equal(again.mask, first.mask)


def test_another_class_is_explained_otherwise(interpreter, uneven):
    wavs, lens, _ = uneven
    maps = []
    for class_id in (0, 1):
        class_ids = torch.full((4,), class_id, device=wavs.device)
        with torch.no_grad():
            maps.append(interpreter(wavs, lens, class_ids=class_ids).saliency)
    assert not torch.equal(*maps)


def test_inference_mode_and_gradient_mode_change_nothing(interpreter, tone):
    with torch.no_grad():
        expected = interpreter(tone).saliency
    assert torch.equal(interpreter(tone).saliency, expected)
    with torch.inference_mode():
        inferred = interpreter(tone).saliency
    assert torch.equal(inferred, expected)


def test_low_precision_does_not_reach_the_gradients(interpreter, tone):
    classifier, spectrum = interpreter.classifier, interpreter.spectrogram(tone)
    class_ids = torch.tensor([1], device=tone.device)
    output = classifier(spectrum.log_magnitude)
    expected = METHODS[interpreter.method][0](
        classifier, output, spectrum, class_ids, **interpreter.options
    )
    with torch.no_grad(), torch.autocast(tone.device.type, torch.bfloat16):
        values = interpreter.attribute(output, spectrum, class_ids)
        saliency = interpreter(tone, class_ids=class_ids).saliency
    torch.testing.assert_close(values, expected)
    assert saliency.dtype == torch.float


def test_silence_is_finite(interpreter, device):
    with torch.no_grad():
        interpretation = interpreter(torch.zeros(2, 900, device=device))
    assert interpretation.saliency.isfinite().all()
    assert (interpretation.wavs == 0).all()


def test_a_cell_without_saliency_is_never_kept(listener, two_tones):
    two_tones[:, :12000] = 0  # the quantile of the saliency is 0
    first = torch.zeros(1, dtype=torch.long, device=two_tones.device)
    with torch.no_grad():
        interpretation = listener(two_tones, class_ids=first)
        mask = interpretation.mask[0]
    assert mask.any()
    assert torch.equal(mask, interpretation.saliency[0] > 0)
    assert not mask[: 12000 // 186 - 4].any()


def test_settings_name_everything_that_matters(spectrogram):
    interpreter = GradientInterpreter(
        build("focalnet_test"), spectrogram, "smoothgrad", 0.7, {"seed": 9}
    )
    assert interpreter.settings == {
        "method": "smoothgrad",
        "quantile": 0.7,
        "n_samples": 32,
        "noise_level": 0.1,
        "seed": 9,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "lime"}, "method='lime' must be one of saliency, "),
        ({"quantile": 1.5}, "quantile=1.5 must"),
        ({"options": {"n_steps": 3}}, "'n_steps'.*'saliency', which has: none"),
        (
            {"method": "smoothgrad", "options": {"n_samples": 0}},
            "n_samples=0 must be at least 1",
        ),
        (
            {"method": "gradient_shap", "options": {"noise_level": -0.1}},
            "noise_level=-0.1 must be at least 0",
        ),
    ],
)
def test_bad_arguments_are_refused_at_the_door(spectrogram, arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientInterpreter(build("focalnet_test"), spectrogram, **arguments)


def test_without_captum_the_error_says_what_to_install(
    spectrogram, monkeypatch
):
    real = builtins.__import__

    def refuse(name, *arguments):
        if name.startswith("captum"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'focalaudio\[baseli"):
        GradientInterpreter(build("focalnet_test"), spectrogram)
