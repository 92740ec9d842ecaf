"""Laws of PIQ: the mask it draws, the loss it learns from."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import PIQInterpreter
from focalaudio.interpreters.decoders import DECODERS, PaperDecoder
from focalaudio.interpreters.piq import (
    PIQLoss,
    build_decoder,
    find_loud_cells,
)

N_CODES = 40


@pytest.fixture
def interpreter(classifier, spectrogram, device):
    """A light decoder whose codes are as large as its latents."""
    decoder = build_decoder("light", classifier, N_CODES, options={"width": 16})
    nn.init.normal_(decoder.quantizer.codebook)
    decoder = decoder.to(device)
    return PIQInterpreter(classifier, spectrogram, decoder).eval()


@pytest.fixture
def decode(interpreter):
    """From waveforms to what the decoder makes of them, with a gradient."""

    def decode(wavs, lens=None):
        spectrum = interpreter.spectrogram(wavs, lens)
        output = interpreter.classifier(
            spectrum.log_magnitude, spectrum.n_frames
        )
        decoded = interpreter.decoder(output.features, output.class_ids)
        return decoded, spectrum

    return decode


def compute_loss_slowly(decoded, spectrum, threshold):
    """Reconstruction, codebook, commitment: clip by clip, cell by cell."""
    reconstruction = []
    for clip, frames in enumerate(spectrum.n_frames.tolist()):
        sounds = spectrum.log_magnitude[clip, :frames].double()
        logits = F.interpolate(
            decoded.mask_logits[clip][None, None].double(),
            size=tuple(sounds.shape),
            mode="bilinear",
        )[0, 0]
        loudest = max(sounds.flatten().tolist())
        total = 0.0
        for cell, logit in zip(
            sounds.flatten().tolist(), logits.flatten().tolist(), strict=True
        ):
            sign = 1 if cell > threshold * loudest else -1
            total += math.log1p(math.exp(-sign * logit))
        reconstruction.append(total / sounds.numel())
    difference = decoded.latents - decoded.quantized.codes
    distance = difference.double().square().mean().item()
    return sum(reconstruction) / len(reconstruction), distance, distance


def test_loss_of_a_batch_is_that_of_its_clips(interpreter, decode, uneven):
    wavs, lens, n_samples = uneven
    together = interpreter.compute_loss(*decode(wavs, lens))
    losses = [
        interpreter.compute_loss(*decode(wavs[row : row + 1, :length]))
        for row, length in enumerate(n_samples.tolist())
    ]
    for term in ("reconstruction", "codebook", "commitment"):
        alone = torch.stack([getattr(loss, term) for loss in losses]).mean()
        torch.testing.assert_close(getattr(together, term), alone)


@pytest.mark.parametrize("threshold", [0.0, 0.35, 0.8])
def test_loss_is_its_formula(interpreter, decode, uneven, threshold):
    decoded, spectrum = decode(*uneven[:2])
    interpreter.threshold = threshold
    loss = interpreter.compute_loss(decoded, spectrum)
    expected = compute_loss_slowly(decoded, spectrum, threshold)
    terms = (loss.reconstruction, loss.codebook, loss.commitment)
    assert [term.item() for term in terms] == pytest.approx(expected, rel=1e-5)
    total = 0.5 * expected[0] + expected[1] + expected[2]
    assert loss.total(0.5).item() == pytest.approx(total, rel=1e-5)


def test_what_rings_on_after_the_end_sets_no_threshold(
    interpreter, decode, device
):
    """A click in the last sample is louder in the first frame of padding."""
    wavs = torch.zeros(2, 2000, device=device)
    wavs[0, :1115] = 1e-3 * torch.randn(1115, device=device)
    wavs[0, 1114] = 0.5
    wavs[1] = torch.rand(2000, device=device)
    lens = torch.tensor([1115 / 2000, 1.0], device=device)
    together = interpreter.compute_loss(*decode(wavs, lens))
    parts = [
        interpreter.compute_loss(*decode(wav[None]))
        for wav in (wavs[0, :1115], wavs[1])
    ]
    alone = torch.stack([loss.reconstruction for loss in parts]).mean()
    torch.testing.assert_close(together.reconstruction, alone)


def test_each_term_moves_its_own_side(interpreter, decode, uneven):
    interpreter.train()
    decoder = interpreter.decoder
    loss = interpreter.compute_loss(*decode(*uneven[:2]))
    sides = {
        "reconstruction": (False, True),
        "codebook": (True, False),
        "commitment": (False, True),
    }
    for term, expected in sides.items():
        grads = torch.autograd.grad(
            getattr(loss, term),
            (decoder.quantizer.codebook, decoder.down.weight),
            retain_graph=True,
            allow_unused=True,
        )
        moved = tuple(bool(g is not None and g.any()) for g in grads)
        assert moved == expected, term


def test_loss_falls_on_one_batch(interpreter, device):
    time = torch.arange(4000, device=device) / 16000
    wavs = torch.stack(
        [(2 * math.pi * f * time).sin() for f in (500, 1500, 3000, 6000)]
    )
    spectrum = interpreter.spectrogram(wavs)
    output = interpreter.classifier(spectrum.log_magnitude)
    decoder = interpreter.decoder.train()
    optimizer = torch.optim.Adam(decoder.parameters(), 0.02)
    losses = []
    for _ in range(15):
        decoded = decoder(output.features, output.class_ids)
        loss = interpreter.compute_loss(decoded, spectrum)
        losses.append(loss.reconstruction.item())
        optimizer.zero_grad()
        loss.total().backward()
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]


def test_learning_leaves_the_classifier_as_it_was(interpreter, decode, uneven):
    classifier = interpreter.classifier
    before = {k: v.clone() for k, v in classifier.state_dict().items()}
    decoder = interpreter.decoder.state_dict()
    decoder = {k: v.clone() for k, v in decoder.items()}
    interpreter.train()
    # all parameters, as a careless recipe would give them
    optimizer = torch.optim.Adam(
        interpreter.parameters(), 0.01, weight_decay=0.1
    )
    for _ in range(3):
        optimizer.zero_grad()
        interpreter.compute_loss(*decode(*uneven[:2])).total().backward()
        optimizer.step()
    for key, value in classifier.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not any(p.requires_grad for p in classifier.parameters())
    after = interpreter.decoder.state_dict()
    assert not torch.equal(after["to_mask.weight"], decoder["to_mask.weight"])


def test_asked_class_decides_the_codes(interpreter, tone, monkeypatch):
    seen, forward = [], interpreter.decoder.forward

    def watch(features, class_ids):
        decoded = forward(features, class_ids)
        seen.append(decoded.quantized.indices)
        return decoded

    monkeypatch.setattr(interpreter.decoder, "forward", watch)
    owners = interpreter.decoder.quantizer.code_classes
    for asked in range(5):
        class_ids = torch.tensor([asked], device=tone.device)
        interpreter(tone, class_ids=class_ids)
        assert (owners[seen[-1]] == asked).all()
    predicted = interpreter(tone).class_ids
    assert (owners[seen[-1]] == predicted).all()


@pytest.mark.parametrize("samples", [1, 300, 4000])
def test_silence_is_finite(interpreter, decode, samples, device):
    wavs = torch.zeros(2, samples, device=device)
    interpretation = interpreter(wavs)
    assert interpretation.mask.isfinite().all()
    assert (interpretation.wavs == 0).all()
    decoded, spectrum = decode(wavs)
    loss = interpreter.compute_loss(decoded, spectrum)
    assert loss.total().isfinite()
    assert not find_loud_cells(spectrum.log_magnitude, 0.35).any()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_loud_is_relative_to_each_clip(scale):
    sounds = torch.rand(3, 5, 4)
    scales = torch.tensor([scale, 1.0, 2.0]).view(3, 1, 1)
    loud = find_loud_cells(scales * sounds, 0.5)
    assert torch.equal(loud, find_loud_cells(sounds, 0.5))
    for clip, cells in zip(sounds, loud, strict=True):
        assert torch.equal(cells, clip > clip.max() * 0.5)


def test_total_weighs_the_reconstruction():
    loss = PIQLoss(*torch.tensor([3.0, 5.0, 7.0]))
    assert loss.total().item() == 15
    assert loss.total(2.0).item() == 18


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_are_built_for_their_classifier(name, classifier):
    decoder = build_decoder(name, classifier, N_CODES, n_shared=5)
    assert isinstance(decoder, DECODERS[name])
    owners = decoder.quantizer.code_classes
    assert len(owners) == N_CODES
    assert owners.max() + 1 == classifier.n_classes
    assert (owners == -1).sum() == 5
    features = torch.rand(1, classifier.encoder.n_features, 4, 4)
    decoder(features, torch.tensor([0]))


def test_published_conv2d_needs_no_stretching(spectrogram, device):
    """431 x 513 cells of 5 s: the image, the drawing and the spectrogram."""
    encoder = build_encoder("conv2d_piq", dim=4)
    classifier = SoundClassifier(encoder, 3).to(device)
    decoder = PaperDecoder(4, 3, 12, layout="conv2d").to(device)
    interpreter = PIQInterpreter(classifier, spectrogram, decoder).eval()
    spectrum = spectrogram(torch.rand(1, 80000, device=device))
    output = classifier(spectrum.log_magnitude)
    torch.testing.assert_close(
        output.features, encoder(spectrum.log_magnitude[:, None]).features
    )
    decoded = decoder(output.features, output.class_ids)
    mask = interpreter.draw_mask(decoded, spectrum)
    torch.testing.assert_close(mask, decoded.mask_logits.sigmoid())


def test_an_unknown_decoder_is_answered_with_those_that_are_known(classifier):
    with pytest.raises(ValueError, match="decoder='lite'.*light, paper"):
        build_decoder("lite", classifier)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, math.nan])
def test_threshold_is_checked_at_the_door(
    interpreter, classifier, spectrogram, threshold
):
    with pytest.raises(ValueError, match=f"threshold={threshold} must"):
        PIQInterpreter(classifier, spectrogram, interpreter.decoder, threshold)


def test_results_name_the_method(interpreter):
    settings = interpreter.settings
    assert settings == {"method": "piq", "decoder": "LightDecoder"}
