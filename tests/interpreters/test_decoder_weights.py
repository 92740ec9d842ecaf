"""Published decoders load whole; everything else is refused."""

import re

import pytest
import torch
from safetensors.torch import save_file
from speechbrain.lobes.models import PIQ

from focalaudio.encoders import build_encoder
from focalaudio.encoders.checkpoints import LoadReport
from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.interpreters.decoder_weights import load_decoder_weights
from focalaudio.interpreters.decoders import LightDecoder, PaperDecoder

PUBLISHED = {
    "conv2d": PIQ.VectorQuantizedPSI_Audio,
    "focalnet": PIQ.VectorQuantizedPSIFocalNet_Audio,
    "vit": PIQ.VectorQuantizedPSIViT_Audio,
}


def build(layout, dim=4):
    return PaperDecoder(dim, n_classes=5, n_codes=16, layout=layout)


def publish(layout):
    return PUBLISHED[layout](dim=4, K=16, numclasses=5).state_dict()


def assert_holds(decoder, weights):
    """The decoder holds exactly these weights."""
    state = decoder.state_dict()
    names = {"codebook.embedding.weight": "quantizer.codebook"}
    assert len(state) == len(weights)
    for key, weight in weights.items():
        assert torch.equal(state[names.get(key, key)], weight), key


@pytest.mark.parametrize("layout", PUBLISHED)
def test_every_published_weight_is_loaded(layout):
    decoder, weights = build(layout), publish(layout)
    report = load_decoder_weights(decoder, weights)
    assert report == LoadReport("SpeechBrain PIQ")
    assert_holds(decoder, weights)


@pytest.mark.parametrize("name", ["psi_model.ckpt", "a.pt", "a.safetensors"])
def test_a_file_is_its_state_dict(name, tmp_path):
    decoder, weights = build("vit"), publish("vit")
    save = save_file if name.endswith("safetensors") else torch.save
    save(weights, tmp_path / name)
    load_decoder_weights(decoder, tmp_path / name)
    assert_holds(decoder, weights)


@pytest.mark.parametrize(
    "make", [lambda: build("conv2d"), lambda: LightDecoder(4, 5, 16)]
)
def test_our_own_weights_are_loaded(make):
    decoder, trained = make(), make()
    report = load_decoder_weights(decoder, trained.state_dict())
    assert report == LoadReport("focalaudio")
    assert_holds(decoder, trained.state_dict())


def refuse(weights, match, decoder=None):
    """Loading must fail and must leave the decoder as it was."""
    decoder = decoder or build("focalnet")
    before = {k: v.clone() for k, v in decoder.state_dict().items()}
    with pytest.raises(ModelError, match=match):
        load_decoder_weights(decoder, weights)
    assert_holds(decoder, before)


@pytest.mark.parametrize("layout", PUBLISHED)
def test_every_key_is_needed(layout):
    weights, decoder = publish(layout), build(layout)
    for key in weights:
        rest = {k: w for k, w in weights.items() if k != key}
        # without the codebook nothing tells whose weights they are
        match = "no known layout" if "codebook" in key else "1 missing"
        refuse(rest, match, decoder)


@pytest.mark.parametrize("layout", PUBLISHED)
def test_every_value_is_checked(layout):
    weights, decoder = publish(layout), build(layout)
    for key, weight in weights.items():
        refuse(weights | {key: weight[None]}, "1 of another shape", decoder)
        if weight.is_floating_point():
            broken = torch.full_like(weight, torch.nan)
            refuse(weights | {key: broken}, "1 not finite", decoder)
            refuse(weights | {key: weight.int()}, "1 no dense floats", decoder)
        else:
            refuse(weights | {key: weight.float()}, "1 no int64", decoder)


@pytest.mark.parametrize(
    "extra", ["decoder.15.weight", "codebook.scale", "quantizer.codebook"]
)
def test_any_other_key_is_left_over(extra):
    weights = publish("focalnet") | {extra: torch.zeros(3)}
    refuse(weights, r"1 left over \(")


@pytest.mark.parametrize(
    ("theirs", "ours"), [("conv2d", "vit"), ("vit", "conv2d")]
)
def test_another_layout_does_not_fit(theirs, ours):
    refuse(publish(theirs), "of another shape .decoder.3.weight", build(ours))


def test_another_width_does_not_fit():
    refuse(publish("vit"), "of another shape", build("vit", dim=6))


def test_the_weights_of_an_encoder_are_no_decoder():
    refuse(build_encoder("vit_test").state_dict(), "no known layout")
    refuse(PIQ.Conv2dEncoder_v2(4).state_dict(), "no known layout")


def test_a_file_that_asks_for_code_is_refused(tmp_path):
    path = tmp_path / "psi_model.ckpt"
    torch.save({"codebook.embedding.weight": re.compile}, path)
    with pytest.raises(UnsafeModelError, match=re.escape(str(path))):
        load_decoder_weights(build("vit"), path)


def test_a_missing_file_is_no_model_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        load_decoder_weights(build("vit"), tmp_path / "psi_model.ckpt")
