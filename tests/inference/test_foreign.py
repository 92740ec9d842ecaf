"""What there is for classifiers of ours, there is for foreign ones."""

import math
import sys

import pandas as pd
import pytest
import torch
from torch import nn

from focalaudio.audio import load_wav, write_wav
from focalaudio.errors import ModelError
from focalaudio.inference.folder import explain_files
from focalaudio.inference.foreign import (
    fit_spectrogram,
    open_model,
    wrap_classifier,
)
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models import load_model
from focalaudio.models.description import describe

QUICK = {"n_masks": 8}


def brightness(wavs):
    """Two classes: low and high."""
    low = (wavs[:, 1:] + wavs[:, :-1]).square().mean(1)
    high = (wavs[:, 1:] - wavs[:, :-1]).square().mean(1)
    return 100 * torch.stack((low, high), 1)


@pytest.fixture(scope="module")
def interpreter():
    return SoundInterpreter.from_classifier(brightness, ["low", "high"], 16000)


def test_a_foreign_copy_answers_as_the_model_itself(finished):
    model = load_model(finished)
    own = SoundInterpreter(model)

    def classify(wavs):
        spectrum = model.spectrogram(wavs)
        return model.classifier(spectrum.log_magnitude).logits

    foreign = SoundInterpreter.from_classifier(
        classify,
        model.labels,
        16000,
        clip_seconds=model.reader.clip_seconds,
        scale_peak=True,
    )
    wavs, lens = 0.2 * torch.randn(2, 20000), torch.tensor([1.0, 0.3])
    ours, theirs = (
        each.explain_batch(wavs, lens, method="loudest")
        for each in (own, foreign)
    )
    torch.testing.assert_close(theirs.logits, ours.logits, atol=1e-4, rtol=1e-4)
    assert torch.equal(theirs.mask, ours.mask)
    assert torch.equal(theirs.wavs, ours.wavs)


def test_levels_are_left_alone_unless_asked(interpreter):
    seen = []

    def watch(wavs):
        seen.append(wavs)
        return brightness(wavs)

    wav = 0.01 * torch.randn(8000)
    for scale_peak, peak in ((False, wav.abs().max()), (True, 1.0)):
        other = SoundInterpreter.from_classifier(
            watch, ["low", "high"], 16000, scale_peak=scale_peak
        )
        found = other.explain_batch(wav, options=QUICK, quantile=0.0)
        heard = seen[-1].abs().max()
        assert math.isclose(seen.pop().abs().max(), heard)
        whole = other.prepare(wav).wavs
        assert whole.abs().max().item() == pytest.approx(float(peak))
        torch.testing.assert_close(found.wavs[0], wav, atol=1e-6, rtol=0)


def test_a_file_and_a_stream_are_explained(interpreter, tmp_path):
    wav = torch.randn(96000).clamp(-1, 1)
    path = write_wav(tmp_path / "a.wav", wav, 16000)
    found = interpreter.explain_file(path, options=QUICK)
    assert found.wavs.shape == (1, 96000)
    whole = load_wav(path, 16000)
    torch.testing.assert_close(
        (found.wavs + found.removed_wavs)[0], whole, atol=1e-6, rtol=0
    )
    result = interpreter.explain_stream(
        path, tmp_path / "out", method="loudest", progress=False
    )
    assert result.n_samples == 96000
    assert {each.label for each in result.segments} <= {"low", "high"}


def test_it_says_what_it_hears(interpreter):
    hum = torch.linspace(0, 600, 8000).sin()
    hiss = hum * (-1) ** torch.arange(8000)
    assert interpreter.classify_batch(hum)[3] == ["low"]
    assert interpreter.classify_batch(hiss)[3] == ["high"]


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 192000])
def test_every_rate_has_a_spectrogram(rate):
    spectrogram = fit_spectrogram(rate)
    wavs = torch.randn(1, rate // 10)
    spectrum = spectrogram(wavs)
    back = spectrogram.invert(spectrum.stft, spectrum.n_samples)
    torch.testing.assert_close(back, wavs, atol=1e-5, rtol=0)


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match="labels has 2 names, 1 of them"):
        wrap_classifier(brightness, ["low", "low"], 16000)
    with pytest.raises(ModelError, match="with 3 labels"):
        wrap_classifier(brightness, ["low", "high", "none"], 16000)
    with pytest.raises(ValueError, match="sample_rate=8000 Hz is not"):
        wrap_classifier(
            brightness, ["low", "high"], 8000,
            spectrogram=fit_spectrogram(16000),
        )  # fmt: skip
    with pytest.raises(ValueError, match="compile=True: classify is a plain"):
        SoundInterpreter.from_classifier(
            brightness, ["low", "high"], 16000, {"compile": True}
        )


def test_no_bundle_holds_a_foreign_classifier(interpreter):
    with pytest.raises(ModelError, match="ForeignClassifier.*publish.md"):
        describe(interpreter.model)


def test_a_module_is_run_where_it_is(device):
    network = nn.Sequential(nn.Linear(8000, 2)).to(device)
    made = SoundInterpreter.from_classifier(
        network, ["a", "b"], 16000, clip_seconds=0.5
    )
    assert made.device.type == device.type
    assert made.classify_batch(torch.randn(1, 3000))[0].shape == (1, 2)


def test_parts_of_a_cropped_clip_are_heard_as_it_was_classified():
    made = SoundInterpreter.from_classifier(
        brightness, ["low", "high"], 16000, clip_seconds=0.5
    )
    interpreter = made.model.interpreter("loudest", quantile=0.0)
    for length in (20000, 3000):  # cropped, and padded
        wav = 0.1 * torch.randn(length)
        found = made.explain_batch(wav, method="loudest", quantile=0.0)
        kept, removed = interpreter.classify_parts(found)
        torch.testing.assert_close(kept, found.logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(interpreter.classify_kept(found), kept)
        assert removed.abs().max() < 1e-4


def ratio(wavs):
    """Three classes by energies; no numbers where the end is silent."""
    start, *rest = (part.square().mean(1) for part in wavs.chunk(4, 1))
    return torch.stack((start / rest[-1], start, rest[0]), 1)


def test_logits_that_are_no_numbers_are_no_answer(tmp_path):
    model = SoundInterpreter.from_classifier(
        ratio, ["rise", "a", "b"], 16000, differentiable=False
    )
    wavs = 0.1 * torch.randn(3, 8000)
    wavs[1, 6000:] = 0.0  # inf
    for ask in (model.classify_batch, model.explain_batch, model.look):
        with pytest.raises(ModelError, match="1 of 3 clips, .* is clip 1"):
            ask(wavs)
    assert model.explain_batch(wavs[::2], method="loudest").is_known.all()
    # of silence nothing is said, whatever the logits are
    silence = model.explain_batch(torch.zeros(8000), method="loudest")
    assert not silence.is_known.any()
    path = write_wav(tmp_path / "a.wav", wavs[1].repeat_interleave(8), 16000)
    with pytest.raises(ModelError, match="not finite"):
        model.explain_stream(path, tmp_path, method="loudest", overlap=0.0)


@pytest.mark.parametrize("seconds", [0.005, 30.0])
def test_a_clip_that_a_classifier_cannot_take_does_not_stop_the_others(
    tmp_path, seconds
):
    def choosy(wavs):
        if wavs[0, :40].count_nonzero() == 0:
            raise KeyError("begin")
        return brightness(wavs)

    model = SoundInterpreter.from_classifier(choosy, ["low", "high"], 16000)
    files = []
    for name in "abc":
        wav = 0.1 * torch.randn(round(16000 * seconds) if name == "b" else 8000)
        wav[:100] *= name != "b"
        files.append(write_wav(tmp_path / f"{name}.wav", wav + 0.0, 16000))
    out = tmp_path / "out"
    found = explain_files(files, out, model, method="loudest", media=False)
    bad = [one.error for one in found if one.error]
    assert len(bad) == 1
    assert "classify failed on sound of shape" in bad[0]
    assert "KeyError" in bad[0]
    failed = pd.read_csv(out / "failed.csv")
    assert failed["path"].tolist() == [str(files[1])]
    assert len(pd.read_csv(out / "clips.csv")) == 2


MINE = """
from __future__ import annotations

import pickle
from dataclasses import KW_ONLY, dataclass

from focalaudio import SoundInterpreter


@dataclass
class Settings:
    _: KW_ONLY
    rate: int = 16000


def classify(wavs):
    return wavs[:, :2]


def make():
    rate = pickle.loads(pickle.dumps(Settings())).rate
    return SoundInterpreter.from_classifier(classify, ["a", "b"], rate)
"""


@pytest.mark.parametrize("name", ["mine.py", "json.py", "my.v2.py"])
def test_a_file_of_one_s_own_may_have_what_modules_have(tmp_path, name):
    path = tmp_path / name
    path.write_text(MINE)
    before = dict(sys.modules)
    assert open_model(None, f"{path}:make").labels == ["a", "b"]
    known = before.keys() & sys.modules.keys()
    assert all(sys.modules[each] is before[each] for each in known)


def test_of_a_file_that_fails_nothing_is_left(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("1 / 0")
    before = set(sys.modules)
    with pytest.raises(ModelError):
        open_model(None, f"{path}:make")
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n1 / 0", "failed in FILE, line 2: ZeroDivisionError: division"),
        ("def make(:", "failed: SyntaxError: "),
        ("import no_such_one", "there is no module 'no_such_one' here"),
        (
            "def make():\n    import json\n    json.loads('x')\n",
            "failed in FILE, line 3: JSONDecodeError: Expecting value",
        ),
        (
            "def make():\n    raise ValueError('my own fault')\n",
            "failed in FILE, line 2: ValueError: my own fault; mend it",
        ),
        (
            "def make(path, rate=16000, *, kind, **more):\n    pass\n",
            "must take no arguments, but it needs path, kind; give defaults",
        ),
        ("def make(*many):\n    return 3\n", "returned an int; it must"),
        ("make = dict", "returned a dict; it must"),
        ("made = 3", "mine.py has no function make"),
    ],
)
@pytest.mark.parametrize("by_name", [False, True])
def test_what_goes_wrong_in_a_file_of_one_s_own_is_a_sentence(
    tmp_path, monkeypatch, text, said, by_name
):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    path = tmp_path / "mine.py"
    path.write_text(text)
    name = "mine" if by_name else path
    said = said.replace("mine.py has", f"{name} has")
    with pytest.raises(ModelError) as no:
        open_model(None, f"{name}:make")
    assert f"classifier_from='{name}:make'" in str(no.value)
    assert said.replace("FILE", str(path)) in str(no.value)
    if "mend it" in str(no.value) or "no module" in str(no.value):
        assert no.value.__cause__ is not None


def test_a_text_is_one_label_and_one_name(interpreter, tmp_path):
    def classify(wavs):
        return wavs[:, :3]

    with pytest.raises(ModelError, match="with 1 labels"):
        SoundInterpreter.from_classifier(classify, "dog", 16000).classify_batch(
            torch.rand(1, 8000)
        )
    found = interpreter.explain_batch(torch.rand(8000), method="loudest")
    found.save(tmp_path, "ab")
    assert (tmp_path / "ab.png").exists()
