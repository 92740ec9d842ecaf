"""Laws of what decoders draw, whatever they learnt: masks, and their cuts."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from focalaudio.image import ImageLayout
from focalaudio.interpreters import LMACInterpreter, PIQInterpreter, lmac, piq
from focalaudio.interpreters.decoded import stretch
from focalaudio.interpreters.decoders import Drawn
from focalaudio.masks import MASKS, cut_saliency


def build_piq(classifier):
    decoder = piq.build_decoder("light", classifier, 40, options={"width": 16})
    nn.init.normal_(decoder.quantizer.codebook)
    return decoder


DECODED = {
    "piq": (PIQInterpreter, build_piq),
    "lmac": (LMACInterpreter, lambda c: lmac.build_decoder(c, width=16)),
}


@pytest.fixture(params=DECODED)
def make(request, classifier, spectrogram, device):
    """Interpreters that share one decoder, and differ in their cut."""
    kind, build = DECODED[request.param]
    decoder = build(classifier).to(device).eval()

    def make(*cut):
        settings = dict(zip(("mask", "quantile"), cut, strict=False))
        return kind(classifier, spectrogram, decoder, **settings).eval()

    return make


@pytest.fixture
def interpreter(make):
    return make()


@pytest.fixture
def decode(interpreter):
    """From waveforms to what the decoder makes of them, with a gradient."""

    def decode(wavs, lens=None):
        spectrum, output = interpreter.look(wavs, lens)
        return interpreter.decoder(output.features, output.class_ids), spectrum

    return decode


def test_mask_is_on_the_grid_and_ends_with_the_clip(interpreter, uneven):
    wavs, lens, n_samples = uneven
    interpretation = interpreter(wavs, lens)
    mask = interpretation.mask
    assert mask.shape == interpretation.log_magnitude.shape
    assert torch.equal(interpretation.saliency, mask)
    for row, frames in enumerate(
        interpreter.spectrogram.count_frames(n_samples).tolist()
    ):
        own = mask[row, :frames]
        assert ((own > 0) & (own < 1)).all()
        assert (mask[row, frames:] == 0).all()


def test_mask_is_the_drawing_stretched_over_the_clip(
    interpreter, decode, uneven
):
    decoded, spectrum = decode(*uneven[:2])
    mask = interpreter(*uneven[:2]).mask
    for row, frames in enumerate(spectrum.n_frames.tolist()):
        expected = F.interpolate(
            decoded.mask_logits[row][None, None], (frames, 513), mode="bilinear"
        ).sigmoid()
        torch.testing.assert_close(mask[row, :frames], expected[0, 0])


def test_rows_of_the_drawing_are_time(interpreter, spectrogram, device):
    spectrum = spectrogram(torch.rand(1, 16000, device=device))
    logits = torch.full((1, 8, 4), -9.0, device=device)
    logits[0, 6, 1] = 9.0
    times, bins = (
        interpreter.draw_mask(Drawn(logits), spectrum)[0].gt(0.5).nonzero().T
    )
    frames = spectrum.log_magnitude.shape[1]
    assert (times.float().mean() / frames - 6.5 / 8).abs() < 0.02
    assert (bins.float().mean() / 513 - 1.5 / 4).abs() < 0.02


def test_batch_is_its_clips_one_by_one(interpreter, uneven):
    wavs, lens, n_samples = uneven
    batch = interpreter(wavs, lens)
    for row, length in enumerate(n_samples.tolist()):
        alone = interpreter(wavs[row : row + 1, :length])
        frames = int(alone.spectrum.n_frames)
        for ours, theirs in (
            (batch.logits[row], alone.logits[0]),
            (batch.mask[row, :frames], alone.mask[0]),
            (batch.wavs[row, :length], alone.wavs[0]),
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_low_precision_keeps_the_mask_in_single_precision(interpreter, tone):
    expected = interpreter(tone)
    with torch.autocast(tone.device.type, dtype=torch.bfloat16):
        interpretation = interpreter(tone)
    assert interpretation.mask.dtype == torch.float
    torch.testing.assert_close(
        interpretation.wavs + interpretation.removed_wavs,
        tone,
        atol=1e-6,
        rtol=0,
    )
    assert interpretation.mask.shape == expected.mask.shape


def test_stretching_to_the_same_grid_is_the_identity(spectrogram, device):
    spectrum = spectrogram(torch.rand(1, 2000, device=device))
    logits = torch.randn(spectrum.log_magnitude.shape, device=device)
    layout = ImageLayout((8, 8))
    torch.testing.assert_close(stretch(layout, Drawn(logits), spectrum), logits)


@pytest.mark.parametrize(("height", "cells"), [(216, 14), (208, 13), (216, 13)])
def test_a_drawing_lies_where_its_features_were_read(
    spectrogram, device, height, cells
):
    """At a stride of 16 cells reach beyond the image, fit it, leave some."""
    spectrum = spectrogram(torch.rand(1, 40000, device=device))
    layout = ImageLayout((height, 32), strides=(16,))
    middles = (torch.arange(8 * cells, device=device) + 0.5) * 2  # pixels
    logits = middles[None, :, None].expand(1, -1, 16)
    drawn = stretch(layout, Drawn(logits, cells=(cells, 2)), spectrum)[0, :, 0]
    frames = torch.arange(len(drawn), device=device) + 0.5
    places = frames * height / len(drawn)
    inside = (places > 2) & (places < min(height, 16 * cells) - 2)
    torch.testing.assert_close(
        drawn[inside], places[inside], atol=0.5, rtol=0.0
    )
    assert drawn[-1] > 16 * cells - 20  # what is left over is as its neighbor


@pytest.mark.parametrize("kind", MASKS)
def test_a_cut_is_that_of_any_saliency(make, uneven, kind):
    wavs, lens, _ = uneven
    drawn, cut = make()(wavs, lens), make(kind, 0.8)(wavs, lens)
    assert torch.equal(cut.saliency, drawn.mask)
    expected = cut_saliency(kind, drawn.mask, 0.8, drawn.spectrum)
    assert torch.equal(cut.mask, expected)


def test_a_cut_keeps_its_share(make, uneven):
    fraction = make("binary", 0.75)(*uneven[:2]).kept_fraction
    # one frame is not the tenth of anything; a map's edges are flat
    assert (fraction[[0, 2, 3]] - 0.25).abs().max() < 0.03


def test_only_a_cut_has_another_quantile(make):
    assert make("binary", 0.9).at_quantile(0.5).quantile == 0.5
    assert make("binary").quantile == 0.9
    with pytest.raises(ValueError, match="quantile=0.5 means nothing"):
        make().at_quantile(0.5)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ((None, 0.5), "give mask=binary, soft or energy"),
        (("fuzzy", 0.5), "mask='fuzzy' must be null .* or one of binary, soft"),
        (("soft", 1.5), "quantile=1.5 must be between"),
    ],
)
def test_bad_cuts_are_refused_at_the_door(make, cut, message):
    with pytest.raises(ValueError, match=message):
        make(*cut)


def test_settings_and_name_say_how_it_is_cut(make):
    plain, cut = make(), make("binary", 0.8)
    assert set(plain.settings) == {"method", "decoder"}
    assert cut.settings == {
        **plain.settings,
        "mask": "binary",
        "quantile": 0.8,
    }
    assert cut.name == f"{plain.name}, quantile 0.8, mask binary"
