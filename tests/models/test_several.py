"""Laws of a model of several labels: as a bundle, of any make, explained."""

import pytest
import torch

from focalaudio import SoundInterpreter
from focalaudio.brains.checks import Checker, Look
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.errors import UnsafeModelError
from focalaudio.metrics.columns import curve_columns, interpretation_columns
from focalaudio.metrics.judges import judge_columns, removal_columns
from focalaudio.metrics.novelty import NoveltyRule
from focalaudio.models import load_model
from focalaudio.models.bundle import write_bundle
from focalaudio.models.model import SoundModel
from focalaudio.models.novelty import score_clips
from focalaudio.report.words import doubt_answer
from focalaudio.spectrogram import Spectrogram

LABELS = ["dog", "rain", "car"]
CHECKS = ["class_sensitivity", "infidelity", "bands"]


def make(labels_per_clip="several"):
    torch.manual_seed(0)
    classifier = SoundClassifier(
        build_encoder("focalnet_test"),
        3,
        "linear",
        image_size=(32, 48),
        labels_per_clip=labels_per_clip,
    ).eval()
    return SoundModel(classifier, Spectrogram(), ClipReader(16000, 0.5), LABELS)


@pytest.fixture
def wavs():
    return torch.rand(2, 8000, generator=torch.Generator().manual_seed(1)) - 0.5


def shift(model, class_id, by):
    """Make all classes but one more likely, whatever is heard."""
    bias = torch.full((3,), float(by))
    bias[class_id] = 0
    model.classifier.head.bias.data += bias
    return model


def score(model, wavs, class_id):
    """Every score of a class that is explained and on top."""
    interpreter = model.interpreter(maps="class_evidence")
    lens, ids = torch.ones(2), ["a", "b"]
    with torch.no_grad():
        seen = interpreter.look(wavs, lens)
        found = interpreter.interpret(*seen, torch.full((2,), class_id))
        parts = interpreter.classify_parts(found)
        ask = interpreter.ask(found.spectrum)
        marked = torch.zeros(2, 3)
        columns = interpretation_columns(found, parts, marked)
        columns |= curve_columns(found, ask, 3)
        columns |= judge_columns(found, found.logits, parts, found.decision)
        columns |= removal_columns(
            found, ask, found.logits, ids, 2, found.decision
        )
        check = Checker(interpreter, CHECKS).pass_on(
            Look(wavs, lens, ids, *seen)
        )
        columns |= check(interpreter, found)
    # that of the class which the clip is least of, and all classes at once
    return {
        name: column
        for name, column in columns.items()
        if name not in ("accuracy", "class_sensitivity")
    }


def test_no_score_of_a_class_depends_on_the_other_classes(wavs):
    top = shift(make(), 1, -9.0)  # class 1 is on top, whatever is heard
    lower = shift(shift(make(), 1, -9.0), 1, -5.0)
    one, other = (score(each, wavs, 1) for each in (top, lower))
    assert {"fidelity", "insertion", "infidelity", "band_drop"} <= set(one)
    for name in one:
        torch.testing.assert_close(one[name], other[name], equal_nan=True)


def test_with_one_label_they_do(wavs):
    top = shift(make("one"), 1, -3.0)
    lower = shift(shift(make("one"), 1, -3.0), 1, -5.0)
    one, other = (score(each, wavs, 1) for each in (top, lower))
    for name in ("probability", "insertion", "infidelity", "f_fidelity_plus"):
        assert not torch.allclose(one[name], other[name]), name


def test_a_bundle_says_it_and_is_read_again(tmp_path, wavs):
    model = make()
    write_bundle(model, tmp_path)
    read = load_model(tmp_path)
    assert read.labels_per_clip == "several"
    one, other = (
        SoundInterpreter(each).classify_batch(wavs)[0] for each in (model, read)
    )
    assert torch.equal(one, other)
    logits = SoundInterpreter(model).look(wavs).output.logits
    torch.testing.assert_close(one, logits.sigmoid())


@pytest.mark.parametrize("said", ["two", "null", "true"])
def test_an_unknown_value_in_a_bundle_is_an_error(tmp_path, said):
    write_bundle(make(), tmp_path)
    path = tmp_path / "hyperparams.yaml"
    text = path.read_text().replace("several ", f"{said} ", 1)
    assert f"labels_per_clip: {said}" in text
    path.write_text(text)
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(UnsafeModelError, match="one or several"):
        load_model(tmp_path)


def test_a_bundle_without_the_key_is_of_one_label(tmp_path, wavs):
    write_bundle(make("one"), tmp_path)
    path = tmp_path / "hyperparams.yaml"
    lines = path.read_text().splitlines(keepends=True)
    old = [line for line in lines if "labels_per_clip" not in line]
    assert len(old) == len(lines) - 1
    path.write_text("".join(old))
    (tmp_path / "SHA256SUMS").unlink()
    probs = SoundInterpreter.from_hparams(tmp_path).classify_batch(wavs)[0]
    torch.testing.assert_close(probs.sum(1), torch.ones(2))


def test_explanations_of_a_class_do_not_depend_on_who_else_is_there(wavs):
    model = SoundInterpreter(make())
    whole = model.explain_batch(wavs, maps="class_probability", target="rain")
    quiet = SoundInterpreter(shift(make(), 1, -5.0))
    alone = quiet.explain_batch(wavs, maps="class_probability", target="rain")
    assert torch.equal(whole.mask, alone.mask)
    assert torch.equal(whole.probs[:, 1], alone.probs[:, 1])


def test_every_present_class_is_told_and_explained(wavs):
    model = make()
    model.classifier.head.bias.data = torch.tensor([5.0, 4.0, -9.0])
    loud = SoundInterpreter(model)
    found = loud.explain_batch(wavs[:1])
    assert found.present.tolist() == [[True, True, False]]
    assert all(label in found.describe(0) for label in ("dog", "rain"))
    assert "car" not in found.describe(0)
    shown = loud.explain_present(wavs[0])
    assert list(shown) == ["dog", "rain"]
    for label, one in shown.items():
        asked = loud.explain_batch(wavs[:1], target=label)
        assert torch.equal(one.mask, asked.mask)
    model.classifier.head.bias.data -= 20
    assert "none of the classes" in loud.explain_batch(wavs[:1]).describe(0)


def test_somebody_elses_classifier_may_be_one(wavs):
    def classify(wavs):
        return torch.stack((wavs.mean(1), wavs.abs().mean(1)), 1)

    for kind, turn in (("several", torch.sigmoid), ("one", None)):
        model = SoundInterpreter.from_classifier(
            classify, ["up", "loud"], 16000, labels_per_clip=kind
        )
        probs = model.classify_batch(wavs)[0]
        logits = classify(wavs)
        wanted = turn(logits) if turn else logits.softmax(1)
        torch.testing.assert_close(probs, wanted)
    options = {"n_masks": 20}
    model = SoundInterpreter.from_classifier(
        classify, ["up", "loud"], 16000, labels_per_clip="several"
    )
    other = SoundInterpreter.from_classifier(
        lambda wavs: classify(wavs) + torch.tensor([7.0, 0.0]),
        ["up", "loud"],
        16000,
        labels_per_clip="several",
    )
    maps = [
        each.explain_batch(wavs, target="loud", options=options).saliency
        for each in (model, other)
    ]
    torch.testing.assert_close(*maps)


def test_rules_of_novelty_are_of_the_sigmoids(wavs):
    model = make()
    output = SoundInterpreter(model).look(wavs).output
    spectrum = SoundInterpreter(model).look(wavs).spectrum
    p = output.logits.sigmoid()
    wanted = {
        "probability": p.amax(1),
        "entropy": -(p * p.log() + (1 - p) * (1 - p).log()).sum(1),
        "energy": (1 + output.logits.exp()).log().sum(1),
    }
    for name, values in wanted.items():
        found = score_clips(name, model.classifier, spectrum, output)
        torch.testing.assert_close(found, values)
        assert NoveltyRule(name, 0.0).is_known(found).shape == (2,)


def test_doubts_are_of_each_decision():
    close = [("dog", 0.95), ("rain", 0.94)]
    assert doubt_answer(close, is_several=True) == []
    assert doubt_answer([("dog", 0.1)], is_several=True)[0].startswith("No cl")
