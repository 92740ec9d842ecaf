"""Laws of descriptions: what is written is what is read, by both readers."""

import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from safetensors.torch import load_file
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder, list_encoders
from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.interpreters.decoders import DECODERS, LMACDecoder
from focalaudio.mel import MelAxis
from focalaudio.metrics.novelty import NoveltyRule
from focalaudio.models import Explanation, SoundModel
from focalaudio.models.bundle import read_bundle, write_bundle
from focalaudio.models.description import (
    describe,
    describe_parts,
    to_explanation,
    to_novelty,
)
from focalaudio.models.novelty import Novelty
from focalaudio.models.safe_yaml import read_objects
from focalaudio.models.schema import ARGUMENTS, KEYS, MAKERS
from focalaudio.shares import build_share_decoder
from focalaudio.spectrogram import Spectrogram

OLD = Path(__file__).parent / "bundle_0.1"


def make_model(name="focalnet_test", decoders=None, **explanation):
    encoder = build_encoder(name, in_channels=1, drop_path=0.25)
    return SoundModel(
        SoundClassifier(encoder, 4, "linear", dropout=0.5),
        Spectrogram(22050, 512, 20.0, 10.0),
        ClipReader(22050, None),
        ("a", "b", "c", "d"),
        Explanation(**explanation),
        decoders or {},
    )


def read(text, tmp_path):
    path = tmp_path / "hyperparams.yaml"
    path.write_text(text)
    return read_objects(path, KEYS, MAKERS)


def shapes(module):
    return {key: value.shape for key, value in module.state_dict().items()}


@pytest.mark.parametrize("name", list_encoders())
def test_every_encoder_can_be_described_and_built_again(name, tmp_path):
    with torch.device("meta"):
        model = make_model(name)
        text = describe(model)
        for parts in (read(text, tmp_path), load_hyperpyyaml(text)):
            assert parts["classifier"].encoder is parts["encoder"]
            assert shapes(parts["classifier"]) == shapes(model.classifier)
            assert describe_again(parts) == text


def describe_again(parts):
    own = (parts[key] for key in ("classifier", "spectrogram", "reader"))
    explanation = to_explanation(parts, parts["classifier"])
    return describe(SoundModel(*own, ("a", "b", "c", "d"), explanation))


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_can_be_described_and_built_again(name, tmp_path):
    decoder = DECODERS[name](8, 4, 16, 0)
    text = describe(make_model(decoders={"piq": decoder}))
    made = read(text, tmp_path)["decoder"]
    assert shapes(made) == shapes(decoder)
    assert made.arguments == decoder.arguments


OPENED = """
import sys
from focalaudio.models import load_model
print(*load_model(sys.argv[1]).decoders, "torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("name", DECODERS)
def test_opening_a_decoder_does_not_load_the_compiler(name, tmp_path):
    model = make_model()
    n_features = model.classifier.encoder.n_features
    decoders = {
        "piq": DECODERS[name](n_features, 4, 16, 2),
        "lmac": LMACDecoder(n_features, 4),
    }
    write_bundle(replace(model, decoders=decoders), tmp_path)
    output = subprocess.run(
        [sys.executable, "-c", OPENED, str(tmp_path)],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert output.stdout.split() == ["piq", "lmac", "False"]


def test_several_decoders_stand_side_by_side(tmp_path):
    decoders = {"piq": DECODERS["light"](8, 4, 16), "lmac": LMACDecoder(8, 4)}
    text = describe(make_model(decoders=decoders))
    for parts in (read(text, tmp_path), load_hyperpyyaml(text)):
        assert parts["decoder"].arguments == decoders["piq"].arguments
        assert parts["lmac"].arguments == decoders["lmac"].arguments


@pytest.mark.parametrize(("key", "other"), [("decoder", "lmac")])
def test_a_decoder_of_another_method_is_refused(tmp_path, key, other):
    text = describe(make_model(decoders={"lmac": LMACDecoder(8, 4)}))
    text = text.replace(f"\n{other}: ", f"\n{key}: ")
    with pytest.raises(UnsafeModelError, match="must be a LightDecoder or"):
        read(text, tmp_path)


def test_the_explanation_survives(tmp_path):
    own = {"maps": ["stage_1", "class_evidence"], "quantile": 0.75}
    model = make_model(**own, mask="soft")
    parts = read(describe(model), tmp_path)
    assert to_explanation(parts, model.classifier) == model.explanation


def test_a_temperature_survives(tmp_path):
    model = make_model()
    assert "temperature" not in read(describe(model), tmp_path)
    model = replace(model, temperature=1.7320508075688772)
    parts = read(describe(model), tmp_path)
    assert parts["temperature"] == model.temperature
    write_bundle(model, tmp_path)
    assert read_bundle(tmp_path).temperature == model.temperature
    trusted = load_hyperpyyaml((tmp_path / "hyperparams.yaml").read_text())
    assert trusted["temperature"] == model.temperature


def test_the_default_maps_are_written_out(tmp_path):
    parts = read(describe(make_model()), tmp_path)
    assert parts["explanation"]["maps"] == ["stage_2"]


def test_what_no_bundle_may_hold_is_not_written():
    with pytest.raises(ModelError, match="torch.nn.modules.linear.Linear"):
        list(describe_parts({"decoder": nn.Linear(1, 1)}))


def test_every_argument_of_the_table_exists():
    for kind, rules in ARGUMENTS.items():
        parameters = kind.__init__.__wrapped__.__code__.co_varnames
        assert set(rules) <= set(parameters), kind


def test_bundles_of_version_0_1_say_what_they_said():
    model = SoundInterpreter.from_hparams(OLD)
    time = torch.arange(16000, dtype=torch.double) / 16000
    tones = (440 * time, (300 + 900 * time) * time)
    levels = torch.tensor([[0.5], [0.3]])
    wavs = levels * torch.sin(2 * math.pi * torch.stack(tones)).float()
    answers = load_file(OLD.with_name("bundle_0.1_answers.safetensors"))
    for method in ("by_design", "piq"):
        found = model.explain_batch(wavs, method=method)
        for axis, name in ((2, "frequency"), (1, "time")):
            torch.testing.assert_close(
                found.mask.float().mean(axis),
                answers[f"{method}_over_{name}"],
                atol=3e-3,  # the answers were written in steps of 1 / 255
                rtol=0,
            )
        torch.testing.assert_close(found.logits, answers["logits"])
    own = model.model.interpreter()
    assert own.name == "class_probability, quantile 0.9"


def test_positions_in_old_bundles_become_names(tmp_path):
    folder = shutil.copytree(OLD, tmp_path / "bundle")
    (folder / "SHA256SUMS").unlink()
    path = folder / "hyperparams.yaml"
    text = path.read_text()
    for stages, maps in (("[-1]", "top_down"), ("[0]", "stage_1")):
        path.write_text(text.replace('["class_probability"]', stages))
        model = SoundInterpreter.from_hparams(folder).model
        assert model.explanation.maps == [maps]
    path.write_text(text.replace('["class_probability"]', "[9]"))
    with pytest.raises(ModelError, match="maps=.'9'. must name"):
        SoundInterpreter.from_hparams(folder)


def test_a_share_decoder_is_part_of_the_classifier(tmp_path):
    encoder = build_encoder("focalnet_test_pyramid", in_channels=1)
    decoder = build_share_decoder(encoder, 4, narrow=4, width=6)
    classifier = SoundClassifier(
        encoder, 4, "linear", pooling="loudness", share_decoder=decoder
    )
    own = Explanation(maps=["class_share"], mask="ratio")
    model = SoundModel(
        classifier.eval(), Spectrogram(), ClipReader(), tuple("abcd"), own
    )
    write_bundle(model, tmp_path)
    read = read_bundle(tmp_path)
    assert describe(read) == describe(model)
    assert read.classifier.share_decoder.arguments == decoder.arguments
    wavs = torch.rand(1, 8000)
    with torch.no_grad():
        masks = [each.interpreter()(wavs).mask for each in (model, read)]
    assert torch.equal(*masks)


def test_an_images_layout_is_part_of_the_classifier(tmp_path):
    encoder = build_encoder("focalnet_test", in_channels=1)
    axis = MelAxis(24)
    classifier = SoundClassifier(
        encoder, 4, "linear", image_size=(32, 24), image_frames=90, axis=axis
    )
    parts = (classifier.eval(), Spectrogram(), ClipReader(), tuple("abcd"))
    model = SoundModel(*parts)
    write_bundle(model, tmp_path)
    read = read_bundle(tmp_path)
    assert describe(read) == describe(model)
    assert read.classifier.layout.axis.arguments == axis.arguments
    # as in the bundles that are about: by the module where it was first
    assert "\naxis: !new:focalaudio.image.MelAxis\n" in describe(model)
    trusted = load_hyperpyyaml(describe(model))
    assert isinstance(trusted["axis"], MelAxis)
    assert trusted["axis"].arguments == axis.arguments
    wavs = torch.rand(1, 8000)
    with torch.no_grad():
        found = [each.interpreter()(wavs) for each in (model, read)]
    assert torch.equal(found[0].logits, found[1].logits)
    assert torch.equal(found[0].mask, found[1].mask)
    other = Spectrogram(sample_rate=8000)
    with pytest.raises(ModelError, match="for 16000 Hz and n_fft=1024"):
        SoundModel(parts[0], other, *parts[2:])


def test_a_share_decoder_that_nobody_needs_is_refused(tmp_path):
    write_bundle(make_model(), tmp_path)
    path = tmp_path / "hyperparams.yaml"
    path.write_text(
        path.read_text() + "share_decoder: !new:focalaudio.shares.ShareDecoder "
        "{n_classes: 9999, n_features: 9999, n_fine: 9999}\n"
    )
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match="share_decoder is not the classifier"):
        read_bundle(tmp_path)


def test_a_rule_of_what_is_known_is_written_and_read(tmp_path):
    rule = Novelty((NoveltyRule("entropy", 0.1 + 0.2),))
    model = replace(make_model(), novelty=rule)
    assert to_novelty(read(describe(model), tmp_path)) == rule
    assert to_novelty(read(describe(make_model()), tmp_path)) is None


def test_a_rule_is_read_as_older_versions_wrote_it(tmp_path):
    parts = read("novelty: {score: energy, threshold: 2.5}", tmp_path)
    assert to_novelty(parts) == Novelty((NoveltyRule("energy", 2.5),))


@pytest.mark.parametrize(
    "text", ["{score: luck, threshold: 0}", "{score: energy, threshold: .inf}",
             "{score: mahalanobis, threshold: 1}", "{level: 1}", "3"],
)  # fmt: skip
def test_rules_that_no_model_can_have_are_refused(text, tmp_path):
    with pytest.raises(UnsafeModelError, match="line 1: "):
        read(f"novelty: {text}", tmp_path)


def test_half_a_rule_is_refused(tmp_path):
    parts = read("novelty: {score: energy}", tmp_path)
    with pytest.raises(ModelError, match="both score and threshold"):
        to_novelty(parts)
