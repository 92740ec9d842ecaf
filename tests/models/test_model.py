"""Laws of a model: its own explanation, and others by their names."""

from dataclasses import replace

import pytest
import torch

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.errors import ModelError
from focalaudio.interpreters import captum
from focalaudio.interpreters.decoders import LMACDecoder
from focalaudio.interpreters.piq import build_decoder
from focalaudio.interpreters.threshold import METHODS
from focalaudio.models import Explanation, SoundModel
from focalaudio.models.model import DECODED
from focalaudio.spectrogram import Spectrogram


def make_model(labels=("a", "b", "c"), **explanation):
    torch.manual_seed(0)
    classifier = SoundClassifier(build_encoder("focalnet_test"), 3, "linear")
    parts = (classifier.eval(), Spectrogram(), ClipReader())
    return SoundModel(*parts, labels, Explanation(**explanation))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_its_share_of_a_clip(method):
    if method in captum.METHODS:
        pytest.importorskip("captum")
    few = {"n_samples": 2, "frames": 4, "bins": 19}
    few = {k: few[k] for k in few if k in METHODS[method].options}
    model = make_model()
    interpreter = model.interpreter(method, quantile=0.8, options=few)
    assert interpreter.classifier is model.classifier
    with torch.no_grad():
        found = interpreter(torch.rand(1, 4000))
    assert 0 < found.kept_fraction.item() <= 0.21
    assert found.wavs.shape == (1, 4000)


def test_what_is_not_said_is_the_models_own():
    own = {"maps": ["class_evidence"], "mask": "soft", "quantile": 0.7}
    model = make_model(**own)
    assert model.interpreter().settings == {"method": "by_design", **own}
    assert model.interpreter(maps="stage_1").settings == {
        **{"method": "by_design", **own, "maps": ["stage_1"]}
    }
    # the maps are of the model's own method only
    assert model.interpreter("random").settings == {
        "method": "random",
        "mask": "soft",
        "quantile": 0.7,
    }


@pytest.mark.parametrize(
    ("other", "mask"),
    [
        ({}, "ratio"),
        ({"maps": "class_probability"}, "ratio"),
        ({"maps": ["class_probability", "loudness"]}, "binary"),
        ({"maps": "stage_1"}, "binary"),
        ({"maps": ["stage_1"], "quantile": 0.5}, "binary"),
        ({"maps": "stage_1", "mask": "soft"}, "soft"),
        ({"method": "random"}, "binary"),
    ],
)
def test_a_ratio_is_the_models_own_where_there_is_a_share(other, mask):
    model = make_model(maps=("class_probability",), mask="ratio", quantile=0.7)
    found = model.interpreter(**other)
    quantile = None if mask == "ratio" else other.get("quantile", 0.7)
    assert (found.mask, found.quantile) == (mask, quantile)


def test_the_own_explanation_may_be_a_floor():
    model = make_model(method="loudest")
    assert model.interpreter().name == "loudest, quantile 0.9"
    assert model.interpreter("by_design").name == "stage_2, quantile 0.9"


@pytest.mark.parametrize("method", ["magic", "", "PIQ"])
def test_unknown_methods_are_listed(method):
    with pytest.raises(ValueError, match=f"method={method!r} must.*gradcam"):
        make_model().interpreter(method)


@pytest.mark.parametrize("method", DECODED)
def test_what_is_trained_needs_its_decoder(method):
    with pytest.raises(ModelError, match=f"method='{method}' needs a decoder"):
        make_model().interpreter(method)


@pytest.mark.parametrize("method", DECODED)
@pytest.mark.parametrize(
    "useless", [{"maps": "stage_1"}, {"options": {"n_steps": 2}}]
)
def test_decoders_have_no_use_for_maps_and_options(method, useless):
    with pytest.raises(ValueError, match=f"means nothing to method='{method}'"):
        make_model().interpreter(method, **useless)


@pytest.fixture
def decoded():
    model = make_model(quantile=0.6, mask="soft")
    n_features = model.classifier.encoder.n_features
    decoders = {
        "piq": build_decoder("light", model.classifier, 12),
        "lmac": LMACDecoder(n_features, 3),
    }
    return replace(model, decoders=decoders)


@pytest.mark.parametrize("method", DECODED)
def test_what_a_decoder_draws_is_cut_only_if_asked(decoded, method):
    drawn = decoded.interpreter(method)
    assert (drawn.mask, drawn.quantile) == (None, None)
    with pytest.raises(ValueError, match="give mask=binary, soft or energy"):
        decoded.interpreter(method, quantile=0.5)
    cut = decoded.interpreter(method, mask="binary")
    assert cut.settings["quantile"] == 0.6  # the model's own
    assert (
        decoded.interpreter(method, mask="soft", quantile=0.8).quantile == 0.8
    )


def test_another_quantile_shares_every_weight_and_changes_nothing_else():
    one = make_model().interpreter(quantile=0.9)
    other = one.at_quantile(0.5)
    assert one.quantile == 0.9
    assert other.classifier is one.classifier
    assert other.settings == one.settings | {"quantile": 0.5}
    with pytest.raises(ValueError, match="between 0 and 1"):
        one.at_quantile(1.5)


def test_what_does_not_fit_is_refused_at_the_door():
    with pytest.raises(ModelError, match="2 labels, but the classifier has 3"):
        make_model(labels=("a", "b"))
    with pytest.raises(ModelError, match="own explanation: maps=.'layer_1'"):
        make_model(maps=["layer_1"])


@pytest.mark.parametrize(
    ("explanation", "named"),
    [
        ({"quantile": 90}, "quantile=90 must be"),
        ({"quantile": None}, "quantile=None must be"),
        ({"quantile": float("nan")}, "quantile=nan must be"),
        ({"mask": "foo"}, "mask='foo' must be"),
        ({"mask": None}, "mask=None must be"),
        ({"mask": "ratio"}, "mask='ratio' needs"),
        ({"mask": "ratio", "method": "random"}, "mask='ratio' needs"),
        (
            {"mask": "ratio", "maps": ["class_probability", "loudness"]},
            "mask='ratio' needs",
        ),
    ],
)
def test_no_model_has_an_explanation_that_cannot_be_given(explanation, named):
    with pytest.raises(ModelError, match=f"own explanation: {named}"):
        make_model(**explanation)


@pytest.mark.parametrize(
    "temperature",
    [0.0, -1.0, 0.009, 101, float("nan"), float("inf"), 10**9, "hot", None],
)
def test_a_temperature_is_a_number_within_bounds(temperature):
    with pytest.raises(ModelError, match="must be a number from 0.01 to 100"):
        replace(make_model(), temperature=temperature)
