"""Laws of L-MAC: the loss that its mask is learnt from."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import EncoderOutput
from focalaudio.interpreters import LMACInterpreter
from focalaudio.interpreters.decoders import Drawn
from focalaudio.interpreters.lmac import LMACLoss, build_decoder
from focalaudio.masks import keep_and_remove


@pytest.fixture
def interpreter(classifier, spectrogram, device):
    decoder = build_decoder(classifier, width=16).to(device)
    return LMACInterpreter(classifier, spectrogram, decoder).eval()


@pytest.fixture
def draw(interpreter):
    """From waveforms to the arguments of the loss."""

    def draw(wavs, lens=None):
        spectrum, output = interpreter.look(wavs, lens)
        drawn = interpreter.decoder(output.features, output.class_ids)
        return drawn, spectrum, output.class_ids

    return draw


def flat(spectrum, logit):
    """What a decoder draws that says the same of every cell."""
    return Drawn(torch.full((len(spectrum.n_frames), 4, 4), float(logit)))


def test_loss_is_its_formula(interpreter, draw, uneven):
    drawn, spectrum, class_ids = draw(*uneven[:2])
    mask = interpreter.draw_mask(drawn, spectrum)
    kept, removed = keep_and_remove(mask, spectrum.log_magnitude)
    errors, sizes = {"kept": [], "removed": []}, []
    for row, frames in enumerate(spectrum.n_frames.tolist()):
        for name, part in (("kept", kept), ("removed", removed)):
            said = interpreter.classifier(part[row : row + 1, :frames]).logits
            shares = said[0].double().softmax(0)
            errors[name].append(-shares[class_ids[row]].log())
        sizes.append(mask[row, :frames].double().mean())
    loss = interpreter.compute_loss(drawn, spectrum, class_ids)
    expected = [
        torch.stack(each).mean().item()
        for each in (errors["kept"], errors["removed"], sizes)
    ]
    terms = [loss.kept.item(), loss.removed.item(), loss.size.item()]
    assert terms == pytest.approx(expected, rel=1e-4)


def test_the_total_takes_the_removed_part_off():
    loss = LMACLoss(*torch.tensor([3.0, 5.0, 0.5]))
    assert loss.total().item() == pytest.approx(4 * 3 - 0.2 * 5 + 0.4 * 0.5)
    assert loss.total(1.0, 2.0, 10.0).item() == pytest.approx(3 - 10 + 5)


def test_a_full_mask_keeps_everything_and_an_empty_one_nothing(
    interpreter, draw, uneven
):
    _, spectrum, class_ids = draw(*uneven[:2])
    silence = 0 * spectrum.log_magnitude
    whole, nothing = (
        F.cross_entropy(
            interpreter.classifier(clips, spectrum.n_frames).logits, class_ids
        ).item()
        for clips in (spectrum.log_magnitude, silence)
    )
    full = interpreter.compute_loss(flat(spectrum, 99), spectrum, class_ids)
    empty = interpreter.compute_loss(flat(spectrum, -99), spectrum, class_ids)
    found = [full.kept, full.removed, full.size]
    assert [x.item() for x in found] == pytest.approx([whole, nothing, 1])
    found = [empty.kept, empty.removed, empty.size]
    assert [x.item() for x in found] == pytest.approx([nothing, whole, 0])


def test_every_term_reaches_the_decoder(interpreter, draw, uneven):
    loss = interpreter.compute_loss(*draw(*uneven[:2]))
    for name, term in vars(loss).items():
        found = torch.autograd.grad(
            term, list(interpreter.decoder.parameters()), retain_graph=True
        )
        assert all(each.isfinite().all() for each in found), name
        assert any(each.any() for each in found), name


def test_learning_finds_the_tone_that_the_class_is_heard_in(
    spectrogram, tone, device
):
    """A classifier that listens to 1 kHz alone, in noise everywhere else."""

    class Encoder(nn.Module):
        n_features, in_channels, image_size = 2, 1, (16, 64)
        map_names = ()

        def forward(self, image):
            low = image * (torch.arange(64, device=image.device) < 16)
            features = torch.cat((low, image - low), 1)
            pooled = torch.stack((low.mean((1, 2, 3)), 0 * low[:, 0, 0, 0]), 1)
            return EncoderOutput(features, 20 * pooled, ())

    classifier = SoundClassifier(Encoder(), 2, "linear").to(device)
    with torch.no_grad():
        classifier.head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        classifier.head.bias.copy_(torch.tensor([0.0, 4.0]))
    decoder = build_decoder(classifier, width=8, n_doublings=1).to(device)
    interpreter = LMACInterpreter(classifier, spectrogram, decoder)
    spectrum, output = interpreter.look(tone + 0.3 * torch.randn_like(tone))
    assert output.class_ids.item() == 0
    optimizer = torch.optim.Adam(decoder.train().parameters(), 0.02)
    for _ in range(60):
        drawn = decoder(output.features, output.class_ids)
        loss = interpreter.compute_loss(drawn, spectrum, output.class_ids)
        optimizer.zero_grad()
        loss.total(size_weight=4.0).backward()
        optimizer.step()
    mask = interpreter.draw_mask(drawn, spectrum)[0].detach()
    assert mask[:, :120].mean() > 0.8
    assert mask[:, 140:].mean() < 0.2


def test_learning_leaves_the_classifier_as_it_was(interpreter, draw, uneven):
    classifier = interpreter.classifier
    before = {k: v.clone() for k, v in classifier.state_dict().items()}
    interpreter.train()
    optimizer = torch.optim.Adam(interpreter.parameters(), 0.01)
    first = interpreter.decoder.to_mask.weight.clone()
    for _ in range(2):
        optimizer.zero_grad()
        interpreter.compute_loss(*draw(*uneven[:2])).total().backward()
        optimizer.step()
    for key, value in classifier.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not any(p.requires_grad for p in classifier.parameters())
    assert not torch.equal(interpreter.decoder.to_mask.weight, first)


@pytest.mark.parametrize("samples", [1, 300, 4000])
def test_silence_is_finite(interpreter, draw, samples, device):
    drawn, spectrum, class_ids = draw(torch.zeros(2, samples, device=device))
    loss = interpreter.compute_loss(drawn, spectrum, class_ids)
    assert loss.total().isfinite()


def test_low_precision_has_a_loss_in_full(interpreter, draw, tone):
    expected = interpreter.compute_loss(*draw(tone)).total()
    with torch.autocast(tone.device.type, dtype=torch.bfloat16):
        loss = interpreter.compute_loss(*draw(tone)).total()
    assert loss.dtype == torch.float
    torch.testing.assert_close(loss, expected, rtol=0.05, atol=0.05)
