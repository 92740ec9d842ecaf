"""Laws of the gradient methods, against gradients taken by hand."""

import builtins
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import EncoderOutput, build_encoder
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.interpreters.captum import (
    METHODS,
    _noise_deviation,
    attribute,
    gradcam,
    gradient_shap,
    integrated_gradients,
    occlusion,
    saliency,
    smoothgrad,
)
from focalaudio.masks import quantile_mask
from focalaudio.spectrogram import Spectrogram

ENCODERS = {
    "focalnet_test": {},
    "vit_test": {},
    "conv2d_piq": {"dim": 8, "image_size": (64, 48)},
}
NOISE = {"n_samples": 11, "noise_level": 0.1, "seed": 3}


def spread(module):
    """Weights as wide as their fan-in allows: inputs must not look alike."""
    for parameter in module.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        nn.init.normal_(parameter, 0, fan_in**-0.5)
    return module


@pytest.fixture(params=ENCODERS)
def classifier(request, device):
    encoder = build_encoder(request.param, **ENCODERS[request.param])
    return spread(SoundClassifier(encoder, 5, "linear")).freeze().to(device)


@pytest.fixture
def looked(classifier, spectrogram, uneven):
    """Output, spectrum and classes of an uneven batch."""
    with torch.no_grad():
        spectrum = spectrogram(*uneven[:2])
        output = classifier(spectrum.log_magnitude, spectrum.n_frames)
    # classes that something speaks for, of all clips but one
    class_ids = (output.logits - classifier.head.bias).argmax(1)
    class_ids[1] = (class_ids[1] + 1) % 5
    return output, spectrum, class_ids


@pytest.fixture
def classify(classifier):
    return lambda clips: classifier(clips).logits


@pytest.fixture
def clip(tone, spectrogram):
    noisy = tone + 0.1 * torch.rand_like(tone)
    return spectrogram(noisy).log_magnitude.requires_grad_()


def gradient_at(classifier, clip, class_id):
    clip = clip.detach().clone().requires_grad_()
    logit = classifier(clip).logits[:, class_id].sum()
    return torch.autograd.grad(logit, clip)[0]


def assert_alike(ours, expected, tolerance=1e-5):
    assert ours.shape == expected.shape
    assert (ours - expected).abs().max() <= tolerance * expected.abs().max()


def test_saliency_of_a_batch_is_the_gradient_of_each_clips_logit(
    classifier, looked
):
    output, spectrum, class_ids = looked
    values = METHODS["saliency"][0](classifier, output, spectrum, class_ids)
    padded = spectrum.log_magnitude.clone().requires_grad_()
    logits = classifier(padded, spectrum.n_frames).logits
    chosen = logits[torch.arange(4), class_ids].sum()
    assert_alike(values, torch.autograd.grad(chosen, padded)[0])


def test_a_smooth_gradient_without_noise_is_the_gradient(classify, clip):
    values = smoothgrad(
        classify, clip, 2, n_samples=11, noise_level=0.0, seed=0
    )
    assert_alike(values, saliency(classify, clip, 2))


def test_a_smooth_gradient_is_the_mean_over_noisy_copies(classifier, clip):
    """The copies that were asked about are recorded; the mean is by hand."""
    copies = []

    def classify(clips):
        copies.append(clips.detach())
        return classifier(clips).logits

    values = smoothgrad(classify, clip, 1, **NOISE)
    copies = torch.cat(copies)
    assert len(copies) == 11
    expected = [gradient_at(classifier, copy[None], 1) for copy in copies]
    assert_alike(values, torch.cat(expected).mean(0, keepdim=True), 1e-4)
    noise = (copies - clip.detach()).flatten(1)
    deviation = _noise_deviation(clip, 0.1)
    assert noise.std().item() == pytest.approx(deviation, rel=0.01)
    assert noise.mean().abs() < 0.01 * deviation
    assert (torch.corrcoef(noise) - torch.eye(11)).abs().max() < 0.03


@pytest.mark.parametrize("class_id", [0, 3])
def test_integrated_gradients_are_complete(
    classifier, classify, clip, class_id
):
    values = integrated_gradients(classify, clip, class_id, n_steps=300)
    with torch.no_grad():
        ends = classifier(torch.cat((torch.zeros_like(clip), clip))).logits
    difference = (ends[1] - ends[0])[class_id]
    assert values.sum().item() == pytest.approx(difference.item(), rel=0.02)


def test_integrated_gradients_of_a_square_are_half_the_gradient():
    clip = torch.rand(1, 3, 4, requires_grad=True)

    def squares(clips):
        return torch.stack((clips.square().sum((1, 2)), 0 * clips[:, 0, 0]), 1)

    values = integrated_gradients(squares, clip, 0, n_steps=1)
    torch.testing.assert_close(values, clip.square())


def test_shap_of_a_linear_model_is_weight_times_clip():
    clip, weight = torch.rand(1, 3, 4, requires_grad=True), torch.randn(3, 4)

    def linear(clips):
        return (clips * weight).sum((1, 2))[:, None]

    options = NOISE | {"noise_level": 0.0}
    values = gradient_shap(linear, clip, 0, **options)
    torch.testing.assert_close(values, clip * weight)


def test_shap_asks_at_random_points_between_silence_and_clip(classifier, clip):
    points = []

    def classify(clips):
        points.append(clips.detach())
        return classifier(clips).logits

    options = NOISE | {"noise_level": 0.0}
    values = gradient_shap(classify, clip, 1, **options)
    points, whole = torch.cat(points), clip.detach()
    shares = points.sum((1, 2)) / whole.sum()
    assert len(points) == 11
    assert len(shares.unique()) == 11
    assert ((shares > 0) & (shares < 1)).all()
    torch.testing.assert_close(points, shares[:, None, None] * whole)
    expected = [gradient_at(classifier, point[None], 1) for point in points]
    assert_alike(values, whole * torch.cat(expected).mean(0), 1e-4)


def test_shap_approaches_integrated_gradients(classify, clip):
    path = integrated_gradients(classify, clip, 2, n_steps=64).flatten()
    options = {"n_samples": 64, "noise_level": 0.0, "seed": 0}
    values = gradient_shap(classify, clip, 2, **options).flatten()
    assert F.cosine_similarity(values, path, dim=0) > 0.95


def test_occlusion_of_a_linear_model_is_the_sum_of_a_patch():
    """Patches of 2 x 3 on 4 x 7 cells: the last column of them is cut off."""
    clip, weight = torch.rand(1, 4, 7, requires_grad=True), torch.randn(4, 7)

    def linear(clips):
        return (clips * weight).sum((1, 2))[:, None]

    values = occlusion(linear, clip, 0, frames=2, bins=3, overlap=1)[0]
    contributions = (clip * weight).detach()[0]
    for rows in (slice(0, 2), slice(2, 4)):
        for columns in (slice(0, 3), slice(3, 6), slice(6, 7)):
            patch = contributions[rows, columns].sum()
            expected = patch.expand_as(values[rows, columns])
            torch.testing.assert_close(values[rows, columns], expected)


def test_a_cell_gets_the_mean_of_the_patches_that_hold_it():
    clip = torch.tensor([[[1.0, 10.0, 100.0, 1000.0]]], requires_grad=True)
    values = occlusion(
        lambda clips: clips.sum(2), clip, 0, frames=9, bins=2, overlap=2
    )
    expected = torch.tensor([[[11.0, 60.5, 605.0, 1100.0]]])
    torch.testing.assert_close(values, expected)


def test_what_speaks_against_the_class_is_not_salient(spectrogram, tone):
    classifier = SoundClassifier(Listener(), 2, "linear")
    nn.init.constant_(classifier.head.weight, -1.0)
    occluded = ThresholdInterpreter(classifier, spectrogram, "occlusion")
    found = occluded(tone)
    assert not found.saliency.any()
    assert not found.mask.any()


def test_gradcam_of_a_linear_head_is_its_weights_on_the_features(
    classifier, looked
):
    output, spectrum, class_ids = looked
    weights = classifier.head.weight[class_ids]
    evidence = torch.einsum("bc,bchw->bhw", weights, output.features)
    known = classifier.cell_logits(output)[torch.arange(4), class_ids]
    bias = classifier.head.bias[class_ids, None, None]
    assert_alike(known - bias, evidence, 1e-4)
    cells = evidence[0].numel()
    expected = evidence.relu() / cells
    assert expected[0].any()
    values = gradcam(classifier, output, spectrum, class_ids)
    assert (values >= 0).all()
    for row, frames in enumerate(spectrum.n_frames.tolist()):
        stretched = F.interpolate(
            expected[row][None, None], (frames, 513), mode="bilinear"
        )
        assert_alike(values[row, :frames], stretched[0, 0])
        assert (values[row, frames:] == 0).all()


POOLED = {  # the layer whose output the classifier pools
    "focalnet_test": "stages.1",
    "conv2d_piq": "residual",
    "vit_test": "norm",
}


@pytest.mark.parametrize("name", ENCODERS)
def test_gradcam_of_any_head_is_that_of_the_layer_that_is_pooled(
    name, spectrogram, tone, device
):
    """By autograd through the whole classifier, at the encoder's own layer."""
    encoder = build_encoder(name, **ENCODERS[name])
    classifier = spread(SoundClassifier(encoder, 5)).freeze().to(device)
    spectrum = spectrogram(tone.repeat(5, 1))  # each class is explained once
    class_ids = torch.arange(5, device=device)
    caught = []
    handle = encoder.get_submodule(POOLED[name]).register_forward_hook(
        lambda module, inputs, out: caught.append(out)
    )
    clips = spectrum.log_magnitude.clone().requires_grad_()
    output = classifier(clips, spectrum.n_frames)
    handle.remove()
    pooled = caught[0][0] if isinstance(caught[0], tuple) else caught[0]
    logits = output.logits.diagonal().sum()
    gradient = torch.autograd.grad(logits, pooled)[0]
    if name == "vit_test":  # [batch, tokens, channels] without CLS
        gradient = gradient[:, 1:].mT * (1 + 1 / 64)
        pooled = pooled[:, 1:].mT
    alpha = gradient.flatten(2).mean(2, keepdim=True)
    cam = (alpha * pooled.flatten(2)).sum(1).relu()
    cam = cam.unflatten(1, output.features.shape[2:])
    expected = F.interpolate(cam[:, None], clips.shape[1:], mode="bilinear")
    values = gradcam(classifier, output, spectrum, class_ids)
    assert (expected.amax((1, 2, 3)) > 0).any()
    assert_alike(values, expected[:, 0].detach())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_independent_of_neighbors_and_padding(
    classifier, looked, method, spectrogram, uneven
):
    output, spectrum, class_ids = looked
    attribute, options = METHODS[method]
    options = {k: 3 if k in ("n_samples", "n_steps") else v
               for k, v in options.items()}  # fmt: skip
    values = attribute(classifier, output, spectrum, class_ids, **options)
    wavs, _, n_samples = uneven
    for row, length in enumerate(n_samples.tolist()):
        alone = spectrogram(wavs[row : row + 1, :length])
        with torch.no_grad():
            heard = classifier(alone.log_magnitude, alone.n_frames)
        expected = attribute(
            classifier, heard, alone, class_ids[row : row + 1], **options
        )[0]
        assert_alike(values[row, : len(expected)], expected, 1e-3)
        assert (values[row, len(expected) :] == 0).all()
    assert values.any()
    assert not values.requires_grad


def test_noise_is_the_seeds_and_the_global_generators_stay(classify, clip):
    torch.manual_seed(5), np.random.seed(5)
    before = torch.rand(1), np.random.rand()
    for method in (smoothgrad, gradient_shap):
        first = method(classify, clip, 0, **NOISE)
        torch.manual_seed(6), np.random.seed(6)
        assert torch.equal(method(classify, clip, 0, **NOISE), first)
        other = method(classify, clip, 0, **NOISE | {"seed": 4})
        assert not torch.equal(other, first)
        torch.manual_seed(5), np.random.seed(5)
        method(classify, clip, 0, **NOISE)
        assert (torch.rand(1), np.random.rand()) == before


def test_threads_that_explain_at_once_draw_their_own_noise(spectrogram):
    """Four at a time give what one after the other gives, to the bit."""
    classifier = build("focalnet_test")
    clips = torch.rand(8, 2000) - 0.5
    for method in ("smoothgrad", "gradient_shap"):
        interpreter = ThresholdInterpreter(
            classifier, spectrogram, method, options={"n_samples": 9}
        )

        def explain(clip, interpreter=interpreter):
            return interpreter(clip[None], torch.ones(1)).mask

        alone = list(map(explain, clips))
        before = torch.get_rng_state(), np.random.get_state()[1]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(explain, clips))
        assert all(map(torch.equal, alone, together))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (np.random.get_state()[1] == before[1]).all()


def test_without_noise_captum_says_the_same(classify, clip):
    captum, still = pytest.importorskip("captum.attr"), {"noise_level": 0.0}
    tunnel = captum.NoiseTunnel(captum.Saliency(classify))
    theirs = tunnel.attribute(
        clip, nt_samples=11, stdevs=0.0, target=1, abs=False
    )
    assert_alike(smoothgrad(classify, clip, 1, **NOISE | still), theirs, 1e-4)
    weight = torch.randn_like(clip)

    def linear(clips):
        return (clips * weight).sum((1, 2))[:, None]

    silence = torch.zeros_like(clip)
    theirs = captum.GradientShap(linear).attribute(clip, silence, target=0)
    own = gradient_shap(linear, clip, 0, **NOISE | still)
    assert_alike(own, theirs, 1e-4)


def test_passes_are_bounded_however_many_copies_there_are(classifier):
    sizes = []
    clip = Spectrogram()(torch.rand(1, 900)).log_magnitude.requires_grad_()

    def classify(clips):
        sizes.append(len(clips))
        return classifier(clips).logits

    options = NOISE | {"n_samples": 19}
    smoothgrad(classify, clip, 0, **options)
    gradient_shap(classify, clip, 0, **options)
    integrated_gradients(classify, clip, 0, n_steps=19)
    assert max(sizes) == 8
    assert sum(sizes) == 3 * 19


ENCODERS = {
    "focalnet_test": {},
    "vit_test": {},
    "conv2d_piq": {"dim": 8, "image_size": (64, 48)},
}
FEW = {"n_samples": 3, "n_steps": 3, "bins": 171}


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
    return ThresholdInterpreter(
        classifier, spectrogram, method, quantile=0.8, options=options
    )


def signed_by(interpreter, output, spectrum, interpretation):
    return attribute(
        interpreter.method,
        interpreter.classifier,
        output,
        spectrum,
        interpretation.class_ids,
        **interpreter.options,
    )


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
    return ThresholdInterpreter(
        classifier, spectrogram, "gradcam", quantile=0.5
    )


def test_saliency_is_the_size_of_what_is_attributed(interpreter, uneven):
    with torch.no_grad():
        interpretation = interpreter(*uneven[:2])
        spectrum = interpretation.spectrum
        output = interpreter.classifier(
            spectrum.log_magnitude, spectrum.n_frames
        )
        signed = signed_by(interpreter, output, spectrum, interpretation)
    occluded = interpreter.method == "occlusion"  # has a side, not a size
    expected = signed.relu() if occluded else signed.abs()
    torch.testing.assert_close(interpretation.saliency, expected)
    negative = bool((signed < 0).any())
    assert negative or interpreter.method in ("gradcam", "occlusion")
    assert not (negative and interpreter.method == "gradcam")


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
        values = attribute(
            interpreter.method,
            classifier,
            output,
            spectrum,
            class_ids,
            **interpreter.options,
        )
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
        ThresholdInterpreter(build("focalnet_test"), spectrogram, "saliency")
