"""Laws of a model's rule of what is like any class at all."""

import json
from dataclasses import replace

import pytest
import torch

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.encoders.weight_files import digest_weights
from focalaudio.errors import ModelError
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.interpreters.maps import class_probability
from focalaudio.metrics import novelty
from focalaudio.metrics.novelty import SCORES, STORABLE, NoveltyRule
from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.models import SoundModel
from focalaudio.models.bundle import read_bundle, write_bundle
from focalaudio.models.novelty import (
    SCORERS,
    SPECTRUM,
    Novelty,
    read_novelty,
    save_shape,
    score_clips,
)
from focalaudio.models.run import save_model
from focalaudio.shares import build_share_decoder
from focalaudio.spectrogram import Spectrogram


def make_model(fine=True, novelty=None):
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test_pyramid", in_channels=1)
    shares = build_share_decoder(encoder, 3, 4 if fine else 0, 8)
    classifier = SoundClassifier(
        encoder, 3, "linear", image_size=(32, 32), share_decoder=shares
    )
    for parameter in classifier.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    parts = (classifier.eval(), Spectrogram(), ClipReader(16000, 0.5))
    return SoundModel(*parts, ("a", "b", "c"), novelty=novelty)


def look(model, wavs):
    with torch.no_grad():
        spectrum = model.spectrogram(wavs)
        return spectrum, model.classifier(spectrum.log_magnitude)


def rule_of_half(model, score, wavs):
    """Return a rule that no clip is as near to as rounding."""
    shape = None
    if score == SPECTRUM:
        shape = SpectralShape()
        shape.fit(shape.describe(model.spectrogram(torch.randn(9, 8000))))
    seen = look(model, wavs)
    values = score_clips(score, model.classifier, *seen, shape)
    middle = len(values) // 2
    threshold = values.sort().values[middle - 1 : middle + 1].mean()
    return Novelty((NoveltyRule(score, float(threshold)),), shape)


def test_every_score_that_a_model_can_hold_is_made():
    assert {*SCORERS, SPECTRUM} == set(STORABLE) < set(SCORES)


@pytest.mark.parametrize("fine", [True, False])
def test_evidence_is_that_of_the_finest_cells(fine):
    model = make_model(fine)
    spectrum, output = look(model, torch.randn(2, 8000))
    find = "share_logits" if fine else "cell_logits"
    with torch.no_grad():
        cells = getattr(model.classifier, find)(output)
        found = score_clips("evidence", model.classifier, spectrum, output)
    share = class_probability(cells, output.class_ids)
    carried = model.classifier.layout.carry_back(
        share, spectrum.n_frames, spectrum.log_magnitude.shape[1:]
    )
    expected = novelty.evidence(carried, spectrum.log_magnitude)
    torch.testing.assert_close(found, expected)
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("score", STORABLE)
def test_the_answer_says_what_the_rule_says(score):
    wavs = torch.randn(6, 8000)
    wavs /= wavs.abs().amax(1, keepdim=True)
    model = make_model()
    model = replace(model, novelty=rule_of_half(model, score, wavs))
    found = SoundInterpreter(model).explain_batch(0.1 * wavs)
    assert (
        found.is_known.tolist() == model.is_known(*look(model, wavs)).tolist()
    )
    assert 0 < found.is_known.sum() < 6


def test_without_a_rule_all_but_silence_is_known():
    wavs = torch.randn(5, 8000)
    wavs[1] = 0
    wavs[2] = 0.3  # an offset is nothing to hear
    wavs[3] *= 1e-7
    found = SoundInterpreter(make_model()).explain_batch(wavs)
    assert found.is_known.tolist() == [True, False, False, False, True]


def test_silence_is_not_known_whatever_the_rule():
    rule = Novelty((NoveltyRule("probability", 0.0),))
    model = SoundInterpreter(make_model(novelty=rule))
    wavs = torch.stack((torch.zeros(8000), torch.randn(8000)))
    assert model.explain_batch(wavs).is_known.tolist() == [False, True]
    lens = torch.tensor([0.01, 1.0])  # noise after the end is padding
    noise = torch.randn(2, 8000)
    noise[0, :80] = 0
    assert model.explain_batch(noise, lens).is_known.tolist() == [False, True]


def test_what_is_known_does_not_depend_on_class_method_or_neighbors():
    wavs = torch.randn(4, 8000)
    model = make_model()
    model = replace(model, novelty=rule_of_half(model, "evidence", wavs))
    interpreter = SoundInterpreter(model)
    known = interpreter.explain_batch(wavs).is_known.tolist()
    for options in ({"target": "c"}, {"method": "random"}, {"quantile": 0.3}):
        found = interpreter.explain_batch(wavs, **options)
        assert found.is_known.tolist() == known
    alone = [interpreter.explain_batch(wav).is_known.item() for wav in wavs]
    assert alone == known


def test_what_is_known_does_not_depend_on_the_temperature(tmp_path):
    wavs = torch.randn(4, 8000)
    wavs /= wavs.abs().amax(1, keepdim=True)
    model = make_model()
    for score in ("probability", "entropy", "energy"):
        rule = rule_of_half(model, score, wavs)
        cold, warm = (
            replace(model, novelty=rule, temperature=value)
            for value in (1.0, 5.0)
        )
        found, plain = (
            SoundInterpreter(one).explain_batch(wavs) for one in (warm, cold)
        )
        assert found.is_known.tolist() == plain.is_known.tolist()
        assert 0 < found.is_known.sum() < 4
        assert not torch.equal(found.probs, plain.probs)
    write_bundle(warm, tmp_path)
    read = read_bundle(tmp_path)
    assert (read.temperature, read.novelty) == (5.0, rule)


def test_a_bundle_keeps_the_rule(tmp_path):
    rule = Novelty((NoveltyRule("evidence", 0.123456789),))
    write_bundle(make_model(novelty=rule), tmp_path)
    assert read_bundle(tmp_path).novelty == rule


def test_a_bundle_keeps_what_is_usual(tmp_path):
    wavs = torch.randn(5, 8000)
    model = make_model()
    near = rule_of_half(model, SPECTRUM, wavs)
    model = replace(model, novelty=replace(
        near, rules=(NoveltyRule("energy", -1e3), *near.rules)
    ))  # fmt: skip
    write_bundle(model, tmp_path)
    read = read_bundle(tmp_path)
    assert read.novelty.rules == model.novelty.rules
    seen = look(model, wavs)
    assert 0 < model.is_known(*seen).sum() < 5
    assert torch.equal(read.is_known(*seen), model.is_known(*seen))
    for name in ("spectral_shape.safetensors", "SHA256SUMS"):
        (tmp_path / name).unlink()
    with pytest.raises(ModelError, match="no spectral_shape.safetensors"):
        read_bundle(tmp_path)
    for name in ("spectral_shape.safetensors", "decoder.safetensors"):
        write_bundle(make_model(), tmp_path)
        (tmp_path / name).touch()
        (tmp_path / "SHA256SUMS").unlink()
        for trusted in (False, True):
            with pytest.raises(ModelError, match=f"{name}, but no"):
                read_bundle(tmp_path, trusted)
        (tmp_path / name).unlink()


@pytest.mark.parametrize("score", ["energy", "spectrum"])
def test_what_is_known_at_the_threshold_does_not_depend_on_the_batch(score):
    """A rule that is chosen on the very clips that are judged."""
    wavs = torch.randn(12, 8000)
    model = make_model()
    shape = SpectralShape() if score == SPECTRUM else None
    if shape:
        shape.fit(shape.describe(model.spectrogram(wavs)))
    values = score_clips(score, model.classifier, *look(model, wavs), shape)
    rule = NoveltyRule.calibrate(score, values, 0.5)
    model = replace(model, novelty=Novelty((rule,), shape))
    for size in (1, 2, 5, 12):
        known = [
            model.is_known(*look(model, part)) for part in wavs.split(size)
        ]
        assert torch.equal(torch.cat(known), rule.is_known(values))
        assert torch.cat(known).sum() == 6


@pytest.mark.parametrize("score", STORABLE)
def test_padding_is_no_part_of_what_is_judged(score):
    """A short clip with an end that rings on, beside a longer one."""
    model, shape = make_model(), SpectralShape()
    wavs, n_short = torch.randn(2, 8000), 4180
    wavs[0] *= 1e-4
    wavs[0, n_short - 1] = 1
    wavs[0, n_short:] = 0
    shape.fit(shape.describe(model.spectrogram(torch.randn(9, 8000))))
    values = []
    for part, lens in ((wavs[:1, :n_short], 1.0), (wavs, n_short / 8000)):
        lens = torch.ones(len(part)) * torch.tensor([lens, 1.0])[: len(part)]
        spectrum = model.spectrogram(part, lens)
        with torch.no_grad():
            output = model.classifier(spectrum.log_magnitude, spectrum.n_frames)
        seen = model.classifier, spectrum, output, shape
        values.append(score_clips(score, *seen)[0])
    torch.testing.assert_close(*values, rtol=1e-4, atol=1e-4)


def test_a_run_refuses_what_no_checkpoint_holds(tmp_path):
    novelty = rule_of_half(make_model(), SPECTRUM, torch.randn(4, 8000))
    with pytest.raises(ModelError, match="no place for a spectral shape"):
        save_model(make_model(novelty=novelty), tmp_path)


def test_rules_and_the_shape_that_they_were_chosen_with_belong_together(
    tmp_path,
):
    model = make_model()
    with pytest.raises(
        FileNotFoundError, match=r"must be a run of novelty\.py"
    ):
        read_novelty(tmp_path, model.classifier)
    chosen = rule_of_half(model, SPECTRUM, torch.randn(4, 8000))
    values = chosen.describe()
    values["classifier_digest"] = digest_weights(model.classifier)
    (tmp_path / "novelty.json").write_text(json.dumps(values))
    with pytest.raises(FileNotFoundError):
        read_novelty(tmp_path, model.classifier)
    save_shape(chosen, tmp_path)
    read = read_novelty(tmp_path, model.classifier)
    assert read.rules == chosen.rules
    assert digest_weights(read.shape) == digest_weights(chosen.shape)
    chosen.shape.mean += 1
    save_shape(chosen, tmp_path)
    with pytest.raises(ModelError, match="is not what novelty.json was chosen"):
        read_novelty(tmp_path, model.classifier)


def test_all_rules_must_agree():
    wavs = torch.randn(20, 8000) * torch.linspace(0.1, 1, 20)[:, None]
    model = make_model()
    one, other = (
        rule_of_half(model, score, wavs) for score in ("evidence", SPECTRUM)
    )
    both = replace(other, rules=(*one.rules, *other.rules))
    seen = look(model, wavs)
    known = [
        replace(model, novelty=each).is_known(*seen)
        for each in (one, other, both)
    ]
    assert torch.equal(known[0] & known[1], known[2])
    assert known[0].sum() == known[1].sum() == 10


def test_what_is_usual_and_its_rule_need_each_other():
    rule = (NoveltyRule(SPECTRUM, 1.0),)
    with pytest.raises(ValueError, match="need each other"):
        Novelty(rule)
    with pytest.raises(ValueError, match="need each other"):
        Novelty((NoveltyRule("energy", 1.0),), SpectralShape())
    for rules in ((), (NoveltyRule("energy", 1.0), NoveltyRule("energy", 2.0))):
        with pytest.raises(ValueError, match="must be one or more"):
            Novelty(rules)
    with pytest.raises(ModelError, match="novelty's axis is made for 8000 Hz"):
        make_model(novelty=Novelty(rule, SpectralShape(8000)))
    make_model(novelty=Novelty(rule, SpectralShape(n_classes=3)))
    with pytest.raises(ModelError, match="of 2 classes, the model of 3"):
        make_model(novelty=Novelty(rule, SpectralShape(n_classes=2)))


def test_a_rule_that_needs_more_than_the_model_is_refused():
    with pytest.raises(ModelError, match="cannot hold score='mahalanobis'"):
        make_model(novelty=Novelty((NoveltyRule("mahalanobis", 1.0),)))


def test_a_rule_is_read_for_its_own_classifier_only(tmp_path):
    model = make_model()
    digest = digest_weights(model.classifier)
    chosen = {"score": "energy", "threshold": 2}
    path = tmp_path / "novelty.json"
    path.write_text(
        json.dumps({"novelty": chosen, "classifier_digest": digest})
    )
    found = read_novelty(tmp_path, model.classifier)
    assert found == Novelty((NoveltyRule("energy", 2.0),))
    with pytest.raises(ModelError, match="of another classifier"):
        read_novelty(tmp_path, make_model(fine=False).classifier)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"novelty": {}}'])
def test_what_holds_no_rule_is_refused(text, tmp_path):
    (tmp_path / "novelty.json").write_text(text)
    with pytest.raises(ModelError, match="novelty.json holds no rule"):
        read_novelty(tmp_path, make_model().classifier)
