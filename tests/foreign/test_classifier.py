"""Laws of foreign classifiers: what ours say when they are asked as theirs.

A foreign copy of our own classifier is a function of sound, or of the STFT.
Equal to the original, to 1e-4:

by sound   what is said of whole clips, and the masks of the floors
by STFT    all of it: gradients, masks, kept and removed parts, every score

By sound, what is kept of a clip is heard, and a masked STFT is that of no
sound: the copy sees what is left of it, the original sees the mask's edges.
"""

import numpy as np
import pytest
import torch
from torch import nn

from focalaudio.brains.checks import Checker, Look
from focalaudio.errors import ModelError
from focalaudio.foreign import ForeignClassifier
from focalaudio.interpreters import LMACInterpreter, ThresholdInterpreter
from focalaudio.interpreters.decoders import SpectrogramDecoder
from focalaudio.interpreters.lmac import build_decoder
from focalaudio.interpreters.threshold import METHODS
from focalaudio.metrics.columns import curve_columns, interpretation_columns
from focalaudio.spectrogram import power_spectrum

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
QUICK = {
    "smoothgrad": {"n_samples": 4, "noise_level": 0.0},
    "integrated_gradients": {"n_steps": 4},
    "gradient_shap": {"n_samples": 4, "noise_level": 0.0},
    "occlusion": {"bins": 257, "frames": 8},
    "rise": {"n_masks": 10},
}
COMMON = [m for m in METHODS if m not in ("by_design", "gradcam")]


@pytest.fixture
def wavs(device):
    return torch.randn(3, 4000, device=device)


@pytest.fixture
def by_sound(classifier, spectrogram):
    """A function of sound that does what our classifier does."""

    def classify(wavs):
        return classifier(spectrogram(wavs).log_magnitude).logits

    return ForeignClassifier(classify, 5, spectrogram)


@pytest.fixture
def by_stft(classifier, spectrogram):
    """The same of an STFT."""

    def classify(stft):
        power = power_spectrum(torch.view_as_real(stft)) + 1e-14
        return classifier(power.sqrt().log1p()).logits

    return ForeignClassifier(classify, 5, spectrogram, takes="stft")


def both(classifier, foreign, spectrogram, **choice):
    return [
        ThresholdInterpreter(each, spectrogram, **choice)
        for each in (classifier, foreign)
    ]


@pytest.mark.parametrize("door", ["by_sound", "by_stft"])
def test_whole_clips_get_the_same_answers(
    door, classifier, spectrogram, uneven, request
):
    foreign = request.getfixturevalue(door)
    ours, theirs = both(classifier, foreign, spectrogram, method="loudest")
    own, other = ours(*uneven[:2]), theirs(*uneven[:2])
    torch.testing.assert_close(other.logits, own.logits, **CLOSE)
    assert torch.equal(other.mask, own.mask)
    assert torch.equal(other.wavs, own.wavs)


@pytest.mark.parametrize("takes", ["sound", "stft"])
@pytest.mark.parametrize("lens", [[1.0, 1.0, 1.0], [1.0, 0.5, 1.0]])
def test_who_changes_what_is_asked_changes_nothing(
    spectrogram, wavs, takes, lens
):
    def classify(clips):
        clips.zero_()
        return torch.zeros(len(clips), 5)

    foreign = ForeignClassifier(classify, 5, spectrogram, takes=takes)
    spectrum = spectrogram(wavs, torch.tensor(lens))
    before = spectrum.stft.clone(), wavs.clone()
    foreign.look(spectrum, wavs)
    assert torch.equal(spectrum.stft, before[0])
    assert torch.equal(wavs, before[1])


@pytest.mark.parametrize("method", COMMON)
def test_methods_find_the_same_in_a_copy(
    method, classifier, by_stft, spectrogram, wavs
):
    choice = {"method": method, "options": QUICK.get(method)}
    ours, theirs = both(classifier, by_stft, spectrogram, **choice)
    own, other = ours(wavs), theirs(wavs)
    scale = own.saliency.abs().max()
    torch.testing.assert_close(
        other.saliency / scale, own.saliency / scale, **CLOSE
    )
    assert (other.mask != own.mask).float().mean() < 1e-3  # rounding


def test_scores_of_a_copy_are_those_of_the_original(
    classifier, by_stft, spectrogram, wavs
):
    targets = torch.tensor([0, 1, 2], device=wavs.device)
    found = []
    for each in both(classifier, by_stft, spectrogram, method="saliency"):
        record = each(wavs)
        record.mask[:] = wavs.new_zeros(record.mask.shape)
        record.mask[:, 5:15, 100:300] = True  # the same, whatever rounding does
        parts = each.classify_parts(record)
        columns = interpretation_columns(record, parts, targets)
        ask = each.ask(record.spectrum)
        columns |= curve_columns(record, ask, 4)
        torch.testing.assert_close(each.classify_kept(record), parts[0])
        found.append(columns)
    own, other = found
    assert set(own) == set(other) >= {"fidelity", "faithfulness"}
    for name in own:
        torch.testing.assert_close(other[name], own[name], **CLOSE, msg=name)


def test_checks_of_a_copy_are_those_of_the_original(
    classifier, by_stft, spectrogram, wavs
):
    found = []
    checks = ["infidelity", "bands", "stability", "class_sensitivity"]
    lens = torch.ones(3, device=wavs.device)
    for each in both(classifier, by_stft, spectrogram, method="loudest"):
        seen = each.look(wavs, lens)
        measure = Checker(each, checks).pass_on(Look(wavs, lens, "abc", *seen))
        found.append(measure(each, each.interpret(*seen)))
    for name, own in found[0].items():
        torch.testing.assert_close(found[1][name], own, **CLOSE, msg=name)


def test_what_is_classified_is_what_is_heard(by_sound, spectrogram, uneven):
    interpreter = ThresholdInterpreter(by_sound, spectrogram, mask="soft",
                                       method="loudest")  # fmt: skip
    record = interpreter(*uneven[:2])
    kept, removed = interpreter.classify_parts(record)
    for logits, wavs in ((kept, record.wavs), (removed, record.removed_wavs)):
        for row, length in enumerate(uneven[2].tolist()):
            heard = by_sound.classify(wavs[row : row + 1, :length])
            torch.testing.assert_close(logits[row], heard[0], **CLOSE)


def test_an_open_mask_keeps_the_answer(by_sound, spectrogram, wavs):
    interpreter = ThresholdInterpreter(
        by_sound, spectrogram, method="loudest", quantile=0.0
    )
    record = interpreter(wavs)
    kept = interpreter.classify_kept(record)
    torch.testing.assert_close(kept, record.logits, **CLOSE)


def test_a_clip_is_heard_without_its_padding(spectrogram, uneven):
    lengths = []

    def classify(wavs):
        lengths.append(wavs.shape[1])
        return torch.stack((wavs.sum(1), wavs.new_ones(len(wavs))), 1)

    foreign = ForeignClassifier(classify, 2, spectrogram, n_samples=100)
    assert set(lengths) == {100}
    lengths.clear()
    wavs, lens, n_samples = uneven
    interpreter = ThresholdInterpreter(foreign, spectrogram, method="random")
    interpreter.classify_parts(interpreter(wavs, lens))
    assert sorted(lengths) == sorted(2 * n_samples.tolist())


def leaving(wavs):
    """A classifier that leaves torch: which half of a clip is louder?"""
    halves = np.abs(np.asarray(wavs)).reshape(len(wavs), 2, -1).mean(2)
    return 50 * halves


@pytest.mark.parametrize("cut", [False, True])
def test_without_a_gradient_methods_that_need_one_are_refused(spectrogram, cut):
    def detached(wavs):
        return torch.as_tensor(leaving(wavs.detach()))

    foreign = ForeignClassifier(detached if cut else leaving, 2, spectrogram)
    assert not foreign.differentiable
    for method in ("saliency", "smoothgrad", "integrated_gradients"):
        with pytest.raises(ValueError, match="no gradient reaches.*rise"):
            ThresholdInterpreter(foreign, spectrogram, method=method)


@pytest.mark.parametrize("takes", ["sound", "stft"])
def test_a_gradient_reaches_what_is_changed_in_place(spectrogram, wavs, takes):
    def classify(clips):
        clips *= 2
        return clips.abs().flatten(1)[:, :2]

    foreign = ForeignClassifier(classify, 2, spectrogram, takes=takes)
    assert foreign.differentiable
    found = ThresholdInterpreter(foreign, spectrogram, method="saliency")(wavs)
    assert found.saliency.isfinite().all()
    assert (found.saliency > 0).any()


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_it_is_found_where_a_classifier_listens(spectrogram, method):
    foreign = ForeignClassifier(leaving, 2, spectrogram)
    wavs = torch.randn(1, 8000)
    found = ThresholdInterpreter(
        foreign, spectrogram, method=method, quantile=0.5
    )(wavs, class_ids=torch.tensor([0]))
    frames = found.saliency.shape[1] // 2
    first, second = found.saliency[0, :frames], found.saliency[0, frames:]
    assert first.mean() > second.mean()


def test_rise_does_not_touch_the_global_generator(by_sound, spectrogram, wavs):
    choice = {"method": "rise", "options": {"n_masks": 10}}
    interpreter = ThresholdInterpreter(by_sound, spectrogram, **choice)
    state = torch.random.get_rng_state()
    one, other = interpreter(wavs), interpreter(wavs[:1])
    assert torch.equal(state, torch.random.get_rng_state())
    torch.testing.assert_close(one.saliency[:1], other.saliency)


@pytest.mark.parametrize("method", ["by_design", "gradcam"])
def test_what_needs_the_inside_is_refused_in_one_line(
    by_sound, spectrogram, method
):
    with pytest.raises(
        ValueError, match="nothing is known.*saliency.*rise"
    ) as e:
        ThresholdInterpreter(by_sound, spectrogram, method=method)
    assert "\n" not in str(e.value)


def test_an_untrained_copy_cannot_be_made(by_sound, spectrogram):
    interpreter = ThresholdInterpreter(by_sound, spectrogram, method="loudest")
    with pytest.raises(ValueError, match="randomization.*leave it out"):
        Checker(interpreter, ["randomization"])


def test_lmac_learns_on_the_spectrogram(by_sound, spectrogram, wavs):
    decoder = build_decoder(by_sound, width=16, n_doublings=2)
    assert isinstance(decoder, SpectrogramDecoder)
    interpreter = LMACInterpreter(by_sound, spectrogram, decoder)
    spectrum, output = interpreter.look(wavs)
    optimizer = torch.optim.Adam(decoder.parameters(), 0.01)
    totals = []
    for _ in range(6):
        drawn = decoder(output.features, output.class_ids)
        loss = interpreter.compute_loss(drawn, spectrum, output.class_ids)
        optimizer.zero_grad()
        loss.total().backward()
        optimizer.step()
        totals.append(loss.total().item())
    assert totals[-1] < totals[0]
    assert interpreter.eval()(wavs).mask.shape == spectrum.log_magnitude.shape


def test_a_module_is_frozen_and_moves_along(spectrogram):
    module = nn.Sequential(nn.Linear(100, 3), nn.Dropout(0.5))
    foreign = ForeignClassifier(module, 3, spectrogram, n_samples=100)
    assert not any(each.requires_grad for each in module.parameters())
    assert not foreign.train().classify.training
    assert foreign.to(torch.float32).classify is module
    assert foreign.differentiable


@pytest.mark.parametrize(
    ("classify", "message"),
    [
        (
            lambda wavs: wavs[:, :3],
            r"shape \(2, 3\) for 2 clips; with 2",
        ),
        (lambda wavs: wavs[:1, :2], r"shape \(1, 2\) for 2 clips"),
        (lambda wavs: wavs[:, :2] * np.nan, "not finite"),
    ],
)
def test_what_does_not_fit_is_said_before_any_work(
    classify, message, spectrogram
):
    with pytest.raises(ModelError, match=message):
        ForeignClassifier(classify, 2, spectrogram)


@pytest.mark.parametrize(
    "change",
    [
        lambda logits: (logits, logits),
        lambda logits: (logits,),
        lambda logits: [logits, None],
        lambda logits: {"logits": logits},
        lambda logits: str(logits),
        lambda logits: None,
        lambda logits: np.array([logits, "dog"], dtype=object),
    ],
)
def test_what_is_more_than_logits_is_named(change, spectrogram):
    given = change(torch.zeros(2, 2))
    with pytest.raises(
        ModelError, match=f"a {type(given).__name__}; .*logits only.*(2, 2)"
    ):
        ForeignClassifier(lambda wavs: change(wavs[:, :2]), 2, spectrogram)


def test_functions_are_told_apart_by_their_answers(spectrogram):
    one, other, same = (
        ForeignClassifier(
            lambda wavs, factor=factor: factor * wavs[:, :2], 2, spectrogram
        )
        for factor in (1, 2, 1)
    )
    assert not torch.equal(one.answers, other.answers)
    assert torch.equal(one.answers, same.answers)


class Scaled(nn.Module):
    """Some weights, and something else that answers depend on."""

    def __init__(self, layer, factor):
        super().__init__()
        self.layer = layer
        self.factor = factor

    def forward(self, clips):
        return self.factor * self.layer(clips.real.flatten(1)[:, :1000])


def test_modules_are_told_apart_by_their_answers(spectrogram):
    layer = nn.Linear(1000, 20)

    def answer(factor, takes="sound"):
        return ForeignClassifier(
            Scaled(layer, factor), 20, spectrogram, takes, n_samples=1000
        ).answers_to_noise

    # another device computes a little else
    assert answer(1) == answer(1) == answer(1 + 1e-6)
    assert len({answer(1), answer(30), answer(1, "stft"), answer(1e-3)}) == 4
    assert set(answer(0)) == {0.0}


def test_it_takes_sound_or_an_stft(spectrogram):
    with pytest.raises(ValueError, match="takes='mel' must be 'sound' or"):
        ForeignClassifier(leaving, 2, spectrogram, takes="mel")
