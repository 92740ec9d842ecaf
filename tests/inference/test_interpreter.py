import logging
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

import focalaudio
from focalaudio.audio import load_wav, write_wav
from focalaudio.encoders.focalnet import FocalNet
from focalaudio.errors import AudioError, ModelError
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models import load_model
from focalaudio.models.bundle import write_sums

TIGHT = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def model(exported):
    return SoundInterpreter.from_hparams(exported)


@pytest.fixture(scope="module")
def clip(dataset):
    return sorted((dataset / "audio").glob("5-*.wav"))[0]


@pytest.fixture
def uneven():
    """Clips shorter and longer than the 16000 samples that are read."""
    n_samples = torch.tensor([20000, 9000, 300])
    wavs = 0.2 * torch.randn(3, 20000)
    wavs *= torch.arange(20000) < n_samples[:, None]
    return wavs, n_samples


def test_it_is_a_public_name(model):
    assert focalaudio.SoundInterpreter is SoundInterpreter
    assert isinstance(model, SoundInterpreter)


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_run_and_its_bundle_answer_alike(finished, model, kind):
    run = SoundInterpreter.from_hparams(kind(finished))
    wavs = 0.2 * torch.randn(2, 16000)
    for ours, theirs in zip(
        run.classify_batch(wavs), model.classify_batch(wavs), strict=True
    ):
        same = ours == theirs
        assert same if isinstance(ours, list) else same.all()


def test_answers_have_speechbrains_shapes(model, uneven):
    wavs, n_samples = uneven
    probs, score, index, labels = model.classify_batch(wavs, n_samples / 20000)
    assert probs.shape == (3, 3)
    torch.testing.assert_close(probs.sum(1), torch.ones(3))
    assert torch.equal(score, probs.amax(1))
    assert torch.equal(index, probs.argmax(1))
    assert labels == [model.labels[i] for i in index]


def test_a_file_is_answered_as_the_batch_of_its_sound(model, clip):
    wav = load_wav(clip, model.sample_rate)
    for ours, theirs in zip(
        model.classify_file(clip), model.classify_batch(wav[None]), strict=True
    ):
        assert ours == theirs if isinstance(ours, list) else ours.equal(theirs)
    wavs, labels, sample_rate = model.interpret_file(clip)
    batch, batch_labels = model.interpret_batch(wav[None])
    assert torch.equal(wavs, batch)
    assert (labels, sample_rate) == (batch_labels, 16000)
    found = model.explain_file(str(clip))
    assert torch.equal(found.mask, model.explain_batch(wav).mask)


def test_a_file_is_classified_as_its_run_classified_it(finished, model, clip):
    run = load_model(finished)
    with torch.no_grad():
        spectrum = run.spectrogram(run.reader(str(clip))[None])
        logits = run.classifier(spectrum.log_magnitude).logits
    assert torch.equal(model.explain_file(clip).logits, logits)


def test_files_of_other_rates_and_channels_are_read(model, clip, tmp_path):
    wav = load_wav(clip, 44100)
    stereo = write_wav(tmp_path / "a.wav", torch.stack((wav, wav)), 44100)
    probs = model.classify_file(stereo)[0]
    torch.testing.assert_close(
        probs, model.classify_file(clip)[0], rtol=0, atol=0.02
    )


def test_answers_do_not_depend_on_neighbors(model, uneven):
    wavs, n_samples = uneven
    together = model.explain_batch(wavs, n_samples / 20000)
    for row, length in enumerate(n_samples.tolist()):
        alone = model.explain_batch(wavs[row, :length])
        torch.testing.assert_close(
            together.logits[row], alone.logits[0], **TIGHT
        )
        torch.testing.assert_close(
            together.wavs[row, :length], alone.wavs[0], **TIGHT
        )


def test_answers_do_not_depend_on_padding(model, uneven):
    wavs, n_samples = uneven
    noise = torch.randn(3, 24000)
    noise[:, :20000] = torch.where(wavs == 0, noise[:, :20000], wavs)
    plain = model.classify_batch(wavs, n_samples / 20000)[0]
    padded = model.classify_batch(noise, n_samples / 24000)[0]
    torch.testing.assert_close(padded, plain, **TIGHT)


def test_whole_clips_do_not_depend_on_padding_either(finished, uneven):
    run = SoundInterpreter.from_hparams(finished)
    run.reader.clip_seconds = None
    wavs, n_samples = uneven
    together = run.explain_batch(wavs, n_samples / 20000)
    for row, length in enumerate(n_samples.tolist()):
        alone = run.explain_batch(wavs[row, :length])
        torch.testing.assert_close(
            together.logits[row], alone.logits[0], **TIGHT
        )
        torch.testing.assert_close(
            together.wavs[row, :length], alone.wavs[0], **TIGHT
        )


@pytest.mark.parametrize("gain", [1e-3, 1.0, 30.0])
def test_levels_change_sounds_and_no_answers(model, uneven, gain):
    wavs, n_samples = uneven
    plain = model.explain_batch(wavs, n_samples / 20000)
    scaled = model.explain_batch(gain * wavs, n_samples / 20000)
    torch.testing.assert_close(scaled.logits, plain.logits, **TIGHT)
    torch.testing.assert_close(scaled.wavs, gain * plain.wavs, **TIGHT)


@pytest.mark.parametrize("method", ["by_design", "piq", "lmac"])
def test_kept_and_removed_are_the_input(model, uneven, method):
    wavs, n_samples = uneven
    found = model.explain_batch(wavs, n_samples / 20000, method=method)
    assert found.wavs.shape == wavs.shape
    torch.testing.assert_close(
        found.wavs + found.removed_wavs, wavs, rtol=0, atol=1e-6
    )
    beyond = torch.arange(20000) >= n_samples[:, None]
    assert not found.wavs[beyond].any()
    assert torch.equal(found.spectrum.n_samples, n_samples)


def test_a_mask_of_ones_gives_the_input_back(model):
    wav = 0.2 * torch.randn(1, 16000)
    found = model.explain_batch(wav, quantile=0.0)
    torch.testing.assert_close(found.wavs, wav, rtol=0, atol=1e-6)


def test_what_is_too_long_is_said(model, caplog):
    with caplog.at_level(logging.WARNING):
        found = model.explain_batch(0.2 * torch.randn(24000))
    assert "has 1.50 s, but this classifier reads 1.00 s" in caplog.text
    assert not found.wavs[:, 16000:].any()


def test_silence_is_finite(model):
    found = model.explain_batch(torch.zeros(1, 8000))
    assert found.logits.isfinite().all()
    assert not found.wavs.any()


@pytest.mark.parametrize("method", ["by_design", "piq", "lmac"])
def test_targets_are_labels_or_ids(model, method):
    wavs = 0.2 * torch.randn(2, 16000)
    by_label = model.explain_batch(wavs, target="bell", method=method)
    by_id = model.explain_batch(wavs, target=1, method=method)
    each = model.explain_batch(wavs, target=["bell", 2], method=method)
    tensor = model.explain_batch(
        wavs, target=torch.tensor([1, 2]), method=method
    )
    assert by_label.class_ids.tolist() == [1, 1]
    assert torch.equal(by_label.mask, by_id.mask)
    assert each.class_ids.tolist() == [1, 2]
    assert torch.equal(each.mask, tensor.mask)
    assert torch.equal(each.mask[0], by_label.mask[0])


@pytest.mark.parametrize("method", ["piq", "lmac"])
def test_another_target_gives_another_mask_of_a_decoder(model, method):
    wav = 0.2 * torch.randn(16000)
    masks = [
        model.explain_batch(wav, target=i, method=method).mask for i in range(3)
    ]
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[1], masks[2])


@pytest.fixture(scope="module")
def evident(exported, tmp_path_factory):
    """The same model, explained by each cell's evidence for the class."""
    folder = tmp_path_factory.mktemp("evident") / "bundle"
    shutil.copytree(exported, folder)
    path = folder / "hyperparams.yaml"
    text = path.read_text().replace('"stage_2"', "class_evidence")
    path.write_text(text)
    write_sums(folder)
    return SoundInterpreter.from_hparams(folder)


def test_the_bundles_settings_are_how_it_is_explained(evident, model):
    wav = 0.2 * torch.randn(16000)
    own = evident.explain_batch(wav)
    said = model.explain_batch(wav, maps="class_evidence")
    assert torch.equal(own.mask, said.mask)
    assert not torch.equal(own.mask, model.explain_batch(wav).mask)


def test_another_target_gives_another_mask_where_maps_know_classes(
    evident, model
):
    wav = 0.2 * torch.randn(16000)
    masks = [evident.explain_batch(wav, target=i).mask for i in range(3)]
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[1], masks[2])
    blind = [model.explain_batch(wav, target=i).mask for i in range(3)]
    assert torch.equal(blind[0], blind[1])


@pytest.mark.parametrize("method", ["random", "loudest", "gradcam"])
def test_other_methods_have_a_name(model, method):
    if method == "gradcam":
        pytest.importorskip("captum")
    wav = 0.2 * torch.randn(1, 16000)
    found = model.explain_batch(wav, method=method, quantile=0.8)
    assert found.kept_fraction.item() == pytest.approx(0.2, abs=0.02)
    torch.testing.assert_close(
        found.wavs + found.removed_wavs, wav, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("target", ["dog", 3, -1, True, ["bell", "x"]])
def test_targets_that_do_not_exist_list_those_that_do(model, target):
    wavs = 0.2 * torch.randn(2, 16000)
    with pytest.raises(ValueError, match="it knows siren, bell, cricket"):
        model.explain_batch(wavs, target=target)


def test_one_target_for_each_clip(model):
    with pytest.raises(ValueError, match="3 classes for 2 clips"):
        model.explain_batch(torch.randn(2, 8000), target=[0, 1, 2])


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_the_quantile_sets_how_much_is_dropped(model, quantile):
    found = model.explain_batch(torch.randn(2, 16000), quantile=quantile)
    torch.testing.assert_close(
        found.kept_fraction, torch.full((2,), 1 - quantile), rtol=0, atol=0.01
    )


def test_the_models_own_quantile_is_the_default(model):
    kept = model.explain_batch(torch.randn(1, 16000)).kept_fraction.item()
    assert kept == pytest.approx(0.1, abs=0.01)


def test_arguments_that_will_not_do_are_errors(model, finished):
    wav = torch.randn(1, 16000)
    with pytest.raises(ValueError, match="quantile=2"):
        model.explain_batch(wav, quantile=2)
    with pytest.raises(ValueError, match="method='x'"):
        model.explain_batch(wav, method="x")
    with pytest.raises(ValueError, match="quantile=0.5 means nothing to"):
        model.explain_batch(wav, quantile=0.5, method="piq")
    run = SoundInterpreter.from_hparams(finished)
    with pytest.raises(ModelError, match="this model has none"):
        run.explain_batch(wav, method="piq")


@pytest.mark.parametrize("shape", [(1, 2, 8000), (0, 8000), (2, 0)])
def test_sounds_of_other_shapes_are_errors(model, shape):
    with pytest.raises(ValueError, match="must be \\[batch, samples\\]"):
        model.classify_batch(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_sounds_that_are_no_numbers_are_errors(model, value):
    wavs = torch.zeros(2, 8000)
    wavs[1, 5] = value
    with pytest.raises(AudioError, match="the first at sample 5"):
        model.classify_batch(wavs)


def test_files_that_are_no_sounds_are_errors(model, tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(AudioError, match="a.wav"):
        model.explain_file(tmp_path / "a.wav")
    with pytest.raises(FileNotFoundError, match="none.wav"):
        model.classify_file(tmp_path / "none.wav")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_answers_nearly_the_same(exported, model, precision):
    options = {"device": "cpu", "precision": precision}
    low = SoundInterpreter.from_hparams(exported, run_opts=options)
    wavs = 0.2 * torch.randn(4, 16000)
    found, exact = low.explain_batch(wavs), model.explain_batch(wavs)
    torch.testing.assert_close(found.probs, exact.probs, rtol=0, atol=0.05)
    assert not torch.equal(found.probs, exact.probs)
    torch.testing.assert_close(
        found.wavs + found.removed_wavs, wavs, rtol=0, atol=1e-6
    )


def test_compiled_models_answer_the_same(exported, model, monkeypatch):
    """With a backend that needs no C++ compiler, which would take minutes."""
    compiled = []

    def compile_traced(self):
        compiled.append(type(self))
        nn.Module.compile(self, backend="aot_eager")

    monkeypatch.setattr(FocalNet, "compile", compile_traced)
    fast = SoundInterpreter.from_hparams(exported, run_opts={"compile": True})
    wavs = 0.2 * torch.randn(2, 16000)
    torch.testing.assert_close(
        fast.classify_batch(wavs)[0], model.classify_batch(wavs)[0], **TIGHT
    )
    assert compiled == [FocalNet]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_answers_nearly_the_same(exported, model):
    gpu = SoundInterpreter.from_hparams(exported, run_opts={"device": "cuda"})
    wavs = 0.2 * torch.randn(2, 16000)
    torch.testing.assert_close(
        gpu.classify_batch(wavs)[0].cpu(),
        model.classify_batch(wavs)[0],
        rtol=0,
        atol=1e-3,
    )
    assert gpu.interpret_batch(wavs)[0].is_cuda


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"devise": "cpu"}, "run_opts has devise; of what.*may have device"),
        ({"precision": "fp8"}, "precision='fp8' must be one of fp32"),
        ({"device": "cuda:77"}, "device='cuda:77' is not there"),
        ({"device": "toaster"}, "device='toaster' is not there"),
    ],
)
def test_options_that_will_not_do_are_errors(exported, options, said):
    with pytest.raises(ValueError, match=said):
        SoundInterpreter.from_hparams(exported, run_opts=options)


def test_nothing_is_left_to_be_trained(model):
    model.explain_batch(torch.randn(1, 8000))
    parameters = list(model.classifier.parameters())
    assert not any(p.requires_grad for p in parameters)
    assert not model.classifier.training


def test_the_stream_of_a_short_clip_is_its_explanation(model, tmp_path):
    wav = 0.2 * torch.randn(9000)
    path = write_wav(tmp_path / "short.wav", wav, 16000)
    result = model.explain_stream(path, tmp_path / "out", progress=False)
    found = model.explain_file(path)
    heard = load_wav(result.kept, 16000) / result.gain
    torch.testing.assert_close(heard, found.wavs[0], atol=1e-5, rtol=0)
    (segment,) = result.segments
    assert segment.label == model.labels[int(found.class_ids[0])]
    assert segment.probability == pytest.approx(
        found.probs.max().item(), abs=1e-4
    )


def test_a_temperature_changes_how_sure_one_is_and_nothing_else(
    exported, model, tmp_path
):
    warm = SoundInterpreter(replace(load_model(exported), temperature=2.0))
    wavs = 0.2 * torch.randn(2, 16000)
    found, plain = warm.explain_batch(wavs), model.explain_batch(wavs)
    for name in ("logits", "class_ids", "saliency", "mask", "wavs"):
        assert torch.equal(getattr(found, name), getattr(plain, name))
    probs = (plain.logits / 2).softmax(-1)
    torch.testing.assert_close(found.probs, probs)
    told, _, index, labels = warm.classify_batch(wavs)
    torch.testing.assert_close(told, probs)
    assert (index.tolist(), labels) == (
        plain.class_ids.tolist(),
        model.classify_batch(wavs)[3],
    )
    path = write_wav(tmp_path / "a.wav", wavs[0], 16000, subtype="FLOAT")
    (segment,) = warm.explain_stream(path, tmp_path, progress=False).segments
    assert segment.probability == pytest.approx(probs[0].max().item(), abs=1e-4)


def test_windows_of_a_stream_agree_with_batches(model, tmp_path):
    wav = 0.2 * torch.randn(40000)
    path = write_wav(tmp_path / "long.wav", wav, 16000, subtype="FLOAT")
    result = model.explain_stream(
        path, tmp_path / "out", overlap=0.0, progress=False
    )
    assert result.n_samples == 40000
    windows = wav[:32000].view(2, 16000)
    found = model.explain_batch(windows)
    heard = load_wav(result.kept, 16000)[:32000] / result.gain
    torch.testing.assert_close(
        heard.view(2, 16000), found.wavs, atol=1e-5, rtol=0
    )


def test_a_stream_takes_a_quantile(model, tmp_path):
    path = write_wav(tmp_path / "a.wav", 0.2 * torch.randn(20000), 16000)
    energy = []
    for quantile in (0.0, 0.9):
        out = tmp_path / str(quantile)
        result = model.explain_stream(path, out, quantile, progress=False)
        energy.append(load_wav(result.kept, 16000).square().sum())
    assert energy[0] > 2 * energy[1]
