"""Laws of the checks: what must be exact, what is shared, what stays."""

import copy
import math

import pytest
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from torch import nn

from focalaudio.brains import InterpreterBrain
from focalaudio.brains.checks import (
    CHECKS,
    N_BANDS,
    Checker,
    Look,
    make_untrained,
)
from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import LMACInterpreter, ThresholdInterpreter
from focalaudio.interpreters.decoders import LMACDecoder
from focalaudio.metrics.checks import CHANGES, N_PATCHES
from focalaudio.metrics.table import METRICS
from focalaudio.shares import build_share_decoder

OF_CHECKS = {m.name for m in METRICS.values() if m.needs == "checks"}
LABELS = ["a", "b", "c", "d", "e"]
IDS = ["one", "two", "three", "four"]


@pytest.fixture
def look(classifier, spectrogram, uneven):
    """Clips of 3001 and 1500 samples, and two that are very short."""
    wavs, lens, _ = uneven
    interpreter = ThresholdInterpreter(classifier, spectrogram)
    with torch.no_grad():
        return Look(wavs, lens, IDS, *interpreter.look(wavs, lens))


@torch.no_grad()
def check(look, interpreter, *checks):
    record = interpreter.interpret(look.spectrum, look.output)
    checker = Checker(interpreter, checks or list(CHECKS))
    return checker.pass_on(look)(interpreter, record)


def defined(column):
    """The values of the two clips that are long enough to say anything."""
    return column[[0, 3]]


def test_columns_are_those_of_the_table(look, classifier, spectrogram):
    interpreter = ThresholdInterpreter(classifier, spectrogram)
    columns = check(look, interpreter)
    assert set(columns) == OF_CHECKS
    for name, column in columns.items():
        known = defined(column)
        assert (
            (METRICS[name].low <= known) & (known <= METRICS[name].high)
        ).all()
    some = check(look, interpreter, "infidelity")
    assert set(some) == {"infidelity"}


def test_a_map_of_no_class_is_the_same_for_all(look, classifier, spectrogram):
    for maps in (["stage_1"], ["stage_2"], ["stage_1", "loudness"]):
        one = ThresholdInterpreter(classifier, spectrogram, maps=maps)
        found = check(look, one, "class_sensitivity")["class_sensitivity"]
        assert defined(found).tolist() == [1, 1]


def test_a_map_of_a_class_is_less_alike(look, classifier, spectrogram):
    for maps in ("class_evidence", "class_probability"):
        one = ThresholdInterpreter(classifier, spectrogram, maps=maps)
        found = check(look, one, "class_sensitivity")["class_sensitivity"]
        assert (defined(found) < 0.9).all()


@pytest.mark.parametrize("method", ["random", "loudest"])
def test_a_floor_does_not_look_at_the_model(
    look, classifier, spectrogram, method
):
    floor = ThresholdInterpreter(classifier, spectrogram, method=method)
    columns = check(look, floor, "class_sensitivity", "randomization")
    assert defined(columns["class_sensitivity"]).tolist() == [1, 1]
    assert defined(columns["randomization"]).tolist() == [1, 1]
    assert defined(columns["complexity_rise"]).tolist() == [0, 0]


def test_what_is_learnt_shows_in_the_map(look, classifier, spectrogram):
    interpreter = ThresholdInterpreter(classifier, spectrogram)
    columns = check(look, interpreter, "randomization")
    assert (defined(columns["randomization"]) < 0.9).all()
    assert (defined(columns["complexity_rise"]).abs() > 0).all()


def test_noise_is_the_same_in_every_sound_but_a_shifted_one(
    look, classifier, spectrogram
):
    floor = ThresholdInterpreter(classifier, spectrogram, method="random")
    columns = check(look, floor, "stability")
    for name in CHANGES:
        if name == "stability_shift":
            assert (defined(columns[name]).abs() < 0.3).all()
        else:
            assert defined(columns[name]).tolist() == [1, 1]


def test_loudness_follows_the_sound(look, classifier, spectrogram):
    floor = ThresholdInterpreter(classifier, spectrogram, method="loudest")
    columns = check(look, floor, "stability")
    assert (defined(columns["stability_gain"]) > 0.99999).all()
    for name in ("stability_shift", "stability_noise"):
        assert (
            (defined(columns[name]) > 0.7) & (defined(columns[name]) < 1)
        ).all()


def same_weights(one, other):
    first, second = one.state_dict(), other.state_dict()
    return [torch.equal(first[key], second[key]) for key in first]


@pytest.mark.parametrize("name", ["focalnet_test", "vit_test"])
@pytest.mark.parametrize("head", ["cosine", "linear"])
def test_every_weight_is_drawn_again(name, head):
    encoder = build_encoder(name, in_channels=1)
    trained = SoundClassifier(encoder, 4, head, image_size=(32, 48))
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1)
    before, state = copy.deepcopy(trained), torch.get_rng_state()
    blank, again = make_untrained(trained), make_untrained(trained)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(same_weights(trained, before))
    assert all(same_weights(blank, again))
    assert not all(same_weights(blank, make_untrained(trained, seed=1)))
    changed = dict(blank.named_parameters())
    for key, weight in trained.named_parameters():
        assert not torch.equal(weight, changed[key]), key
    shared = {id(p) for p in trained.parameters()}
    assert not shared & {id(p) for p in blank.parameters()}
    assert blank.image_size == trained.image_size


def test_a_share_decoder_is_drawn_again():
    torch.manual_seed(5)
    encoder = build_encoder("focalnet_test", in_channels=1)
    decoder = build_share_decoder(encoder, 3, 4)
    trained = SoundClassifier(encoder, 3, "linear", share_decoder=decoder)
    blank = make_untrained(trained)
    assert type(blank.share_decoder) is type(decoder)
    assert not all(same_weights(blank.share_decoder, decoder))


def test_what_cannot_be_made_again_says_so(classifier):
    classifier.arguments["encoder"] = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="Linear does not remember"):
        make_untrained(classifier)


def test_a_decoder_stays_as_it_is(look, classifier, spectrogram):
    decoder = LMACDecoder(classifier.encoder.n_features, 5)
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    interpreter = LMACInterpreter(classifier, spectrogram, decoder).eval()
    interpreter.to(look.wavs.device)
    before = copy.deepcopy(interpreter)
    columns = check(look, interpreter, "randomization", "class_sensitivity")
    assert all(same_weights(interpreter, before))
    assert interpreter.classifier is classifier
    assert (defined(columns["randomization"]) < 0.99).all()


def test_methods_that_take_gradients_are_checked_too(
    look, classifier, spectrogram
):
    pytest.importorskip("captum")
    interpreter = ThresholdInterpreter(
        classifier, spectrogram, method="saliency"
    )
    columns = check(look, interpreter)
    assert set(columns) == OF_CHECKS
    assert (defined(columns["class_sensitivity"]) < 0.99).all()
    assert not any(p.requires_grad for p in classifier.parameters())


def test_a_check_that_is_not_there_is_refused(classifier, spectrogram):
    interpreter = ThresholdInterpreter(classifier, spectrogram)
    with pytest.raises(ValueError, match="'stable'.*stability"):
        Checker(interpreter, ["stable"])
    assert Checker(interpreter, "stability").checks == ("stability",)


def make_wav(number):
    samples = 1500 + 211 * number
    generator = torch.Generator().manual_seed(number)
    angle = 2 * math.pi * (500, 1500, 4000)[number % 3] / 16000
    tone = torch.sin(angle * torch.arange(samples))
    return tone * (torch.arange(samples) < samples / 2) + 0.1 * torch.randn(
        samples, generator=generator
    )


def evaluate(classifier, spectrogram, numbers, batch_size, checks):
    rows = {f"clip{number}": {"number": number} for number in numbers}
    dataset = DynamicItemDataset(rows)
    dataset.add_dynamic_item(make_wav, "number", "sig")
    dataset.add_dynamic_item(lambda number: number % 3, "number", "target")
    dataset.add_dynamic_item(lambda n: LABELS[n % 3], "number", "label")
    dataset.set_output_keys(["id", "sig", "label", "target"])
    parts = classifier, spectrogram
    first = ThresholdInterpreter(*parts, maps="class_evidence")
    compared = [
        ThresholdInterpreter(*parts),
        ThresholdInterpreter(*parts, method="loudest"),
    ]
    hparams = {"interpreter": first, "compared": compared, "labels": LABELS}
    brain = InterpreterBrain(
        modules={"interpreter": first},
        hparams=hparams | {"checks": checks},
        run_opts={"device": "cpu", "noprogressbar": True},
    )
    loader = {"batch_size": batch_size}
    brain.evaluate(dataset, test_loader_kwargs=loader)
    return brain.rows()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_clip_is_checked_the_same_in_every_batch_and_order(
    classifier, spectrogram, batch_size
):
    parts = classifier.cpu(), spectrogram.cpu()
    wanted = evaluate(*parts, range(5), 5, list(CHECKS))
    found = evaluate(*parts, range(5)[::-1], batch_size, list(CHECKS))
    assert list(found) == list(wanted)
    assert len(found) == 3
    for name, rows in found.items():
        for row, one in zip(rows, wanted[name], strict=True):
            assert set(row) >= OF_CHECKS
            assert row == pytest.approx(one, abs=2e-4)


def test_all_interpreters_share_the_passes(
    classifier, spectrogram, monkeypatch
):
    seen, forward = [], classifier.encoder.forward

    def count(image):
        seen.append(len(image))
        return forward(image)

    monkeypatch.setattr(classifier.encoder, "forward", count)
    parts = classifier.cpu(), spectrogram.cpu()
    costs = {
        "class_sensitivity": 0,
        "randomization": 0,  # but one of another classifier
        "infidelity": N_PATCHES,
        "bands": N_BANDS,
        "stability": len(CHANGES),
    }
    for name, cost in costs.items():
        seen.clear()
        rows = evaluate(*parts, range(3), 3, [name])
        assert sum(seen) == 3 * (1 + 2 * len(rows) + cost), name
    evaluated = evaluate(*parts, range(3), 3, [])
    assert not OF_CHECKS & set(evaluated["loudest, quantile 0.9"][0])
