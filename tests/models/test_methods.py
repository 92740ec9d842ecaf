"""Laws of building interpreters by name."""

import pytest
import torch

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import GradientInterpreter
from focalaudio.interpreters.attributions import METHODS as GRADIENTS
from focalaudio.interpreters.floors import REFERENCES
from focalaudio.models import (
    SoundModel,
    load_compared,
    load_interpreter,
)
from focalaudio.spectrogram import Spectrogram


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    classifier = SoundClassifier(build_encoder("focalnet_test"), 3, "linear")
    parts = (classifier.eval(), Spectrogram(), ClipReader())
    return SoundModel(*parts, ("a", "b", "c"))


@pytest.mark.parametrize("method", ["by_design", *GRADIENTS, *REFERENCES])
def test_every_method_keeps_its_share_of_a_clip(model, method):
    options = (
        {"n_samples": 2}
        if "n_samples" in GRADIENTS.get(method, (0, {}))[1]
        else {}
    )
    interpreter = load_interpreter(model, method, 0.8, options=options)
    assert interpreter.classifier is model.classifier
    with torch.no_grad():
        found = interpreter(torch.rand(1, 4000))
    assert 0 < found.kept_fraction.item() <= 0.21
    assert found.wavs.shape == (1, 4000)


def test_options_reach_a_gradient_method(model):
    interpreter = load_interpreter(
        model, "smoothgrad", options={"n_samples": 3}
    )
    assert isinstance(interpreter, GradientInterpreter)
    assert interpreter.settings["n_samples"] == 3


def test_maps_and_masks_reach_the_interpreter_by_design(model):
    interpreter = load_interpreter(
        model, stages=["class_evidence", 0], mask="soft"
    )
    assert interpreter.name == "class_evidence*stage_1, quantile 0.9, mask soft"


def test_unknown_methods_are_listed(model):
    with pytest.raises(ValueError, match="method='magic'.*gradcam"):
        load_interpreter(model, "magic")


def test_piq_needs_its_run(model):
    with pytest.raises(ValueError, match="needs piq"):
        load_interpreter(model, "piq")


def test_a_comparison_holds_everything_once(model):
    one = load_interpreter(model)
    others = [{"method": "random"}, {"stages": [0], "quantile": 0.5}]
    compared = load_compared(model, one, others, [0.5, 0.9])
    assert [each.name for each in compared] == [
        "random, quantile 0.9",
        "stage_1, quantile 0.5",
        "stage_2, quantile 0.5",
        "random, quantile 0.5",
        "stage_1, quantile 0.9",
    ]


def test_another_quantile_shares_every_weight_and_changes_nothing_else(model):
    one = load_interpreter(model, quantile=0.9)
    other = one.at_quantile(0.5)
    assert one.quantile == 0.9
    assert other.classifier is one.classifier
    assert other.settings == one.settings | {"quantile": 0.5}


def test_what_has_no_quantile_says_so(model):
    one = load_interpreter(model)
    one.quantile = None
    with pytest.raises(ValueError, match="quantile=0.5 means nothing"):
        one.at_quantile(0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        load_interpreter(model).at_quantile(1.5)
